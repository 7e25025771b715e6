"""`KeyValueStore`: the public API.

The parts that it wires together know nothing of each other's insides: the ring says where keys
belong, the shards hold servers and routes, the membership changes them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from core.batches import Batches
from core.clock import Clock, SystemClock
from core.cluster.catching_up import CatchingUp
from core.cluster.doctor import DoctorReport, count_corrupt, examine
from core.cluster.ephemeral import Ephemeral
from core.cluster.expiry import Expiry, SteadyTime
from core.cluster.failover import CrashPreview, Failover, Recovery
from core.cluster.levels import MAX_REPLICATION_FACTOR, Consistency, Level, checked_level
from core.cluster.maintenance import Maintenance
from core.cluster.membership import Membership
from core.cluster.migration import Migration
from core.cluster.observation import check_invariants, explain_key, take_snapshot
from core.cluster.observing import Observed, RefusedVersions, look, open_to_observe
from core.cluster.persistence import (
    OnDisk,
    Persistence,
    open_disk,
)
from core.cluster.plan import Plan
from core.cluster.range_mover import RangeMover
from core.cluster.reopening import reopen
from core.cluster.replica import HINTS_KEPT
from core.cluster.replication import Replication
from core.cluster.shards import Shards, YieldPoint
from core.cluster.snapshot import KeyPlacement, Storage, StoreSnapshot
from core.cluster.topology import Topology
from core.cluster.transactions import Committer, Result, Transaction, run_transaction
from core.cluster.versions import ReservedVersions, Versions
from core.errors import (
    CorruptRecordError,
    InvalidKeyError,
    InvalidOptionError,
    MigrationInProgressError,
    ObservingError,
    StoreClosedError,
    StoreError,
    UnknownServerError,
)
from core.events import Event, EventLog
from core.options import checked_count
from core.record import (
    NEVER_EXPIRES,
    Entry,
    Item,
    Record,
    Value,
    checked_key,
    checked_value,
)
from core.ring.hash_ring import DEFAULT_VIRTUAL_NODES, HashRing
from core.ring.hashing import HashFunction, murmur3
from core.ring.placement import Placement, checked_placement
from core.server_id import checked_server_id, text_of_server_id
from core.servers.faults import FaultInjector, behind_faults
from core.servers.memory_server import MemoryServer
from core.servers.record_table import Span
from core.servers.rocksdb_server import SyncMode
from core.servers.server import Server, ServerFactory
from core.stripes import STRIPE_SHIFT, STRIPES, stripe_of

# A hundred years: more than any key needs, and far from where times in milliseconds end.
MAX_TTL_SECONDS = 100 * 365 * 24 * 3_600.0
DEFAULT_RETRIES = 100


class KeyValueStore(Batches):
    """A thread-safe key-value store, sharded over servers by a consistent-hash ring.

    Keys are non-empty `str` of at most 1,024 UTF-8 bytes; values are `str` or `bytes` of at most
    16 MiB and are returned as the type that was stored. Every key lies on `replication_factor`
    servers. With strong consistency every key is linearizable, also while servers join, leave,
    crash and recover, and no acknowledged write is lost while one replica of its key survives.

    Thread safety: any thread may call any method. A write holds the lock of its key's stripe; a
    read takes no lock, and looks again under it only after a miss. A membership change waits for
    its turn and moves its keys in small chunks, between which operations go on.

    Always true (see `check_invariants`): outside of a chunk that is being moved, a key's record is
    on its owners and nowhere else, all owners that are current have the same, and the owners are
    who the routing table says.

    Args:
        virtual_nodes_per_node: points on the ring of a server of weight 1; more of them spread the
            keys more evenly and make membership changes slower.
        data_dir: the directory to keep everything in, made if it is missing: servers, keys, and a
            migration that is under way are there again when it is opened the next time. It belongs
            to one process at a time. None keeps everything in memory.
        sync: what a write to a data directory has survived when it returns. ``"everysec"``: the end
            of the process, in whatever way; a loss of power takes what was written in its last
            second. ``"always"``: a loss of power too; writers wait for the disk, together.
        observe: True reads a data directory that another process may have open, as it is at this
            moment, and refuses every change with `ObservingError`.
        replication_factor: on how many servers each key lies, 1 to 7. Fewer servers than that hold
            it on all of them, and the first write then gives a `TooFewServersWarning`. None for
            what the data directory has, or 1.
        placement: ``"random"`` hashes the points of a server; ``"balanced"`` chooses as many, so
            that equal servers have equal shares, see `Placement`. None for what the data directory
            has, or random.
        consistency: ``"strong"`` writes to a quorum of a key's replicas and reads what it would
            answer; ``"eventual"`` is content with one, and a read may then be out of date.
        clock: the time.
        hash_function: gives a key its position on the ring; shaped as `mmh3.hash`, the default, and
            called with its UTF-8 bytes, 0 and False.
        create_server: makes the storage of a server that joins; in memory by default.
        faults: makes servers misbehave; for tests, and to see what happens.
        hints_kept: how many records are kept for a server that misses them, before what it has is
            compared with the others instead.
        background: False lets no thread of the store's own run: `maintain` then does the work of
            moving, catching up and expiring, when it is called.
        yield_point: called with the name of a step wherever another thread might come in between;
            for tests.

    Raises:
        InvalidOptionError: an argument is out of range.

    >>> store = KeyValueStore()
    >>> store.add_server("alpha"), store.add_server("bravo")
    (True, True)
    >>> store.set("user:1001", "John Doe")
    True
    >>> store.get("user:1001")
    'John Doe'
    >>> store.get_server_for_key("user:1001")
    'bravo'
    >>> store.remove_server("bravo")
    True
    >>> store.get("user:1001"), store.get_stats()
    ('John Doe', {'alpha': 1})
    """

    __slots__ = (
        "_catching_up",
        "_clock",
        "_committer",
        "_events",
        "_expiry",
        "_failover",
        "_faults",
        "_maintenance",
        "_membership",
        "_observing",
        "_storage",
        "_sync_disk",
        "_trouble_of_disk",
    )

    def __init__(
        self,
        virtual_nodes_per_node: int = DEFAULT_VIRTUAL_NODES,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        sync: SyncMode = "everysec",
        observe: bool = False,
        replication_factor: int | None = None,
        placement: Placement | str | None = None,
        consistency: Consistency | str = Consistency.STRONG,
        clock: Clock | None = None,
        hash_function: HashFunction = murmur3,
        create_server: ServerFactory | None = None,
        faults: FaultInjector | None = None,
        hints_kept: int = HINTS_KEPT,
        background: bool = True,
        yield_point: YieldPoint | None = None,
    ) -> None:
        if replication_factor is not None and (
            not isinstance(replication_factor, int)
            or not 1 <= replication_factor <= MAX_REPLICATION_FACTOR
        ):
            raise InvalidOptionError(
                f"replication_factor must be a whole number from 1 to {MAX_REPLICATION_FACTOR}"
            )
        placed = None if placement is None else checked_placement(placement)
        level = _checked_consistency(consistency)
        hints_kept = checked_count("hints_kept", hints_kept)
        ring = HashRing(
            virtual_nodes_per_node,
            placement=placed or Placement.RANDOM,
            hash_function=hash_function,
        )
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._faults = faults
        create = create_server or self._create_memory_server
        versions = Versions()
        persistence: Persistence = Ephemeral()
        disk: OnDisk | None = None
        observed: Observed | None = None
        self._storage: Storage | None = None
        self._sync_disk: Callable[[], None] | None = None
        self._trouble_of_disk: Callable[[], str | None] | None = None
        self._observing = observe
        if observe:
            if data_dir is None:
                raise InvalidOptionError("observe needs a data_dir")
            background = False
            observed, topology = open_to_observe(data_dir)
            persistence, create = observed, observed.create_server
            versions = RefusedVersions()
            replication_factor = topology.replication_factor
            ring = _ring_of(topology, hash_function)
            self._storage = Storage(str(observed.directory.path), "", observing=True)
        elif data_dir is not None:
            if create_server is not None or hash_function is not murmur3:
                raise InvalidOptionError(
                    "a data directory has servers of its own, and positions by murmur3: "
                    "leave create_server and hash_function out"
                )
            disk, topology = open_disk(
                data_dir,
                sync=sync,
                virtual_nodes_per_node=virtual_nodes_per_node,
                replication_factor=replication_factor,
                placement=placed,
                clock=self._clock,
            )
            persistence, create = disk, disk.server_factory(sync, self._clock)
            versions = ReservedVersions(disk.journal)
            replication_factor = topology.replication_factor
            ring = _ring_of(topology, hash_function)
            self._storage = Storage(str(disk.directory.path), sync)
        self._shards = Shards(
            hash_function, self._factory(create), replication_factor or 1, level, hints_kept
        )
        self._events = EventLog()
        time = SteadyTime(self._clock, 0 if disk is None else disk.journal.time_noted)
        if disk is not None:
            self._sync_disk = partial(self._put_on_disk, disk, time)
            self._trouble_of_disk = lambda: disk.journal.trouble
        yield_to = yield_point or _go_on
        old_may_return = partial(persistence.old_may_return, self._shards)
        secure = partial(persistence.secure, self._shards)
        self._catching_up = CatchingUp(self._shards, yield_to, self._watch, old_may_return, secure)
        replication = Replication(
            self._shards, self._catching_up, yield_to, self._wake, old_may_return, secure
        )
        mover = RangeMover(self._shards, self._catching_up, persistence, yield_point)
        self._membership = Membership(
            ring,
            self._shards,
            mover,
            self._clock,
            self._events,
            persistence,
            background=background,
        )
        self._expiry = Expiry(self._shards, replication, time, versions, indexed=data_dir is None)
        self._failover = Failover(
            self._shards,
            self._catching_up,
            self._membership.changed,
            self._clock,
            self._membership.log,
            self._wake,
        )
        self._maintenance = Maintenance(
            self._failover,
            self._expiry,
            time,
            self._clock,
            sync=self._sync_disk,
            background=background,
        )
        self._committer = Committer(
            self._shards, replication, time, versions, persistence, yield_to
        )
        if faults is not None:
            faults.on_change(self._refresh_routes_of)
            faults.on_crash(self._crash_if_open)
        super().__init__(
            hash_function,
            self._shards,
            self._committer.applying,
            versions,
            replication,
            time,
            yield_point,
        )
        if observed is not None:
            try:
                look(observed, topology, self._membership, self._shards, self._catching_up)
            except BaseException:
                self._membership.close()
                raise
        if disk is not None:
            try:
                reopen(disk, topology, self._membership, self._shards, self._catching_up)
            except BaseException:
                with suppress(StoreError):
                    self._shards.close()
                disk.abandon()
                raise
            self._wake()

    def _put_on_disk(self, disk: OnDisk, time: SteadyTime) -> None:
        """Sync everything, and forget which removals need not be remembered after that."""
        disk.sync(self._shards, time.now_ms())
        self._catching_up.forget_tombstones(disk.take_settled())

    # Servers

    def add_server(self, server_id: str, weight: float = 1.0) -> bool:
        """Add a server, and return once it holds its part of the keys.

        Moves only what the new server takes: nothing between the others. Waits for its turn when
        another change is under way. O(keys in the stripes that change).

        Args:
            server_id: 1 to 64 of letters, digits, ``.``, ``_``, ``-``, ``:``.
            weight: multiplies its virtual nodes, and so its part of the keys; above 0, at most
                1,000.

        Returns:
            False if it is in the ring already.

        Raises:
            InvalidServerIdError: the id is not allowed.
            InvalidOptionError: the weight is out of range.
            MigrationFailedError: a move failed; nothing is lost, and the migration is paused.
            MigrationInProgressError: another membership change is paused.
        """
        return self._membership.add(checked_server_id(server_id), weight)

    def remove_server(self, server_id: str, *, force: bool = False) -> bool:
        """Remove a server, and return once others hold what it held.

        Of a server that is down, the others' replicas are copied. Waits for its turn when another
        change is under way. O(keys in the stripes that change).

        Args:
            server_id: the server.
            force: True gives up what lay on this server alone and went down with it.

        Returns:
            False if it is not in the ring.

        Raises:
            DataLossError: keys lay on this server alone, it is down, and `force` is not set.
            LastServerError: it is the last server and holds keys; nothing is lost.
            MigrationFailedError: a move failed; nothing is lost, and the migration is paused.
            MigrationInProgressError: another membership change is paused.
        """
        return self._membership.remove(text_of_server_id(server_id), force=force)

    def set_weight(self, server_id: str, weight: float) -> bool:
        """Give a server another weight, and return once its part of the keys is that large.

        Returns:
            False if it has that weight already.

        Raises:
            InvalidOptionError: the weight is out of range.
            MigrationFailedError: a move failed; nothing is lost, and the migration is paused.
            MigrationInProgressError: another membership change is paused.
            UnknownServerError: it is not in the ring.
        """
        return self._membership.set_weight(text_of_server_id(server_id), weight)

    def get_servers(self) -> list[str]:
        """Return the ids of the servers in the ring, sorted."""
        return list(self._membership.ring.view.servers)

    def get_server_count(self) -> int:
        """Return how many servers are in the ring. O(1)."""
        return len(self._membership.ring.view.weights)

    def plan_add_server(self, server_id: str, weight: float = 1.0) -> Plan:
        """Return what `add_server` would move, without moving it. O(keys in those stripes).

        Raises:
            InvalidServerIdError: the id is not allowed.
            InvalidOptionError: the weight is out of range.
            MigrationInProgressError: a membership change is under way.
            ServerExistsError: the server is in the ring already.
        """
        return self._membership.plan_add(checked_server_id(server_id), weight)

    def plan_remove_server(self, server_id: str) -> Plan:
        """Return what `remove_server` would move, without moving it. O(keys in those stripes).

        Raises:
            LastServerError: it is the last server and holds keys.
            MigrationInProgressError: a membership change is under way.
            UnknownServerError: it is not in the ring.
        """
        return self._membership.plan_remove(text_of_server_id(server_id))

    def plan_set_weight(self, server_id: str, weight: float) -> Plan:
        """Return what `set_weight` would move, without moving it. O(keys in those stripes).

        Raises:
            InvalidOptionError: the weight is out of range.
            MigrationInProgressError: a membership change is under way.
            UnknownServerError: it is not in the ring.
        """
        return self._membership.plan_set_weight(text_of_server_id(server_id), weight)

    def commit(
        self,
        plan: Plan,
        *,
        keys_per_second: float | None = None,
        start: bool = True,
        force: bool = False,
    ) -> Migration:
        """Carry out a plan in the background, and return the migration at once.

        Args:
            plan: made by this store, for the ring as it is.
            keys_per_second: how fast to move at most; None for no limit.
            start: False leaves the migration paused, to be driven by its `step`.
            force: True gives up keys that nobody holds any more (`Plan.keys_lost`).

        Raises:
            DataLossError: keys would be lost, and `force` is not set.
            InvalidOptionError: `keys_per_second` is not above 0, or `plan` is no plan.
            LastServerError: the last server was to leave, and keys have come in since the plan.
            MigrationInProgressError: another membership change is under way.
            StalePlanError: the ring changed since the plan was made.
        """
        if not isinstance(plan, Plan):
            raise InvalidOptionError(f"a plan must be a Plan, not {type(plan).__name__}")
        return self._membership.commit(
            plan, keys_per_second=keys_per_second, start=start, force=force
        )

    @property
    def migration(self) -> Migration | None:
        """The membership change that is under way or paused; None when there is none."""
        return self._membership.migration

    # Failures

    @property
    def faults(self) -> FaultInjector | None:
        """What makes the servers misbehave; None if the store was made without."""
        return self._faults

    def plan_crash(self, server_id: str) -> CrashPreview:
        """Return what a crash of the server would lose, without crashing it. O(segments).

        Raises:
            UnknownServerError: there is no such server.
        """
        self._refuse_if_closed()
        return self._failover.preview(text_of_server_id(server_id))

    def crash_server(self, server_id: str) -> bool:
        """Let a server stop answering; one in memory loses what it held. O(segments).

        Operations go on with the other replicas.

        Returns:
            False if it is unknown, or down already.
        """
        self._refuse_if_closed()
        self._refuse_if_observing()
        return self._failover.crash(text_of_server_id(server_id))

    def recover_server(self, server_id: str) -> bool:
        """Bring a server back, and return once it holds all that it should.

        What it missed comes from hints and from other replicas. O(keys it should hold).

        Returns:
            False if it is unknown, or neither down nor behind.

        Raises:
            ServerFailedError: it, or another server that has what it lacks, does not answer. It is
                back nevertheless, and catches up in the background.
        """
        recovery = self.begin_recovery(server_id)
        if recovery is None:
            return False
        while recovery.step():
            pass
        return True

    def begin_recovery(self, server_id: str) -> Recovery | None:
        """Bring a server back, and return at once; it catches up in the background.

        Returns:
            How far it is; None if it is unknown, or neither down nor behind.

        Raises:
            ServerFailedError: its disk can't be opened or read. It is down as before.
        """
        self._refuse_if_closed()
        self._refuse_if_observing()
        return self._failover.begin_recovery(text_of_server_id(server_id))

    def doctor(
        self, *, repair: bool = False, advance: Callable[[int], None] | None = None
    ) -> DoctorReport:
        """Compare the records of every server with what the ring says, and with each other.

        A stripe at a time, while operations go on. O(records).

        Args:
            repair: True gives every owner the newest record and takes it from everybody else; a
                corrupt one is mended from a replica that has it.
            advance: called with the number of stripes that were looked at, of 1,024.
        """
        self._refuse_if_closed()
        if self._observing:
            migration = self.migration
            if repair:
                raise ObservingError
            if migration is not None:
                # What is on its way lies where it does not belong, and no look is at one moment.
                raise MigrationInProgressError(migration.progress.server_id, paused=False)
        return examine(self._shards, self._catching_up, repair=repair, advance=advance)

    def corrupt_keys(self) -> int:
        """Return how many records on disks are not what was written there. O(records)."""
        self._refuse_if_closed()
        return count_corrupt(self._shards)

    def maintain(self) -> bool:
        """Do a small piece of what otherwise happens in the background.

        Returns:
            Whether more could be done at once.
        """
        if self._observing:
            return False
        moved = self._membership.work()
        return self._maintenance.run_once() or moved

    # Keys

    def get_with_version(
        self, key: str, *, read_level: Level | str | None = None
    ) -> tuple[Value, int] | None:
        """Return the value of `key` and its version, for `set(expected_version=...)`; or None.

        Every write gives a key a greater version. O(1).

        Args:
            key: the key.
            read_level: how many replicas to ask; None for the store's own level.

        Raises:
            InvalidKeyError: `key` could not be a key.
            InvalidOptionError: the level is unknown.
            QuorumError: fewer replicas answered than the level asks for.
            ServerUnavailableError: no replica answers that is known to be up to date.
        """
        record = self._read(key, read_level)
        if record is None or record.value is None:
            return None
        return record.value, record.version

    def expire(self, key: str, seconds: float, *, write_level: Level | str | None = None) -> bool:
        """Let `key` be absent `seconds` from now; False if it has no value. O(log keys).

        Args:
            key: the key.
            seconds: above 0.
            write_level: how many replicas must acknowledge it; None for the store's own level.

        Raises:
            InvalidKeyError: `key` could not be a key.
            InvalidOptionError: `seconds` is not above 0, or the level is unknown.
            QuorumError: fewer replicas acknowledged it than the level asks for.
            ServerUnavailableError: no replica answers that is known to be up to date.
        """
        return self._set_expiry(key, self._expires_at(seconds), write_level)

    def persist(self, key: str, *, write_level: Level | str | None = None) -> bool:
        """Keep `key` for ever; False if it has no value, or was kept for ever already. O(1).

        Args:
            key: the key.
            write_level: how many replicas must acknowledge it; None for the store's own level.

        Raises:
            InvalidKeyError: `key` could not be a key.
            InvalidOptionError: the level is unknown.
            QuorumError: fewer replicas acknowledged it than the level asks for.
            ServerUnavailableError: no replica answers that is known to be up to date.
        """
        return self._set_expiry(key, NEVER_EXPIRES, write_level)

    def ttl(self, key: str, *, read_level: Level | str | None = None) -> float | None:
        """Return after how many seconds `key` is absent; None without a limit, or without it. O(1).

        Args:
            key: the key.
            read_level: how many replicas to ask; None for the store's own level.

        Raises:
            InvalidKeyError: `key` could not be a key.
            InvalidOptionError: the level is unknown.
            QuorumError: fewer replicas answered than the level asks for.
            ServerUnavailableError: no replica answers that is known to be up to date.
        """
        record = self._read(key, read_level)
        if record is None or record.expires_at == NEVER_EXPIRES:
            return None
        return (record.expires_at - self._time.now_ms()) / 1_000

    def transaction(self) -> Transaction:
        """Begin a transaction, to be used in a ``with`` block, at whose end it commits.

        Raises:
            TransactionConflict: at the end of the block, when what it read has changed.
        """
        return Transaction(self._committer)

    def run_transaction(
        self, function: Callable[[Transaction], Result], retries: int = DEFAULT_RETRIES
    ) -> Result:
        """Run `function` in a transaction until it meets no conflict; return what it returns.

        Args:
            function: is given the transaction; may run several times, so it should do nothing else.
            retries: how often to try again.

        Raises:
            InvalidOptionError: `retries` is negative.
            TransactionConflict: every attempt met a conflict.
        """
        return run_transaction(self._committer, function, retries)

    def exists(self, key: str, *, read_level: Level | str | None = None) -> bool:
        """Return whether `key` has a value. O(1).

        Args:
            key: the key.
            read_level: how many replicas to ask; None for the store's own level.

        Raises:
            InvalidKeyError: `key` could not be a key.
            InvalidOptionError: the level is unknown.
            QuorumError: fewer replicas answered than the level asks for.
            ServerUnavailableError: no replica answers that is known to be up to date.
        """
        return self.get(key, None, read_level=read_level) is not None

    def keys(self, prefix: str = "", limit: int | None = None) -> list[str]:
        """Return the keys that begin with `prefix`, in ring order, the first `limit` of them.

        Ring order is by position, then key: it stays when servers come and go. About 500 keys, of
        a part of the ring, are read at one moment. O(keys), or less with a limit.

        Raises:
            CorruptRecordError: no replica has a record sound. `items` yields all others.
            InvalidOptionError: `limit` is negative, or `prefix` no `str`.
        """
        self._refuse_if_closed()
        if limit is not None:
            limit = checked_count("limit", limit)
        if not isinstance(prefix, str):
            raise InvalidOptionError(f"a prefix must be str, not {type(prefix).__name__}")
        found: list[str] = []
        for low, high in self._parts():
            if limit is not None and len(found) >= limit:
                break
            found += [
                entry.key
                for entry in self._replication.entries_between(low, high)
                if entry.key.startswith(prefix) and not self._time.expired(entry.record)
            ]
        return found if limit is None else found[:limit]

    def items(self, prefix: str = "") -> Iterator[Item]:
        """Yield the keys that begin with `prefix`, with their values, in ring order.

        Holds about 500 of them at a time, however many there are: those of a part of the ring, read
        at one moment. Operations go on meanwhile. O(keys).

        Raises:
            CorruptRecordError: no replica has a record sound. Raised at the end, when all others
                were yielded.
            InvalidOptionError: `prefix` is no `str`.
            ServerUnavailableError: no replica of a part of the ring answers.
        """
        self._refuse_if_closed()
        if not isinstance(prefix, str):
            raise InvalidOptionError(f"a prefix must be str, not {type(prefix).__name__}")
        return self._items(prefix)

    def _items(self, prefix: str) -> Iterator[Item]:
        corrupt: list[CorruptRecordError] = []
        for low, high in self._parts():
            for entry in self._replication.entries_between(low, high, corrupt=corrupt):
                key, record = entry.key, entry.record
                value, expires_at = record.value, record.expires_at
                if value is None or not key.startswith(prefix) or self._time.expired(record):
                    continue
                yield Item(key, value, None if expires_at == NEVER_EXPIRES else expires_at)
        for error in corrupt:
            if error.key.startswith(prefix):
                raise error

    def scan(self, start_key: str, count: int) -> list[tuple[str, Value]]:
        """Return up to `count` keys and values in ring order, from the position of `start_key` on.

        Goes on past the end of the ring at its beginning, and meets no key twice. `start_key` need
        not exist. About 500 entries, of a part of the ring, are read at one moment. O(count + 500),
        or a look at each stripe that holds nothing.

        Raises:
            CorruptRecordError: no replica has a record sound.
            InvalidKeyError: `start_key` could not be a key.
            InvalidOptionError: `count` is negative.
        """
        self._refuse_if_closed()
        count = checked_count("count", count)
        start_key = checked_key(start_key)
        start = self._shards.position_of(start_key)
        found: list[tuple[str, Value]] = []
        for low, high, behind in self._parts_from(start):
            if len(found) >= count:
                break
            for entry in self._replication.entries_between(low, high):
                value = entry.record.value
                if entry.position == start and (entry.key < start_key) is not behind:
                    continue  # it comes at the other end of the round
                if value is not None and not self._time.expired(entry.record):
                    found.append((entry.key, value))
        return found[:count]

    def get_total_entries(self) -> int:
        """Return how many keys there are, each counted once. O(segments + keys that expired)."""
        return sum(self.get_stats().values())

    def clear(self) -> None:
        """Remove all keys and all servers. A migration under way ends where it is."""
        self._membership.clear(self._expiry.begin_anew)
        self._expiry.forget()

    # Where keys are

    def get_server_for_key(self, key: str) -> str:
        """Return the id of the server that holds `key`, or would. O(1).

        While a membership change runs, this is where the key is now, not where it will be.

        Raises:
            InvalidKeyError: `key` could not be a key.
            NoServersError: the ring has no server.
        """
        return self._primary_of(key)

    def get_keys_for_server(self, server_id: str) -> list[str]:
        """Return the keys that the server is the primary of, in ring order. O(keys it holds).

        Raises:
            CorruptRecordError: no replica has a record sound.
            UnknownServerError: there is no such server.
        """
        self._refuse_if_closed()
        if text_of_server_id(server_id) not in self._shards.replicas:
            raise UnknownServerError(server_id)
        return [
            entry.key
            for low, high in self._parts()
            for entry in self._replication.entries_between(low, high, server_id)
            if not self._time.expired(entry.record)
        ]

    def get_stats(self) -> dict[str, int]:
        """Return how many keys each server is the primary of, sorted by id.

        Each key is counted once, so the counts sum to the total. O(segments + keys that expired).
        """
        self._refuse_if_closed()
        self._expiry.sweep_all()
        return self._shards.key_counts()

    def explain(self, key: str) -> KeyPlacement:
        """Return where `key` lives and why: position, vnode, owners, and whether it is moving.

        Raises:
            InvalidKeyError: `key` could not be a key.
            NoServersError: the ring has no server.
        """
        self._refuse_if_closed()
        return explain_key(checked_key(key), self._membership, self._shards, self._time)

    # The store itself

    def snapshot(self) -> StoreSnapshot:
        """Return all that there is to show, frozen. O(segments), not keys.

        Keys that have expired are counted until they were swept, a second later at most.
        """
        return take_snapshot(
            self._membership,
            self._shards,
            self._failover,
            self._faults,
            self._clock,
            self._events,
            self._storage_now(),
        )

    def events(self) -> tuple[Event, ...]:
        """Return the latest events (at most 1,000), oldest first."""
        return self._events.latest()

    def check_invariants(self) -> None:
        """Assert what is always true of the store; for tests. Stops all writes; O(keys).

        Raises:
            AssertionError: names what is broken, and where.
        """
        self._refuse_if_closed()
        check_invariants(self._membership, self._shards)

    def sync(self) -> None:
        """Return once everything that was written before survives a loss of power.

        Does nothing for a store in memory.

        Raises:
            StoreError: a disk can't be written.
        """
        if self._sync_disk is not None:
            self._sync_disk()

    def close(self) -> None:
        """Stop what is under way and close every server. Closing twice does nothing.

        Afterwards every operation raises `StoreClosedError`, whether it reads, writes, counts,
        plans or changes something. What tells of the store itself (`get_servers`,
        `get_server_count`, `snapshot`, `events`) still does.
        """
        self._maintenance.stop()
        self._failover.close()
        self._membership.close()

    def __len__(self) -> int:
        return self.get_total_entries()

    def __contains__(self, key: object) -> bool:
        """Whether `key` has a value; False too for what could not be a key."""
        try:
            return self.exists(checked_key(key))
        except InvalidKeyError:
            return False

    def __bool__(self) -> bool:
        """A store is true even while it is empty, as other open resources are."""
        return True

    def __repr__(self) -> str:
        """Return what the store is, without a key or a value of anybody's."""
        view = self._membership.ring.view
        return (
            f"<{type(self).__name__}: {len(view.weights)} servers, epoch {view.epoch}, "
            f"replication_factor {self._shards.replication_factor}, "
            f"{self._shards.consistency.value}{', closed' if self._membership.closed else ''}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _parts(self) -> Iterator[Span]:
        """Yield the spans in which all keys are read, in order."""
        for stripe in range(STRIPES):
            yield from self._shards.parts_of(stripe)

    def _parts_from(self, start: int) -> Iterator[tuple[int, int, bool]]:
        """Yield the spans from `start` on, and round to it; and whether it is what lies behind it.

        The start itself is in the first span and in the last.
        """
        first = stripe_of(start)
        for low, high in self._shards.parts_of(first):
            if high >= start:
                yield max(low, start), high, False
        for step in range(1, STRIPES):
            for low, high in self._shards.parts_of((first + step) % STRIPES):
                yield low, high, False
        for low, high in self._shards.parts_of(first):
            if low <= start:
                yield low, min(high, start), True

    def _storage_now(self) -> Storage | None:
        if self._storage is None or self._trouble_of_disk is None:
            return self._storage
        return replace(self._storage, trouble=self._trouble_of_disk())

    def _refuse_if_closed(self) -> None:
        if self._membership.closed:
            raise StoreClosedError

    def _refuse_if_observing(self) -> None:
        if self._observing:
            raise ObservingError

    def _read(self, key: object, level: object = None) -> Record | None:
        """Read `key` under its stripe's lock; None without a value, or if it expired.

        After a miss without the lock too: its range may have moved in between.
        """
        read_level = None if level is None else checked_level(level)
        key = checked_key(key)
        position = self._shards.position_of(key)
        if self._yield_point is not None:
            self._yield_point("get.missed")
        record = self._replication.read(position, key, read_level)
        return None if record is None or self._time.expired(record) else record

    def _set_with_options(
        self,
        key: object,
        value: object,
        ttl: object,
        only_if_absent: object,
        expected_version: object,
        write_level: object,
    ) -> bool:
        key, value = checked_key(key), checked_value(value)
        level = None if write_level is None else checked_level(write_level)
        expires_at = NEVER_EXPIRES if ttl is None else self._expires_at(ttl)
        if expected_version is not None:
            # What equals no version would look like a race that is lost for ever.
            expected_version = checked_count("expected_version", expected_version)
        position = self._shards.position_of(key)
        with self._locks[position >> STRIPE_SHIFT]:
            if only_if_absent or expected_version is not None:
                current = self._replication.read_locked(position, key)
                if current is not None and self._time.expired(current):
                    current = None
                if only_if_absent and current is not None:
                    return False
                version = 0 if current is None else current.version
                if expected_version not in (None, version):
                    return False
            if self._yield_point is not None:
                self._yield_point("set.decided")
            # Before the write: one that fails may still come through, and is to be swept as well.
            self._watch(key, expires_at)
            record = Record(value, self._versions.take(), expires_at)
            self._replication.write_locked(Entry(position, key, record), level)
        self._shards.split_buckets(position)
        return True

    def _set_expiry(self, key: str, expires_at: int, write_level: Level | str | None) -> bool:
        level = None if write_level is None else checked_level(write_level)
        key = checked_key(key)
        position = self._shards.position_of(key)
        with self._locks[position >> STRIPE_SHIFT]:
            current = self._replication.read_locked(position, key)
            if current is None or self._time.expired(current):
                return False
            if current.expires_at == expires_at == NEVER_EXPIRES:
                return False
            self._watch(key, expires_at)
            record = Record(current.value, self._versions.take(), expires_at)
            self._replication.write_locked(Entry(position, key, record), level)
        return True

    def _expires_at(self, seconds: object) -> int:
        """Return the time `seconds` from now, in milliseconds since 1970-01-01 UTC."""
        if not isinstance(seconds, int | float) or not 0 < seconds <= MAX_TTL_SECONDS:
            raise InvalidOptionError("seconds must be above 0 and at most a hundred years")
        return self._time.now_ms() + max(1, round(seconds * 1_000))

    def _watch(self, key: str, expires_at: int) -> None:
        if expires_at != NEVER_EXPIRES:
            self._expiry.note(key, expires_at)
            self._wake()

    def _wake(self) -> None:
        self._maintenance.wake()

    def _crash_if_open(self, server_id: str) -> bool:
        """As `crash_server`; an injector may have another store after this one."""
        return not self._membership.closed and self.crash_server(server_id)

    def _refresh_routes_of(self, server_id: str) -> None:
        """Make the routes to a server anew: whether it may fail has changed."""
        for stripe in range(STRIPES):
            with self._locks[stripe]:
                if server_id in self._shards.replicas:
                    self._shards.routing.refresh(stripe)
        self._wake()

    def _factory(self, create: ServerFactory) -> ServerFactory:
        """Return what makes the servers: behind the fault injector, if there is one."""
        faults = self._faults
        if faults is None:
            return create
        return lambda server_id: behind_faults(create(server_id), faults)

    def _create_memory_server(self, server_id: str) -> Server:
        return MemoryServer(server_id, self._shards.position_of)


def _checked_consistency(consistency: Consistency | str) -> Consistency:
    try:
        return Consistency(consistency)
    except ValueError:
        raise InvalidOptionError("consistency must be 'strong' or 'eventual'") from None


def _ring_of(topology: Topology, hash_function: HashFunction) -> HashRing:
    return HashRing(
        topology.virtual_nodes_per_node,
        placement=topology.placement,
        hash_function=hash_function,
    )


def _go_on(step: str) -> None:
    """The yield point of a store that nobody tests."""
