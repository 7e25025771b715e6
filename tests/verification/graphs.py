"""Strongly connected components and shortest ways. Knows nothing of transactions."""

from collections import deque
from collections.abc import Iterable, Mapping


def strongly_connected(nodes: Iterable[int], edges: Mapping[int, Iterable[int]]) -> list[list[int]]:
    """Return the strongly connected components (Tarjan 1972), without recursion."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    components: list[list[int]] = []
    for root in nodes:
        if root in order:
            continue
        stack = [(root, iter(edges.get(root, ())))]
        order[root] = low[root] = len(order)
        path.append(root)
        on_path.add(root)
        while stack:
            node, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == order[node]:
                    component: list[int] = []
                    while not component or component[-1] != node:
                        component.append(path.pop())
                    on_path.difference_update(component)
                    components.append(component)
            elif target not in order:
                order[target] = low[target] = len(order)
                path.append(target)
                on_path.add(target)
                stack.append((target, iter(edges.get(target, ()))))
            elif target in on_path:
                low[node] = min(low[node], order[target])
    return components


def shortest_way(source: int, target: int, edges: Mapping[int, Iterable[int]]) -> list[int] | None:
    """Return the nodes of a shortest way with at least one edge, both ends among them, or None.

    With one node as both ends it is a shortest cycle through it. O(nodes + edges).
    """
    came_from: dict[int, int] = {}
    queue = deque([source])
    while queue:
        node = queue.popleft()
        for other in edges.get(node, ()):
            if other == target:
                way = [target, node]
                while way[-1] != source:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if other not in came_from and other != source:
                came_from[other] = node
                queue.append(other)
    return None
