"""What the reads of a list-append history say by themselves, before any cycle is looked for.

From the reads of each key follows the order of its appends: every read must be the beginning of
every longer one. Whatever contradicts that, or shows what must not be seen, is an anomaly of its
own. Names are Adya's ("Weak consistency", 1999) where he has one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.verification.transactions import Append, Outcome, Read, Transaction, shown


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that no serial execution in real-time order does.

    Attributes:
        name: what it is called.
        lines: why, and by which transactions.
    """

    name: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((f"{self.name}: {self.lines[0]}", *self.lines[1:]))


@dataclass(slots=True)
class Observations:
    """What a history's reads show.

    Attributes:
        transactions: the history; a transaction is known by its place in it.
        writers: the transaction that appended each element.
        happened: the transactions that were committed or whose append was seen, in order.
        external: what they read of others' appends: (transaction, key, elements).
        orders: each key's longest list that was read.
        anomalies: what was wrong.
    """

    transactions: Sequence[Transaction]
    writers: dict[int, int] = field(default_factory=dict)
    happened: list[int] = field(default_factory=list)
    external: list[tuple[int, str, tuple[int, ...]]] = field(default_factory=list)
    orders: dict[str, tuple[int, ...]] = field(default_factory=dict)
    anomalies: list[Anomaly] = field(default_factory=list)

    def describe(self, number: int) -> str:
        """Return a line about a transaction."""
        transaction = self.transactions[number]
        return f"  T{number} {transaction}"

    def report(self, name: str, text: str, *transactions: int) -> None:
        """Note an anomaly, and the transactions it is about."""
        lines = (text, *(self.describe(number) for number in sorted(set(transactions))))
        self.anomalies.append(Anomaly(name, lines))


def observe(transactions: Sequence[Transaction]) -> Observations:
    """Return what a history shows.

    Raises:
        ValueError: two appends of one element. Then a read doesn't tell whose it saw, and the fault
            is the workload's.
    """
    seen = Observations(transactions)
    for number, transaction in enumerate(transactions):
        for append in transaction.appends():
            if append.element in seen.writers:
                raise ValueError(f"{append.element} is appended twice")
            seen.writers[append.element] = number
    committed = [
        number
        for number, transaction in enumerate(transactions)
        if transaction.outcome is Outcome.COMMITTED
    ]
    seen.happened = _with_the_seen_ones(seen, committed)
    for number in seen.happened:
        _split_reads(seen, number)
    _find_orders(seen)
    _find_lost_appends(seen)
    return seen


def _with_the_seen_ones(seen: Observations, happened: list[int]) -> list[int]:
    """Return also the unknown transactions that must have happened, as one of these saw them."""
    found = set(happened)
    queue = list(happened)
    while queue:
        for action in seen.transactions[queue.pop()].actions:
            for element in action.elements if isinstance(action, Read) else ():
                writer = seen.writers.get(element)
                if writer is None or writer in found:
                    continue
                if seen.transactions[writer].outcome is Outcome.UNKNOWN:
                    found.add(writer)
                    queue.append(writer)
    return sorted(found)


def _split_reads(seen: Observations, number: int) -> None:
    """Take a transaction's own appends off its reads, and check that it read its own writes."""
    own: dict[str, tuple[int, ...]] = defaultdict(tuple)
    before: dict[str, tuple[int, ...]] = {}
    for action in seen.transactions[number].actions:
        key = action.key
        if isinstance(action, Append):
            own[key] += (action.element,)
            continue
        split = len(action.elements) - len(own[key])
        others = action.elements[: max(split, 0)]
        if action.elements[max(split, 0) :] != own[key] or before.get(key, others) != others:
            expected = f"{shown(before[key])} and then " if key in before else ""
            text = f"T{number} should have read {expected}its own {shown(own[key])} in {key}"
            seen.report("internal", text, number)
            continue
        if key not in before:
            before[key] = others
            seen.external.append((number, key, others))


def _check_elements(seen: Observations, number: int, key: str, elements: tuple[int, ...]) -> None:
    """Check whose appends a read saw: whole ones of transactions that may have happened."""
    if len(set(elements)) < len(elements):
        twice = sorted({element for element in elements if elements.count(element) > 1})
        seen.report("duplicate", f"T{number} read {shown(tuple(twice))} twice in {key}", number)
        return
    parts: dict[int, tuple[int, ...]] = defaultdict(tuple)
    for element in elements:
        writer = seen.writers.get(element)
        if writer is None or element not in seen.transactions[writer].appended(key):
            text = f"T{number} read {element} in {key}, which nobody appended there"
            seen.report("garbage", text, number)
        elif seen.transactions[writer].outcome is Outcome.ABORTED:
            text = f"T{number} read {element} in {key} from T{writer}, which was aborted"
            seen.report("G1a aborted read", text, number, writer)
        elif writer == number:
            text = f"T{number} read {element} in {key} before it appended it"
            seen.report("internal", text, number)
        else:
            parts[writer] += (element,)
    for writer, part in parts.items():
        whole = seen.transactions[writer].appended(key)
        if part == whole:
            continue
        if part == whole[: len(part)] and elements[-1] == part[-1]:
            text = f"T{number} read {key} between two appends of T{writer}"
            seen.report("G1b intermediate read", text, number, writer)
        else:
            text = f"T{number} read {shown(part)} in {key}; T{writer} appended {shown(whole)}"
            seen.report("lost append", text, number, writer)


def _find_orders(seen: Observations) -> None:
    """Find each key's order, and check every read against it.

    Only the longest read of a key is looked at element by element, and what isn't its beginning:
    looking at all would take time in the square of the history's length.
    """
    longest: dict[str, tuple[int, tuple[int, ...]]] = {}
    for number, key, elements in seen.external:
        if len(elements) > len(longest.get(key, (0, ()))[1]):
            longest[key] = (number, elements)
    seen.orders = {key: order for key, (_, order) in longest.items()}
    for key, (number, order) in longest.items():
        _check_elements(seen, number, key, order)
    for number, key, elements in seen.external:
        other, order = longest.get(key, (number, ()))
        if number == other:
            continue
        if order[: len(elements)] == elements:
            _check_beginning(seen, number, key, elements)
            continue
        place = next(at for at, element in enumerate(elements) if order[at] != element)
        text = (
            f"T{number} and T{other} read {key} differently from place {place} on: "
            f"{elements[place]} against {order[place]}"
        )
        seen.report("incompatible order", text, number, other)
        _check_elements(seen, number, key, elements)


def _check_beginning(seen: Observations, number: int, key: str, elements: tuple[int, ...]) -> None:
    """Check what can be wrong with a part of a list that is checked: its end, and its reader."""
    own = seen.transactions[number].appended(key)
    for element in own:
        if element in elements:
            text = f"T{number} read {element} in {key} before it appended it"
            seen.report("internal", text, number)
    writer = seen.writers.get(elements[-1]) if elements else None
    if writer is None or writer == number:
        return
    whole = seen.transactions[writer].appended(key)
    if elements[-1] in whole[:-1]:
        text = f"T{number} read {key} between two appends of T{writer}"
        seen.report("G1b intermediate read", text, number, writer)


def _find_lost_appends(seen: Observations) -> None:
    """Find committed appends that are in no read, although a read began later."""
    in_order = {element for order in seen.orders.values() for element in order}
    latest: dict[str, int] = {}
    for number, key, _ in seen.external:
        begun = seen.transactions[number].invoked
        if key not in latest or begun > seen.transactions[latest[key]].invoked:
            latest[key] = number
    for number in seen.happened:
        writer = seen.transactions[number]
        for append in writer.appends():
            reader = latest.get(append.key)
            if append.element in in_order or reader is None:
                continue
            if writer.outcome is not Outcome.COMMITTED:
                continue
            if writer.returned < seen.transactions[reader].invoked:
                text = (
                    f"{append.element} is in no read of {append.key}, though T{reader} began later"
                )
                seen.report("lost append", text, number, reader)
