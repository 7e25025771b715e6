"""A join at 1,000,000 keys under load: what moves, how long it takes, and what the load feels."""

import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import mmh3

from core import KeyValueStore
from core.workload.switch_interval import finer_switching
from tests.benchmarks.keys import VALUE, random_keys
from tests.benchmarks.measure import Figure, at_least, at_most, equal, interleaved

KEYS = 1_000_000
SERVERS = ("alpha", "bravo", "charlie", "delta")
THREADS = 4
# Rounds of a quiet time and a join, each as long as the other, whose medians are compared: how long
# the longest of a million operations takes is chance.
ROUNDS = 5


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
    yield from _plan_figures(store, keys)
    before, after = store.snapshot().view, store.plan_add_server("echo").after
    changing = [key for key in keys if after.server_for_key(key) != before.server_for_key(key)]
    yield from _join_figures(store, keys, changing)
    store.close()


def _plan_figures(store: KeyValueStore, keys: list[str]) -> Iterator[Figure]:
    hashed = mmh3.hash

    def hash_all() -> None:
        for key in keys:
            hashed(key, 0, False)

    seconds = interleaved({"plan": lambda: store.plan_add_server("echo"), "hash": hash_all})
    yield at_most(
        "plan of 1,000,000 keys / hashing them once", seconds["plan"] / seconds["hash"], 1.5
    )


def _join_figures(store: KeyValueStore, keys: list[str], changing: list[str]) -> Iterator[Figure]:
    floor, join, moved = [], [], 0
    quiet, joining = [], []
    gives: dict[str, str] = dict.fromkeys(keys, VALUE)
    alone = _floor(gives, changing)
    began = time.perf_counter()
    store.add_server("echo")
    join_alone = time.perf_counter() - began
    store.remove_server("echo")
    with finer_switching, Foreground(store, keys) as foreground:
        length = 3.0
        for _ in range(ROUNDS):
            floor.append(_floor(gives, changing))
            foreground.take()
            time.sleep(length)
            quiet.append(foreground.take())
            began = time.perf_counter()
            migration = store.commit(store.plan_add_server("echo"))
            migration.wait()
            length = time.perf_counter() - began
            joining.append(foreground.take())
            join.append(length)
            moved = migration.progress.keys_moved
            store.remove_server("echo")
    yield equal("join: keys moved / keys whose owner changed", moved / len(changing), 1, "x")
    yield Figure("join: keys moved", moved, "keys")
    yield Figure("join: time under load", statistics.median(join), "s")
    yield at_most(
        "join: a moved key / dict pop + set, both under load",
        statistics.median(join) / statistics.median(floor),
        6.0,
    )
    yield Figure("join: a moved key / dict pop + set, no load", join_alone / alone, "x")
    for name, fraction in (("p99", 0.99), ("p99.9", 0.999)):
        during = statistics.median(stalls.percentile(fraction) for stalls in joining)
        without = statistics.median(stalls.percentile(fraction) for stalls in quiet)
        yield Figure(f"join: foreground {name}", during / 1e3, "us")
        if name == "p99.9":
            yield at_most(f"join: foreground {name} / without", during / without, 2.0)
    during = statistics.median(stalls.longest for stalls in joining)
    without = statistics.median(stalls.longest for stalls in quiet)
    yield Figure("join: longest stall", during / 1e6, "ms")
    yield at_most("join: longest stall / without", during / without, 2.0)
    rates = [len(stalls.durations) for stalls in joining], [len(s.durations) for s in quiet]
    yield at_least("join: throughput / without", sum(rates[0]) / sum(rates[1]), 0.5)


def _floor(gives: dict[str, str], changing: list[str]) -> float:
    """Return how long it takes to move these keys from a dict to another, in seconds."""
    takes: dict[str, str] = {}
    began = time.perf_counter()
    for key in changing:
        takes[key] = gives.pop(key)
    seconds = time.perf_counter() - began
    gives.update(takes)
    return seconds


if __name__ == "__main__":
    for figure in figures():
        sys.stdout.write(f"{figure}\n")
