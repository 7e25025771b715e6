"""How the points of a server are chosen."""

from enum import StrEnum

from core.errors import InvalidOptionError


class Placement(StrEnum):
    """Where the vnodes of a server that joins are put.

    `RANDOM` puts vnode *i* of server *s* at the hash of ``"{s}#{i}"``: whoever knows the servers
    knows the ring, but the shares of equal servers differ by about a fifth.
    `BALANCED` puts them where they even out the shares, see `balanced`: the ring then depends on
    the order in which servers came, and has to be kept.
    """

    RANDOM = "random"
    BALANCED = "balanced"


def checked_placement(placement: object) -> Placement:
    """Return the placement that is meant.

    Raises:
        InvalidOptionError: there is no such placement.
    """
    try:
        return Placement(placement)  # type: ignore[arg-type]
    except ValueError:
        raise InvalidOptionError("placement must be 'random' or 'balanced'") from None
