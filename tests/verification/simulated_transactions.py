"""List-append histories of a simulated store, serial or careless, and ways to spoil them.

For tests of the checker. A transaction takes effect at one moment between its begin and its end, so
a history made by a serial store is strictly serializable by construction.
"""

import random
from dataclasses import dataclass, field, replace
from enum import Enum

from tests.verification.transactions import Action, Append, Outcome, Read, Transaction


class Isolation(Enum):
    """What a simulated store promises.

    Attributes:
        SERIAL: a transaction happens all at once.
        SNAPSHOT: it reads as of its begin, and commits unless another wrote what it writes.
        NONE: each action happens at a moment of its own.
    """

    SERIAL = "serial"
    SNAPSHOT = "snapshot"
    NONE = "none"


@dataclass
class _Attempt:
    thread: int
    plan: list[tuple[str, int | None]]
    invoked: int
    snapshot: dict[str, tuple[int, ...]]
    actions: list[Action] = field(default_factory=list)
    is_done: bool = False
    is_aborted: bool = False


class TransactionSimulation:
    """Threads with transactions on a simulated store, stepped in random order.

    Args:
        source: of every choice.
        threads: how many there are.
        keys: how many lists they share.
        isolation: what the store promises.
        unknown: the chance that the outcome of a transaction stays unknown.
        actions: the most that a transaction does.
    """

    def __init__(
        self,
        source: random.Random,
        threads: int = 4,
        keys: int = 2,
        isolation: Isolation = Isolation.SERIAL,
        unknown: float = 0.1,
        actions: int = 3,
    ) -> None:
        self._source = source
        self._threads = threads
        self._keys = [f"list:{number}" for number in range(keys)]
        self._isolation = isolation
        self._unknown = unknown
        self._most_actions = actions
        self._lists: dict[str, tuple[int, ...]] = dict.fromkeys(self._keys, ())
        self._stamp = 0
        self._element = 0
        self._left_open: list[_Attempt] = []

    def run(self, count: int) -> list[Transaction]:
        """Return a history of `count` transactions, in order of their ends."""
        history: list[Transaction] = []
        running: dict[int, _Attempt] = {}
        begun = 0
        while begun < count or running:
            self._stamp += 1
            thread = self._source.randrange(self._threads)
            attempt = running.get(thread)
            if attempt is None:
                if begun < count:
                    running[thread] = self._begin(thread)
                    begun += 1
            elif not attempt.is_done:
                self._step(attempt)
            else:
                history.append(self._end(running.pop(thread)))
        return history

    def _begin(self, thread: int) -> _Attempt:
        plan: list[tuple[str, int | None]] = []
        for _ in range(self._source.randint(1, self._most_actions)):
            self._element += 1
            element = self._element if self._source.random() < 0.5 else None
            plan.append((self._source.choice(self._keys), element))
        return _Attempt(thread, plan, self._stamp, dict(self._lists))

    def _step(self, attempt: _Attempt) -> None:
        if self._isolation is Isolation.NONE:
            self._act(attempt, self._lists)
        elif self._isolation is Isolation.SERIAL:
            attempt.is_aborted = self._source.random() < 0.1
            lists = dict(self._lists)
            while not attempt.is_done:
                self._act(attempt, lists)
            self._lists = self._lists if attempt.is_aborted else lists
        else:
            written = {key for key, element in attempt.plan if element is not None}
            attempt.is_aborted = any(self._lists[key] != attempt.snapshot[key] for key in written)
            while not attempt.is_done:
                self._act(attempt, attempt.snapshot)
            if not attempt.is_aborted:
                self._lists.update({key: attempt.snapshot[key] for key in written})

    def _act(self, attempt: _Attempt, lists: dict[str, tuple[int, ...]]) -> None:
        key, element = attempt.plan[len(attempt.actions)]
        if element is None:
            attempt.actions.append(Read(key, lists[key]))
        else:
            lists[key] += (element,)
            attempt.actions.append(Append(key, element))
        attempt.is_done = len(attempt.actions) == len(attempt.plan)

    def _end(self, attempt: _Attempt) -> Transaction:
        outcome = Outcome.ABORTED if attempt.is_aborted else Outcome.COMMITTED
        if self._source.random() < self._unknown:
            outcome = Outcome.UNKNOWN
        return Transaction(
            attempt.thread, tuple(attempt.actions), outcome, attempt.invoked, self._stamp
        )


def spoiled(source: random.Random, history: list[Transaction]) -> list[Transaction]:
    """Return the history with one read, outcome or moment changed; it may stay right."""
    spoilt = list(history)
    place = source.randrange(len(spoilt))
    transaction = spoilt[place]
    reads = [at for at, action in enumerate(transaction.actions) if isinstance(action, Read)]
    choice = source.random()
    if choice < 0.15:
        spoilt[place] = replace(transaction, outcome=source.choice(list(Outcome)))
    elif choice < 0.4 or not reads:
        shift = source.randint(-20, 20)
        spoilt[place] = replace(
            transaction, invoked=transaction.invoked + shift, returned=transaction.returned + shift
        )
    else:
        at = source.choice(reads)
        read = transaction.actions[at]
        assert isinstance(read, Read)
        actions = (
            *transaction.actions[:at],
            Read(read.key, _other_elements(source, read, history)),
            *transaction.actions[at + 1 :],
        )
        spoilt[place] = replace(transaction, actions=actions)
    return spoilt


def _other_elements(
    source: random.Random, read: Read, history: list[Transaction]
) -> tuple[int, ...]:
    elements = list(read.elements)
    appended = [append.element for each in history for append in each.appends()]
    choice = source.random()
    if choice < 0.25 and elements:
        del elements[source.randrange(len(elements))]
    elif choice < 0.4 and elements:
        elements.pop()
    elif choice < 0.5:
        source.shuffle(elements)
    elif choice < 0.75 and appended:
        elements.insert(source.randint(0, len(elements)), source.choice(appended))
    else:
        others = [
            action.elements
            for each in history
            for action in each.actions
            if isinstance(action, Read) and action.key == read.key
        ]
        elements = list(source.choice(others))
    return tuple(elements)
