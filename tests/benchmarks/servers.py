"""A ring of a thousand servers against one of ten: what a get, a set and a flip take."""

import statistics
import time
from collections.abc import Iterator

from core import KeyValueStore
from core.cluster.range_mover import RangeMover
from tests.benchmarks.keys import VALUE, filled_store, random_keys
from tests.benchmarks.measure import Figure, at_most, interleaved

FEW, MANY = 10, 1_000


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    keys = random_keys()
    few, many = (
        filled_store(keys, servers=[f"server-{number}" for number in range(count)])
        for count in (FEW, MANY)
    )

    def read(store: KeyValueStore) -> None:
        fetch = store.get
        for key in keys:
            fetch(key)

    def write(store: KeyValueStore) -> None:
        put = store.set
        for key in keys:
            put(key, VALUE)

    seconds = interleaved(
        {
            "get few": lambda: read(few),
            "get many": lambda: read(many),
            "set few": lambda: write(few),
            "set many": lambda: write(many),
        }
    )
    yield at_most("get, 1,000 servers / 10", seconds["get many"] / seconds["get few"], 1.5)
    yield Figure("set, 1,000 servers / 10", seconds["set many"] / seconds["set few"], "x")
    flips = {name: flip_seconds(store) for name, store in (("few", few), ("many", many))}
    yield Figure("flip of a chunk, 10 servers", flips["few"] * 1e6, "us")
    yield at_most("flip of a chunk, 1,000 servers / 10", flips["many"] / flips["few"], 5.0)


def flip_seconds(store: KeyValueStore) -> float:
    """Return the median seconds that a chunk's flip takes while a server joins and leaves again.

    The chunks are those of the migration; their copying and discarding is not counted.
    """
    seconds: list[float] = []
    flip = RangeMover._flip

    def timed(mover: RangeMover, *arguments: object) -> None:
        began = time.perf_counter()
        flip(mover, *arguments)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - began)

    RangeMover._flip = timed  # type: ignore[assignment, method-assign]
    try:
        for _ in range(3):
            store.add_server("one-more")
            store.remove_server("one-more")
    finally:
        RangeMover._flip = flip  # type: ignore[method-assign]
    return statistics.median(seconds)
