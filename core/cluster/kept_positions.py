"""Where the points of servers lie, as a topology keeps them for a ring whose placement is balanced.

In the file the points of a server are the base64 (RFC 4648, with padding) of their positions, 4
bytes each, big-endian, in order: 800 characters for 150 points.
"""

import base64
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from core.errors import InvalidOptionError
from core.ring.hash_ring import HashRing
from core.ring.placement import Placement
from core.ring.ring_view import RingView
from core.stripes import LAST_POSITION

# 10,000 servers of 150 points are 1.5 million.
MAX_POINTS: Final = 2_000_000
_BYTES_PER_POINT: Final = 4


def kept_positions(placement: Placement, view: RingView) -> dict[str, tuple[int, ...]]:
    """Return the points of each server of a view, as far as they are kept. O(vnodes)."""
    if placement is Placement.RANDOM:
        return {}
    return {
        server_id: tuple(vnode.position for vnode in vnodes)
        for server_id, vnodes in view.vnodes_by_server.items()
    }


def packed(positions: Sequence[int]) -> str:
    """Return positions as text."""
    return base64.b64encode(struct.pack(f">{len(positions)}I", *positions)).decode()


def unpacked(text: object) -> tuple[int, ...]:
    """Return the positions that `packed` made a text of.

    Raises:
        ValueError: it did not make this.
    """
    if not isinstance(text, str):
        raise ValueError("not text")
    content = base64.b64decode(text, validate=True)  # its error is a ValueError
    if len(content) % _BYTES_PER_POINT:
        raise ValueError("cut off")
    return struct.unpack(f">{len(content) // _BYTES_PER_POINT}I", content)


def check_positions(
    ring: HashRing,
    weights: Mapping[str, float],
    positions: Mapping[str, Sequence[int]],
    changed: tuple[str, float, Sequence[int]] | None,
) -> None:
    """Check that each server has the points that it has to have. O(points log points).

    Args:
        ring: says how many those are; a random one has no points to be kept.
        weights: the weight of each server.
        positions: the points of each server.
        changed: the server that a change gives other points, its weight and those points.

    Raises:
        InvalidOptionError: they are too many or too few, not in order, not on the ring, of other
            servers, or two servers have the same.
    """
    if ring.placement is Placement.RANDOM:
        if positions or (changed is not None and changed[2]):
            raise InvalidOptionError("the points of a random placement are not kept")
        return
    if positions.keys() != weights.keys():
        raise InvalidOptionError("the points are not those of the servers")
    for server_id, weight in weights.items():
        _check_points(ring, server_id, weight, positions[server_id])
    others = [place for each in positions.values() for place in each]
    _check_together(others)
    if changed is not None:
        server_id, weight, points = changed
        _check_points(ring, server_id, weight, points)
        own = positions.get(server_id, ())
        _check_together([*(set(others) - set(own)), *points])


def _check_points(ring: HashRing, server_id: str, weight: float, points: Sequence[int]) -> None:
    count = ring.vnodes_for(weight)
    if len(points) != count:
        raise InvalidOptionError(
            f"{server_id} has {len(points):,} points, and should have {count:,}"
        )
    if not all(
        isinstance(place, int) and not isinstance(place, bool) and 0 <= place <= LAST_POSITION
        for place in points
    ):
        raise InvalidOptionError(f"a point of {server_id} is not on the ring")
    if any(place >= after for place, after in pairwise(points)):
        raise InvalidOptionError(f"the points of {server_id} are not in order")


def _check_together(points: Sequence[int]) -> None:
    if len(points) > MAX_POINTS:
        raise InvalidOptionError(
            f"a data directory keeps at most {MAX_POINTS:,} points of a balanced placement"
        )
    if len(set(points)) < len(points):
        raise InvalidOptionError("two servers have a point at one position")
