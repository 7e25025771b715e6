"""A server that keeps its records in this process's memory: the default."""

from collections.abc import Callable, Iterator, Sequence

from core.record import VALUE, VERSION, Entry, Record, size_in_bytes
from core.servers.server import RangeSize
from core.stripes import STRIPE_SHIFT, last_position_of, stripe_of


class MemoryServer:
    """Records in one dict a stripe.

    Thread safety: as `Server` says; a `get` without the stripe's lock is one dict lookup, which
    CPython does atomically.

    Always true: a record lies in the dict of the stripe that its key's position falls in, and that
    dict is never replaced, so that a route may hold on to it.

    Args:
        server_id: the id that the ring knows this server by.
        position_of: gives a key its position on the ring.
    """

    def __init__(self, server_id: str, position_of: Callable[[str], int]) -> None:
        self._server_id = server_id
        self._position_of = position_of
        self._stripes: dict[int, dict[str, Record]] = {}

    @property
    def server_id(self) -> str:
        """The id that the ring knows this server by."""
        return self._server_id

    def records(self, stripe: int) -> dict[str, Record]:
        """Return the live records of `stripe`. O(1)."""
        return self._stripes.setdefault(stripe, {})

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, or None. O(1)."""
        return self.records(stripe_of(position)).get(key)

    def apply(self, entry: Entry) -> bool:
        """Store a record unless one as new is there. O(1)."""
        records = self.records(stripe_of(entry.position))
        current = records.get(entry.key)
        if current is not None and current[VERSION] >= entry.record[VERSION]:
            return False
        records[entry.key] = entry.record
        return True

    def apply_many(self, entries: Sequence[Entry]) -> int:
        """Store each record unless one as new is there. O(entries)."""
        return sum(self.apply(entry) for entry in entries)

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the first `limit` entries at positions `low` to `high`, in order.

        O(k log k) for the k records in the stripes that the span touches.
        """
        found: list[Entry] = []
        for stripe in self._stripes_between(low, high):
            entries = [
                Entry(position, key, record)
                for key, record in list(self._stripes[stripe].items())
                if low <= (position := self._position_of(key)) <= high
            ]
            entries.sort()
            found += entries
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys and bytes lie at positions `low` to `high`. O(k), as `scan`."""
        keys = size = 0
        for stripe in self._stripes_between(low, high):
            for key, record in list(self._stripes[stripe].items()):
                if low <= self._position_of(key) <= high:
                    keys += 1
                    size += size_in_bytes(key, record[VALUE])
        return RangeSize(keys, size)

    def discard(self, low: int, high: int) -> int:
        """Forget all records at positions `low` to `high`. O(k), as `scan`."""
        discarded = 0
        for stripe in self._stripes_between(low, high):
            records = self._stripes[stripe]
            if low <= stripe << STRIPE_SHIFT and last_position_of(stripe) <= high:
                discarded += len(records)
                records.clear()
                continue
            for key in list(records):
                if low <= self._position_of(key) <= high:
                    del records[key]
                    discarded += 1
        return discarded

    def count(self) -> int:
        """Return how many keys the server holds. O(stripes)."""
        return sum(map(len, list(self._stripes.values())))

    def close(self) -> None:
        """Nothing is held open."""

    def _stripes_between(self, low: int, high: int) -> Iterator[int]:
        """Yield, in order, the stripes that the span touches and that hold a dict."""
        return (
            stripe
            for stripe in range(stripe_of(low), stripe_of(high) + 1)
            if stripe in self._stripes
        )
