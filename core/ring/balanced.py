"""Choosing the points of a server so that every server's share is its weight's part of the ring.

A server that joins is to own its weight's part, taken from the others so that they keep theirs. A
vnode at *p* takes from the range it falls into, (*start*, *end*], the positions (*start*, *p*]. So
how much each server gives is decided first, then which of its ranges are cut, and then where:

1. **Who gives.** Whoever has more than its part, for its weight, gives down to a level that all who
   give have in common; nobody gives below it. With more servers than points, those that have most.
2. **Which ranges.** Of each giver the largest, since a part of a small one is soon too small to be
   cut again; and rather those whose neighbour before it is often followed by the same server. That
   one would take all of the neighbour's ranges if it left, and has its replicas.
3. **Where.** All ranges of a giver are cut in the same proportion; the points are dealt out so that
   this proportion is as small as it can be for whoever must give the largest.

Every server has as many points as it would have at random, and a join moves its weight's part of
the ring and no more: random points move that much too, on average.

A server that leaves gives its ranges to the vnodes behind them, to some servers more than to
others: of 10 servers the fullest then has 11 % above the mean, as at random. Nothing can be chosen
then; whoever joins next takes from those that got more.

Prior art: Cassandra chooses the tokens of a joining node by what they do to the shares, and keeps
them (CASSANDRA-7032). More random vnodes lost: 1,000 of them, each a range to be moved and looked
up, still leave the fullest of 100 servers some 9 % above the mean (`tests/benchmarks/balance.py`).

Knows no storage. All functions are deterministic: the same view and server give the same points.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple, TypeVar

from core.ring.hashing import SEED, murmur3
from core.ring.ring_view import RingView
from core.stripes import LAST_POSITION, POSITIONS

# The most of a range that is cut off: what is left is to be worth cutting once more. What a giver
# keeps for it, 0.1 % of its share, it gives to the next one.
_MOST_CUT_OFF: Final = 0.9
# How much it counts, beside the size of a range, how often its server follows the one before it.
# With 0 the second copies of keys are spread as unevenly as at random (the fullest of 4 to 40
# servers has 1.11 of the mean); with 0.3 it has 1.08; above that, ranges grow that nobody cuts.
_VARIETY: Final = 0.3
# No weight gives a server less room than this, in positions for each of its points.
_ROOM: Final = 4

_T = TypeVar("_T")


class _Gap(NamedTuple):
    """The `size` positions behind `start`: a range, or a part of one from its beginning on."""

    start: int
    size: int

    def position_at(self, distance: int) -> int:
        return (self.start + distance) % POSITIONS


_WHOLE_RING: Final = _Gap(LAST_POSITION, POSITIONS)


def balanced_positions(view: RingView, server_id: str, weight: float, count: int) -> list[int]:
    """Return where the points of a server are to lie, in order: all of them, and all distinct.

    Points that it has already stay where they are. If it has more than `count`, those are dropped
    whose ranges go to the servers that lack most.

    O(servers log servers + (count + vnodes of those that give) x log all vnodes).

    Args:
        view: the ring without the server, or with the points that it has now.
        server_id: the server.
        weight: its weight, which may be another one than it has in the view.
        count: how many points it is to have, at least 1.
    """
    own = [vnode.position for vnode in view.vnodes_by_server.get(server_id, ())]
    if count < len(own):
        return sorted(_kept(view.without_server(server_id), server_id, weight, own, count))
    return sorted(own + _added(view, server_id, weight, own, count - len(own)))


def _added(
    view: RingView, server_id: str, weight: float, own: Sequence[int], count: int
) -> list[int]:
    """Return `count` more points for a server."""
    if not view.vnodes:
        return [_WHOLE_RING.position_at(POSITIONS), *_split([_WHOLE_RING], count - 1)]
    gifts = _gifts(view, server_id, weight, len(own) + count, most_givers=count)
    cuts = _cuts(view, server_id, gifts, count)
    points = [cut.position_at(cut.size) for cut in cuts]
    if len(points) < count:
        # Nobody has more to give. A point within the server's own ranges moves nothing.
        points += _split([*cuts, *(_gap_before(view, place) for place in own)], count - len(cuts))
    return points


def _gifts(
    view: RingView, server_id: str, weight: float, count: int, most_givers: int
) -> dict[str, float]:
    """Return how many positions each of the others is to give.

    Args:
        view: the ring.
        server_id: the server that takes.
        weight: its weight.
        count: how many points it is to have.
        most_givers: how many others may give.
    """
    sizes, counts = view.sizes(), view.vnode_counts()
    others = [other for other in view.weights if other != server_id]
    # The smallest weight that a point counts with: so many positions have to be its own.
    point = _ROOM / POSITIONS * (sum(view.weights[other] for other in others) + weight)
    weights = {other: max(view.weights[other], counts[other] * point) for other in others}
    weight = max(weight, count * point)
    own = sizes.get(server_id, 0)
    wanted = POSITIONS * weight / (sum(weights.values()) + weight) - own
    if wanted < 1:
        return {}
    loads = sorted(((sizes[other] / weights[other], other) for other in others), reverse=True)
    givers: list[str] = []
    theirs = their_weight = level = 0.0
    for load, other in loads[:most_givers]:
        if givers and load <= level:
            break
        givers.append(other)
        theirs += sizes[other]
        their_weight += weights[other]
        # So that they give what is wanted together, but none gives more than the server then has.
        level = max((theirs - wanted) / their_weight, (theirs + own) / (their_weight + weight))
    return {giver: sizes[giver] - level * weights[giver] for giver in givers}


def _cuts(view: RingView, server_id: str, gifts: Mapping[str, float], count: int) -> list[_Gap]:
    """Return what to cut off from the beginnings of the givers' ranges: `count` parts, or less."""
    ranges = {giver: _ranges_to_cut(view, giver, server_id) for giver in gifts}
    gifts = {giver: gift for giver, gift in gifts.items() if gift >= 1 and ranges[giver]}
    # How much a giver has in the first so many of its ranges.
    sums = {giver: list(accumulate(gap.size for gap in ranges[giver])) for giver in gifts}
    points = dict.fromkeys(gifts, 1)
    # Who has to give the largest part of its ranges gets the next point, which needs one more.
    urgent = [(-gift / sums[giver][0], giver) for giver, gift in gifts.items()]
    heapq.heapify(urgent)
    left = count - len(gifts)
    while left > 0 and urgent:
        giver = heapq.heappop(urgent)[1]
        if points[giver] < len(ranges[giver]):
            heapq.heappush(urgent, (-gifts[giver] / sums[giver][points[giver]], giver))
            points[giver] += 1
            left -= 1
    cuts: list[_Gap] = []
    for giver, number in points.items():
        # Whoever gives nearly everything can't leave more.
        most = max(_MOST_CUT_OFF, gifts[giver] / sums[giver][-1])
        part = min(most, gifts[giver] / sums[giver][number - 1])
        cuts += [_Gap(gap.start, max(1, int(gap.size * part))) for gap in ranges[giver][:number]]
    return cuts


def _ranges_to_cut(view: RingView, giver: str, server_id: str) -> list[_Gap]:
    """Return the ranges of a server that can be cut, those first that are best cut."""
    positions, vnodes = view.positions, view.vnodes
    found: list[tuple[int, int, str]] = []
    # How much the giver would take over if the server before its ranges left.
    behind: Counter[str] = Counter()
    for vnode in view.vnodes_by_server[giver]:
        index = bisect_left(positions, vnode.position)
        start, neighbour = positions[index - 1], vnodes[index - 1].server_id
        behind[neighbour] += (start - positions[(index - 2) % len(positions)]) % POSITIONS
        size = (vnode.position - start) % POSITIONS or POSITIONS
        if size > 1:  # its last position has the giver's own point
            found.append((start, size, neighbour))
    often = {neighbour: size**_VARIETY for neighbour, size in behind.items()}
    order = sorted(
        # Equal ones in any order, another one for each server: neighbours vary.
        (
            -size * often[neighbour],
            murmur3(f"{server_id}#{start}".encode(), SEED, False),
            start,
            size,
        )
        for start, size, neighbour in found
    )
    return [_Gap(start, size) for _, _, start, size in order]


def _kept(
    view: RingView, server_id: str, weight: float, own: Sequence[int], count: int
) -> list[int]:
    """Return which `count` of its points a server keeps; `view` is the ring without it."""
    if not view.vnodes:
        return _spread(own, count)
    gifts = _gifts(view, server_id, weight, count, most_givers=count)
    # The points by whom they take from, and in which of its ranges they lie.
    places: dict[str, dict[int, list[_Gap]]] = {}
    for position in own:
        vnode = view.vnode_at(position)
        start = _gap_before(view, vnode.position).start
        gap = _Gap(start, (position - start) % POSITIONS)
        places.setdefault(vnode.server_id, {}).setdefault(start, []).append(gap)
    holdings = [
        _Holding(list(ranges.values()), gifts.get(giver, 0.0)) for giver, ranges in places.items()
    ]
    return [
        gap.position_at(gap.size)
        for holding, number in zip(holdings, _numbers(holdings, count), strict=True)
        for gap in holding.kept(number)
    ]


class _Holding:
    """The points of a server in the ranges of one giver.

    Of the points in one range, the last one takes what all of them take.

    Args:
        ranges: the points in each range, as what each would take alone.
        gift: how much they are to take together.
    """

    def __init__(self, ranges: Sequence[list[_Gap]], gift: float) -> None:
        self._gift = gift
        # Those first of which the last point takes least.
        self._ranges = sorted(map(sorted, ranges), key=lambda points: points[-1].size)
        # How much the last points of so many ranges take, and how many points there are in them.
        self._taken = [0, *accumulate(points[-1].size for points in self._ranges)]
        self._points = [0, *accumulate(map(len, self._ranges))]
        # Of how many ranges the smallest take no more than the gift.
        self._small = bisect_right(self._taken, gift) - 1

    @property
    def fewest(self) -> int:
        """With how many points the gift can be taken."""
        left = bisect_right(self._taken, self._taken[-1] - self._gift) - 1
        return len(self._ranges) - max(left, 0)

    @property
    def most(self) -> int:
        """With how many points no more than the gift need be taken."""
        return self._points[self._small]

    @property
    def all(self) -> int:
        """How many points there are."""
        return self._points[-1]

    def kept(self, count: int) -> list[_Gap]:
        """Return which `count` points to keep, so that they take about the gift."""
        used, first = min(count, self._small), 0
        while self._points[used] < count:
            used += 1
        if used == count:  # one in each range: which ranges is open
            first = min(
                range(len(self._ranges) - used + 1),
                key=lambda start: abs(self._taken[start + used] - self._taken[start] - self._gift),
            )
        ranges = self._ranges[first : first + used]
        # In a range, those before the last one take nothing more.
        others = [point for points in ranges for point in points[:-1]]
        return [points[-1] for points in ranges] + _spread(others, count - used)


def _numbers(holdings: Sequence[_Holding], count: int) -> list[int]:
    """Return how many points to keep of each, `count` together, so that each can take its gift."""
    fewest = [holding.fewest for holding in holdings]
    most = [max(holding.fewest, holding.most) for holding in holdings]
    limits = [0] * len(holdings), fewest, most, [holding.all for holding in holdings]
    low, high = next(pair for pair in pairwise(limits) if sum(pair[1]) >= count)
    # As far from the low number to the high one for each; in whole numbers, to be within the two.
    missing, room = count - sum(low), max(1, sum(high) - sum(low))
    steps = accumulate(other - one for one, other in zip(low, high, strict=True))
    added = pairwise([0, *(step * missing // room for step in steps)])
    return [one + end - start for one, (start, end) in zip(low, added, strict=True)]


def _spread(items: Sequence[_T], count: int) -> list[_T]:
    """Return `count` of the items, from everywhere among them."""
    return [items[number * len(items) // count] for number in range(count)]


def _split(gaps: Sequence[_Gap], count: int) -> list[int]:
    """Return `count` points within gaps, so that the parts of the largest are small."""
    parts = [(-float(gap.size), gap, 1) for gap in gaps]
    heapq.heapify(parts)
    for _ in range(count):
        _, gap, number = parts[0]
        heapq.heapreplace(parts, (-gap.size / (number + 1), gap, number + 1))
    return [
        gap.position_at(gap.size * part // number)
        for _, gap, number in parts
        for part in range(1, number)
    ]


def _gap_before(view: RingView, position: int) -> _Gap:
    """Return the positions that the vnode at `position` owns."""
    start = view.positions[bisect_left(view.positions, position) - 1]
    return _Gap(start, (position - start) % POSITIONS or POSITIONS)
