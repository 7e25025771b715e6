"""The same questions as the checkers answer, asked in the plainest way: try every order.

They share nothing with the checkers but the history, and no way of thinking either: versions are
looked at when an order is complete.
"""

from collections.abc import Iterator, Sequence

from tests.verification.history import READS, Kind, Operation
from tests.verification.transactions import Append, Outcome, Transaction


def is_linearizable(operations: Sequence[Operation]) -> bool:
    """Return whether any order of one key's operations explains them. Exponential."""
    kept = [each for each in operations if not (each.is_unknown and each.kind in READS)]
    return any(_explains(order) for order in _orders([], kept))


def _orders(done: list[Operation], left: list[Operation]) -> Iterator[list[Operation]]:
    """Yield every order that agrees with real time; unknown ones are in it or not."""
    if all(each.is_unknown for each in left):
        yield done
    for each in left:
        before = [other for other in left if other is not each and other.returned is not None]
        if all(other.returned is None or other.returned >= each.invoked for other in before):
            order = [*done, each]
            if _values_agree(order):
                yield from _orders(order, [other for other in left if other is not each])


def _values_agree(order: Sequence[Operation]) -> bool:
    """Return whether the last operation's answer agrees with the values before it."""
    value = _replay(order[:-1])[0]
    last = order[-1]
    present = value is not None
    match last.kind:
        case Kind.GET:
            return bool(last.result == value)
        case Kind.GET_WITH_VERSION:
            return isinstance(last.result, tuple) and bool(last.result[0] == value)
        case Kind.REMOVE:
            return last.is_unknown or last.result == present
        case Kind.SET_IF_ABSENT:
            return last.is_unknown or last.result != present
        case Kind.SET_EXPECTED_VERSION:
            return last.is_unknown or present or last.result is False
        case _:
            return True


def _replay(order: Sequence[Operation]) -> tuple[object, int | None, list[int]]:
    """Return the value, the place of the write that stored it, and the places of all writes."""
    value: object = None
    writer: int | None = None
    writes: list[int] = []
    for place, each in enumerate(order):
        accepted = each.is_unknown or each.result is True
        writes_now = (
            each.kind is Kind.SET
            or (each.kind is Kind.SET_IF_ABSENT and accepted and value is None)
            or (each.kind is Kind.SET_EXPECTED_VERSION and accepted and value is not None)
        )
        if writes_now:
            value = each.argument[0] if isinstance(each.argument, tuple) else each.argument
            writer = place
            writes.append(place)
        elif each.kind is Kind.REMOVE:
            value, writer = None, None
    return value, writer, writes


def _explains(order: Sequence[Operation]) -> bool:
    """Return whether some versions, growing from write to write, agree with every answer.

    An unknown conditional write that is in the order counts as accepted: the order without it is
    tried as well.
    """
    shown: dict[int, set[int]] = {}
    ruled_out: dict[int, set[int]] = {}
    for place, each in enumerate(order):
        writer = _replay(order[:place])[1]
        if writer is None:
            continue
        if each.kind is Kind.GET_WITH_VERSION and isinstance(each.result, tuple):
            version = each.result[1]
            assert isinstance(version, int)
            shown.setdefault(writer, set()).add(version)
        elif each.kind is Kind.SET_EXPECTED_VERSION and isinstance(each.argument, tuple):
            accepted = each.is_unknown or each.result is True
            table = shown if accepted else ruled_out
            table.setdefault(writer, set()).add(each.argument[1])
    if any(len(versions) > 1 for versions in shown.values()):
        return False
    if any(shown[writer] & ruled_out.get(writer, set()) for writer in shown):
        return False
    versions = [min(shown[writer]) for writer in sorted(shown)]
    return versions == sorted(set(versions))


def is_strictly_serializable(transactions: Sequence[Transaction]) -> bool:
    """Return whether running the transactions one by one, in any order, explains them.

    Committed ones are in the order, unknown ones may be, aborted ones are not. Exponential.
    """
    left = [each for each in transactions if each.outcome is not Outcome.ABORTED]
    return _can_run({}, left)


def _can_run(lists: dict[str, tuple[int, ...]], left: list[Transaction]) -> bool:
    if all(each.outcome is Outcome.UNKNOWN for each in left):
        return True
    for each in left:
        if any(
            other.outcome is Outcome.COMMITTED and other.returned < each.invoked for other in left
        ):
            continue
        after = _run(dict(lists), each)
        if after is not None and _can_run(after, [other for other in left if other is not each]):
            return True
    return False


def _run(
    lists: dict[str, tuple[int, ...]], transaction: Transaction
) -> dict[str, tuple[int, ...]] | None:
    for action in transaction.actions:
        present = lists.get(action.key, ())
        if isinstance(action, Append):
            lists[action.key] = (*present, action.element)
        elif action.elements != present:
            return None
    return lists
