"""What a change of the ring would move: the exact difference between two views."""

from typing import NamedTuple

from core.ring.ring_range import Range
from core.ring.ring_view import RingView


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

    O(v log v) for v vnodes in both views. The result is minimal: no position in it has the same
    replicas in both views, and no two neighbouring ranges have the same change.
    """
    boundaries = sorted({*old.positions, *new.positions})
    changes: list[OwnershipChange] = []
    for index, end in enumerate(boundaries):
        before, after = old.replicas(end, count), new.replicas(end, count)
        if before == after:
            continue
        start = boundaries[index - 1]
        previous = changes[-1] if changes else None
        if previous is not None and previous == (Range(previous.range.start, start), before, after):
            changes[-1] = OwnershipChange(Range(previous.range.start, end), before, after)
        else:
            changes.append(OwnershipChange(Range(start, end), before, after))
    return _merged_over_the_wrap(changes)


def _merged_over_the_wrap(changes: list[OwnershipChange]) -> tuple[OwnershipChange, ...]:
    """Merge the last range into the first where it goes on past the last position."""
    if len(changes) > 1:
        first, last = changes[0], changes[-1]
        if last.range.end == first.range.start and last[1:] == first[1:]:
            whole = Range(last.range.start, first.range.end)
            changes = [OwnershipChange(whole, *first[1:]), *changes[1:-1]]
    return tuple(changes)
