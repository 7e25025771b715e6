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
        entries: the ranges, each with 32 bits for the number.
        unlisted: the routes that have no number; theirs are counted from `_FIRST_UNLISTED` on.
        listed: all routes that have a number, by their numbers. It grows, and a route in it may be
            exchanged for another one to the same owners.
    """

    __slots__ = ("_few", "_is_few", "_listed", "_low", "_many", "_unlisted")

    def __init__(
        self,
        low: int,
        entries: list[int],
        unlisted: tuple[Route, ...],
        listed: list[Route],
    ) -> None:
        is_few = COMPILED and max([entry & _MANY for entry in entries]) <= _FEW
        few = [_narrow(entry) for entry in entries] if is_few else []
        many = [] if is_few else entries
        # In this order, because compiled they lie in it.
        self._low: i64 = low
        self._is_few = is_few
        self._few: vec[i32] = vec[i32](few)
        self._listed = listed
        self._many: vec[i64] = vec[i64](many)
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
        entries: list[int] = []
        for end, route in zip(ends, routes, strict=True):
            entries.append(end << _MANY_BITS | _number_of(route, unlisted))
        return StripeRoutes(stripe << STRIPE_SHIFT, entries, tuple(unlisted), listed)

    def at(self, position: i64) -> Route:
        """Return the route of a position of the stripe. O(square root of its ranges) at random.

        Ranges end at random, so the share of the stripe that lies before a position is about the
        share of its ranges: of 150 it is three or four off.
        """
        place = position - self._low
        if self._is_few:
            few = self._few
            goal = place << _FEW_BITS
            index = place * len(few) >> STRIPE_SHIFT
            while i64(few[index]) & _MANY < goal:
                index += 1
            while index > 0 and i64(few[index - 1]) & _MANY >= goal:
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
        return self._route(many[index] & _MANY)

    @property
    def routes(self) -> list[Route]:
        """The route of each range, in order."""
        return [self._route(entry & _MANY) for entry in self._entries()]

    def segments(self) -> list[Segment]:
        """Return the ranges, in order. O(ranges)."""
        found: list[Segment] = []
        first = int(self._low)
        low = first
        for entry in self._entries():
            high = first + (entry >> _MANY_BITS)
            found.append(Segment(low, high, self._route(entry & _MANY).owners))
            low = high + 1
        return found

    def with_routes(self, routes: Sequence[Route]) -> "StripeRoutes":
        """Return the same ranges with other routes."""
        ends = [entry >> _MANY_BITS for entry in self._entries()]
        return StripeRoutes.of(int(self._low) >> STRIPE_SHIFT, ends, routes, self._listed)

    def with_range(self, low: int, high: int, route: Route) -> "StripeRoutes":
        """Return the table in which `route` leads to positions `low` to `high`. O(ranges)."""
        unlisted = list(self._unlisted)
        number = _number_of(route, unlisted)
        entries = self._entries()
        start, end = low - int(self._low), high - int(self._low)
        first = bisect_left(entries, start << _MANY_BITS)
        last = bisect_left(entries, end << _MANY_BITS)
        # What is left of the ranges in which the new one begins and ends.
        lower, upper = entries[:first], entries[last:]
        if start > ((lower[-1] >> _MANY_BITS) + 1 if lower else 0):
            lower.append((start - 1) << _MANY_BITS | entries[first] & _MANY)
        if upper[0] >> _MANY_BITS == end:
            del upper[0]
        # Neighbours with the same owners become one.
        if lower and self._route(lower[-1] & _MANY).owners == route.owners:
            del lower[-1]
        if upper and self._route(upper[0] & _MANY).owners == route.owners:
            end = upper.pop(0) >> _MANY_BITS
        changed = [*lower, end << _MANY_BITS | number, *upper]
        return StripeRoutes(int(self._low), changed, tuple(unlisted), self._listed)

    def _entries(self) -> list[int]:
        """Return the ranges, each with 32 bits for the number."""
        if not self._is_few:
            return [int(entry) for entry in self._many]
        wide: list[int] = []
        for narrow in self._few:
            entry = i64(narrow) & _MANY
            wide.append(int(entry >> _FEW_BITS << _MANY_BITS | entry & _FEW))
        return wide

    def _route(self, number: i64) -> Route:
        if number < _FIRST_UNLISTED:
            return self._listed[number]
        return self._unlisted[number - _FIRST_UNLISTED]


def _number_of(route: Route, unlisted: list[Route]) -> int:
    """Return a route's number; one that has none is appended to `unlisted`, if it is not there."""
    if route.number != UNLISTED:
        return route.number
    if route not in unlisted:
        unlisted.append(route)
    return _FIRST_UNLISTED + unlisted.index(route)


def _narrow(entry: int) -> int:
    """Return an entry with 10 bits for the number, as the signed number of 32 bits that it is."""
    narrow = entry >> _MANY_BITS << _FEW_BITS | entry & _FEW
    return narrow - (1 << 32) if narrow >> 31 else narrow
