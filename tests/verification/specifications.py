"""The sequential specification of one key: what each operation may answer, and what it leaves.

Knows no concurrency and no store. An operation becomes a *transition*: a function from the state
before it to the state after it, or to None where its result can't be right in that state. A
transition that changes nothing returns the very same object, which the search relies on.

**Versions** are issued by the store; a write doesn't tell its own. So the state starts a write with
its version unknown, and the first answer that shows it settles it: a `get with version`, or a
conditional write that was accepted. From then on every answer about that write must agree. The
store promises that a newer record of a key has a greater version, so a version that is learnt must
be above every version learnt earlier; that also keeps two writes from sharing one, and needs only
the greatest one in the state. A conditional write that was refused rules its version out for the
write that it met.

The option that lost: a table from writes to versions beside the search. It would have to be undone
on backtracking, and two paths that reach one state with different tables would have to be told
apart, which is what being part of the state means.

An absent key has no version: nothing is expected of the version in a read of an absent key, and a
write that expects a version is refused there.
"""

from collections.abc import Callable
from typing import NamedTuple

from tests.verification.history import Kind, Operation, Value


class State(NamedTuple):
    """What one key holds.

    Attributes:
        value: the value, None if absent.
        version: the version of the write that stored it, None as long as nothing has shown it.
        floor: the greatest version shown so far; a version learnt later is above it.
        excluded: versions that a refused write has ruled out for a version not yet shown.
    """

    value: Value | object | None = None
    version: int | None = None
    floor: int = -1
    excluded: frozenset[int] = frozenset()


ABSENT = State()
Transition = Callable[[State], State | None]


def transition(operation: Operation) -> Transition:
    """Return what an operation with this result does to the state.

    An unknown outcome becomes the transition of a success: where the write would have been refused
    it changes nothing, which is the same as never happening, and that is the search's to choose.

    Raises:
        ValueError: the argument or the result doesn't fit the kind.
    """
    accepted = operation.is_unknown or operation.result
    match operation.kind, operation.argument, accepted:
        case Kind.GET, None, _:
            return _read(operation.result)
        case Kind.GET_WITH_VERSION, None, (None, _):
            return _read(None)
        case Kind.GET_WITH_VERSION, None, (str() | bytes() | int() as value, int(version)):
            return _read_with_version(value, version)
        case Kind.SET, str() | bytes() | int() as value, _:
            return _write(value)
        case Kind.REMOVE, None, True:
            return _remove
        case Kind.REMOVE, None, False:
            return _read(None)
        case Kind.SET_IF_ABSENT, str() | bytes() | int() as value, True:
            return _write_if_absent(value)
        case Kind.SET_IF_ABSENT, _, False:
            return _present
        case Kind.SET_EXPECTED_VERSION, (value, int(version)), True:
            return _write_if_version(value, version)
        case Kind.SET_EXPECTED_VERSION, (_, int(version)), False:
            return _refused_version(version)
    raise ValueError(f"argument or result doesn't fit the kind: {operation}")


def values_needed(operation: Operation) -> tuple[Value | None, ...]:
    """Return the one value (None: absence) that the key must hold for this result, if there is one.

    A write that expects a version needs the value that has it, whichever that is.
    """
    match operation.kind, operation.result:
        case Kind.GET, str() | bytes() | int() | None as value:
            return (value,)
        case Kind.GET_WITH_VERSION, (value, _):
            return (value,)
        case (Kind.REMOVE, False) | (Kind.SET_IF_ABSENT, True):
            return (None,)
    return ()


def values_written(operation: Operation) -> tuple[Value | None, ...]:
    """Return the value (None: absence) that the key may hold after this operation, if it writes."""
    if operation.changes_nothing:
        return ()
    argument = operation.argument
    return (argument[0] if isinstance(argument, tuple) else argument,)


def _read(value: object) -> Transition:
    return lambda state: state if state.value == value else None


def _read_with_version(value: Value, version: int) -> Transition:
    return lambda state: _shown(state, version) if state.value == value else None


def _write(value: Value) -> Transition:
    return lambda state: State(value, None, state.floor)


def _remove(state: State) -> State | None:
    return None if state.value is None else State(None, None, state.floor)


def _write_if_absent(value: Value) -> Transition:
    return lambda state: State(value, None, state.floor) if state.value is None else None


def _present(state: State) -> State | None:
    return None if state.value is None else state


def _write_if_version(value: Value, version: int) -> Transition:
    def step(state: State) -> State | None:
        shown = _shown(state, version)
        return None if shown is None else State(value, None, shown.floor)

    return step


def _refused_version(version: int) -> Transition:
    def step(state: State) -> State | None:
        if state.value is None:
            return state
        if state.version is not None:
            return None if state.version == version else state
        if version <= state.floor or version in state.excluded:
            return state
        return state._replace(excluded=state.excluded | {version})

    return step


def _shown(state: State, version: int) -> State | None:
    """Return the state after an answer has shown its version; None where it can't be that one."""
    if state.value is None:
        return None
    if state.version is not None:
        return state if state.version == version else None
    if version <= state.floor or version in state.excluded:
        return None
    return State(state.value, version, version)
