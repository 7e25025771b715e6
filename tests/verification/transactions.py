"""What was observed of transactions that append unique integers to lists and read whole lists.

Knows no store. Each append says where it came from (nobody else appends that integer) and each read
shows all that was there before it, in order; so most of the order in which a store worked can be
read off the answers, which is why Elle (Kingsbury & Alvaro, "Elle: Inferring isolation anomalies
from experimental observations", VLDB 2020) asks for this workload.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Append:
    """An integer appended to a key's list.

    Attributes:
        key: the list.
        element: no other append of the history, of whatever outcome and key, has it.
    """

    key: str
    element: int

    def __str__(self) -> str:
        return f"append {self.key} {self.element}"


@dataclass(frozen=True, slots=True)
class Read:
    """A read of a key's whole list.

    Attributes:
        key: the list.
        elements: what was there, oldest first; an absent key is an empty list.
    """

    key: str
    elements: tuple[int, ...]

    def __str__(self) -> str:
        return f"read {self.key} -> {shown(self.elements)}"


Action = Append | Read


class Outcome(Enum):
    """How a transaction ended.

    Attributes:
        COMMITTED: it was acknowledged.
        ABORTED: it certainly did not happen.
        UNKNOWN: it may have happened at any moment since it began, or never.
    """

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction: of several attempts only the last, the others are aborted ones.

    Attributes:
        thread: who ran it.
        actions: what it did, in its order, as far as it came.
        outcome: how it ended.
        invoked: the stamp at its begin (any integer that grows with real time).
        returned: the stamp at its end; of no matter unless it was committed.
    """

    thread: int
    actions: tuple[Action, ...]
    outcome: Outcome
    invoked: int
    returned: int

    def appends(self) -> Iterator[Append]:
        """Yield what it appended."""
        return (action for action in self.actions if isinstance(action, Append))

    def appended(self, key: str) -> tuple[int, ...]:
        """Return what it appended to a key, in its order."""
        return tuple(append.element for append in self.appends() if append.key == key)

    def __str__(self) -> str:
        actions = ", ".join(map(str, self.actions)) or "nothing"
        end = f"to {self.returned}" if self.outcome is Outcome.COMMITTED else self.outcome.value
        if len(actions) > MAX_CHARACTERS:
            actions = f"{actions[:MAX_CHARACTERS]}…"
        return f"(thread {self.thread}, {self.invoked} {end}): {actions}"


MAX_CHARACTERS = 500
"""Characters of a transaction's actions that are shown: a few lines of a terminal."""

MAX_SHOWN = 12
"""Elements of a list that are shown; its end is where things go wrong."""


def shown(elements: tuple[int, ...]) -> str:
    """Return a list as text, without its start if it is long."""
    cut = "… " if len(elements) > MAX_SHOWN else ""
    return f"[{cut}{' '.join(map(str, elements[-MAX_SHOWN:]))}]"
