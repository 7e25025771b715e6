"""The hot path of a store: reading and writing one key while all is well.

A wheel compiles this module and those that it passes through (see `hatch_build.py`); they run
uncompiled with the same results. `KeyValueStore` adds everything else.

Parameters that users may get wrong are `object` where the method is implemented, and typed where it
is overloaded: compiled code would refuse another type by itself, with an error that is not ours.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar, overload

from core.cluster.expiry import SteadyTime
from core.cluster.levels import Level, checked_level
from core.cluster.replication import Replication
from core.cluster.shards import Shards
from core.cluster.versions import Versions
from core.errors import ServerFailedError
from core.murmur3 import COMPILED, murmur3_x86_32
from core.native import i64, mypyc_attr
from core.record import (
    KEY_CHARACTERS_ALWAYS_SHORT,
    MAX_VALUE_BYTES,
    NEVER_EXPIRES,
    Entry,
    Record,
    Value,
    checked_key,
    checked_value,
    is_ascii,
)
from core.ring.hashing import SEED, HashFunction, murmur3
from core.servers.record_table import KEYS_PER_BUCKET
from core.stripe_lock import Lock
from core.stripes import STRIPE_SHIFT

Default = TypeVar("Default")

# How often a lock is tried again before it is waited for, and the shortest pause between.
_TRIES: Final = 40
_PAUSE_SECONDS: Final = 0.000_05


@mypyc_attr(allow_interpreted_subclasses=True)
class HotPath:
    """Reads and writes of a single key.

    Thread safety: any thread may call any method; see `KeyValueStore`. The attributes stay the
    objects that they are.

    Args:
        hash_function: gives a key its position.
        shards: the servers, what leads to them, and the lock of each stripe.
        applying: not empty while a transaction is being applied.
        versions: gives each write its version.
        replication: writes where a route is not direct.
        time: what has expired is absent.
        yield_point: called with the name of a step wherever another thread might come in between.
    """

    __slots__ = (
        "_applying",
        "_hash",
        "_hashes_here",
        "_locks",
        "_replication",
        "_routing",
        "_shards",
        "_stripes",
        "_time",
        "_versions",
        "_yield_point",
    )

    def __init__(
        self,
        hash_function: HashFunction,
        shards: Shards,
        applying: list[None],
        versions: Versions,
        replication: Replication,
        time: SteadyTime,
        yield_point: Callable[[str], None] | None,
    ) -> None:
        self._hash = hash_function
        # Whether positions are worked out without calling `hash_function`.
        self._hashes_here: bool = COMPILED and hash_function is murmur3
        self._shards = shards
        self._routing = shards.routing
        self._stripes = shards.routing.stripes
        self._locks: tuple[Lock, ...] = shards.locks
        self._applying = applying
        self._versions = versions
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
            InvalidOptionError: `ttl` is not above 0, `expected_version` is no whole number of 0 or
                more, or the level is unknown.
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
        if type(value) is not str or not is_ascii(value) or len(value) > MAX_VALUE_BYTES:
            value = checked_value(value)
        write(self, position_in(self, key), key, value)
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
            return default if found is None else found.value
        # A key that is found was checked when it was stored, so only a miss checks all of it.
        if type(key) is not str:
            key = checked_key(key)
        record = read_directly(self, position_in(self, key), key)
        if record is None:
            record = self._read(key)
        return default if record is None else record.value

    @overload
    def remove(self, key: str) -> bool: ...
    @overload
    def remove(self, key: str, *, write_level: Level | str | None = None) -> bool: ...
    def remove(self, key: object, *, write_level: object = None) -> bool:
        """Remove `key`; return whether it had a value. O(1).

        Args:
            key: the key.
            write_level: how many replicas must acknowledge it; None for the store's own level.

        Raises:
            InvalidKeyError: `key` could not be a key.
            InvalidOptionError: the level is unknown.
            QuorumError: fewer replicas acknowledged it than the level asks for.
            ServerUnavailableError: no replica answers that could say whether it had a value.
        """
        level = None if write_level is None else checked_level(write_level)
        text = checked_key(key)
        record = remove(self, position_in(self, text), text, level)
        return record is not None and not self._time.expired(record)

    def _primary_of(self, key: object) -> str:
        """As `get_server_for_key`."""
        position = position_in(self, checked_key(key))
        route = self._stripes[position >> STRIPE_SHIFT].at(position)
        if route.refusal is not None:
            raise route.refusal()
        return route.owners[0]

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


def position_in(path: HotPath, key: str) -> i64:
    """Return the position of `key`, which may still be no key.

    Raises:
        InvalidKeyError: it has a lone surrogate.
    """
    try:
        if path._hashes_here:
            return murmur3_x86_32(key.encode())
        # Fetched before it is called: calling an attribute of a slot takes 30 ns longer where it is
        # not compiled.
        hash_function = path._hash
        return hash_function(key.encode(), SEED, False)
    except UnicodeEncodeError:
        checked_key(key)
        raise


def read_directly(path: HotPath, position: i64, key: str) -> Record | None:
    """Return the record of `key` if it is found without a lock, and has not expired.

    None says nothing: who gets it looks again under the lock.
    """
    route = path._stripes[position >> STRIPE_SHIFT].at(position)
    if path._yield_point is not None:
        path._yield_point("get.routed")
    record: Record | None
    if route.fetch is None:
        record = route.records.bucket(position).get(key)
    else:
        try:
            record = route.fetch(position, key)
        except ServerFailedError:
            return None  # others are asked
    if record is None or path._applying or (record.expires_at and path._time.expired(record)):
        return None
    route.counters.reads += 1
    return record


def _wait_for(lock: Lock) -> None:
    """Take a stripe's lock that somebody else has.

    Whoever waits for a lock in the usual way gets it while another thread runs, and then has it
    while it waits for its turn. The others meet it there, and wait as well: beside a thread that
    computes, four that wrote some keys often did a fifth of their operations, for tenths of a
    second. So it is tried again with the turn in hand, and only in the end waited for.
    """
    for _ in range(_TRIES):
        time.sleep(_PAUSE_SECONDS)
        if lock.acquire(False):
            return
    lock.acquire()


def write(path: HotPath, position: i64, key: str, value: Value) -> None:
    """Store a value under a key, both checked.

    Raises:
        NoServersError: the ring has no server.
        QuorumError: fewer replicas acknowledged it than the level asks for.
    """
    stripe = position >> STRIPE_SHIFT
    lock = path._locks[stripe]
    overfull = False
    if not lock.acquire(False):  # `with` takes twice as long, as does a keyword
        _wait_for(lock)
    try:
        route = path._stripes[stripe].at(position)
        if path._yield_point is not None:
            path._yield_point("set.routed")
        record = Record(value, path._versions.take(), NEVER_EXPIRES)
        if route.direct:
            # As `Replication.write_locked`, which a call more would take 80 ns to reach.
            bucket = route.records.bucket(position)
            if path._yield_point is not None:
                path._yield_point("set.bucket")
            # Compiled, nobody comes between these lines. Interpreted, others write to the rest of
            # the bucket meanwhile, and only the key tells: looking for it takes 10 % of a `set`.
            before = len(bucket)
            known = not COMPILED and key in bucket
            bucket[key] = record
            for records in route.others:
                copies = records.bucket(position)
                copies[key] = record
                overfull = overfull or len(copies) > KEYS_PER_BUCKET
            if known or (COMPILED and len(bucket) == before):
                overfull = False
            else:
                path._routing.tally(stripe, route.owners).keys += 1
                overfull = overfull or len(bucket) > KEYS_PER_BUCKET
            route.counters.writes += 1
        else:
            path._replication.write_new_locked(route, position, key, record)
    finally:
        lock.release()
    if overfull:
        path._shards.split_buckets(position)


def remove(path: HotPath, position: i64, key: str, level: Level | None) -> Record | None:
    """Remove a key that was checked; return the record that it had, expired or not.

    Raises:
        QuorumError: fewer replicas acknowledged it than `level` asks for.
        ServerUnavailableError: no replica answers that could say whether it had a value.
    """
    stripe = position >> STRIPE_SHIFT
    lock = path._locks[stripe]
    if not lock.acquire(False):
        _wait_for(lock)
    try:
        route = path._stripes[stripe].at(position)
        if path._yield_point is not None:
            path._yield_point("remove.routed")
        record: Record | None
        if not route.direct:
            record = path._replication.read_locked(position, key)
            if record is not None:
                gone = Record(None, path._versions.take(), NEVER_EXPIRES)
                path._replication.write_locked(Entry(position, key, gone), level)
            return record
        # All owners are current and can't fail: nobody has to remember that it is gone.
        bucket = route.records.bucket(position)
        record = bucket.get(key)
        if record is not None:
            del bucket[key]
            for records in route.others:
                records.bucket(position).pop(key, None)
            path._routing.tally(stripe, route.owners).keys -= 1
            route.counters.writes += 1
        return record
    finally:
        lock.release()
