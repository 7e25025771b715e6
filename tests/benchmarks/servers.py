"""A ring of a thousand servers against one of ten: what a get, a set and a flip take."""

import statistics
import time
from collections.abc import Iterator

from core import KeyValueStore
from tests.benchmarks.keys import VALUE, filled_store, random_keys
from tests.benchmarks.measure import Figure, at_most, interleaved

FEW, MANY = 10, 1_000
FLIP_KEYS = 100_000
FLIP_ROUNDS = 5


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
    flips = {count: Flips(keys[:FLIP_KEYS], count) for count in (FEW, MANY)}
    for _ in range(FLIP_ROUNDS):
        for each in flips.values():
            each.join_and_leave()
    medians = {count: statistics.median(each.seconds) for count, each in flips.items()}
    yield Figure("flip of a chunk, 10 servers", medians[FEW] * 1e6, "us")
    yield at_most("flip of a chunk, 1,000 servers / 10", medians[MANY] / medians[FEW], 5.0)


class Flips:
    """A store in which a server joins and leaves again, and how long the flips took.

    The chunks are those of the migration; their copying and discarding is not counted: a flip is
    what lies between the steps that `RangeMover` calls "move.verified" and "move.flipped".
    """

    def __init__(self, keys: list[str], servers: int) -> None:
        self.seconds: list[float] = []
        self._verified = 0.0
        self._store = KeyValueStore(yield_point=self._note)
        for number in range(servers):
            self._store.add_server(f"server-{number}")
        self._store.set_many(dict.fromkeys(keys, VALUE))

    def join_and_leave(self) -> None:
        """Let a server join, and leave."""
        self._store.add_server("one-more")
        self._store.remove_server("one-more")

    def _note(self, step: str) -> None:
        if step == "move.verified":
            self._verified = time.perf_counter()
        elif step == "move.flipped":
            self.seconds.append(time.perf_counter() - self._verified)
