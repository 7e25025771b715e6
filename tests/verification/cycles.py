"""Whether transactions on lists are strictly serializable: no cycle in what came before what.

In the manner of Elle (Kingsbury & Alvaro, VLDB 2020). A serial order that agrees with real time is
an order along all edges (see `dependencies`), so a cycle, which lies in a strongly connected
component, is a violation; and where there is none, there is such an order.

A cycle is called after the weakest promise that it breaks, by Adya's names: G0 (writes alone), G1c
(writes and reads of them), G-single (one read that missed a write: lost update, read skew), G2
(several: write skew), each with "-realtime" if it needs the clock on the wall.
"""

from collections.abc import Sequence
from itertools import pairwise

from tests.verification.dependencies import Edge, Graph, dependencies, precedes, with_real_time
from tests.verification.graphs import shortest_way, strongly_connected
from tests.verification.transactions import Transaction
from tests.verification.version_order import Anomaly, Observations, observe

DATA_CLASSES = (
    ("G0", frozenset({Edge.WW}), False),
    ("G1c", frozenset({Edge.WW, Edge.WR}), False),
    ("G-single", frozenset({Edge.WW, Edge.WR}), True),
    ("G2", frozenset({Edge.WW, Edge.WR, Edge.RW}), False),
)
"""Names of cycles: the edges they are made of, and whether with one rw edge more."""

CLASSES = (
    *DATA_CLASSES,
    *((f"{name}-realtime", kinds | {Edge.RT}, one) for name, kinds, one in DATA_CLASSES),
)

MAX_STARTS = 50
"""Where a shortest cycle is looked for. A broken store can tie hundreds of transactions together;
then any short cycle tells the story."""


def check_list_append(transactions: Sequence[Transaction]) -> tuple[Anomaly, ...]:
    """Return what shows that a list-append history is not strictly serializable.

    Args:
        transactions: in any order; every list begins empty. In explanations, T5 is the one in
            place 5.

    Returns:
        Nothing if all is well. What single reads show wrongly comes alone: an order inferred from
        wrong reads means nothing.

    Raises:
        ValueError: two appends of one element.

    Complexity: O(actions + n * threads); inside a component of c transactions O(c ** 2).
    """
    seen = observe(transactions)
    if seen.anomalies:
        return tuple(seen.anomalies)
    graph = dependencies(seen)
    components = strongly_connected(seen.happened, with_real_time(seen, graph))
    return tuple(_explain(seen, graph, each) for each in components if len(each) > 1)


def _explain(seen: Observations, graph: Graph, component: Sequence[int]) -> Anomaly:
    """Return the worst anomaly in a component, with a short cycle."""
    for name, kinds, with_one_rw in CLASSES:
        edges = {
            source: [
                target
                for target in component
                if target != source and _kind_between(seen, graph, source, target, kinds)
            ]
            for source in component
        }
        cycle = (
            _cycle_with_one_rw(graph, component, edges) if with_one_rw else _cycle(component, edges)
        )
        if cycle is not None:
            return _anomaly(seen, graph, name, kinds, cycle)
    raise AssertionError(f"no cycle among {component}")


def _kind_between(
    seen: Observations, graph: Graph, source: int, target: int, kinds: frozenset[Edge]
) -> Edge | None:
    """Return the kind of an edge of one of these kinds, if there is one."""
    present = graph[source].get(target, {})
    for kind in Edge:
        if kind in kinds and kind in present:
            return kind
    return Edge.RT if Edge.RT in kinds and precedes(seen, source, target) else None


def _cycle(component: Sequence[int], edges: dict[int, list[int]]) -> list[int] | None:
    """Return a short cycle, its first transaction again at the end."""
    parts = [part for part in strongly_connected(component, edges) if len(part) > 1]
    if not parts:
        return None
    smallest = min(parts, key=len)
    ways = [shortest_way(start, start, edges) for start in sorted(smallest)[:MAX_STARTS]]
    return min([way for way in ways if way is not None], key=len)


def _cycle_with_one_rw(
    graph: Graph, component: Sequence[int], edges: dict[int, list[int]]
) -> list[int] | None:
    """Return a short cycle that begins with an rw edge and goes back without one."""
    best: list[int] | None = None
    for source in component:
        for target, present in graph[source].items():
            if Edge.RW not in present or target not in edges:
                continue
            way = shortest_way(target, source, edges)
            if way is not None and (best is None or len(way) + 1 < len(best)):
                best = [source, *way]
    return best


def _anomaly(
    seen: Observations, graph: Graph, name: str, kinds: frozenset[Edge], cycle: list[int]
) -> Anomaly:
    lines = [f"each of these {len(cycle) - 1} transactions must come before the next"]
    lines += [seen.describe(number) for number in sorted(set(cycle))]
    for source, target in pairwise(cycle):
        kind = _kind_between(seen, graph, source, target, kinds) or Edge.RW
        reason = graph[source].get(target, {}).get(kind) or (
            f"returned at {seen.transactions[source].returned}, before T{target} "
            f"began at {seen.transactions[target].invoked}"
        )
        way = f"T{source} -{kind.value}-> T{target}"
        lines.append(f"  {way}: T{source} {reason}")
    return Anomaly(name, tuple(lines))
