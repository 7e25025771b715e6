"""Who answers for a position of the ring, and why: what a click on the ring asks."""

from bisect import bisect_right
from dataclasses import dataclass

from core.ring.ring_range import Range
from core.ring.ring_view import Vnode
from tui.view_model.display import RingPicture


@dataclass(frozen=True, slots=True)
class PositionPlacement:
    """Who answers for a position, and why.

    Attributes:
        position: the position.
        vnode: the virtual node that owns it, once nothing moves.
        range: what that vnode owns.
        primary: the server that answers for it now.
        moving_to: the server that it is still to be moved to; None if it stays.
        down: whether the primary does not answer.
    """

    position: int
    vnode: Vnode
    range: Range
    primary: str
    moving_to: str | None
    down: bool = False


def explain_position(picture: RingPicture, position: int) -> PositionPlacement | None:
    """Return who answers for a position; None on an empty ring. O(log vnodes)."""
    if not picture.view.vnodes:
        return None
    vnode = picture.view.vnode_at(position)
    primary, moving_to = vnode.server_id, None
    index = bisect_right(picture.displaced, position, key=lambda span: span.low) - 1
    if index >= 0 and position <= picture.displaced[index].high:
        holder = picture.displaced[index].holder
        if holder is not None:
            primary, moving_to = holder, vnode.server_id
    return PositionPlacement(
        position,
        vnode,
        picture.view.range_at(position),
        primary,
        moving_to,
        down=primary in picture.down,
    )
