"""A ring of a thousand servers against one of ten: what a get, a set and a flip take."""

import statistics
import time
from collections.abc import Iterator

from core import KeyValueStore
from tests.benchmarks.keys import VALUE, filled_store, random_keys
from tests.benchmarks.measure import Figure, at_most, interleaved

FEW, MANY = 10, 1_000
FLIP_KEYS = 100_000


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
    few.close()
    many.close()
    flips = [flip_seconds(keys[:FLIP_KEYS], count) for count in (FEW, MANY)]
    yield Figure("flip of a chunk, 10 servers", flips[0] * 1e6, "us")
    yield at_most("flip of a chunk, 1,000 servers / 10", flips[1] / flips[0], 5.0)


def flip_seconds(keys: list[str], servers: int) -> float:
    """Return the median seconds that a chunk's flip takes while a server joins and leaves again.

    The chunks are those of the migration; their copying and discarding is not counted: a flip is
    what lies between the steps that `RangeMover` calls "move.verified" and "move.flipped".
    """
    seconds: list[float] = []
    verified = 0.0

    def note(step: str) -> None:
        nonlocal verified
        if step == "move.verified":
            verified = time.perf_counter()
        elif step == "move.flipped":
            seconds.append(time.perf_counter() - verified)

    store = KeyValueStore(yield_point=note)
    for number in range(servers):
        store.add_server(f"server-{number}")
    store.set_many(dict.fromkeys(keys, VALUE))
    for _ in range(3):
        store.add_server("one-more")
        store.remove_server("one-more")
    store.close()
    return statistics.median(seconds)
