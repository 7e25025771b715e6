"""The hot path of a store: reading and writing one key while all is well.

This module, the routes and the ring view are what a wheel compiles (see `hatch_build.py`); they run
uncompiled with the same results. `KeyValueStore` adds everything else.

Parameters that users may get wrong are `object` where the method is implemented, and typed where it
is overloaded: compiled code would refuse another type by itself, with an error that is not ours.
"""

import gc
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar, overload

from mypy_extensions import i64, mypyc_attr

from core.cluster.expiry import SteadyTime
from core.cluster.levels import Level
from core.cluster.replication import Replication
from core.cluster.routing import SLOT_SHIFT, STRIPE_OF_SLOT_SHIFT, Route
from core.errors import ServerFailedError
from core.record import (
    EXPIRES_AT,
    KEY_CHARACTERS_ALWAYS_SHORT,
    MAX_VALUE_BYTES,
    NEVER_EXPIRES,
    VALUE,
    Record,
    Value,
    checked_key,
    checked_value,
)
from core.ring.hashing import SEED, HashFunction
from core.stripe_lock import Lock

Default = TypeVar("Default")

# The collector is given new records 1,024 writes at a time; see `_untrack_new_records`.
_UNTRACK_MASK: Final = 1_024 - 1

# Compiled, a call of the function takes half as long as looking the method up on the value.
_is_ascii: Final = str.isascii
# An object, so that compiled code need not make one.
_NEVER_EXPIRES: Final[object] = NEVER_EXPIRES


@mypyc_attr(allow_interpreted_subclasses=True)
class HotPath:
    """Reads and writes of a single key.

    Thread safety: any thread may call `get` and `set`; see `KeyValueStore`. The attributes stay the
    objects that they are.

    Args:
        hash_function: gives a key its position.
        slots: the routes of all positions; see `RoutingTable`.
        locks: the lock of each stripe.
        applying: not empty while a transaction is being applied.
        versions: gives each write its version.
        replication: writes where a route is not direct.
        time: what has expired is absent.
        yield_point: called with the name of a step wherever another thread might come in between.
    """

    __slots__ = (
        "_applying",
        "_hash",
        "_locks",
        "_replication",
        "_slots",
        "_time",
        "_versions",
        "_yield_point",
    )

    def __init__(
        self,
        hash_function: HashFunction,
        slots: list[Route],
        locks: tuple[Lock, ...],
        applying: list[None],
        versions: Iterator[int],
        replication: Replication,
        time: SteadyTime,
        yield_point: Callable[[str], None] | None,
    ) -> None:
        self._hash = hash_function
        self._slots = slots
        self._locks = locks
        self._applying = applying
        # Any, so that compiled code takes a version as it comes: opening and closing it took 20 ns.
        self._versions: Iterator[Any] = versions
        self._replication = replication
        self._time = time
        self._yield_point = yield_point

    @overload
    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl: float | None = None,
        write_level: Level | str | None = None,
    ) -> bool: ...
    @overload
    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl: float | None = None,
        only_if_absent: bool = False,
        expected_version: int | None = None,
        write_level: Level | str | None = None,
    ) -> bool: ...
    def set(
        self,
        key: object,
        value: object,
        *,
        ttl: object = None,
        only_if_absent: object = False,
        expected_version: object = None,
        write_level: object = None,
    ) -> bool:
        """Store `value` under `key`; True once the write is acknowledged. O(1).

        Args:
            key: the key.
            value: the value.
            ttl: seconds after which the key is absent again; None keeps it for ever.
            only_if_absent: True stores nothing if the key has a value.
            expected_version: store nothing unless the key has this version (see
                `get_with_version`); 0 stands for no value.
            write_level: how many replicas must acknowledge it; None for the store's own level.

        Returns:
            False if a condition did not hold; nothing was stored then.

        Raises:
            InvalidKeyError: not a non-empty `str` of at most 1,024 UTF-8 bytes.
            InvalidOptionError: `ttl` is not above 0, or the level is unknown.
            InvalidValueError: not `str` or `bytes` of at most 16 MiB.
            NoServersError: the ring has no server.
            QuorumError: fewer replicas acknowledged it than the level asks for.
            ServerUnavailableError: a condition is to hold, and no replica answers.
        """
        if (
            ttl is not None
            or only_if_absent
            or expected_version is not None
            or write_level is not None
        ):
            return self._set_with_options(
                key, value, ttl, only_if_absent, expected_version, write_level
            )
        # What most callers pass is checked here, at a third of the price of two calls.
        if type(key) is not str or not 0 < len(key) <= KEY_CHARACTERS_ALWAYS_SHORT:
            key = checked_key(key)
        if type(value) is not str or not _is_ascii(value) or len(value) > MAX_VALUE_BYTES:
            value = checked_value(value)
        # A function is fetched before it is called: calling an attribute of a slot takes 30 ns
        # longer where it is not compiled.
        hash_function = self._hash
        try:
            position: i64 = hash_function(key.encode(), SEED, False)
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
            for version in self._versions:  # noqa: B007  half as long as calling next()
                break
            # Any, so that compiled code makes the tuple once and not anew for each copy.
            record: Any = (value, version, _NEVER_EXPIRES)
            if route.direct:
                # As `Replication.write_locked`, which a call more would take 80 ns to reach.
                records = route.records
                if key not in records:
                    route.tally.keys += 1
                records[key] = record
                for records in route.others:
                    records[key] = record
                route.counters.writes += 1
                writes = route.counters.writes
            else:
                self._replication.write_new_locked(route, position, key, record)
                writes = route.counters.writes
        finally:
            lock.release()
        if not writes & _UNTRACK_MASK:
            _untrack_new_records()
        return True

    @overload
    def get(self, key: str, *, read_level: Level | str | None = None) -> Value | None: ...
    @overload
    def get(
        self, key: str, default: Default, *, read_level: Level | str | None = None
    ) -> Value | Default: ...
    def get(self, key: object, default: object = None, *, read_level: object = None) -> object:
        """Return the value of `key`, or `default` if it has none. O(1).

        Args:
            key: the key.
            default: what to return if it has no value.
            read_level: how many replicas to ask; None for the store's own level. Replicas that
                answer differently are repaired.

        Raises:
            InvalidKeyError: `key` could not be a key.
            InvalidOptionError: the level is unknown.
            QuorumError: fewer replicas answered than the level asks for.
            ServerUnavailableError: no replica answers that is known to be up to date.
        """
        if read_level is not None:
            found = self._read(key, read_level)
            return default if found is None else found[VALUE]
        # A key that is found was checked when it was stored, so only a miss checks all of it.
        if type(key) is not str:
            key = checked_key(key)
        hash_function = self._hash
        try:
            position: i64 = hash_function(key.encode(), SEED, False)
        except UnicodeEncodeError:
            checked_key(key)
            raise
        route = self._slots[position >> SLOT_SHIFT]
        if route.segments is not None:
            route = route.at(position)
        if self._yield_point is not None:
            self._yield_point("get.routed")
        # Any, so that compiled code does not look at the type of each part of the record.
        record: Any = (
            route.records.get(key) if route.fetch is None else _fetched(route.fetch, position, key)
        )
        if record is None or self._applying:
            found = self._read(key)
            return default if found is None else found[VALUE]
        parts: tuple[object, ...] = record
        if parts[EXPIRES_AT] and self._time.expired(record):
            return default
        route.counters.reads += 1
        return parts[VALUE]

    def _read(self, key: object, level: object = None) -> Record | None:
        """Read `key` under its stripe's lock; None without a value, or if it expired."""
        raise NotImplementedError

    def _set_with_options(
        self,
        key: object,
        value: object,
        ttl: object,
        only_if_absent: object,
        expected_version: object,
        write_level: object,
    ) -> bool:
        """Set where there is more to it than a key and a value."""
        raise NotImplementedError


def _fetched(fetch: Callable[[int, str], Record | None], position: int, key: str) -> Record | None:
    """Return the record from a server on disk; None also where it fails: others are asked then."""
    try:
        return fetch(position, key)
    except ServerFailedError:
        return None


def _untrack_new_records() -> None:
    """Have the garbage collector look at what was just written, while that is little.

    It watches every new tuple until it has seen once that there is nothing in it to watch. But it
    counts what is made less what is freed, so a store that is overwritten never calls it, and
    whoever next makes 700 objects (a join) waits for 200,000 records: 100 ms in which nothing else
    runs. This takes 10 to 40 ns a write.
    """
    if gc.isenabled():
        gc.collect(0)
