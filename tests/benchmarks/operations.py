"""Get and set against the floor: the hash and one dict operation on the same keys.

The keys are read and written in the order in which they were stored, for the floor as for the
store; what it is in another order is said beside it.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence

import mmh3

from core import KeyValueStore
from tests.benchmarks.compiled import core_is_compiled, uncompiled_figures
from tests.benchmarks.keys import VALUE, filled_store, random_keys
from tests.benchmarks.measure import Figure, at_least, at_most, interleaved

THREADS = 8
BATCH = 100


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    keys = random_keys()
    store, plain = filled_store(keys), dict.fromkeys(keys, VALUE)
    yield from _operation_figures(keys, store, plain, threads=1)
    yield from _operation_figures(keys, store, plain, threads=THREADS)
    yield from _thread_figures(keys, store)
    yield from _batch_figures(keys, store)
    yield from _replication_figures(keys, store)
    yield from _order_figures(keys, store, plain)
    if core_is_compiled():
        yield from uncompiled_figures("operations")


def _floor_get(keys: Sequence[str], plain: dict[str, str]) -> None:
    fetch, hashed = plain.get, mmh3.hash
    for key in keys:
        hashed(key, 0, False)
        fetch(key)


def _floor_set(keys: Sequence[str], plain: dict[str, str]) -> None:
    hashed = mmh3.hash
    for key in keys:
        hashed(key, 0, False)
        plain[key] = VALUE


def _get(keys: Sequence[str], store: KeyValueStore) -> None:
    fetch = store.get
    for key in keys:
        fetch(key)


def _set(keys: Sequence[str], store: KeyValueStore) -> None:
    put = store.set
    for key in keys:
        put(key, VALUE)


def _operation_figures(
    keys: list[str], store: KeyValueStore, plain: dict[str, str], threads: int
) -> Iterator[Figure]:
    runs: dict[str, Callable[[list[str]], None]] = {
        "floor get": lambda part: _floor_get(part, plain),
        "get": lambda part: _get(part, store),
        "floor set": lambda part: _floor_set(part, plain),
        "set": lambda part: _set(part, store),
    }
    seconds = interleaved({name: _in_threads(run, keys, threads) for name, run in runs.items()})
    alone = threads == 1
    of = "1 thread" if alone else f"{threads} threads"
    get, put = seconds["get"] / seconds["floor get"], seconds["set"] / seconds["floor set"]
    yield Figure(f"get, {of}", seconds["get"] / len(keys) * 1e9, "ns")
    yield at_most(f"get / (mmh3.hash + dict get), {of}", get, 1.6 if alone else 2.5)
    yield Figure(f"set, {of}", seconds["set"] / len(keys) * 1e9, "ns")
    yield at_most(f"set / (mmh3.hash + dict set), {of}", put, 2.0 if alone else 3.0)


def _thread_figures(keys: list[str], store: KeyValueStore) -> Iterator[Figure]:
    """Half reads and half writes, of the same keys in the same order but for the threads."""
    parts = [keys[number::THREADS] for number in range(THREADS)]

    def read_and_write(part: list[str]) -> None:
        fetch, put = store.get, store.set
        for number, key in enumerate(part):
            if number & 1:
                put(key, VALUE)
            else:
                fetch(key)

    def run_one() -> None:
        for part in parts:
            read_and_write(part)

    seconds = interleaved({"1": run_one, "8": _in_threads(read_and_write, keys, THREADS)})
    yield at_least(
        "half get, half set: throughput of 8 threads / 1", seconds["1"] / seconds["8"], 0.9
    )


def _batch_figures(keys: list[str], store: KeyValueStore) -> Iterator[Figure]:
    """Single calls against calls for a hundred keys, which also hand back what they found."""
    parts = [keys[first : first + BATCH] for first in range(0, len(keys), BATCH)]
    items = [dict.fromkeys(part, VALUE) for part in parts]

    def collect() -> None:
        fetch = store.get
        for part in parts:
            {key: fetch(key) for key in part}

    def get_many() -> None:
        for part in parts:
            store.get_many(part)

    def set_many() -> None:
        for part in items:
            store.set_many(part)

    seconds = interleaved(
        {
            "get": lambda: _get(keys, store),
            "collect": collect,
            "get_many": get_many,
            "set": lambda: _set(keys, store),
            "set_many": set_many,
        }
    )
    yield at_least("get / get_many of 100, per key", seconds["get"] / seconds["get_many"], 1.5)
    yield Figure(
        "get into a dict / get_many of 100, per key", seconds["collect"] / seconds["get_many"], "x"
    )
    yield at_least("set / set_many of 100, per key", seconds["set"] / seconds["set_many"], 1.5)


def _replication_figures(keys: list[str], single: KeyValueStore) -> Iterator[Figure]:
    triple = filled_store(keys, replication_factor=3)
    seconds = interleaved(
        {
            "get 1": lambda: _get(keys, single),
            "get 3": lambda: _get(keys, triple),
            "set 1": lambda: _set(keys, single),
            "set 3": lambda: _set(keys, triple),
        }
    )
    yield at_most("get, 3 replicas / 1 replica", seconds["get 3"] / seconds["get 1"], 1.2)
    yield at_most("set, 3 replicas / 1 replica", seconds["set 3"] / seconds["set 1"], 2.2)


def _order_figures(
    keys: list[str], store: KeyValueStore, plain: dict[str, str]
) -> Iterator[Figure]:
    """The same in an order of its own: then nothing that is needed lies beside what was needed."""
    mixed = random.Random(7).sample(keys, len(keys))
    seconds = interleaved(
        {
            "floor get": lambda: _floor_get(mixed, plain),
            "get": lambda: _get(mixed, store),
            "floor set": lambda: _floor_set(mixed, plain),
            "set": lambda: _set(mixed, store),
        }
    )
    for name in ("get", "set"):
        ratio = seconds[name] / seconds[f"floor {name}"]
        yield Figure(f"{name} / (mmh3.hash + dict {name}), in random order", ratio, "x")


def _in_threads(
    run: Callable[[list[str]], None], keys: list[str], threads: int
) -> Callable[[], None]:
    """Return a function that runs `run` on parts of the keys, a part a thread."""
    if threads == 1:
        return lambda: run(keys)
    parts = [keys[number::threads] for number in range(threads)]

    def run_all() -> None:
        workers = [threading.Thread(target=run, args=(part,)) for part in parts]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return run_all
