"""What a change of the ring would move: the exact difference between two views.

A position's replicas are found by walking clockwise until enough distinct servers were met. So they
can differ only where one of the two walks meets, as the first vnode of its server, a vnode that the
other view does not have. Going back from every such vnode gives the spans in which that may be; the
rest of the ring, nearly all of it in a large one, is not looked at.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from core.ring.ring_range import Range
from core.ring.ring_view import RingView, Vnode


class OwnershipChange(NamedTuple):
    """A range whose replicas are not the same in two views.

    Attributes:
        range: the positions.
        old_replicas: who holds them in the old view, primary first; empty if it had no server.
        new_replicas: who holds them in the new view, primary first; empty if it has no server.
    """

    range: Range
    old_replicas: tuple[str, ...]
    new_replicas: tuple[str, ...]


def ownership_diff(old: RingView, new: RingView, count: int = 1) -> tuple[OwnershipChange, ...]:
    """Return every range whose first `count` servers differ, in ring order, neighbours merged.

    The result is minimal: no position in it has the same replicas in both views, and no two
    neighbouring ranges have the same change.

    O(servers + c log v + p x count) for c vnodes that only one of the views has, v vnodes in both,
    and p vnodes in the spans that such a vnode can matter to: about c x count, if there are more
    than `count` servers. Of two views that were not made from one another (see `RingView`), every
    vnode is compared: O(v).
    """
    last_boundary = max([*old.positions[-1:], *new.positions[-1:]], default=0)
    changes: list[OwnershipChange] = []
    for low, high in _spans_that_may_differ(old, new, count):
        # A span begins right behind a vnode, or, at 0, is the end of a range that wraps.
        start = low - 1 if low else last_boundary
        for end, before, after in _replicas_in_both(old, new, low, high, count):
            if before != after:
                _append_merged(changes, start, end, before, after)
            start = end
    return _merged_over_the_wrap(changes)


def _spans_that_may_differ(old: RingView, new: RingView, count: int) -> list[tuple[int, int]]:
    """Return the spans (lowest, highest position), in order and apart, to look for changes in."""
    spans = sorted(
        span
        for view, other in ((old, new), (new, old))
        for vnode in _vnodes_only_in(view, other)
        for span in _spans_of_influence(view, vnode, count)
    )
    apart: list[tuple[int, int]] = []
    for low, high in spans:
        if apart and low <= apart[-1][1] + 1:
            apart[-1] = (apart[-1][0], max(apart[-1][1], high))
        else:
            apart.append((low, high))
    return apart


def _vnodes_only_in(view: RingView, other: RingView) -> Iterator[Vnode]:
    for server_id, vnodes in view.vnodes_by_server.items():
        others = other.vnodes_by_server.get(server_id, ())
        if vnodes is not others:
            yield from set(vnodes).difference(others)


def _spans_of_influence(view: RingView, vnode: Vnode, count: int) -> tuple[tuple[int, int], ...]:
    """Return the positions that have the vnode's server among their replicas because of it.

    They begin behind the vnode, counted backwards, at which `count` other servers were met, or
    behind the server's own one before: at the latest, once around the ring, behind the vnode.
    """
    met: set[str] = set()
    here = index = bisect_left(view.vnodes, vnode)
    while len(met) < count:
        index -= 1  # below 0 it counts from the end, as the ring does
        server_id = view.vnodes[index].server_id
        if server_id == vnode.server_id:
            break
        met.add(server_id)
    start = view.vnodes[index].position
    if start == vnode.position and 0 <= index < here:
        return ()  # no position lies between two vnodes at the same one
    return Range(start, vnode.position).spans()


def _replicas_in_both(
    old: RingView, new: RingView, low: int, high: int, count: int
) -> list[tuple[int, tuple[str, ...], tuple[str, ...]]]:
    """Return the positions of both views' vnodes in a span, in order, with their replicas."""
    old_ends, before = old.replicas_between(low, high, count)
    new_ends, after = new.replicas_between(low, high, count)
    before_at, after_at = dict(old_ends), dict(new_ends)
    found = []
    # Backwards, since a position without a vnode belongs to the next vnode.
    for end in sorted(before_at.keys() | after_at.keys(), reverse=True):
        before, after = before_at.get(end, before), after_at.get(end, after)
        found.append((end, before, after))
    return found[::-1]


def _append_merged(
    changes: list[OwnershipChange],
    start: int,
    end: int,
    before: tuple[str, ...],
    after: tuple[str, ...],
) -> None:
    """Append a change, or let the last one go on if it is the same and ends where this starts."""
    if changes and changes[-1] == (Range(changes[-1].range.start, start), before, after):
        start = changes.pop().range.start
    changes.append(OwnershipChange(Range(start, end), before, after))


def _merged_over_the_wrap(changes: list[OwnershipChange]) -> tuple[OwnershipChange, ...]:
    """Merge the last range into the first where it goes on past the last position."""
    if len(changes) > 1:
        first, last = changes[0], changes[-1]
        if last.range.end == first.range.start and last[1:] == first[1:]:
            whole = Range(last.range.start, first.range.end)
            changes = [OwnershipChange(whole, *first[1:]), *changes[1:-1]]
    return tuple(changes)
