"""Reading and writing many keys in one call.

A batch saves the calls, and gives others their turn after every 128 keys: nothing interrupts
compiled code, and a million keys would hold up everybody for a second.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from core.cluster.levels import Level, checked_level
from core.errors import ServerFailedError
from core.hot_path import HotPath, position_in, remove, write
from core.murmur3 import COMPILED
from core.native import append, i64, mypyc_attr, vec
from core.record import (
    KEY_CHARACTERS_ALWAYS_SHORT,
    MAX_VALUE_BYTES,
    Record,
    Value,
    checked_key,
    checked_value,
    is_ascii,
)
from core.stripes import STRIPE_SHIFT
from core.turns import give_way

_KEYS_A_TURN: Final = 128


@mypyc_attr(allow_interpreted_subclasses=True)
class Batches(HotPath):
    """Reads and writes of many keys.

    Thread safety: any thread may call any method; see `KeyValueStore`.
    """

    __slots__ = ()

    def get_many(
        self, keys: Iterable[str], *, read_level: Level | str | None = None
    ) -> dict[str, Value]:
        """Return the values of those `keys` that have one. Each key is read on its own.

        Args:
            keys: the keys.
            read_level: how many replicas of each to ask; None for the store's own level.

        Raises:
            InvalidKeyError: one of them could not be a key.
            InvalidOptionError: the level is unknown.
            QuorumError: fewer replicas of one answered than the level asks for.
            ServerUnavailableError: no replica of one answers that is known to be up to date.
        """
        # Any, so that compiled code lets a key of another type come as far as our own error.
        unchecked: list[Any] = list(keys)
        found: dict[str, Value] = {}
        for first in range(0, len(unchecked), _KEYS_A_TURN):
            part = unchecked[first : first + _KEYS_A_TURN]
            number: i64 = 0
            while number < len(part):
                if type(part[number]) is not str:
                    part[number] = checked_key(part[number])
                number += 1
            records = _read_many_directly(self, part) if read_level is None else [None] * len(part)
            number = 0
            while number < len(part):
                record, key = records[number], part[number]
                if record is None:
                    record = self._read(key, read_level)
                if record is not None and record.value is not None:
                    found[key] = record.value
                number += 1
            give_way()
        return found

    def set_many(
        self,
        items: Mapping[str, Value] | Iterable[tuple[str, Value]],
        *,
        write_level: Level | str | None = None,
    ) -> int:
        """Store each value under its key; return how many were stored.

        All keys and values are checked first. Each is then written on its own: another thread may
        see some of them before the others.

        Args:
            items: keys and values.
            write_level: how many replicas must acknowledge each; None for the store's own level.

        Raises:
            InvalidKeyError: one could not be a key; nothing was stored.
            InvalidOptionError: the level is unknown; nothing was stored.
            InvalidValueError: one could not be a value; nothing was stored.
            NoServersError: the ring has no server.
            QuorumError: fewer replicas acknowledged one than the level asks for; those before it
                were stored.
        """
        level = None if write_level is None else checked_level(write_level)
        keys: list[Any] = []
        values: list[Any] = []
        if COMPILED and type(items) is dict:
            keys, values = list(items), list(items.values())  # nobody comes between the two
        else:
            for key, value in items.items() if isinstance(items, Mapping) else items:
                keys.append(key)
                values.append(value)
                if not len(keys) % _KEYS_A_TURN:
                    give_way()
        positions = vec[i64]()
        for number in range(len(keys)):
            key, value = keys[number], values[number]
            # As in `set`; and where each key goes, which finds lone surrogates.
            if type(key) is not str or not 0 < len(key) <= KEY_CHARACTERS_ALWAYS_SHORT:
                keys[number] = key = checked_key(key)
            if type(value) is not str or not is_ascii(value) or len(value) > MAX_VALUE_BYTES:
                values[number] = checked_value(value)
            positions = append(positions, position_in(self, key))
            if not number % _KEYS_A_TURN:
                give_way()
        for number in range(len(keys)):
            if level is None:
                write(self, positions[number], keys[number], values[number])
            else:
                self._set_with_options(keys[number], values[number], None, False, None, level)
            if not number % _KEYS_A_TURN:
                give_way()
        return len(keys)

    def remove_many(self, keys: Iterable[str], *, write_level: Level | str | None = None) -> int:
        """Remove each of `keys`; return how many had a value. Each is removed on its own.

        Args:
            keys: the keys.
            write_level: how many replicas must acknowledge each; None for the store's own level.

        Raises:
            InvalidKeyError: one of them could not be a key; nothing was removed.
            InvalidOptionError: the level is unknown; nothing was removed.
            QuorumError: fewer replicas acknowledged one than the level asks for; those before it
                were removed.
        """
        level = None if write_level is None else checked_level(write_level)
        unchecked: Iterable[Any] = keys
        checked: list[str] = []
        for key in unchecked:
            checked.append(checked_key(key))
            if not len(checked) % _KEYS_A_TURN:
                give_way()
        removed = 0
        for number, text in enumerate(checked, 1):
            record = remove(self, position_in(self, text), text, level)
            removed += record is not None and not self._time.expired(record)
            if not number % _KEYS_A_TURN:
                give_way()
        return removed


def _read_many_directly(path: HotPath, keys: list[str]) -> list[Record | None]:
    """As `read_directly`, of several keys.

    Each step is made for all of them in a loop of its own: the shorter a loop, the more looks at
    memory the processor has under way at a time. So lists have their length from the beginning,
    which takes a third of the time of appending to them.
    """
    size: i64 = len(keys)
    positions = vec[i64]()
    for key in keys:
        positions = append(positions, position_in(path, key))
    routes = [path._stripes[0].at(0)] * len(keys)
    records: list[Record | None] = [None] * len(keys)
    number: i64 = 0
    while number < size:
        position = positions[number]
        route = path._stripes[position >> STRIPE_SHIFT].at(position)
        routes[number] = route
        if path._yield_point is not None:
            path._yield_point("get.routed")
        if route.fetch is not None:
            try:
                records[number] = route.fetch(position, keys[number])
            except ServerFailedError:
                records[number] = None  # others are asked
        number += 1
    number = 0
    while number < size:
        route = routes[number]
        if route.fetch is None:
            records[number] = route.records.bucket(positions[number]).get(keys[number])
        number += 1
    if path._applying:
        return [None] * len(keys)
    number = 0
    while number < size:
        record = records[number]
        if record is not None:
            if record.expires_at and path._time.expired(record):
                records[number] = None
            else:
                routes[number].counters.reads += 1
        number += 1
    return records
