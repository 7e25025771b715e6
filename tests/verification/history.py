"""What was observed: operations on keys with the moments of their call and their return.

Knows no store. A moment is a stamp: any integer that grows with real time (a counter or
nanoseconds). Two operations with a stamp in common count as overlapping, which is the cautious
reading: it allows more orders, never fewer.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

Value = str | bytes | int
"""What is stored. Absence is `None`."""

Argument = Value | tuple[Value, int] | None
Result = Value | tuple[Value | None, int | None] | None


class Kind(Enum):
    """What an operation does, its argument -> its result.

    Attributes:
        GET: nothing -> the value, or None.
        GET_WITH_VERSION: nothing -> (value, version); for an absent key (None, anything).
        SET: the value -> None.
        REMOVE: nothing -> whether there was a value.
        SET_IF_ABSENT: the value -> whether it was stored.
        SET_EXPECTED_VERSION: (value, version) -> whether it was stored.
    """

    GET = "get"
    GET_WITH_VERSION = "get with version"
    SET = "set"
    REMOVE = "remove"
    SET_IF_ABSENT = "set if absent"
    SET_EXPECTED_VERSION = "set if version"


READS = frozenset({Kind.GET, Kind.GET_WITH_VERSION})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on one key.

    Attributes:
        thread: who called; a thread has one operation at a time.
        key: what it was about.
        kind: what it did.
        argument: as its kind says.
        result: as its kind says; without meaning if the outcome is unknown.
        invoked: the stamp of the call.
        returned: the stamp of the return. None when the outcome is unknown: a write that may have
            taken effect at any moment since its call, may still do so, or never will.
    """

    thread: int
    key: str
    kind: Kind
    argument: Argument
    result: Result
    invoked: int
    returned: int | None

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows if it took effect."""
        return self.returned is None

    @property
    def changes_nothing(self) -> bool:
        """Whether it certainly left the key as it was: a read, or a write that was refused."""
        return self.kind in READS or (not self.is_unknown and self.result is False)


def by_key(history: Iterable[Operation]) -> dict[str, list[Operation]]:
    """Split a history by key, in order of the calls, without reads of unknown outcome.

    Linearizability is local (Herlihy & Wing 1990): a history is linearizable if and only if its
    part for each key is. A read that never answered promises nothing, so it is dropped.
    """
    parts: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        if operation.returned is None:
            if operation.kind in READS:
                continue
        elif operation.returned < operation.invoked:
            raise ValueError(f"returned before it was invoked: {operation}")
        parts[operation.key].append(operation)
    for part in parts.values():
        part.sort(key=lambda operation: operation.invoked)
    return dict(parts)


def overlap(history: Iterable[Operation]) -> float:
    """Return the share of operations that overlapped another one on the same key, from 0 to 1.

    A checker that sees no overlap proves nothing about concurrency. Operations of unknown outcome
    count neither as operations nor as company: being open for ever, they'd meet everything.
    O(n log n).
    """
    operations = overlapping = 0
    for part in by_key(history).values():
        spans = [(each.invoked, each.returned) for each in part if each.returned is not None]
        operations += len(spans)
        latest_return = -1
        for place, (invoked, returned) in enumerate(spans):
            followed = place + 1 < len(spans) and spans[place + 1][0] <= returned
            overlapping += followed or invoked <= latest_return
            latest_return = max(latest_return, returned)
    return overlapping / operations if operations else 0.0
