"""How long operations took: a log-bucketed histogram that is cheap to fill and exact to combine.

Knows nothing of what was measured, nor of whoever shows it.

The buckets are those of an HDR histogram (Gil Tene, http://hdrhistogram.org): every power of two of
nanoseconds is cut into 32 buckets of one width, so that a bucket is never wider than 1/32 of the
values that it counts. What is read out of a histogram is the middle of a bucket, and so at most
1/64 (1.6 %) off. A list of all values lost because it grows without end; a random sample, because
it is thinnest in the tail, which is what one looks for; an exact sum and maximum beside the
buckets, because they cost more to keep than a bucket and the maximum can't be subtracted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil
from operator import add, mul, sub

_SUB_BUCKET_BITS = 5
_SUB_BUCKETS = 1 << _SUB_BUCKET_BITS
# Numbers of up to this many bits are not cut: each has a bucket of its own.
_EXACT_BITS = _SUB_BUCKET_BITS + 1
# Eighteen minutes: beyond any time limit of any operation.
_LONGEST_BITS = 40
_BUCKETS = (_LONGEST_BITS - _EXACT_BITS + 2) * _SUB_BUCKETS


def _middle_of(bucket: int) -> int:
    """Return the nanoseconds in the middle of a bucket; `LatencyRecorder.record` fills them."""
    shift = max(0, (bucket >> _SUB_BUCKET_BITS) - 1)
    lowest = (bucket - (shift << _SUB_BUCKET_BITS)) << shift
    return lowest + (1 << shift) // 2


_MIDDLES = tuple(map(_middle_of, range(_BUCKETS)))
_NOTHING = (0,) * _BUCKETS


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """The figures of a histogram that one looks at, each at most 1.6 % off.

    Attributes:
        count: how many operations were measured; all other figures are 0 when there were none.
        mean_ns: the mean, in nanoseconds.
        p50_ns: the median, in nanoseconds.
        p99_ns: 99 % took no longer, in nanoseconds.
        p999_ns: 99.9 % took no longer, in nanoseconds.
        maximum_ns: the longest, in nanoseconds.
    """

    count: int
    mean_ns: float
    p50_ns: int
    p99_ns: int
    p999_ns: int
    maximum_ns: int


@dataclass(frozen=True, slots=True)
class LatencyHistogram:
    """How many operations took how long: an immutable value of a fixed size.

    The sum of two histograms is that of both. The difference to an earlier one of the same recorder
    is that of the time in between.

    Thread safety: it never changes, so any thread may use it.

    Attributes:
        counts: how many values fell into each of the 1,152 buckets.

    >>> recorder = LatencyRecorder()
    >>> for nanoseconds in (10, 20, 30):
    ...     recorder.record(nanoseconds)
    >>> before = recorder.histogram()
    >>> recorder.record(40)
    >>> recorder.histogram().percentile(50), (recorder.histogram() - before).percentile(50)
    (20, 40)
    """

    counts: tuple[int, ...] = field(default=_NOTHING, repr=False)

    @staticmethod
    def merged(histograms: "Iterable[LatencyHistogram]") -> "LatencyHistogram":
        """Return the sum of all of them; an empty one for none. O(histograms x buckets)."""
        rows = [histogram.counts for histogram in histograms]
        return LatencyHistogram(tuple(map(sum, zip(*rows, strict=True))) or _NOTHING)

    def __add__(self, other: "LatencyHistogram") -> "LatencyHistogram":
        return LatencyHistogram(tuple(map(add, self.counts, other.counts)))

    def __sub__(self, earlier: "LatencyHistogram") -> "LatencyHistogram":
        counts = tuple(map(sub, self.counts, earlier.counts))
        if min(counts) < 0:
            raise ValueError("only an earlier histogram of the same recorder can be subtracted")
        return LatencyHistogram(counts)

    @property
    def count(self) -> int:
        """How many values there are. O(buckets)."""
        return sum(self.counts)

    def percentile(self, percent: float) -> int:
        """Return the nanoseconds that `percent` of the values do not exceed; 0 without values.

        By the nearest-rank method: it is (the middle of the bucket of) a value that was recorded.
        O(buckets).

        Args:
            percent: 0 for the least value, to 100 for the greatest.

        Raises:
            ValueError: `percent` is not 0 to 100.
        """
        if not 0 <= percent <= 100:
            raise ValueError(f"percent must be 0 to 100, not {percent}")
        # Multiplied first: 99.9 / 100 * 1000 is a little more than 999, and would give rank 1000.
        rank = max(1, ceil(percent * self.count / 100))
        for middle, reached in zip(_MIDDLES, accumulate(self.counts), strict=True):
            if reached >= rank:
                return middle
        return 0

    def summary(self) -> LatencySummary:
        """Return the figures that one looks at. O(buckets)."""
        count = self.count
        return LatencySummary(
            count=count,
            mean_ns=sum(map(mul, self.counts, _MIDDLES)) / count if count else 0.0,
            p50_ns=self.percentile(50),
            p99_ns=self.percentile(99),
            p999_ns=self.percentile(99.9),
            maximum_ns=self.percentile(100),
        )


class LatencyRecorder:
    """Fills a histogram: one list item counted up for each value.

    Thread safety: one thread records, without a lock; any thread may take a `histogram` meanwhile,
    which holds every value whose `record` has returned.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS

    def record(self, nanoseconds: int) -> None:
        """Count one value. O(1), about 0.2 microseconds.

        Args:
            nanoseconds: 0 or more; what is longer than 18 minutes counts as 18 minutes.
        """
        shift = nanoseconds.bit_length() - _EXACT_BITS
        if shift < 0:
            shift = 0
        try:
            self._counts[(shift << _SUB_BUCKET_BITS) + (nanoseconds >> shift)] += 1
        except IndexError:
            self._counts[-1] += 1

    def histogram(self) -> LatencyHistogram:
        """Return what was recorded until now. O(buckets)."""
        return LatencyHistogram(tuple(self._counts))
