"""A join at 200,000 keys under load: what moves, how long it takes, and what the load feels."""

import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from core import KeyValueStore
from core.workload.switch_interval import finer_switching
from tests.benchmarks.measure import Figure, at_most, equal
from tests.benchmarks.operations import VALUE, random_keys

KEYS = 200_000
SERVERS = ("alpha", "bravo", "charlie", "delta")
THREADS = 4
# Rounds of a quiet time and a join, each as long as the other, whose medians are compared: how long
# the longest of a million operations takes is chance.
ROUNDS = 7


@dataclass
class Stalls:
    """How long the operations of a while took, in nanoseconds."""

    durations: list[int] = field(default_factory=list)

    @property
    def longest(self) -> int:
        return max(self.durations)

    def percentile(self, fraction: float) -> int:
        return sorted(self.durations)[int(len(self.durations) * fraction)]


class Foreground:
    """Unpaced threads, half reads and half writes, that note how long each operation took."""

    def __init__(self, store: KeyValueStore, keys: list[str]) -> None:
        self._store = store
        self._keys = keys
        self._stop = threading.Event()
        self._notes: list[list[int]] = [[] for _ in range(THREADS)]
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)
        ]

    def __enter__(self) -> "Foreground":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def take(self) -> Stalls:
        """Return what was noted since the last time."""
        taken = Stalls()
        for number in range(THREADS):
            notes, self._notes[number] = self._notes[number], []
            taken.durations += notes
        return taken

    def _work(self, number: int) -> None:
        keys = self._keys[number::THREADS]
        random.Random(number).shuffle(keys)
        get, put, clock = self._store.get, self._store.set, time.perf_counter_ns
        while not self._stop.is_set():
            for position, key in enumerate(keys):
                began = clock()
                if position & 1:
                    put(key, VALUE)
                else:
                    get(key)
                self._notes[number].append(clock() - began)
                if not position & 255 and self._stop.is_set():
                    return


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    keys = random_keys(KEYS)
    store = KeyValueStore()
    for server_id in SERVERS:
        store.add_server(server_id)
    store.set_many(dict.fromkeys(keys, VALUE))
    before = {key: store.get_server_for_key(key) for key in keys}
    plan = store.plan_add_server("echo")
    changed = sum(plan.after.server_for_key(key) != before[key] for key in keys)

    seconds, moved = [], 0
    quiet, joining = [], []
    with finer_switching, Foreground(store, keys) as foreground:
        length = 1.0
        for _ in range(ROUNDS):
            foreground.take()
            time.sleep(length)
            quiet.append(foreground.take())
            began = time.perf_counter()
            migration = store.commit(store.plan_add_server("echo"))
            migration.wait()
            length = time.perf_counter() - began
            joining.append(foreground.take())
            seconds.append(length)
            moved = migration.progress.keys_moved
            store.remove_server("echo")
    store.close()

    yield equal("join: keys moved / keys whose owner changed", moved / changed, 1, "x")
    yield Figure("join: keys moved", moved, "keys")
    yield Figure("join: time under load", statistics.median(seconds), "s")
    for name, fraction in (("p99", 0.99), ("p99.9", 0.999)):
        during = statistics.median(stalls.percentile(fraction) for stalls in joining)
        without = statistics.median(stalls.percentile(fraction) for stalls in quiet)
        yield Figure(f"join: foreground {name} / without", during / without, "x")
    during = statistics.median(stalls.longest for stalls in joining)
    without = statistics.median(stalls.longest for stalls in quiet)
    yield Figure("join: longest stall", during / 1e6, "ms")
    yield at_most("join: longest stall / without", during / without, 2.0)
    rates = [len(stalls.durations) for stalls in joining], [len(s.durations) for s in quiet]
    yield Figure("join: throughput / without", sum(rates[0]) / sum(rates[1]), "x")


if __name__ == "__main__":
    for figure in figures():
        sys.stdout.write(f"{figure}\n")
