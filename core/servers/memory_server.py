"""A server that keeps its records in this process's memory: the default."""

from collections.abc import Callable, Sequence

from core.record import (
    DIGEST_MASK,
    NEVER_EXPIRES,
    Entry,
    Record,
    digest_of,
    size_in_bytes,
)
from core.servers.server import RangeSize
from core.stripes import STRIPE_SHIFT, last_position_of, stripe_of

_NO_TOMBSTONES: dict[str, int] = {}


class MemoryServer:
    """One dict of records a stripe.

    Few large dicts would be read 14 % and written 8 % faster (measured compiled, with 200,000 keys
    on 10 servers). But then the keys of a stripe would have to be listed beside them, a read from
    one of three replicas would take a third longer than without the others instead of a tenth, and
    growing a dict of a million keys stops the process for 40 ms.

    Thread safety: as `Server` says; a `get` without the stripe's lock is one dict lookup, which
    CPython does atomically.

    Always true: a record is in the dict of the stripe that its position falls in. The dicts are
    never replaced: a route may hold them.

    Args:
        server_id: the id that the ring knows this server by.
        position_of: gives a key its position on the ring.
    """

    def __init__(self, server_id: str, position_of: Callable[[str], int]) -> None:
        self._server_id = server_id
        self._position_of = position_of
        self._records: dict[int, dict[str, Record]] = {}
        # The version at which a key was removed, by stripe; empty while all replicas are well.
        self._tombstones: dict[int, dict[str, int]] = {}

    @property
    def server_id(self) -> str:
        """The id that the ring knows this server by."""
        return self._server_id

    def records(self, stripe: int) -> dict[str, Record]:
        """Return the live records of `stripe`. O(1)."""
        return self._records.setdefault(stripe, {})

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, or None. O(1)."""
        return self.records(stripe_of(position)).get(key)

    def apply(self, entry: Entry) -> int | None:
        """Store a record unless one as new is there; return the change in keys. O(1)."""
        stripe = stripe_of(entry.position)
        records = self.records(stripe)
        current = records.get(entry.key)
        tombstones = self._tombstones.get(stripe)
        newest = current.version if current is not None else 0
        if tombstones is not None:
            newest = max(newest, tombstones.get(entry.key, 0))
        if newest >= entry.record.version:
            return None
        if entry.record.value is None:
            dropped = self.drop(entry.position, entry.key)
            self._tombstones.setdefault(stripe, {})[entry.key] = entry.record.version
            return -1 if dropped else 0
        records[entry.key] = entry.record
        if tombstones is not None:
            tombstones.pop(entry.key, None)
        return 1 if current is None else 0

    def apply_many(self, entries: Sequence[Entry]) -> int:
        """Store each record unless one as new is there. O(entries)."""
        return sum(self.apply(entry) is not None for entry in entries)

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the first `limit` entries at positions `low` to `high`, in order.

        O(k log k) for the k records in the stripes that the span touches.
        """
        found: list[Entry] = []
        for stripe in self._stripes_between(low, high):
            found += sorted(self._entries_between(stripe, low, high), key=_place)
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def removals(self, low: int, high: int) -> list[Entry]:
        """Return the tombstones at positions `low` to `high`. O(tombstones in those stripes)."""
        return [
            Entry(position, key, Record(None, version, NEVER_EXPIRES))
            for stripe in range(stripe_of(low), stripe_of(high) + 1)
            for key, version in self._tombstones.get(stripe, _NO_TOMBSTONES).items()
            if low <= (position := self._position_of(key)) <= high
        ]

    def drop(self, position: int, key: str) -> bool:
        """Forget the record of `key`, whatever its version, and that it was removed. O(1)."""
        stripe = stripe_of(position)
        tombstones = self._tombstones.get(stripe)
        if tombstones is not None:
            tombstones.pop(key, None)
        return self.records(stripe).pop(key, None) is not None

    def forget_tombstones(self, stripe: int) -> int:
        """Forget the tombstones of a stripe. O(1)."""
        return len(self._tombstones.pop(stripe, ()))

    def digest(self, low: int, high: int) -> int:
        """Return a digest of keys, versions and expiries. O(k), as `scan`."""
        total = sum(
            digest_of(key, record)
            for stripe in self._stripes_between(low, high)
            for _, key, record in self._entries_between(stripe, low, high)
        )
        return total & DIGEST_MASK

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys and bytes lie at positions `low` to `high`. O(k), as `scan`."""
        keys = size = 0
        for stripe in self._stripes_between(low, high):
            for _, key, record in self._entries_between(stripe, low, high):
                keys += 1
                size += size_in_bytes(key, record.value)
        return RangeSize(keys, size)

    def discard(self, low: int, high: int) -> int:
        """Forget all records and tombstones at positions `low` to `high`. O(k), as `scan`."""
        if self._tombstones:
            for position, key, _ in self.removals(low, high):
                del self._tombstones[stripe_of(position)][key]
        discarded = 0
        position_of = self._position_of
        for stripe in self._stripes_between(low, high):
            records = self.records(stripe)
            before = len(records)
            if _covers(low, high, stripe):
                records.clear()
            else:
                for key in list(records):
                    if low <= position_of(key) <= high:
                        del records[key]
            discarded += before - len(records)
        return discarded

    def count(self) -> int:
        """Return how many keys the server holds. O(1): a sum over at most 1,024 dicts."""
        return sum(map(len, list(self._records.values())))

    def close(self) -> None:
        """Nothing is held open."""

    def _stripes_between(self, low: int, high: int) -> list[int]:
        """Return, in order, the stripes of the span that hold a record."""
        return [
            stripe
            for stripe in range(stripe_of(low), stripe_of(high) + 1)
            if self._records.get(stripe)
        ]

    def _entries_between(self, stripe: int, low: int, high: int) -> list[Entry]:
        """Return the stripe's entries in the span, in any order."""
        position_of = self._position_of
        # A list first: a plan measures while others write.
        records = list(self._records[stripe].items())
        if _covers(low, high, stripe):
            return [Entry(position_of(key), key, record) for key, record in records]
        found: list[Entry] = []
        for key, record in records:
            position = position_of(key)
            if low <= position <= high:
                found.append(Entry(position, key, record))
        return found


def _covers(low: int, high: int, stripe: int) -> bool:
    """Return whether all of the stripe lies at positions `low` to `high`."""
    return low <= stripe << STRIPE_SHIFT and last_position_of(stripe) <= high


def _place(entry: Entry) -> tuple[int, str]:
    return entry.position, entry.key
