"""The routes of one stripe: which leads to a position."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, final

from core.cluster.route import UNLISTED, Route, Segment
from core.native import i32, i64, mypyc_attr, vec
from core.stripes import STRIPE_SHIFT

# Of each range its last position, counted from the beginning of the stripe, and its route.
_NUMBERS_PER_RANGE: Final = 2


@final
@mypyc_attr(acyclic=True)
class StripeRoutes:
    """An immutable table of the ranges of a stripe, side by side in a few lines of memory.

    A thousand servers of 150 virtual nodes have 150,000 ranges. A `get` has to look at one of them
    and pays up to 150 ns for each look at memory that is in no cache: so a range takes 8 bytes, its
    end and the number of its route. A list of routes for ever finer parts of the ring lost: with
    few parts most are shared by several ranges, and with many the list itself is in no cache.

    Thread safety: it never changes, so any thread may use it.

    Always true: the ends go up, and the last is that of the stripe; neighbours have different
    owners.

    Args:
        stripe: the stripe.
        ends: the last position of each range, counted from the beginning of the stripe.
        routes: the route of each range.
        listed: all routes that have a number, by their numbers. It grows, and a route in it may be
            exchanged for another one to the same owners.
    """

    __slots__ = ("_listed", "_low", "_ranges", "_unlisted")

    def __init__(
        self, stripe: int, ends: Sequence[int], routes: Sequence[Route], listed: list[Route]
    ) -> None:
        ranges: list[int] = []
        unlisted: list[Route] = []
        for end, route in zip(ends, routes, strict=True):
            number = route.number
            if number == UNLISTED:
                unlisted.append(route)
                number = -len(unlisted)
            ranges += (end, number)
        self._ranges: vec[i32] = vec[i32](ranges)
        self._low: i64 = stripe << STRIPE_SHIFT
        self._listed = listed
        self._unlisted = tuple(unlisted)

    def at(self, position: i64) -> Route:
        """Return the route of a position of the stripe. O(square root of its ranges) at random.

        Ranges end at random, so the share of the stripe that lies before a position is about the
        share of its ranges: of 150 it is three or four off.
        """
        ranges = self._ranges
        place = i32(position - self._low)
        at = ((position - self._low) * len(ranges) >> STRIPE_SHIFT) & -_NUMBERS_PER_RANGE
        while place > ranges[at]:
            at += _NUMBERS_PER_RANGE
        while at > 0 and place <= ranges[at - _NUMBERS_PER_RANGE]:
            at -= _NUMBERS_PER_RANGE
        number = ranges[at + 1]
        return self._listed[number] if number >= 0 else self._unlisted[-number - 1]

    @property
    def routes(self) -> list[Route]:
        """The route of each range, in order."""
        numbers = [int(number) for number in self._ranges[1::_NUMBERS_PER_RANGE]]
        return [
            self._listed[number] if number >= 0 else self._unlisted[-number - 1]
            for number in numbers
        ]

    def segments(self) -> list[Segment]:
        """Return the ranges, in order. O(ranges)."""
        found: list[Segment] = []
        first = int(self._low)
        low = first
        for end, route in zip(self._ends(), self.routes, strict=True):
            high = first + end
            found.append(Segment(low, high, route.owners))
            low = high + 1
        return found

    def with_routes(self, routes: Sequence[Route]) -> "StripeRoutes":
        """Return the same ranges with other routes."""
        stripe = int(self._low) >> STRIPE_SHIFT
        return StripeRoutes(stripe, self._ends(), routes, self._listed)

    def with_range(self, low: int, high: int, route: Route) -> "StripeRoutes":
        """Return the table in which `route` leads to positions `low` to `high`. O(ranges)."""
        start = int(self._low)
        place, end = low - start, high - start
        ends, routes = self._ends(), self.routes
        first, last = bisect_left(ends, place), bisect_left(ends, end)
        # What is left of the ranges in which the new one begins and ends.
        lower, before = ends[:first], routes[:first]
        upper, behind = ends[last:], routes[last:]
        if place > (ends[first - 1] + 1 if first else 0):
            lower.append(place - 1)
            before.append(routes[first])
        if upper[0] == end:
            del upper[0], behind[0]
        # Neighbours with the same owners become one.
        if before and before[-1].owners == route.owners:
            del lower[-1], before[-1]
        if behind and behind[0].owners == route.owners:
            end = upper.pop(0)
            del behind[0]
        return StripeRoutes(
            start >> STRIPE_SHIFT,
            [*lower, end, *upper],
            [*before, route, *behind],
            self._listed,
        )

    def _ends(self) -> list[int]:
        return [int(end) for end in self._ranges[::_NUMBERS_PER_RANGE]]
