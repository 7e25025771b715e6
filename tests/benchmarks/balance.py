"""How even the shares of a ring are, and what a join moves: chosen points against random ones.

Shares are those of the positions, not of some keys: with those, chance would add its part.
"""

import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from core import HashRing, Placement, RingView, ownership_diff
from core.stripes import POSITIONS
from tests.benchmarks.measure import Figure, at_most, interleaved

EVEN = 1.05
# How many servers, and of how many rings the mean is taken: what random points do is chance.
RINGS = {10: 20, 100: 3}
# Each may join a ring. A share of random points is 8 % more or less than its mean, and the mean of
# so many shares 0.4 %.
JOINERS = 400
OF_RANDOM = 1.01
REPLICAS = 3


class Kind(NamedTuple):
    """Where how many points of a server lie."""

    vnodes: int
    placement: Placement

    def __str__(self) -> str:
        return f"{self.vnodes:,} {self.placement}"

    def ring(self, servers: int, number: int) -> HashRing:
        """Return one of the rings of so many servers, which joined one by one."""
        ring = HashRing(self.vnodes, placement=self.placement)
        for server in range(servers):
            ring.add_server(f"server-{number}-{server}")
        return ring


RANDOM, MANY = Kind(150, Placement.RANDOM), Kind(1_000, Placement.RANDOM)
BALANCED = Kind(150, Placement.BALANCED)


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    for servers, count in RINGS.items():
        rings = {
            kind: [kind.ring(servers, number) for number in range(count)]
            for kind in (RANDOM, MANY, BALANCED)
        }
        yield from _evenness(servers, rings)
        yield from _joins(servers, {kind: found[0] for kind, found in rings.items()})


def _evenness(servers: int, rings: dict[Kind, list[HashRing]]) -> Iterator[Figure]:
    views = {kind: [ring.view for ring in found] for kind, found in rings.items()}
    measures: dict[str, Callable[[RingView], float]] = {
        "peak/avg": peak,
        f"peak/avg of {REPLICAS} copies": peak_of_copies,
        "peak/avg after a leave": peak_after_a_leave,
    }
    for name, measure in measures.items():
        for kind, found in views.items():
            mean = statistics.mean(map(measure, found))
            yield Figure(f"{name}, {servers} servers | {kind}", mean, "")
    worst = max(map(peak, views[BALANCED]))
    yield at_most(f"peak/avg, {servers} servers | {BALANCED}, worst", worst, EVEN, "")


def _joins(servers: int, rings: dict[Kind, HashRing]) -> Iterator[Figure]:
    """Yield what a join moves, in parts of what it has to move: 1/(n+1).

    That is also what random points move on average, for their server is one like the others.
    """
    of_random = statistics.mean(
        moved(rings[RANDOM], f"joiner-{number}") * (servers + 1) for number in range(JOINERS)
    )
    of_balanced = moved(rings[BALANCED], "joiner-0") * (servers + 1)
    name = f"moved by join {servers + 1}"
    yield Figure(f"{name} / ideal | {RANDOM}, mean", of_random, "x")
    yield at_most(f"{name} / ideal | {BALANCED}", of_balanced, 1)
    yield at_most(f"{name} | balanced / random", of_balanced / of_random, OF_RANDOM)
    seconds = interleaved(
        {
            str(kind): lambda ring=ring: ring.copy().add_server("joiner-0")  # type: ignore[misc]
            for kind, ring in rings.items()
        }
    )
    for kind in map(str, rings):
        yield Figure(f"points of join {servers + 1} | {kind}", seconds[kind] * 1e3, "ms")


def peak(view: RingView) -> float:
    """Return the largest share over the mean one."""
    return max(view.shares().values()) * len(view.weights)


def peak_of_copies(view: RingView) -> float:
    """Return how much the fullest server holds over the mean, with several replicas."""
    held = dict.fromkeys(view.weights, 0)
    for span, replicas in view.ranges(REPLICAS):
        for server_id in replicas:
            held[server_id] += span.size
    return max(held.values()) * len(held) / REPLICAS / POSITIONS


def peak_after_a_leave(view: RingView) -> float:
    """Return the largest share over the mean one, whoever leaves: the mean of all who may."""
    return statistics.mean(peak(view.without_server(server_id)) for server_id in view.weights)


def moved(ring: HashRing, joiner: str) -> float:
    """Return the part of the ring that gets another server when one joins."""
    trial = ring.copy()
    trial.add_server(joiner)
    return sum(change.range.size for change in ownership_diff(ring.view, trial.view)) / POSITIONS
