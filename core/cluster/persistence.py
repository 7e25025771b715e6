"""What a store writes down beside its records, so that another process can go on with it.

Three kinds of things: the topology, which changes when servers come and go, in a file of its own;
what changes more often (which ranges of a migration have moved, which versions may have been given
out), in a journal; and transactions, on the servers that take a part of them.

The order of writing is what makes it safe. A change is written down before its first range moves.
A range counts as moved once that is written down, which is after its copies are on the disk and
before the old ones are discarded. A server's files are removed after it was written down that it
has left. So a crash between any two steps leaves a state to go on from, and at most garbage.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

from core.clock import Clock
from core.cluster.commit_notes import CommitNotes
from core.cluster.data_directory import DataDirectory
from core.cluster.journal import Journal
from core.cluster.kept_positions import kept_positions
from core.cluster.plan import Plan
from core.cluster.replica import Replica
from core.cluster.routing import RoutingTable
from core.cluster.shards import Shards
from core.cluster.topology import PendingChange, Topology
from core.errors import CorruptJournalError, InvalidOptionError, ServerFailedError
from core.record import Entry
from core.ring.hash_ring import DEFAULT_VIRTUAL_NODES
from core.ring.placement import Placement
from core.ring.ring_view import RingView
from core.servers.rocksdb_files import is_made
from core.servers.rocksdb_server import RocksDBServer, SyncMode
from core.servers.server import ServerFactory
from core.stripes import stripe_of


class Persistence(Protocol):
    """What is written down, and when.

    Thread safety: a membership change is reported by one thread at a time, with the membership's
    lock held; the rest by any thread. Every method may raise `StoreError`: then nothing may go on
    as if it were written down.
    """

    def change_begins(self, plan: Plan, *, force: bool, keys_per_second: float | None) -> None:
        """Write down that a membership change begins, before anything moves."""
        ...

    def change_turns_back(self) -> None:
        """Write down that the change was cancelled, before anything moves back."""
        ...

    def change_ended(self, view: RingView) -> None:
        """Write down that no change is under way, and who is in the ring."""
        ...

    def range_moves(
        self,
        shards: Shards,
        targets: Sequence[Replica],
        low: int,
        high: int,
        *,
        back: bool,
        empty: bool = False,
    ) -> None:
        """Put the copies on `targets` on the disk, then write down that the range has moved."""
        ...

    def commit(self, shards: Shards, entries: Sequence[Entry]) -> AbstractContextManager[None]:
        """Write down all of a transaction while it is being applied."""
        ...

    def secure(self, shards: Shards, stripe: int) -> None:
        """Keep transactions whole of which a server is about to get a part that it missed."""
        ...

    def old_may_return(self, shards: Shards, stripe: int) -> bool:
        """Return whether an old record may come back that no replica of its key has. O(servers)."""
        ...

    def close(self, shards: Shards) -> None:
        """Close the servers, and write down how they were left."""
        ...


class OnDisk:
    """Of a store in a data directory.

    Args:
        directory: holds the topology.
        journal: holds the rest.
        topology: what the directory says, or is to say from the first change on.
    """

    def __init__(self, directory: DataDirectory, journal: Journal, topology: Topology) -> None:
        self.directory = directory
        self.journal = journal
        self._topology = topology
        self._commits = CommitNotes()

    def server_factory(self, sync: SyncMode, clock: Clock) -> ServerFactory:
        """Return what makes the storage of a server: in its own directory."""
        return lambda server_id: RocksDBServer(
            server_id, self.directory.server_path(server_id), sync, clock=clock
        )

    def change_begins(self, plan: Plan, *, force: bool, keys_per_second: float | None) -> None:
        """Write the topology with the change."""
        change = PendingChange(
            kind=plan.kind,
            server_id=plan.server_id,
            weight=plan.after.weights.get(plan.server_id, plan.weight),
            force=force,
            keys_per_second=keys_per_second,
            positions=self._positions(plan.after).get(plan.server_id, ()),
        )
        self._write(plan.before, change)

    def change_turns_back(self) -> None:
        """Write the topology with the cancelled change."""
        change = self._topology.change
        assert change is not None, "no change is under way"
        self._replace(replace(self._topology, change=replace(change, cancelling=True)))

    def change_ended(self, view: RingView) -> None:
        """Write the topology without a change; the moves are part of it then."""
        self._write(view, None)
        self.journal.forget_moves()

    def range_moves(
        self,
        shards: Shards,
        targets: Sequence[Replica],
        low: int,
        high: int,
        *,
        back: bool,
        empty: bool = False,
    ) -> None:
        """Sync the targets, then note the move."""
        self._commits.settle(shards, low, high)
        for replica in targets:
            if replica.durable is not None:
                replica.durable.sync()
        self.journal.note_move(low, high, back=back, empty=empty)

    def commit(self, shards: Shards, entries: Sequence[Entry]) -> AbstractContextManager[None]:
        """Note the entries on every server that takes a part.

        One record needs no note: each server writes it whole or not at all.
        """
        return nullcontext() if len(entries) < 2 else self._commits.commit(shards, entries)

    def secure(self, shards: Shards, stripe: int) -> None:
        """Put a note of each transaction on the disk that has a part in the stripe."""
        self._commits.secure(shards, stripe)

    def old_may_return(self, shards: Shards, stripe: int) -> bool:
        """Return whether a server is down, whose disk may get back what it owned before.

        Or a transaction in the stripe is noted, which the next process would apply once more; or a
        move has left something there, which the next process may take for newer.
        """
        return (
            self._commits.old_may_return(stripe)
            or any(
                replica.down and replica.durable is not None
                for replica in list(shards.replicas.values())
            )
            or any(stripe_of(low) == stripe for _, low, _ in list(shards.leftovers))
        )

    def take_settled(self) -> list[int]:
        """Return the stripes where removals need not be remembered any longer. Once."""
        return self._commits.take_settled()

    def sync(self, shards: Shards, now_ms: int) -> None:
        """Put everything on the disk that was written before, and what time it is.

        Raises:
            ServerFailedError: one of the servers failed; the others were synced.
        """
        failure: ServerFailedError | None = None
        try:
            self.journal.note_time(now_ms)
            self.journal.sync()
        except ServerFailedError as error:
            failure = error
        with self._commits.syncing(shards) as synced:
            for replica in list(shards.replicas.values()):
                if replica.durable is None or replica.down:
                    continue
                try:
                    replica.durable.sync()
                except ServerFailedError as error:
                    failure = failure or error
                else:
                    synced.add(replica.server_id)
        if failure is not None:
            raise failure

    def close(self, shards: Shards) -> None:
        """Close the servers, note how they were left, and leave the directory to others."""
        tallies: list[bytes] = []

        def count() -> None:
            # Whoever opens it next has to compare and count what is not as it should be.
            if not shards.leftovers and not any(
                replica.down or replica.catching_up for replica in shards.replicas.values()
            ):
                tallies.append(tallies_of(shards.routing))

        clean = False
        try:
            shards.close(count)
            if tallies:
                self.journal.save_tallies(tallies[0])
                clean = True
        finally:
            self.abandon(clean=clean)

    def abandon(self, *, clean: bool = False) -> None:
        """Leave the directory to others, with its servers as they are."""
        try:
            self.journal.close(clean=clean)
        finally:
            self.directory.close()

    def _write(self, view: RingView, change: PendingChange | None) -> None:
        self._replace(
            replace(
                self._topology,
                epoch=view.epoch,
                weights=dict(view.weights),
                change=change,
                positions=self._positions(view),
            )
        )

    def _positions(self, view: RingView) -> Mapping[str, tuple[int, ...]]:
        """Return the points of each server that are to be kept."""
        return kept_positions(self._topology.placement, view)

    def _replace(self, topology: Topology) -> None:
        self.directory.write_topology(topology)
        self._topology = topology


def open_disk(
    path: str | os.PathLike[str],
    *,
    sync: SyncMode,
    virtual_nodes_per_node: int,
    replication_factor: int | None,
    placement: Placement | None,
    clock: Clock,
) -> tuple[OnDisk, Topology]:
    """Open a data directory, a new one or one that was used before.

    Args:
        path: the directory.
        sync: what a write to it has survived when it returns.
        virtual_nodes_per_node: of a new one; of one that was used before, it or the default.
        replication_factor: the same; None for what it has, or 1.
        placement: the same; None for what it has, or random.
        clock: tells when to try again after a failure.

    Raises:
        DataDirectoryError: it can't be used, or another process uses it.
        CorruptTopologyError: what it says about its servers is damaged.
        InvalidOptionError: it was made with others.
    """
    directory = DataDirectory.open(path)
    try:
        known = directory.read_topology()
        if known is None:
            topology = Topology(
                virtual_nodes_per_node,
                replication_factor or 1,
                0,
                {},
                placement=placement or Placement.RANDOM,
            )
            directory.write_topology(topology)
        else:
            topology = known
            _refuse_other_wishes(known, virtual_nodes_per_node, replication_factor, placement)
        _refuse_without_journal(directory)
        journal = Journal(directory.journal_path, sync=sync, clock=clock)
    except BaseException:
        directory.close()
        raise
    return OnDisk(directory, journal, topology), topology


def _refuse_without_journal(directory: DataDirectory) -> None:
    """Raise if there are servers that have a journal, and it is gone.

    A new one would give out versions for a second time: writes would be taken for old ones.
    """
    servers = map(directory.server_path, directory.server_ids())
    if not is_made(directory.journal_path) and any(map(is_made, servers)):
        raise CorruptJournalError(str(directory.journal_path), "is missing")


def _refuse_other_wishes(
    known: Topology,
    virtual_nodes_per_node: int,
    replication_factor: int | None,
    placement: Placement | None,
) -> None:
    if replication_factor not in (None, known.replication_factor):
        raise InvalidOptionError(
            f"the data directory keeps {known.replication_factor} replicas of each key, "
            f"not {replication_factor}: leave replication_factor out"
        )
    if virtual_nodes_per_node not in (DEFAULT_VIRTUAL_NODES, known.virtual_nodes_per_node):
        raise InvalidOptionError(
            f"the data directory has {known.virtual_nodes_per_node} virtual nodes a server, "
            f"not {virtual_nodes_per_node}: leave virtual_nodes_per_node out"
        )
    if placement not in (None, known.placement):
        raise InvalidOptionError(
            f"the placement of the data directory is {known.placement}, not {placement}: "
            "leave placement out"
        )


def tallies_of(routing: RoutingTable) -> bytes:
    """Return the counts of the keys of a routing table, to be written down. O(segments)."""
    return json.dumps(
        [
            [stripe, owners, tally.keys, tally.lost]
            for stripe, owners, tally in routing.all_tallies()
            if tally.keys or tally.lost
        ]
    ).encode()


def restore_tallies(routing: RoutingTable, content: bytes) -> None:
    """Take over counts that `tallies_of` returned. O(segments)."""
    for stripe, owners, keys, lost in json.loads(content):
        tally = routing.tally(stripe, tuple(owners))
        tally.keys, tally.lost = keys, lost
