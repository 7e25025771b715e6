"""A server that keeps its records in this process's memory: the default."""

from collections.abc import Callable, Sequence
from operator import attrgetter

from core.native import i64
from core.record import (
    DIGEST_MASK,
    NEVER_EXPIRES,
    Entry,
    Record,
    digest_of,
    size_in_bytes,
)
from core.servers.record_table import RecordTable
from core.servers.server import RangeSize
from core.stripes import stripe_of

_NO_TOMBSTONES: dict[str, int] = {}


class MemoryServer:
    """Records in a `RecordTable`, and which keys were removed.

    Thread safety: as `Server` says; a `get` without the stripe's lock is one dict lookup, which
    CPython does atomically.

    Args:
        server_id: the id that the ring knows this server by.
        position_of: gives a key its position on the ring.
    """

    def __init__(self, server_id: str, position_of: Callable[[str], int]) -> None:
        self._server_id = server_id
        self._records = RecordTable(position_of)
        # The version at which a key was removed, by stripe; empty while all replicas are well.
        self._tombstones: dict[int, dict[str, int]] = {}

    @property
    def server_id(self) -> str:
        """The id that the ring knows this server by."""
        return self._server_id

    @property
    def records(self) -> RecordTable:
        """The live records."""
        return self._records

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, or None. O(1)."""
        return self._records.bucket(position).get(key)

    def apply(self, entry: Entry) -> int | None:
        """Store a record unless one as new is there; return the change in keys. O(1)."""
        position, key, record = entry.position, entry.key, entry.record
        bucket = self._records.bucket(position)
        current = bucket.get(key)
        tombstones = self._tombstones.get(stripe_of(position)) if self._tombstones else None
        newest: i64 = current.version if current is not None else 0
        if tombstones is not None:
            newest = max(newest, tombstones.get(key, 0))
        if newest >= record.version:
            return None
        if record.value is None:
            dropped = self.drop(position, key)
            self._tombstones.setdefault(stripe_of(position), {})[key] = record.version
            return -1 if dropped else 0
        bucket[key] = record
        if tombstones is not None:
            tombstones.pop(key, None)
        return 1 if current is None else 0

    def apply_many(self, entries: Sequence[Entry]) -> int:
        """Store each record unless one as new is there. O(entries)."""
        return sum(self.apply(entry) is not None for entry in entries)

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the first `limit` entries at positions `low` to `high`, in order.

        O(k log k) for the k records in the buckets that the span touches.
        """
        found: list[Entry] = []
        for _, bucket in self._records.between(low, high):
            if limit is not None and len(found) >= limit:
                break
            if bucket:
                most = None if limit is None else limit - len(found)
                found += _in_order(self._records.entries(bucket, low, high, most))
        return found if limit is None else found[:limit]

    def removals(self, low: int, high: int) -> list[Entry]:
        """Return the tombstones at positions `low` to `high`. O(tombstones in those stripes)."""
        return [
            Entry(position, key, Record(None, version, NEVER_EXPIRES))
            for stripe in range(stripe_of(low), stripe_of(high) + 1)
            for key, version in self._tombstones.get(stripe, _NO_TOMBSTONES).items()
            if low <= (position := self._records.position_of(key)) <= high
        ]

    def drop(self, position: int, key: str) -> bool:
        """Forget the record of `key`, whatever its version, and that it was removed. O(1)."""
        if self._tombstones:
            tombstones = self._tombstones.get(stripe_of(position))
            if tombstones is not None:
                tombstones.pop(key, None)
        return self._records.bucket(position).pop(key, None) is not None

    def forget_tombstones(self, stripe: int) -> int:
        """Forget the tombstones of a stripe. O(1)."""
        return len(self._tombstones.pop(stripe, ()))

    def digest(self, low: int, high: int) -> int:
        """Return a digest of keys, versions and expiries. O(k), as `scan`."""
        total = 0
        for span, bucket in self._records.between(low, high):
            for key in self._records.keys(span, bucket, low, high):
                total += digest_of(key, bucket[key])
        return total & DIGEST_MASK

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys and bytes lie at positions `low` to `high`. O(k), as `scan`."""
        count = size = 0
        for span, bucket in self._records.between(low, high):
            if not bucket:
                continue
            # All of them, each list in one go, which is quicker than to look up those that are
            # wanted. What is written between the two is counted as its neighbour may be.
            records = list(bucket.values())
            if low <= span[0] and span[1] <= high:
                keys = list(bucket)
            else:
                keys, numbers = self._records.numbers(bucket, low, high)
                keys = [keys[number] for number in numbers]
                records = [records[number] for number in numbers if number < len(records)]
            # Each in a loop of its own: records and values lie anywhere in memory, and in a loop
            # that is so short the processor fetches several at once.
            values = [record.value for record in records]
            count += len(keys)
            for value in values:
                size += size_in_bytes(value)
            for key in keys:
                size += size_in_bytes(key)
        return RangeSize(count, size)

    def discard(self, low: int, high: int) -> int:
        """Forget all records and tombstones at positions `low` to `high`. O(k), as `scan`."""
        if self._tombstones:
            for entry in self.removals(low, high):
                del self._tombstones[stripe_of(entry.position)][entry.key]
        discarded = 0
        for span, bucket in self._records.between(low, high):
            keys = self._records.keys(span, bucket, low, high)
            discarded += len(keys)
            for key in keys:
                del bucket[key]
        return discarded

    def count(self) -> int:
        """Return how many keys the server holds. O(buckets)."""
        return self._records.count()

    def close(self) -> None:
        """Forget everything. O(keys), and others have their turn meanwhile."""
        self._tombstones = {}
        self._records.clear()


def _in_order(entries: list[Entry]) -> list[Entry]:
    """Return entries in order of position, then key.

    By position first, because hardly any two are at one: comparing pairs takes three times as long.
    """
    entries.sort(key=_position)
    for number in range(1, len(entries)):
        if entries[number].position == entries[number - 1].position:
            entries.sort()
            break
    return entries


_position = attrgetter("position")
