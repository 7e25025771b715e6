"""How many replicas an operation asks, and what a store promises when none is named."""

from contextlib import suppress
from enum import StrEnum
from typing import Final

from core.errors import InvalidOptionError

MAX_REPLICATION_FACTOR: Final = 7


class Level(StrEnum):
    """How many replicas must answer a read or acknowledge a write."""

    ONE = "one"
    QUORUM = "quorum"
    ALL = "all"

    def needed(self, replicas: int) -> int:
        """Return how many of `replicas` must answer.

        >>> Level.ONE.needed(3), Level.QUORUM.needed(3), Level.ALL.needed(3)
        (1, 2, 3)
        """
        if self is Level.ONE:
            return min(1, replicas)
        return replicas if self is Level.ALL else replicas // 2 + 1


class Consistency(StrEnum):
    """What holds for operations that name no level.

    `STRONG` writes to a quorum and reads what a quorum would answer: every key is linearizable.
    `EVENTUAL` writes to one replica and reads from any: it goes on where a quorum is not there, and
    a read may see an older value until the replicas have caught up.
    """

    STRONG = "strong"
    EVENTUAL = "eventual"

    @property
    def level(self) -> Level:
        """The level of reads and writes."""
        return Level.QUORUM if self is Consistency.STRONG else Level.ONE


def checked_level(level: object) -> Level:
    """Return the level that is meant.

    Raises:
        InvalidOptionError: there is no such level.
    """
    if isinstance(level, str):
        with suppress(ValueError):
            return Level(level)
    raise InvalidOptionError("a level must be 'one', 'quorum' or 'all'")
