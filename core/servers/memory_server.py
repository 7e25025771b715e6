"""A server that keeps its records in this process's memory: the default."""

from collections.abc import Callable, Iterator, Sequence

from core.record import (
    DIGEST_MASK,
    NEVER_EXPIRES,
    VALUE,
    VERSION,
    Entry,
    Record,
    digest_of,
    size_in_bytes,
)
from core.servers.server import RangeSize
from core.stripes import STRIPE_SHIFT, STRIPES, last_position_of, stripe_of

# Records lie in 64 dicts, of 16 stripes each. One dict a server would be the fastest, but growing a
# dict of a million keys stops the process for 40 ms; one dict a stripe costs a third more on a read
# and a quarter more on a write (measured with 200,000 keys on 10 servers), because thousands of
# small dicts do not fit into the caches.
_STRIPES_PER_SHELF = 16
_SHELVES = STRIPES // _STRIPES_PER_SHELF
_NO_TOMBSTONES: dict[str, int] = {}


class MemoryServer:
    """Records in dicts, and the keys of each stripe beside them.

    Thread safety: as `Server` says; a `get` without the stripe's lock is one dict lookup, which
    CPython does atomically.

    Always true: a key that has a record is in the keys of the stripe that its position falls in.
    (It is put there before its record and taken away after it, so that whatever interrupts a writer
    leaves no record that can't be listed.) The dicts are never replaced: a route may hold them.

    Args:
        server_id: the id that the ring knows this server by.
        position_of: gives a key its position on the ring.
    """

    def __init__(self, server_id: str, position_of: Callable[[str], int]) -> None:
        self._server_id = server_id
        self._position_of = position_of
        self._shelves: list[dict[str, Record]] = [{} for _ in range(_SHELVES)]
        # A dict without values rather than a set, which takes five times the memory at this size.
        self._keys: dict[int, dict[str, None]] = {}
        # The version at which a key was removed, by stripe; empty while all replicas are well.
        self._tombstones: dict[int, dict[str, int]] = {}

    @property
    def server_id(self) -> str:
        """The id that the ring knows this server by."""
        return self._server_id

    def records(self, stripe: int) -> dict[str, Record]:
        """Return the live records of `stripe`, among others. O(1)."""
        return self._shelves[stripe // _STRIPES_PER_SHELF]

    def keys(self, stripe: int) -> dict[str, None]:
        """Return the live keys of `stripe`. O(1)."""
        return self._keys.setdefault(stripe, {})

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, or None. O(1)."""
        return self.records(stripe_of(position)).get(key)

    def apply(self, entry: Entry) -> int | None:
        """Store a record unless one as new is there; return the change in keys. O(1)."""
        stripe = stripe_of(entry.position)
        records = self.records(stripe)
        current = records.get(entry.key)
        tombstones = self._tombstones.get(stripe)
        newest = current[VERSION] if current is not None else 0
        if tombstones is not None:
            newest = max(newest, tombstones.get(entry.key, 0))
        if newest >= entry.record[VERSION]:
            return None
        if entry.record[VALUE] is None:
            dropped = self.drop(entry.position, entry.key)
            self._tombstones.setdefault(stripe, {})[entry.key] = entry.record[VERSION]
            return -1 if dropped else 0
        if current is None:
            self.keys(stripe)[entry.key] = None
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
            records = self.records(stripe)
            found += [
                Entry(position, key, record)
                for position, key in sorted(self._keys_between(stripe, low, high))
                if (record := records.get(key)) is not None
            ]
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def removals(self, low: int, high: int) -> list[Entry]:
        """Return the tombstones at positions `low` to `high`. O(tombstones in those stripes)."""
        return [
            Entry(position, key, (None, version, NEVER_EXPIRES))
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
        dropped = self.records(stripe).pop(key, None)
        self.keys(stripe).pop(key, None)
        return dropped is not None

    def forget_tombstones(self, stripe: int) -> int:
        """Forget the tombstones of a stripe. O(1)."""
        return len(self._tombstones.pop(stripe, ()))

    def digest(self, low: int, high: int) -> int:
        """Return a digest of keys, versions and expiries. O(k), as `scan`."""
        total = 0
        for stripe in self._stripes_between(low, high):
            records = self.records(stripe)
            for _, key in self._keys_between(stripe, low, high):
                record = records.get(key)
                if record is not None:
                    total += digest_of(key, record)
        return total & DIGEST_MASK

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys and bytes lie at positions `low` to `high`. O(k), as `scan`."""
        keys = size = 0
        for stripe in self._stripes_between(low, high):
            records = self.records(stripe)
            for _, key in self._keys_between(stripe, low, high):
                record = records.get(key)
                if record is not None:
                    keys += 1
                    size += size_in_bytes(key, record[VALUE])
        return RangeSize(keys, size)

    def discard(self, low: int, high: int) -> int:
        """Forget all records and tombstones at positions `low` to `high`. O(k), as `scan`."""
        if self._tombstones:
            for position, key, _ in self.removals(low, high):
                del self._tombstones[stripe_of(position)][key]
        discarded = 0
        for stripe in self._stripes_between(low, high):
            records, keys = self.records(stripe), self.keys(stripe)
            for _, key in self._keys_between(stripe, low, high):
                discarded += records.pop(key, None) is not None
                del keys[key]
        return discarded

    def count(self) -> int:
        """Return how many keys the server holds. O(1): a sum over 64 dicts."""
        return sum(map(len, self._shelves))

    def close(self) -> None:
        """Nothing is held open."""

    def _stripes_between(self, low: int, high: int) -> Iterator[int]:
        """Yield, in order, the stripes of the span that have ever held a key."""
        return (
            stripe for stripe in range(stripe_of(low), stripe_of(high) + 1) if stripe in self._keys
        )

    def _keys_between(self, stripe: int, low: int, high: int) -> list[tuple[int, str]]:
        """Return the position and key of each of the stripe's keys in the span, in any order."""
        position_of, keys = self._position_of, list(self._keys[stripe])
        placed = [(position_of(key), key) for key in keys]
        if low <= stripe << STRIPE_SHIFT and last_position_of(stripe) <= high:
            return placed
        return [pair for pair in placed if low <= pair[0] <= high]
