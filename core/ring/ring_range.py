"""A range: the half-open arc of the ring from one position to another."""

from typing import NamedTuple

from core.stripes import LAST_POSITION, POSITIONS


class Range(NamedTuple):
    """The positions after `start` up to and including `end`, clockwise.

    It wraps past the last position when `end` <= `start`; `start` == `end` is the whole ring.
    (A range is never empty.)

    >>> Range(10, 20).size
    10
    >>> 10 in Range(10, 20), 20 in Range(10, 20)
    (False, True)
    >>> 5 in Range(4_000_000_000, 10)
    True
    """

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many positions the range has, 1 to 2**32."""
        return (self.end - self.start) % POSITIONS or POSITIONS

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and (position - self.start - 1) % POSITIONS < self.size

    def spans(self) -> tuple[tuple[int, int], ...]:
        """Return the range as one or two pairs (lowest, highest position), both inclusive.

        >>> Range(10, 20).spans()
        ((11, 20),)
        >>> Range(4294967290, 5).spans()
        ((4294967291, 4294967295), (0, 5))
        """
        first = (self.start + 1) % POSITIONS
        if first <= self.end:
            return ((first, self.end),)
        return ((first, LAST_POSITION), (0, self.end))
