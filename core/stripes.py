"""The 1,024 stripes into which the ring's positions are cut for locking and for routing.

A stripe is named by the top 10 bits of a position, so a range of the ring touches few neighbouring
stripes. One lock guards the records and the routes of a stripe.
"""

from typing import Final

POSITION_BITS: Final = 32
POSITIONS: Final = 1 << POSITION_BITS
LAST_POSITION: Final = POSITIONS - 1

STRIPE_BITS: Final = 10
STRIPES: Final = 1 << STRIPE_BITS
STRIPE_SHIFT: Final = POSITION_BITS - STRIPE_BITS
POSITIONS_PER_STRIPE: Final = 1 << STRIPE_SHIFT


def stripe_of(position: int) -> int:
    """Return the stripe (0 to 1,023) that `position` lies in."""
    return position >> STRIPE_SHIFT


def last_position_of(stripe: int) -> int:
    """Return the highest position of `stripe`."""
    return (stripe + 1 << STRIPE_SHIFT) - 1
