"""A set of positions, kept as spans. Knows no ring and no storage."""

from bisect import bisect_left, bisect_right


class PositionSpans:
    """Positions that are in, as few spans as there can be.

    Always true: the spans are sorted and disjoint, and no two touch.

    >>> spans = PositionSpans()
    >>> spans.add(10, 19)
    >>> spans.add(20, 29)
    >>> spans.remove(15, 16)
    >>> spans.as_list()
    [(10, 14), (17, 29)]
    """

    def __init__(self) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []

    def add(self, low: int, high: int) -> None:
        """Put the positions `low` to `high` in. O(log spans), and a move of the spans behind."""
        first = bisect_left(self._highs, low - 1)
        end = bisect_right(self._lows, high + 1)
        if first < end:
            low = min(low, self._lows[first])
            high = max(high, self._highs[end - 1])
        self._lows[first:end] = [low]
        self._highs[first:end] = [high]

    def remove(self, low: int, high: int) -> None:
        """Take the positions `low` to `high` out. O(log spans), and a move of the spans behind."""
        first = bisect_left(self._highs, low)
        end = bisect_right(self._lows, high)
        if first >= end:
            return
        before, after = self._lows[first], self._highs[end - 1]
        left = [(before, low - 1)] if before < low else []
        right = [(high + 1, after)] if after > high else []
        self._lows[first:end] = [span[0] for span in left + right]
        self._highs[first:end] = [span[1] for span in left + right]

    def as_list(self) -> list[tuple[int, int]]:
        """Return first and last position of each span, in order. O(spans)."""
        return list(zip(self._lows, self._highs, strict=True))
