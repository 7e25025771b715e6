"""Whether a history is linearizable: some order of the operations explains every answer.

The search is Wing & Gong's ("Testing and verifying concurrent objects", 1993) with Lowe's cache
("Testing for linearizability", 2017): calls and returns stand in a doubly linked list in order of
real time; any operation whose call comes before the first return may be next; a (set of operations
done, state) that was met before is not entered again. The set is one integer, a bit an operation.
Keys are checked apart, as Horn & Kroening do ("Faster linearizability checking via
P-compositionality", 2015).

Three things make it fast enough for thousands of histories in a test run:

- An operation that may be next and changes nothing is taken at once and never reconsidered: in any
  order that explains the history it can be moved forward to here.
- Operations of unknown outcome are tried last. They have no return, so they never have to be done;
  tried first, they'd be used up long before the read that shows their effect.
- A value isn't overwritten as long as an operation still needs it that nothing left can write.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from tests.verification.history import Operation, by_key
from tests.verification.specifications import (
    ABSENT,
    State,
    transition,
    values_needed,
    values_written,
)
from tests.verification.window import explain

STEP_BUDGET = 300_000
"""Transitions tried for a key before giving up: about a second. A usual key needs less than 200."""

EXPLANATION_BUDGET = 600_000
"""Transitions tried to make an explanation smaller; one that is left large is as true."""

_HEAD = 0


class Verdict(Enum):
    """What the search found.

    Attributes:
        OK: there is an order that explains every answer.
        VIOLATION: there is none.
        UNKNOWN: the budget was used up first.
    """

    OK = "ok"
    VIOLATION = "violation"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LinearizabilityReport:
    """What was found about a history.

    Attributes:
        verdict: VIOLATION if a key has one, else UNKNOWN if a key is undecided, else OK.
        key: the key that decided it; None if all is well.
        explanation: what to print; empty if all is well.
        steps: how many transitions were tried.
    """

    verdict: Verdict
    key: str | None
    explanation: str
    steps: int


def check_linearizability(
    history: Iterable[Operation], step_budget: int = STEP_BUDGET
) -> LinearizabilityReport:
    """Check a history, every key of which begins absent.

    Args:
        history: operations in any order; a key's stored values should differ where they can, as
            equal ones hide what they came from.
        step_budget: transitions to try for each key before its verdict is UNKNOWN.

    Complexity: exponential at worst (the problem is NP-complete), about linear in practice.
    """
    steps = 0
    undecided: LinearizabilityReport | None = None
    for key, operations in by_key(history).items():
        verdict, taken = search(operations, ABSENT, step_budget)
        steps += taken
        if verdict is Verdict.VIOLATION:
            explanation = explain(key, operations, _Violates())
            return LinearizabilityReport(verdict, key, explanation, steps)
        if verdict is Verdict.UNKNOWN:
            text = f"key {key!r}: undecided after {taken} steps on {len(operations)} operations"
            undecided = undecided or LinearizabilityReport(verdict, key, text, 0)
    if undecided is not None:
        return LinearizabilityReport(Verdict.UNKNOWN, undecided.key, undecided.explanation, steps)
    return LinearizabilityReport(Verdict.OK, None, "", steps)


def search(
    operations: Sequence[Operation], initial: State, step_budget: int
) -> tuple[Verdict, int]:
    """Look for an order of one key's operations that explains their answers.

    Returns:
        The verdict, and how many transitions were tried.
    """
    if not operations:
        return Verdict.OK, 0
    return _Search(operations).run(initial, step_budget)


class _Violates:
    """Whether operations have no explanation from a state; no, once its budget is used up."""

    def __init__(self) -> None:
        self._left = EXPLANATION_BUDGET

    def __call__(self, operations: Sequence[Operation], initial: State) -> bool:
        verdict, steps = search(operations, initial, self._left)
        self._left = max(0, self._left - steps)
        return verdict is Verdict.VIOLATION


class _Search:
    """One search. Node 0 is the head of the list; required operations own two more nodes each."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._transitions = [transition(operation) for operation in operations]
        events: list[tuple[int, bool, int]] = []
        optional: list[tuple[int, int]] = []
        for index, operation in enumerate(operations):
            if operation.returned is None:
                optional.append((operation.invoked, index))
            else:
                events.append((operation.invoked, False, index))
                events.append((operation.returned, True, index))
        events.sort()
        optional.sort()
        self._required = len(events) // 2
        self._next: list[int] = [*range(1, len(events) + 1), _HEAD]
        self._previous: list[int] = [len(events), *range(len(events))]
        self._owner = [-1, *(index for _, _, index in events)]
        self._is_return = [True, *(is_return for _, is_return, _ in events)]
        self._stamp = [0, *(stamp for stamp, _, _ in events)]
        self._call = [0] * len(operations)
        self._return = [0] * len(operations)
        for node, (_, is_return, index) in enumerate(events, 1):
            (self._return if is_return else self._call)[index] = node
        self._optional = optional
        # For each value, absence among them, a bit for each operation that needs or writes it.
        self._needed: dict[object, int] = defaultdict(int)
        self._written: dict[object, int] = defaultdict(int)
        for index, operation in enumerate(operations):
            if not operation.is_unknown:
                for value in values_needed(operation):
                    self._needed[value] |= 1 << index
            for value in values_written(operation):
                self._written[value] |= 1 << index

    def run(self, state: State, step_budget: int) -> tuple[Verdict, int]:
        """Search depth first, with a stack of (node or -1 - place of an optional one, state)."""
        transitions, following, owner = self._transitions, self._next, self._owner
        is_return, optional, stamp = self._is_return, self._optional, self._stamp
        seen: set[tuple[int, State]] = set()
        stack: list[tuple[int, int, State, bool]] = []
        steps, done, remaining = 0, 0, self._required
        node, place = following[_HEAD], 0
        while remaining:
            if is_return[node]:
                # Every required candidate was tried: the unknown ones called before this return.
                if place < len(optional) and optional[place][0] <= stamp[node]:
                    index, choice = optional[place][1], -1 - place
                    place += 1
                    if done >> index & 1:
                        continue
                else:
                    while stack:
                        choice, done, state, forced = stack.pop()
                        if choice > 0:
                            remaining += 1
                            self._put_back(choice)
                        if not forced:
                            break
                    else:
                        return Verdict.VIOLATION, steps
                    if choice > 0:
                        node, place = following[choice], 0
                    else:
                        node, place = self._first_return(), -choice
                    continue
            else:
                index, choice = owner[node], node
            steps += 1
            if steps > step_budget:
                return Verdict.UNKNOWN, steps
            after = transitions[index](state)
            if after is not None and not (
                after.value != state.value and self._strands(state.value, done | 1 << index)
            ):
                forced = after is state
                configuration = (done | 1 << index, after)
                if forced or configuration not in seen:
                    if not forced:
                        seen.add(configuration)
                    stack.append((choice, done, state, forced))
                    done, state = configuration
                    if choice > 0:
                        remaining -= 1
                        self._take_out(choice)
                    node, place = following[_HEAD], 0
                    continue
            if choice > 0:
                node = following[node]
        return Verdict.OK, steps

    def _strands(self, value: object, done: int) -> bool:
        """Whether an operation that is left needs this value and none that is left writes it."""
        needed = self._needed.get(value, 0) & ~done
        return bool(needed) and not self._written.get(value, 0) & ~done

    def _first_return(self) -> int:
        node = self._next[_HEAD]
        while not self._is_return[node]:
            node = self._next[node]
        return node

    def _take_out(self, call: int) -> None:
        """Unlink an operation's call and return."""
        following, previous = self._next, self._previous
        for node in (call, self._return[self._owner[call]]):
            before, after = previous[node], following[node]
            following[before] = after
            previous[after] = before

    def _put_back(self, call: int) -> None:
        """Undo `_take_out`; the links inside the nodes still tell where they were."""
        following, previous = self._next, self._previous
        for node in (self._return[self._owner[call]], call):
            following[previous[node]] = node
            previous[following[node]] = node
