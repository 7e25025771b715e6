"""Warning a program that its ring has fewer servers than each key should lie on.

A warning and not an error: a ring is made of one server after the other, and a store that is short
of servers works. Knows nothing of who counts them.
"""

import sys
import warnings

from core.errors import TooFewServersWarning

_PACKAGE = __name__.partition(".")[0]


def warn_of_few_servers(servers: int, replication_factor: int) -> None:
    """Warn, at the line of the program that called the store.

    Args:
        servers: how many servers there are.
        replication_factor: on how many each key should lie.

    Raises:
        TooFewServersWarning: if warnings were made errors.
    """
    # Compiled callers have no frames, so how far up the program is can't be known beforehand.
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        level, frame = level + 1, frame.f_back
    warnings.warn(TooFewServersWarning(servers, replication_factor), stacklevel=level)


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == _PACKAGE
