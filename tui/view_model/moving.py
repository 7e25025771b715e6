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
            found = [Displaced(span.low, span.high, span.new) for span in self.spans[:whole]]
            if moved_of_next:
                # The last span goes back first, and each from its first position on.
                span = self.spans[whole]
                found.append(Displaced(span.high - moved_of_next + 1, span.high, span.new))
        else:
            found = [Displaced(span.low, span.high, span.old) for span in self.spans[whole:]]
            if found:
                found[0] = found[0]._replace(low=found[0].low + moved_of_next)
        return tuple(sorted(found))


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
        for moved in ownership_diff(view_before, snapshot.view)
        for low, high in moved.range.spans()
    )
    ends = tuple(itertools.accumulate(span.high - span.low + 1 for span in spans))
    return MembershipChange(progress.kind, progress.server_id, committed, spans, ends)
