"""`KeyValueStore`: the public API, and the hot path of reading and writing.

The parts that it wires together know nothing of each other's insides: the ring says where keys
belong, the shards hold servers and routes, the membership changes them.
"""

import gc
import itertools
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self, TypeVar, overload

from core.clock import Clock, SystemClock
from core.cluster.membership import Membership
from core.cluster.migration import Migration
from core.cluster.observation import check_invariants, explain_key, take_snapshot
from core.cluster.plan import Plan
from core.cluster.range_mover import RangeMover
from core.cluster.routing import SLOT_SHIFT, STRIPE_OF_SLOT_SHIFT
from core.cluster.shards import Shards, YieldPoint
from core.cluster.snapshot import KeyPlacement, StoreSnapshot
from core.errors import InvalidKeyError, InvalidOptionError, NoServersError, UnknownServerError
from core.events import Event, EventLog
from core.record import (
    KEY_CHARACTERS_ALWAYS_SHORT,
    MAX_VALUE_BYTES,
    NEVER_EXPIRES,
    VALUE,
    Record,
    Value,
    checked_key,
    checked_value,
)
from core.ring.hash_ring import DEFAULT_VIRTUAL_NODES, HashRing
from core.ring.hashing import SEED, HashFunction, murmur3
from core.server_id import checked_server_id
from core.servers.memory_server import MemoryServer
from core.servers.server import Server, ServerFactory
from core.stripes import STRIPE_SHIFT, STRIPES, stripe_of

Default = TypeVar("Default")

# The collector is given new records 1,024 writes at a time; see `_untrack_new_records`.
_UNTRACK_MASK = 1_024 - 1


class KeyValueStore:
    """A thread-safe key-value store, sharded over servers by a consistent-hash ring.

    Keys are non-empty `str` of at most 1,024 UTF-8 bytes; values are `str` or `bytes` of at most
    16 MiB and are returned as the type that was stored. Every key is linearizable, also while
    servers join and leave.

    Thread safety: any thread may call any method. A write holds the lock of its key's stripe; a
    read takes no lock, and looks again under it only after a miss. A membership change waits for
    its turn and moves its keys in small chunks, between which operations go on.

    Always true (see `check_invariants`): outside of a chunk that is being moved, a key's record is
    on its owner and nowhere else, and the owner is who the routing table says.

    Args:
        virtual_nodes_per_node: points on the ring of a server of weight 1; more of them spread the
            keys more evenly and make membership changes slower.
        clock: the time.
        hash_function: gives a key its position on the ring; shaped as `mmh3.hash`, the default, and
            called with its UTF-8 bytes, 0 and False.
        create_server: makes the storage of a server that joins; in memory by default.
        yield_point: called with the name of a step wherever another thread might come in between;
            for tests.

    Raises:
        InvalidOptionError: `virtual_nodes_per_node` is not 1 to 100,000.

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
        "_clock",
        "_events",
        "_hash",
        "_locks",
        "_membership",
        "_next_version",
        "_shards",
        "_slots",
        "_yield_point",
    )

    def __init__(
        self,
        virtual_nodes_per_node: int = DEFAULT_VIRTUAL_NODES,
        *,
        clock: Clock | None = None,
        hash_function: HashFunction = murmur3,
        create_server: ServerFactory | None = None,
        yield_point: YieldPoint | None = None,
    ) -> None:
        ring = HashRing(virtual_nodes_per_node, hash_function=hash_function)
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._hash = hash_function
        self._shards = Shards(hash_function, create_server or self._create_memory_server)
        self._events = EventLog()
        mover = RangeMover(self._shards, yield_point or _go_on)
        self._membership = Membership(ring, self._shards, mover, self._clock, self._events)
        self._next_version = itertools.count(1).__next__
        self._yield_point = yield_point
        # Looked up here once: an attribute of an attribute costs a fifth of a read.
        self._slots = self._shards.routing.slots
        self._locks = self._shards.locks

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

    def remove_server(self, server_id: str) -> bool:
        """Remove a server, and return once others hold what it held.

        Waits for its turn when another change is under way. O(keys in the stripes that change).

        Returns:
            False if it is not in the ring.

        Raises:
            LastServerError: it is the last server and holds keys; nothing is lost.
            MigrationFailedError: a move failed; nothing is lost, and the migration is paused.
            MigrationInProgressError: another membership change is paused.
        """
        return self._membership.remove(server_id)

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
        return self._membership.plan_remove(server_id)

    def commit(
        self, plan: Plan, *, keys_per_second: float | None = None, start: bool = True
    ) -> Migration:
        """Carry out a plan in the background, and return the migration at once.

        Args:
            plan: made by this store, for the ring as it is.
            keys_per_second: how fast to move at most; None for no limit.
            start: False leaves the migration paused, to be driven by its `step`.

        Raises:
            InvalidOptionError: `keys_per_second` is not above 0.
            LastServerError: the last server was to leave, and keys have come in since the plan.
            MigrationInProgressError: another membership change is under way.
            StalePlanError: the ring changed since the plan was made.
        """
        return self._membership.commit(plan, keys_per_second=keys_per_second, start=start)

    @property
    def migration(self) -> Migration | None:
        """The membership change that is under way or paused; None when there is none."""
        return self._membership.migration

    # Keys

    def set(self, key: str, value: Value) -> bool:
        """Store `value` under `key`; True once the write is acknowledged. O(1).

        Raises:
            InvalidKeyError: not a non-empty `str` of at most 1,024 UTF-8 bytes.
            InvalidValueError: not `str` or `bytes` of at most 16 MiB.
            NoServersError: the ring has no server.
        """
        # What most callers pass is checked here, at a third of the price of two calls. A function
        # is fetched before it is called: calling an attribute of a slot takes 30 ns longer.
        if type(key) is not str or not 0 < len(key) <= KEY_CHARACTERS_ALWAYS_SHORT:
            key = checked_key(key)
        if type(value) is not str or not value.isascii() or len(value) > MAX_VALUE_BYTES:
            value = checked_value(value)
        hash_function, next_version = self._hash, self._next_version
        try:
            position = hash_function(key.encode(), SEED, False)
        except UnicodeEncodeError:
            checked_key(key)
            raise
        slot = position >> SLOT_SHIFT
        lock = self._locks[slot >> STRIPE_OF_SLOT_SHIFT]
        lock.acquire()  # `with` takes twice as long
        try:
            route = self._slots[slot]
            if route.segments is not None:
                route = route.at(position)
            if self._yield_point is not None:
                self._yield_point("set.routed")
            records, keys = route.records, route.keys
            if keys is not None and key not in records:
                keys[key] = None
            version = next_version()
            records[key] = (value, version, NEVER_EXPIRES)
            route.counters.writes += 1
        finally:
            lock.release()
        if not version & _UNTRACK_MASK:
            _untrack_new_records()
        return True

    @overload
    def get(self, key: str) -> Value | None: ...
    @overload
    def get(self, key: str, default: Default) -> Value | Default: ...
    def get(self, key: str, default: Default | None = None) -> Value | Default | None:
        """Return the value of `key`, or `default` if it has none. O(1).

        Raises:
            InvalidKeyError: `key` could not be a key.
        """
        # A key that is found was checked when it was stored, so only a miss checks it.
        hash_function = self._hash
        try:
            route = self._slots[hash_function(key.encode(), SEED, False) >> SLOT_SHIFT]
            if self._yield_point is not None:
                self._yield_point("get.routed")
            record = route.records.get(key)
        except (AttributeError, TypeError, UnicodeEncodeError):
            checked_key(key)
            raise
        if record is None:
            record = self._look_again(key)
            if record is None:
                return default
        else:
            route.counters.reads += 1
        return record[VALUE]

    def remove(self, key: str) -> bool:
        """Remove `key`; return whether it had a value. O(1).

        Raises:
            InvalidKeyError: `key` could not be a key.
        """
        key = checked_key(key)
        position = self._shards.position_of(key)
        with self._locks[position >> STRIPE_SHIFT]:
            route = self._shards.routing.at(position)
            if self._yield_point is not None:
                self._yield_point("remove.routed")
            record = route.records.pop(key, None)
            if route.keys is not None:
                route.keys.pop(key, None)
            route.counters.writes += 1
        return record is not None

    def exists(self, key: str) -> bool:
        """Return whether `key` has a value. O(1).

        Raises:
            InvalidKeyError: `key` could not be a key.
        """
        return self.get(key, None) is not None

    def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values of those `keys` that have one. Each key is read on its own.

        Raises:
            InvalidKeyError: one of them could not be a key.
        """
        get = self.get
        return {key: value for key in keys if (value := get(key)) is not None}

    def set_many(self, items: Mapping[str, Value] | Iterable[tuple[str, Value]]) -> int:
        """Store each value under its key; return how many were stored.

        All keys and values are checked first. Each is then written on its own: another thread may
        see some of them before the others.

        Raises:
            InvalidKeyError: one could not be a key; nothing was stored.
            InvalidValueError: one could not be a value; nothing was stored.
            NoServersError: the ring has no server.
        """
        pairs = items.items() if isinstance(items, Mapping) else items
        checked = [(checked_key(key), checked_value(value)) for key, value in pairs]
        for key, value in checked:
            self.set(key, value)
        return len(checked)

    def remove_many(self, keys: Iterable[str]) -> int:
        """Remove each of `keys`; return how many had a value. Each is removed on its own.

        Raises:
            InvalidKeyError: one of them could not be a key; nothing was removed.
        """
        checked = [checked_key(key) for key in keys]
        return sum(self.remove(key) for key in checked)

    def keys(self, prefix: str = "", limit: int | None = None) -> list[str]:
        """Return the keys that begin with `prefix`, in ring order, the first `limit` of them.

        Ring order is by position, then key: it stays when servers come and go. The keys of each
        stripe (a 1,024th of the ring) are read at one moment. O(keys), or less with a limit.

        Raises:
            InvalidOptionError: `limit` is negative.
        """
        if limit is not None and limit < 0:
            raise InvalidOptionError("limit must be 0 or more, or None for all")
        found: list[str] = []
        for stripe in range(STRIPES):
            if limit is not None and len(found) >= limit:
                break
            found += [
                key
                for _, key, _ in self._shards.entries_of_stripe(stripe)
                if key.startswith(prefix)
            ]
        return found if limit is None else found[:limit]

    def scan(self, start_key: str, count: int) -> list[tuple[str, Value]]:
        """Return up to `count` keys and values in ring order, from the position of `start_key` on.

        Goes on past the end of the ring at its beginning, and meets no key twice. `start_key` need
        not exist. The entries of each stripe are read at one moment. O(count + keys in the stripes
        that are touched).

        Raises:
            InvalidKeyError: `start_key` could not be a key.
            InvalidOptionError: `count` is negative.
        """
        if count < 0:
            raise InvalidOptionError("count must be 0 or more")
        start_key = checked_key(start_key)
        start = (self._shards.position_of(start_key), start_key)
        first = stripe_of(start[0])
        found: list[tuple[str, Value]] = []
        before_start: list[tuple[str, Value]] = []
        for step in range(STRIPES):
            if len(found) >= count:
                break
            for entry in self._shards.entries_of_stripe((first + step) % STRIPES):
                value = entry.record[VALUE]
                if value is None:
                    continue
                late = step == 0 and entry[:2] < start
                (before_start if late else found).append((entry.key, value))
        return (found + before_start)[:count]

    def get_total_entries(self) -> int:
        """Return how many keys there are. O(servers x stripes)."""
        return sum(self._shards.key_counts().values())

    def clear(self) -> None:
        """Remove all keys and all servers. A migration under way ends where it is."""
        self._membership.clear()

    # Where keys are

    def get_server_for_key(self, key: str) -> str:
        """Return the id of the server that holds `key`, or would. O(1).

        While a membership change runs, this is where the key is now, not where it will be.

        Raises:
            InvalidKeyError: `key` could not be a key.
            NoServersError: the ring has no server.
        """
        owners = self._shards.routing.at(self._shards.position_of(checked_key(key))).owners
        if not owners:
            raise NoServersError
        return owners[0]

    def get_keys_for_server(self, server_id: str) -> list[str]:
        """Return the keys that the server is the primary of, in ring order. O(keys it holds).

        Raises:
            UnknownServerError: there is no such server.
        """
        if server_id not in self._shards.servers:
            raise UnknownServerError(str(server_id))
        return [
            entry.key
            for stripe in range(STRIPES)
            for entry in self._shards.entries_of_stripe(stripe, server_id)
        ]

    def get_stats(self) -> dict[str, int]:
        """Return how many keys each server is the primary of, sorted by id.

        Each key is counted once, so the counts sum to the total. O(servers x stripes).
        """
        return self._shards.key_counts()

    def explain(self, key: str) -> KeyPlacement:
        """Return where `key` lives and why: position, vnode, owners, and whether it is moving.

        Raises:
            InvalidKeyError: `key` could not be a key.
            NoServersError: the ring has no server.
        """
        return explain_key(checked_key(key), self._membership, self._shards)

    # The store itself

    def snapshot(self) -> StoreSnapshot:
        """Return all that there is to show, frozen. O(servers x stripes), not keys."""
        return take_snapshot(self._membership, self._shards, self._clock, self._events)

    def events(self) -> tuple[Event, ...]:
        """Return the latest events (at most 1,000), oldest first."""
        return self._events.latest()

    def check_invariants(self) -> None:
        """Assert what is always true of the store; for tests. Stops all writes; O(keys).

        Raises:
            AssertionError: names what is broken, and where.
        """
        check_invariants(self._membership, self._shards)

    def close(self) -> None:
        """Stop a migration under way and close every server. Closing twice does nothing.

        Afterwards every operation raises `StoreClosedError`.
        """
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _look_again(self, key: str) -> Record | None:
        """Read `key` under its stripe's lock: a miss may be a range that moved in between."""
        key = checked_key(key)
        position = self._shards.position_of(key)
        if self._yield_point is not None:
            self._yield_point("get.missed")
        with self._locks[position >> STRIPE_SHIFT]:
            route = self._shards.routing.at(position)
            route.counters.reads += 1
            return route.records.get(key)

    def _create_memory_server(self, server_id: str) -> Server:
        return MemoryServer(server_id, self._shards.position_of)


def _untrack_new_records() -> None:
    """Have the garbage collector look at what was just written, while that is little.

    It watches every new tuple until it has seen once that there is nothing in it to watch. But it
    counts what is made less what is freed, so a store that is overwritten never calls it, and
    whoever next makes 700 objects (a join) waits for 200,000 records: 100 ms in which nothing else
    runs. This takes 10 to 40 ns a write.
    """
    if gc.isenabled():
        gc.collect(0)


def _go_on(step: str) -> None:
    """The yield point of a store that nobody tests."""
