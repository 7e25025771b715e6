"""Why a history is not linearizable: the few operations that no order explains, a line each.

Knows no search; it is given a predicate. What it leaves out it may leave out: each step only
*weakens* the history (an operation that might have been cut off becomes one that need not have
happened), so what still has no explanation had none before.

1. The end: a history's beginnings are linearizable if it is, so there is a first return at which
   it goes wrong. Operations still open then become unknown.
2. The start: as late as possible such that what follows has no explanation from *any* state.
   Operations open at that moment may have taken effect before it, so they become unknown.
3. Operations that changed nothing and aren't needed are left out.
"""

import reprlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tests.verification.history import READS, Kind, Operation
from tests.verification.specifications import ABSENT, State

Violates = Callable[[Sequence[Operation], State], bool]

VALUE_WIDTH = 40
"""Characters of a value that are shown: enough to tell generated values apart."""

_OTHER = object()
"""A value that nobody in the history has written or read."""


def explain(key: str, operations: Sequence[Operation], violates: Violates) -> str:
    """Return the smallest window of a key's history that has no explanation, a line an operation.

    Args:
        key: the key.
        operations: its operations in order of the calls; known to be a violation.
        violates: whether operations have no explanation from a state.
    """
    ended = _end_early(operations, violates)
    window, from_any = _start_late(ended, violates)
    window = _leave_out(window, lambda part: _violates(part, from_any, violates))
    culprit = max(each.returned for each in window if each.returned is not None)
    start = "whatever its state before was" if from_any else "absent at the start"
    lines = [
        f"key {key!r} is not linearizable: no order explains these "
        f"{len(window)} of {len(operations)} operations ({start})"
    ]
    lines += [
        _line(each) + ("   <- goes wrong here" if each.returned == culprit else "")
        for each in window
    ]
    return "\n".join(lines)


def _end_early(operations: Sequence[Operation], violates: Violates) -> list[Operation]:
    """Return the operations up to the first return at which no explanation is left."""
    ends = sorted(each.returned for each in operations if each.returned is not None)
    best = _until(operations, ends[-1])
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        part = _until(operations, ends[middle])
        if violates(part, ABSENT):
            best, high = part, middle
        else:
            low = middle + 1
    return best


def _until(operations: Iterable[Operation], end: int) -> list[Operation]:
    called = [each for each in operations if each.invoked <= end]
    return _opened(called, lambda each: each.returned is not None and each.returned > end)


def _start_late(
    operations: Sequence[Operation], violates: Violates
) -> tuple[list[Operation], bool]:
    """Return what is left of the start, and whether it has no explanation from any state."""
    starts = sorted(each.invoked for each in operations if not each.is_unknown)
    best: tuple[list[Operation], bool] = (list(operations), False)
    low, high = 0, len(starts) - 1
    while low <= high:
        middle = (low + high) // 2
        part = _since(operations, starts[middle])
        if _violates(part, True, violates):
            best, low = (part, True), middle + 1
        else:
            high = middle - 1
    return best


def _since(operations: Iterable[Operation], start: int) -> list[Operation]:
    open_then = [each for each in operations if each.returned is None or each.returned >= start]
    return _opened(open_then, lambda each: each.invoked < start)


def _opened(
    operations: Iterable[Operation], is_cut: Callable[[Operation], bool]
) -> list[Operation]:
    """Return the operations, those that are cut as unknown ones, and without reads among them."""
    kept = []
    for each in operations:
        if not is_cut(each):
            kept.append(each)
        elif each.kind not in READS:
            kept.append(replace(each, result=None, returned=None))
    return kept


def _leave_out(
    window: list[Operation], violates: Callable[[Sequence[Operation]], bool]
) -> list[Operation]:
    for each in [each for each in window if each.changes_nothing]:
        rest = [other for other in window if other is not each]
        if violates(rest):
            window = rest
    return window


def _violates(operations: Sequence[Operation], from_any: bool, violates: Violates) -> bool:
    if not any(not each.is_unknown for each in operations):
        return False
    if not from_any:
        return violates(operations, ABSENT)
    read = {
        each.result[0] if isinstance(each.result, tuple) else each.result
        for each in operations
        if each.kind in READS and not each.is_unknown
    }
    return all(violates(operations, State(value)) for value in (None, _OTHER, *(read - {None})))


def _line(operation: Operation) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = VALUE_WIDTH
    end = "?" if operation.returned is None else str(operation.returned)
    text = f"  thread {operation.thread:<3} {operation.invoked:>6} to {end:<6} "
    text += operation.kind.value
    if operation.argument is not None:
        text += f" {short.repr(operation.argument)}"
    if operation.is_unknown:
        return f"{text} -> outcome unknown"
    return text if operation.kind is Kind.SET else f"{text} -> {short.repr(operation.result)}"
