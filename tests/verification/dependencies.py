"""Which transaction came before which, and why: Adya's graph ("Weak consistency", 1999).

Looks for no cycle. Because lists only grow, every serial order of the transactions has all of these
edges, and any order along them explains every answer.
"""

from collections import defaultdict
from enum import Enum
from itertools import pairwise

from tests.verification.transactions import Outcome
from tests.verification.version_order import Observations


class Edge(Enum):
    """Why one transaction came before another.

    Attributes:
        WW: both appended to a key, the other right after the one; or after all that was ever read.
        WR: the other read what the one appended last.
        RW: the one read a list that lacks what the other appended.
        RT: the one had returned before the other began.
    """

    WW = "ww"
    WR = "wr"
    RW = "rw"
    RT = "rt"


Graph = dict[int, dict[int, dict[Edge, str]]]
"""From each transaction to those that came after it: why, in one word and in a sentence."""


def dependencies(seen: Observations) -> Graph:
    """Return the ww, wr and rw edges; of one kind between two transactions the first."""
    graph: Graph = {number: {} for number in seen.happened}

    def add(source: int, target: int, edge: Edge, reason: str) -> None:
        if source != target:
            graph[source].setdefault(target, {}).setdefault(edge, reason)

    writers = seen.writers
    in_order = {element for order in seen.orders.values() for element in order}
    unread: dict[str, list[int]] = defaultdict(list)
    for number in seen.happened:
        for append in seen.transactions[number].appends():
            if append.element not in in_order:
                unread[append.key].append(append.element)
    for key, order in seen.orders.items():
        for first, second in pairwise(order):
            reason = f"appended {first} to {key}, right before {second}"
            add(writers[first], writers[second], Edge.WW, reason)
        for element in unread[key]:
            reason = f"appended {order[-1]} to {key}, before {element}, which is in no read"
            add(writers[order[-1]], writers[element], Edge.WW, reason)
    for number, key, elements in seen.external:
        order = seen.orders.get(key, ())
        if elements:
            reason = f"appended {elements[-1]} to {key}, which was read"
            add(writers[elements[-1]], number, Edge.WR, reason)
        # An own append of the reader's is no answer to who came next: look behind it.
        followers = [each for each in order[len(elements) :] if writers[each] != number][:1]
        for element in followers or unread[key]:
            reason = f"read {key} without {element}"
            add(number, writers[element], Edge.RW, reason)
    return graph


def with_real_time(seen: Observations, graph: Graph) -> dict[int, set[int]]:
    """Return all edges. Of those of real time only as many as say it all: about n * threads."""
    edges = {number: set(graph[number]) for number in seen.happened}
    events: list[tuple[int, bool, int]] = []
    for number in seen.happened:
        transaction = seen.transactions[number]
        events.append((transaction.invoked, False, number))
        if transaction.outcome is Outcome.COMMITTED:
            events.append((transaction.returned, True, number))
    frontier: set[int] = set()
    earlier: dict[int, set[int]] = {}
    for _, is_return, number in sorted(events):
        if is_return:
            frontier -= earlier[number]
            frontier.add(number)
        else:
            earlier[number] = set(frontier)
            for other in frontier:
                edges[other].add(number)
    return edges


def precedes(seen: Observations, first: int, second: int) -> bool:
    """Return whether one transaction had returned before another began."""
    one, other = seen.transactions[first], seen.transactions[second]
    return one.outcome is Outcome.COMMITTED and one.returned < other.invoked
