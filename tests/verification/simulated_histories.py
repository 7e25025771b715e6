"""Histories of an atomic store that is simulated, and ways to spoil them. For tests of checkers.

Each operation takes effect at one moment between its call and its return, so every history made
here is linearizable by construction. One whose outcome is unknown takes effect then, later or
never.
"""

import random
from dataclasses import dataclass, field, replace

from tests.verification.history import READS, Argument, Kind, Operation, Result, Value

KINDS = (*Kind,)


@dataclass
class AtomicStore:
    """A plain store with versions that does one operation at a time."""

    records: dict[str, tuple[Value, int]] = field(default_factory=dict)
    version: int = 0

    def apply(self, key: str, kind: Kind, argument: Argument) -> Result:
        """Do an operation and return its result."""
        record = self.records.get(key)
        match kind, argument:
            case Kind.GET, _:
                return None if record is None else record[0]
            case Kind.GET_WITH_VERSION, _:
                return (None, None) if record is None else record
            case Kind.REMOVE, _:
                self.version += 1
                return self.records.pop(key, None) is not None
            case Kind.SET, str() | bytes() | int() as value:
                self._write(key, value)
                return None
            case Kind.SET_IF_ABSENT, str() | bytes() | int() as value:
                if record is None:
                    self._write(key, value)
                return record is None
            case Kind.SET_EXPECTED_VERSION, (value, version):
                if record is None or record[1] != version:
                    return False
                self._write(key, value)
                return True
        raise ValueError(f"{kind} with {argument!r}")

    def _write(self, key: str, value: Value) -> None:
        self.version += 1
        self.records[key] = (value, self.version)


@dataclass
class _Call:
    key: str
    kind: Kind
    argument: Argument
    invoked: int
    thread: int
    result: Result = None
    has_happened: bool = False


class Simulation:
    """Threads on an atomic store, stepped in random order.

    Args:
        source: of every choice.
        threads: how many there are.
        keys: how many keys they share.
        values: how many values there are; None gives each write one of its own.
        unknown: the chance that an operation's outcome stays unknown.
        kinds: what is done; repeat a kind to have more of it.
    """

    def __init__(
        self,
        source: random.Random,
        threads: int = 4,
        keys: int = 1,
        values: int | None = None,
        unknown: float = 0.0,
        kinds: tuple[Kind, ...] = KINDS,
    ) -> None:
        self._source = source
        self._threads = threads
        self._keys = [f"key:{number}" for number in range(keys)]
        self._values = values
        self._unknown = unknown
        self._kinds = kinds
        self._store = AtomicStore()
        self._stamp = 0
        self._history: list[Operation] = []
        self._left_open: list[_Call] = []

    def run(self, count: int) -> list[Operation]:
        """Return a history of `count` operations."""
        calls: dict[int, _Call] = {}
        begun = 0
        while begun < count or calls:
            self._stamp += 1
            thread = self._source.randrange(self._threads)
            call = calls.get(thread)
            if call is None:
                if begun < count:
                    calls[thread] = self._begin(thread)
                    begun += 1
            elif self._source.random() < self._unknown:
                self._left_open.append(calls.pop(thread))
                self._record(call, None)
            elif not call.has_happened:
                self._let_happen(call)
            else:
                self._record(calls.pop(thread), self._stamp)
            if self._left_open and self._source.random() < 0.2:
                late = self._left_open.pop(self._source.randrange(len(self._left_open)))
                if not late.has_happened:
                    self._let_happen(late)
        return sorted(self._history, key=lambda operation: operation.invoked)

    def _begin(self, thread: int) -> _Call:
        key, kind = self._source.choice(self._keys), self._source.choice(self._kinds)
        value = self._stamp if self._values is None else self._source.randrange(self._values)
        argument: Argument = value
        if kind in READS or kind is Kind.REMOVE:
            argument = None
        elif kind is Kind.SET_EXPECTED_VERSION:
            record = self._store.records.get(key)
            fresh = record is not None and self._source.random() < 0.7
            version = record[1] if fresh and record else self._source.randrange(self._stamp + 1)
            argument = (value, version)
        return _Call(key, kind, argument, self._stamp, thread)

    def _let_happen(self, call: _Call) -> None:
        call.result = self._store.apply(call.key, call.kind, call.argument)
        call.has_happened = True

    def _record(self, call: _Call, returned: int | None) -> None:
        result = None if returned is None else call.result
        self._history.append(
            Operation(
                call.thread, call.key, call.kind, call.argument, result, call.invoked, returned
            )
        )


def spoiled(source: random.Random, history: list[Operation]) -> list[Operation]:
    """Return the history with one answer changed, or one operation taken out; it may stay right."""
    spoilt = list(history)
    place = source.randrange(len(spoilt))
    operation = spoilt[place]
    if operation.is_unknown or operation.kind is Kind.SET:
        del spoilt[place]
        return spoilt
    if isinstance(operation.result, bool):
        spoilt[place] = replace(operation, result=not operation.result)
        return spoilt
    same = [
        other.result
        for other in history
        if other.kind is operation.kind and not other.is_unknown and other.key == operation.key
    ]
    result = source.choice(same)
    if isinstance(result, tuple) and isinstance(operation.result, tuple) and source.random() < 0.5:
        value, version = operation.result[0], result[1]
        result = (value, version if value is None or version is not None else 1)
    spoilt[place] = replace(operation, result=result)
    return spoilt
