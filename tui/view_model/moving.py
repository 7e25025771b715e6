"""Which positions are still, or again, somewhere else than the ring says, while a migration runs.

A migration moves the ranges of its plan clockwise from position 0 and says which fraction of them
has moved; the plan's ranges are the difference of the ring before and after. So the picture of
the ring can show, at every moment, who really answers for a position.
"""

import itertools
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from core.cluster.migration import MigrationProgress
from core.cluster.plan import ChangeKind
from core.cluster.snapshot import StoreSnapshot
from core.ring.ownership_diff import ownership_diff
from core.ring.ring_view import RingView


class Displaced(NamedTuple):
    """Positions that the ring's view gives to a server that does not have them yet.

    Attributes:
        low: the first of them.
        high: the last of them.
        holder: who answers for them now; None if nobody does.
    """

    low: int
    high: int
    holder: str | None


class _Span(NamedTuple):
    low: int
    high: int
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """The ranges of the migration under way, in the order in which they move.

    Attributes:
        kind: whether the server joins or leaves.
        server_id: that server.
        epoch: the epoch that the ring got when it was committed.
        spans: what moves, from whom to whom.
        ends: how many positions have moved once each span has.
    """

    kind: ChangeKind
    server_id: str
    epoch: int
    spans: tuple[_Span, ...] = field(repr=False)
    ends: tuple[int, ...] = field(repr=False)

    def displaced(self, progress: MigrationProgress) -> tuple[Displaced, ...]:
        """Return where the ring's view is ahead of what has moved, sorted by position.

        Exact between two moves. Only of the one span that was under way when the migration was
        cancelled is it not known how far it had come. O(spans log spans).
        """
        total = self.ends[-1] if self.ends else 0
        moved = round(progress.fraction * total)
        whole = bisect_right(self.ends, moved)
        moved_of_next = moved - (self.ends[whole - 1] if whole else 0)
        if progress.cancelling:
            left = [(span, span.low, span.new) for span in self.spans[:whole]]
            if moved_of_next:
                # The last span goes back first, and each from its first position on.
                span = self.spans[whole]
                left.append((span, span.high - moved_of_next + 1, span.new))
        else:
            left = [(span, span.low, span.old) for span in self.spans[whole:]]
            if left:
                first, low, holder = left[0]
                left[0] = (first, low + moved_of_next, holder)
        # Of several replicas, one may move while the one that answers stays.
        return tuple(
            sorted(
                Displaced(low, span.high, holder)
                for span, low, holder in left
                if span.old != span.new
            )
        )


def follow(
    change: MembershipChange | None, view_before: RingView | None, snapshot: StoreSnapshot
) -> MembershipChange | None:
    """Return the change that is under way in `snapshot`; None without one, or if it can't be known.

    It can't when nobody looked between the change before it and this one, or before the first: the
    ring as it was is then unknown. O(1), but O(v log v) for v vnodes when a change is first seen.

    Args:
        change: what this returned for the snapshot before.
        view_before: the ring of the snapshot before.
        snapshot: the store now.
    """
    progress = snapshot.migration
    if progress is None:
        return None
    # Committing counts the epoch up, and so does turning back.
    committed = snapshot.epoch - 1 if progress.cancelling else snapshot.epoch
    if change is not None and change.epoch == committed:
        return change
    if view_before is None or progress.cancelling or view_before.epoch != committed - 1:
        return None
    spans = tuple(
        _Span(low, high, next(iter(moved.old_replicas), None), next(iter(moved.new_replicas), None))
        for moved in ownership_diff(view_before, snapshot.view, snapshot.replication_factor)
        for low, high in moved.range.spans()
    )
    ends = tuple(itertools.accumulate(span.high - span.low + 1 for span in spans))
    return MembershipChange(progress.kind, progress.server_id, committed, spans, ends)
