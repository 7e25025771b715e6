"""Going on with what another process left in a data directory.

After a clean close everything is as it was written down. After anything else (a kill, a loss of
power, a replica that was down) three things may differ from that: what lies on servers that it does
not belong to, replicas of a key that are not the same, and how many keys there are. So then each
server discards what is not its own, every part of the ring is made equal on its replicas, the
newest record of each key winning, and the keys are counted. A replica that lacks a record that is
corrupt on all the others is behind until the key is written anew. A server whose directory is gone
is filled anew in the same way.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress

from core.cluster.catching_up import CatchingUp
from core.cluster.commit_notes import durable_servers, forget_commits, noted_commits
from core.cluster.journal import FIRST_VERSION, Journal
from core.cluster.membership import Membership, after_of
from core.cluster.persistence import OnDisk, restore_tallies
from core.cluster.plan import ChangeKind
from core.cluster.route import Segment
from core.cluster.shards import Shards
from core.cluster.topology import PendingChange, Topology
from core.errors import CorruptRecordError, DataDirectoryError
from core.record import Entry
from core.ring.hash_ring import HashRing
from core.stripes import STRIPES, stripe_of


def reopen(
    disk: OnDisk,
    topology: Topology,
    membership: Membership,
    shards: Shards,
    catching_up: CatchingUp,
) -> None:
    """Open the servers of a data directory, and go on where the last process stopped.

    O(segments) after a clean close, else O(records).

    Raises:
        DataDirectoryError: directories of servers are gone, and nobody may have what was in them.
        ServerFailedError: a server can't be opened, or failed.
        CorruptJournalError: the journal is damaged.
    """
    ring, change = membership.ring, topology.change
    ring.restore(topology.weights, topology.epoch, topology.positions)
    _refuse_lost_servers(disk, topology)
    _open_servers(disk, topology, shards)
    lost = any(server.is_new for _, server in durable_servers(shards))
    moved = _moves_of(change, disk.journal)
    _restore_routes(shards, ring, change, moved)
    noted = noted_commits(shards)
    for entries in noted.values():
        _apply(shards, entries)
    tallies = disk.journal.tallies()
    if disk.journal.clean and tallies is not None and not (noted or lost):
        restore_tallies(shards.routing, tallies)
    else:
        if change is not None:
            _bring_along(disk.journal, ring, change, shards)
        _make_good(shards, catching_up)
        # What others are told is done has to be on the disk: power may be lost meanwhile.
        _sync(shards)
        forget_commits(shards, noted)
        _sync(shards)
        catching_up.forget_tombstones()  # all who are concerned know them by now
    disk.journal.mark_unclean()
    membership.reopen(change, moved)


def _moves_of(change: PendingChange | None, journal: Journal) -> list[tuple[int, int]]:
    """Return the spans that a change has moved; forget those of a change that is over."""
    moved = journal.moved()
    if change is None and moved:
        # Its process ended between the two: they would be taken for moves of the next change.
        journal.forget_moves()
    return moved


def _refuse_lost_servers(disk: OnDisk, topology: Topology) -> None:
    """Raise if so many servers have lost their directories that perhaps nobody has all keys."""
    if disk.journal.versions_reserved == FIRST_VERSION:
        return  # nothing was ever written
    paths = {server_id: disk.directory.server_path(server_id) for server_id in topology.weights}
    gone = sorted(server_id for server_id, path in paths.items() if not path.exists())
    if gone and len(gone) >= min(topology.replication_factor, len(paths)):
        path = paths[gone[0]]
        raise DataDirectoryError(
            str(path),
            "is missing, and perhaps no other server has all of its keys",
            f"put it back from a backup; an empty directory {path.name} gives its keys up",
        )


def _open_servers(disk: OnDisk, topology: Topology, shards: Shards) -> None:
    change = topology.change
    server_ids = set(topology.weights)
    if change is not None and change.kind is ChangeKind.ADD:
        server_ids.add(change.server_id)
    # One that was about to join, or had left: the topology is written before and after.
    for server_id in disk.directory.server_ids():
        if server_id not in server_ids:
            disk.directory.remove_server(server_id)
    for server_id in sorted(server_ids):
        shards.open_server(server_id)


def _restore_routes(
    shards: Shards,
    ring: HashRing,
    change: PendingChange | None,
    moved: Sequence[tuple[int, int]],
) -> None:
    before, replicas = ring.view, shards.replication_factor
    with shards.stripes():
        shards.routing.follow(before, replicas)
        if change is None:
            return
        after = after_of(ring, change)
        if not (before.weights and after.weights):  # this takes one step
            shards.routing.follow(after, replicas)
        for low, high in moved:
            shards.routing.follow(after, replicas, low, high)


def _apply(shards: Shards, entries: Sequence[Entry]) -> None:
    """Apply the records of a transaction wherever they are not."""
    for entry in entries:
        for replica in shards.routing.at(entry.position).replicas:
            replica.server.apply(entry)


def _bring_along(journal: Journal, ring: HashRing, change: PendingChange, shards: Shards) -> None:
    """Give the owners of what moved last whatever is newer where it came from.

    Writing down that it moved may have failed, and the note be there all the same: then writes went
    on to the old owners.
    """
    last = journal.last_move()
    if last is None:
        return
    views = [ring.view, after_of(ring, change)]
    old = views[1 if last.back else 0]
    for segment in list(shards.routing.segments(last.low, last.high)):
        inner, behind = old.replicas_between(segment.low, segment.high, shards.replication_factor)
        sources = {owner for _, owners in [*inner, (0, behind)] for owner in owners}
        for server_id in sources - set(segment.owners):
            if server_id not in shards.replicas:
                continue
            source = shards.replicas[server_id].server
            removals = source.removals(segment.low, segment.high)
            entries = [*source.scan(segment.low, segment.high), *removals]
            for owner in segment.owners:
                shards.replicas[owner].server.apply_many(entries)


def _make_good(shards: Shards, catching_up: CatchingUp) -> None:
    """Make every replica hold what it should, nothing else, and count the keys."""
    for replica in shards.replicas.values():
        shards.discard_foreign(replica)
    for stripe in range(STRIPES):
        with shards.locks[stripe]:
            for segment in list(shards.segments_of(stripe)):
                _make_equal(shards, segment)
            catching_up.recount_locked(stripe)


def _sync(shards: Shards) -> None:
    for _, server in durable_servers(shards):
        server.sync()


def _make_equal(shards: Shards, segment: Segment) -> None:
    """Make one part of a stripe the same on all its replicas: the newest of each key."""
    servers = [shards.replicas[server_id].server for server_id in segment.owners]
    low, high = segment.low, segment.high
    if len({server.digest(low, high) for server in servers}) <= 1:
        return
    newest: dict[str, Entry] = {}
    for server in servers:
        for entry in [*server.scan(low, high), *server.removals(low, high)]:
            known = newest.get(entry.key)
            if known is None or known.record.version < entry.record.version:
                newest[entry.key] = entry
    for server in servers:
        server.apply_many(list(newest.values()))
    _miss_what_is_corrupt(shards, segment, newest)


def _miss_what_is_corrupt(shards: Shards, segment: Segment, sound: Collection[str]) -> None:
    """Have a replica that lacks what is corrupt on all who have it answer no read.

    It would say that there is no such key. It catches up once the key is written anew.
    """
    low, high, owners = segment
    corrupt: dict[str, set[str]] = {}
    for server_id in owners:
        replica = shards.replicas[server_id]
        for position, key in replica.durable.corrupt_keys(low, high) if replica.durable else ():
            with suppress(CorruptRecordError):
                replica.server.get(position, key)  # of a removal: nothing is missing
                continue
            corrupt.setdefault(key, set()).add(server_id)
    for key, holders in corrupt.items():
        if key not in sound:
            for server_id in set(owners) - holders:
                shards.replicas[server_id].miss_all(stripe_of(low))
                shards.routing.refresh(stripe_of(low))
