"""The live records of a server in memory, in buckets of a bounded size.

A bucket is a dict of the keys whose positions lie in one span of the ring. A bucket that became too
full is split in the middle of its span. So a range is listed without looking at more than a bucket
beside it, no dict is ever so large that growing it holds anybody up, and a server has as many dicts
as its keys need, be it one of a thousand servers or one of ten. This is extendible hashing (Fagin
et al., 1979), by the position on the ring.

One dict for each of 1,024 stripes lost: of a million keys a dict had a thousand, of a thousand
servers' dicts each had one, and a `get` of such a ring took four times as long as of a ring of ten.
"""

from collections.abc import Callable
from typing import Final, final

from core.murmur3 import COMPILED, murmur3_of_text, murmur3_x86_32
from core.native import append, i64, mypyc_attr, vec
from core.record import Entry, Record
from core.servers.operation_counters import OperationCounters
from core.stripe_lock import Lock
from core.stripes import POSITION_BITS, POSITIONS
from core.turns import give_way

# A dict of 683 keys has to grow: a bucket is split instead. Its keys are listed in 40 us, and in 5
# if they were just before. Interpreted, a key that is listed costs 20 times as much, and where a
# dict lies in memory is nothing beside it: with 85 keys, after which a dict grows too, a join of a
# store with 6,500 keys takes 85 ms in place of 280.
KEYS_PER_BUCKET: Final[int] = 682 if COMPILED else 85
# 65,536 buckets at most: 40 million keys. Beyond that, buckets grow.
_MAX_BUCKETS: Final = 1 << 16

Bucket = dict[str, Record]


# The lowest and the highest position of what a bucket holds.
Span = tuple[int, int]


@final
@mypyc_attr(acyclic=True)
class _Listing:
    """The keys of a bucket at one moment, and their positions. Not to be changed.

    Args:
        keys: the keys, in the order of the bucket.
        positions: the position of each.
    """

    __slots__ = ("keys", "positions")

    def __init__(self, keys: list[str], positions: vec[i64]) -> None:
        self.keys = keys
        self.positions = positions

    def numbers(self, low: i64, high: i64) -> list[int]:
        """Return the numbers of the keys at positions `low` to `high`. O(keys)."""
        positions = self.positions
        return [number for number in range(len(self.keys)) if low <= positions[number] <= high]


@final
@mypyc_attr(acyclic=True)
class RecordTable(OperationCounters):
    """The records of one server, and how often it was used.

    Compiled, both lie in one line of the processor's cache: a `get` from a thousand servers takes
    300 to 330 ns, and 350 to 380 where the counters are an object of their own.

    Thread safety: a bucket is read and written by one dict operation at a time, which CPython does
    atomically, and by writers with the stripe's lock held. `split` is called with the locks of all
    stripes of the span, and `_splitting` guards what it changes for other spans as well; whoever
    reads meanwhile without a lock may miss what is there, and looks again under the lock. Who was
    just given a bucket finds in it what was true then: a bucket that was split stays as it was, for
    whoever still has it.

    Always true: a record is in the bucket of its position, and nowhere else. `buckets` has a power
    of two of items, and a bucket is in a power of two of neighbouring items, which begin at a
    multiple of their number.

    Args:
        position_of: gives a key its position on the ring.

    Attributes:
        buckets: the bucket of each of as many equal parts of the ring.
    """

    __slots__ = ("_hashes_here", "_last_listing", "_only", "_position_of", "_splitting", "buckets")

    def __init__(self, position_of: Callable[[str], int]) -> None:
        super().__init__()
        self._only: Bucket | None = {}
        self.buckets: tuple[Bucket, ...] = (self._only,)
        self._position_of = position_of
        self._splitting = Lock()
        self._last_listing = _Listing([], vec[i64]())
        # Whether positions are worked out without calling `position_of`.
        self._hashes_here: bool = COMPILED and position_of is murmur3_of_text

    def bucket(self, position: i64) -> Bucket:
        """Return the bucket of `position`. O(1)."""
        only = self._only
        if only is not None:
            return only
        buckets = self.buckets
        return buckets[position * len(buckets) >> POSITION_BITS]

    def position_of(self, key: str) -> i64:
        """Return the position of `key`. O(characters)."""
        if self._hashes_here:
            return murmur3_x86_32(key.encode())
        position: i64 = self._position_of(key)
        return position

    def between(self, low: int, high: int) -> list[tuple[Span, Bucket]]:
        """Return the buckets that may hold positions `low` to `high`, in order, with their spans.

        O(buckets there).
        """
        buckets = self.buckets  # as they are at one moment
        found: list[tuple[Span, Bucket]] = []
        while low <= high:
            span = _span_in(buckets, low)
            found.append((span, buckets[low * len(buckets) >> POSITION_BITS]))
            low = span[1] + 1
        return found

    def _listing(self, bucket: Bucket) -> _Listing:
        """Return the keys of a bucket, with their positions. O(bucket).

        Others may write to the bucket meanwhile.

        Neighbouring ranges are in the same bucket, and to move one takes five looks at two buckets.
        So the last listing is kept: a key that was in it is told by its place, since a dict keeps
        its order, and that takes a tenth of hashing it.
        """
        keys = list(bucket)  # at one moment
        before = self._last_listing
        if before.keys == keys:
            return before
        known, known_positions = before.keys, before.positions
        positions = vec[i64]()
        place: i64 = 0
        for key in keys:
            while place < len(known) and known[place] is not key:
                place += 1
            if place < len(known):
                positions = append(positions, known_positions[place])
                place += 1
            else:
                positions = append(positions, self.position_of(key))
        listing = _Listing(keys, positions)
        self._last_listing = listing
        return listing

    def numbers(self, bucket: Bucket, low: int, high: int) -> tuple[list[str], list[int]]:
        """Return all keys of a bucket, and the numbers of those at positions `low` to `high`.

        O(bucket).
        """
        listing = self._listing(bucket)
        return listing.keys, listing.numbers(low, high)

    def keys(self, span: Span, bucket: Bucket, low: int, high: int) -> list[str]:
        """Return the keys of a bucket at positions `low` to `high`, in any order. O(bucket).

        Args:
            span: the bucket's span.
            bucket: the bucket.
            low: the lowest position.
            high: the highest position.
        """
        if low <= span[0] and span[1] <= high:
            return list(bucket)  # at one moment
        keys, numbers = self.numbers(bucket, low, high)
        return [keys[number] for number in numbers]

    def entries(self, bucket: Bucket, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the entries of a bucket at positions `low` to `high`, in any order. O(bucket).

        Args:
            bucket: the bucket.
            low: the lowest position.
            high: the highest position.
            limit: how many are wanted of those with the lowest positions; there are more where
                several are at the last of these positions.
        """
        listing = self._listing(bucket)
        keys, positions = listing.keys, listing.positions
        numbers = listing.numbers(low, high)
        if limit is not None and len(numbers) > limit:
            last = sorted([positions[number] for number in numbers])[limit - 1]
            numbers = listing.numbers(low, last)
        found: list[Entry] = []
        # Only the records that are wanted are touched: they lie anywhere in memory.
        for number in numbers:
            record = bucket.get(keys[number])
            if record is not None:
                found.append(Entry(positions[number], keys[number], record))
        return found

    def span(self, position: int) -> Span:
        """Return the positions whose records the bucket of `position` holds. O(log buckets)."""
        return _span_in(self.buckets, position)

    def overfull(self, position: int) -> Span | None:
        """Return the span of the bucket of `position` if it is to be split. O(1) if it is not."""
        if len(self.bucket(position)) <= KEYS_PER_BUCKET:
            return None
        low, high = self.span(position)
        return (low, high) if high - low >= POSITIONS // _MAX_BUCKETS else None

    def split(self, position: int) -> None:
        """Split the bucket of `position` in the middle of its span, if it is overfull.

        Called with the locks of the stripes of the span held. O(bucket + items of `buckets`).
        """
        with self._splitting:
            span = self.overfull(position)
            if span is not None:
                self._split_locked(span)

    def _split_locked(self, span: Span) -> None:
        low, high = span
        lower: Bucket = {}
        upper: Bucket = {}
        half: i64 = low + (high - low) // 2
        for key, record in self.bucket(low).items():
            (lower if self.position_of(key) <= half else upper)[key] = record
        buckets = list(self.buckets)
        if high - low < POSITIONS // len(buckets):
            buckets = [bucket for bucket in buckets for _ in range(2)]
        size = POSITIONS // len(buckets)
        first, end = low // size, (high + 1) // size
        middle = (first + end) // 2
        buckets[first:end] = [lower] * (middle - first) + [upper] * (end - middle)
        self.buckets = tuple(buckets)
        self._only = None

    def clear(self) -> None:
        """Forget all records. O(records).

        A bucket at a time, between which others have their turn: to free a million records takes a
        tenth of a second.
        """
        left = [bucket for _, bucket in self.between(0, POSITIONS - 1)]
        self._only = {}
        self.buckets = (self._only,)
        self._last_listing = _Listing([], vec[i64]())
        while left:
            left.pop()
            give_way()

    def count(self) -> int:
        """Return how many records there are. O(buckets)."""
        return sum(len(bucket) for _, bucket in self.between(0, POSITIONS - 1))

    def check_invariants(self) -> None:
        """Assert what is always true of the buckets; for tests."""
        buckets = self.buckets
        assert len(buckets).bit_count() == 1, f"{len(buckets)} buckets"
        seen: set[int] = set()
        for span, bucket in self.between(0, POSITIONS - 1):
            assert id(bucket) not in seen, f"the bucket of {span} is in two places"
            seen.add(id(bucket))
            for key in bucket:
                assert span[0] <= self.position_of(key) <= span[1], f"{key!r} is not in {span}"
        assert seen == set(map(id, buckets)), "a bucket has no span"


def _span_in(buckets: tuple[Bucket, ...], position: int) -> Span:
    """Return the span of the bucket of `position`."""
    first = position * len(buckets) >> POSITION_BITS
    bucket, items = buckets[first], 1
    while items < len(buckets) and buckets[first ^ items] is bucket:
        first &= ~items
        items *= 2
    size = POSITIONS // len(buckets)
    return first * size, (first + items) * size - 1
