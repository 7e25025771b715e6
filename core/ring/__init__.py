"""The consistent-hash ring, usable alone. Knows no storage."""

from core.ring.hash_ring import HashRing
from core.ring.hashing import HashFunction, position_of
from core.ring.ownership_diff import OwnershipChange, ownership_diff
from core.ring.placement import Placement
from core.ring.ring_range import Range
from core.ring.ring_view import RingView, Vnode

__all__ = [
    "HashFunction",
    "HashRing",
    "OwnershipChange",
    "Placement",
    "Range",
    "RingView",
    "Vnode",
    "ownership_diff",
    "position_of",
]
