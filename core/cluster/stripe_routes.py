"""The routes of one stripe: which leads to a position."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final, final

from core.cluster.route import UNLISTED, Route, Segment
from core.murmur3 import COMPILED
from core.native import i32, i64, mypyc_attr, vec
from core.stripes import STRIPE_SHIFT

# An entry is the last position of a range, counted from the beginning of the stripe, and in the
# lowest bits the number of its route. With 10 bits for the number it takes 4 bytes, and 8 with 32.
_FEW_BITS: Final = 32 - STRIPE_SHIFT
_FEW: Final = (1 << _FEW_BITS) - 1
_MANY_BITS: Final = 32
_MANY: Final = (1 << _MANY_BITS) - 1
# What makes an entry of 4 bytes a signed number, and keeps the order.
_BIAS: Final = 1 << 31
# From here on numbers are those of the routes that are not listed.
_FIRST_UNLISTED: Final = 1 << 31


@final
@mypyc_attr(acyclic=True)
class StripeRoutes:
    """An immutable table of the ranges of a stripe, side by side in a few lines of memory.

    A thousand servers of 150 virtual nodes have 150,000 ranges. A `get` has to look at some of them
    and pays up to 150 ns for each look at memory that is in no cache: so a range takes 4 bytes, its
    end and the number of its route, where no number is above 1,023. With 8 bytes a `get` from a
    thousand servers takes 5 to 10 % longer. A list of routes for
    ever finer parts of the ring lost: with few parts most are shared by several ranges, and with
    many the list itself is in no cache.

    Thread safety: it never changes, so any thread may use it.

    Always true: the ends go up, and the last is that of the stripe; neighbours have different
    owners.

    Args:
        low: the first position of the stripe.
        bits: how many bits of an entry the number of a route has: 10 or 32.
        entries: the ranges.
        unlisted: the routes that have no number; theirs are counted from `_FIRST_UNLISTED` on.
        listed: all routes that have a number, by their numbers. It grows, and a route in it may be
            exchanged for another one to the same owners.
    """

    __slots__ = ("_bits", "_few", "_listed", "_low", "_many", "_unlisted")

    def __init__(
        self,
        low: int,
        bits: int,
        entries: list[int],
        unlisted: tuple[Route, ...],
        listed: list[Route],
    ) -> None:
        nothing: list[int] = []
        # In this order, because compiled they lie in it.
        self._low: i64 = low
        self._bits: i64 = bits
        self._few: vec[i32] = vec[i32](entries if bits == _FEW_BITS else nothing)
        self._listed = listed
        self._many: vec[i64] = vec[i64](entries if bits == _MANY_BITS else nothing)
        self._unlisted = unlisted

    @staticmethod
    def of(
        stripe: int, ends: Sequence[int], routes: Sequence[Route], listed: list[Route]
    ) -> "StripeRoutes":
        """Return the table of a stripe.

        Args:
            stripe: the stripe.
            ends: the last position of each range, counted from the beginning of the stripe.
            routes: the route of each range.
            listed: all routes that have a number.
        """
        unlisted: list[Route] = []
        numbers = [_number_of(route, unlisted) for route in routes]
        few = COMPILED and max(numbers) >> _FEW_BITS == 0
        bits = _FEW_BITS if few else _MANY_BITS
        entries = [_entry(end, numbers[index], bits) for index, end in enumerate(ends)]
        return StripeRoutes(stripe << STRIPE_SHIFT, bits, entries, tuple(unlisted), listed)

    def at(self, position: i64) -> Route:
        """Return the route of a position of the stripe. O(square root of its ranges) at random.

        Ranges end at random, so the share of the stripe that lies before a position is about the
        share of its ranges: of 150 it is three or four off.
        """
        place = position - self._low
        if self._bits == _FEW_BITS:
            few = self._few
            short_goal = i32((place << _FEW_BITS) - _BIAS)
            index = place * len(few) >> STRIPE_SHIFT
            while few[index] < short_goal:
                index += 1
            while index > 0 and few[index - 1] >= short_goal:
                index -= 1
            return self._listed[few[index] & _FEW]
        goal = place << _MANY_BITS
        many = self._many
        if COMPILED:
            index = place * len(many) >> STRIPE_SHIFT
            while many[index] < goal:
                index += 1
            while index > 0 and many[index - 1] >= goal:
                index -= 1
        else:
            numbers: Any = many
            index = bisect_left(numbers, goal)
        return self._route(many[index])

    @property
    def routes(self) -> list[Route]:
        """The route of each range, in order."""
        return [self._route(entry) for entry in self._entries()]

    def segments(self) -> list[Segment]:
        """Return the ranges, in order. O(ranges)."""
        found: list[Segment] = []
        first = int(self._low)
        low = first
        for entry in self._entries():
            high = first + _end(entry, int(self._bits))
            found.append(Segment(low, high, self._route(entry).owners))
            low = high + 1
        return found

    def with_routes(self, routes: Sequence[Route]) -> "StripeRoutes":
        """Return the same ranges with other routes. O(ranges)."""
        ends = [_end(entry, int(self._bits)) for entry in self._entries()]
        return StripeRoutes.of(int(self._low) >> STRIPE_SHIFT, ends, routes, self._listed)

    def with_range(self, low: int, high: int, route: Route) -> "StripeRoutes":
        """Return the table in which `route` leads to positions `low` to `high`. O(ranges)."""
        bits, unlisted = int(self._bits), list(self._unlisted)
        number = _number_of(route, unlisted)
        if number >> bits:
            return self._with_more_bits().with_range(low, high, route)
        entries = self._entries()
        start, end = low - int(self._low), high - int(self._low)
        first = bisect_left(entries, _entry(start, 0, bits))
        last = bisect_left(entries, _entry(end, 0, bits))
        # What is left of the ranges in which the new one begins and ends.
        lower, upper = entries[:first], entries[last:]
        if start > (_end(lower[-1], bits) + 1 if lower else 0):
            lower.append(_entry(start - 1, entries[first] & (1 << bits) - 1, bits))
        if _end(upper[0], bits) == end:
            del upper[0]
        # Neighbours with the same owners become one.
        if lower and self._route(lower[-1]).owners == route.owners:
            del lower[-1]
        if upper and self._route(upper[0]).owners == route.owners:
            end = _end(upper[0], bits)
            del upper[0]
        lower.append(_entry(end, number, bits))
        lower += upper
        return StripeRoutes(int(self._low), bits, lower, tuple(unlisted), self._listed)

    def _with_more_bits(self) -> "StripeRoutes":
        """Return the same with 32 bits for the number of a route."""
        bits = int(self._bits)
        entries = [
            _entry(_end(entry, bits), entry & (1 << bits) - 1, _MANY_BITS)
            for entry in self._entries()
        ]
        return StripeRoutes(int(self._low), _MANY_BITS, entries, self._unlisted, self._listed)

    def _entries(self) -> list[int]:
        if self._bits == _FEW_BITS:
            return [int(entry) for entry in self._few]
        return [int(entry) for entry in self._many]

    def _route(self, entry: i64) -> Route:
        # Not shifted by so many bits: mypyc 2.4 shifts a literal as a number of 32 bits.
        number = entry & (_FEW if self._bits == _FEW_BITS else _MANY)
        if number < _FIRST_UNLISTED:
            return self._listed[number]
        return self._unlisted[number - _FIRST_UNLISTED]


def _entry(end: int, number: int, bits: int) -> int:
    """Return the entry of a range."""
    entry = end << bits | number
    return entry - _BIAS if bits == _FEW_BITS else entry


def _end(entry: int, bits: int) -> int:
    """Return the last position of a range, counted from the beginning of its stripe."""
    return (entry + _BIAS if bits == _FEW_BITS else entry) >> bits


def _number_of(route: Route, unlisted: list[Route]) -> int:
    """Return a route's number; one that has none is appended to `unlisted`, if it is not there."""
    if route.number != UNLISTED:
        return route.number
    if route not in unlisted:
        unlisted.append(route)
    return _FIRST_UNLISTED + unlisted.index(route)
