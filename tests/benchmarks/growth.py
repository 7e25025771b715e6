"""How times grow with the keys and with the servers, and with which power.

The slope is that of a straight line through the logarithms: 0 does not grow, 1 grows in proportion.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator

from core import KeyValueStore
from tests.benchmarks.keys import VALUE, filled_store, random_keys
from tests.benchmarks.measure import Figure

KEY_COUNTS = (1_000, 10_000, 100_000, 1_000_000)
SERVER_COUNTS = (4, 10, 100, 1_000)
SERVERS_OF_KEYS = 10
KEYS_OF_SERVERS = 100_000
# Operations of a kind that are timed together.
TIMED = 20_000
REPEATS = 5
SCANS, SCANNED = 200, 10

Timer = Callable[[KeyValueStore, list[str]], float]


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    servers = [f"server-{number}" for number in range(max(SERVER_COUNTS))]
    all_keys = random_keys(max(KEY_COUNTS))
    by_keys: dict[int, dict[str, float]] = {}
    for count in KEY_COUNTS:
        keys = all_keys[:count]
        by_keys[count] = _times(filled_store(keys, servers=servers[:SERVERS_OF_KEYS]), keys)
    yield from _rows("keys", by_keys)
    by_servers: dict[int, dict[str, float]] = {}
    keys = all_keys[:KEYS_OF_SERVERS]
    for count in SERVER_COUNTS:
        by_servers[count] = _times(filled_store(keys, servers=servers[:count]), keys)
    yield from _rows("servers", by_servers)


def _times(store: KeyValueStore, keys: list[str]) -> dict[str, float]:
    """Return how long each operation takes, in seconds."""
    times = {name: _median(lambda run=run: run(store, keys)) for name, run in TIMERS.items()}  # type: ignore[misc]
    store.close()
    return times


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(REPEATS))


def _rows(what: str, times: dict[int, dict[str, float]]) -> Iterator[Figure]:
    for name in TIMERS:
        for count, of_count in times.items():
            yield Figure(f"{name} by {what} | {count:,}", of_count[name] * 1e6, "us")
        slope = _slope([(count, of_count[name]) for count, of_count in times.items()])
        yield Figure(f"{name} by {what} | slope", slope, "")


def _slope(points: list[tuple[int, float]]) -> float:
    logarithms = [(math.log(count), math.log(seconds)) for count, seconds in points]
    return statistics.linear_regression(*zip(*logarithms, strict=True)).slope


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _some(keys: list[str]) -> list[str]:
    return keys if len(keys) <= TIMED else keys[:: len(keys) // TIMED]


def _get(store: KeyValueStore, keys: list[str]) -> float:
    some, fetch = _some(keys), store.get

    def run() -> None:
        for key in some:
            fetch(key)

    return _timed(run) / len(some)


def _set(store: KeyValueStore, keys: list[str]) -> float:
    some, put = _some(keys), store.set

    def run() -> None:
        for key in some:
            put(key, VALUE)

    return _timed(run) / len(some)


def _scan(store: KeyValueStore, keys: list[str]) -> float:
    starts = keys[:: max(1, len(keys) // SCANS)][:SCANS]

    def run() -> None:
        for key in starts:
            store.scan(key, SCANNED)

    return _timed(run) / len(starts)


def _plan(store: KeyValueStore, _: list[str]) -> float:
    return _timed(lambda: store.plan_add_server("one-more"))


def _join(store: KeyValueStore, _: list[str]) -> float:
    seconds = _timed(lambda: store.add_server("one-more"))
    store.remove_server("one-more")
    return seconds


def _longest_wait(store: KeyValueStore, _: list[str]) -> float:
    """Return the longest time that one chunk of a join takes, in seconds."""
    migration = store.commit(store.plan_add_server("one-more"), start=False)
    longest, more = 0.0, True
    while more:
        began = time.perf_counter()
        more = migration.step()
        if more:
            longest = max(longest, time.perf_counter() - began)
    store.remove_server("one-more")
    return longest


def _snapshot(store: KeyValueStore, _: list[str]) -> float:
    return _timed(store.snapshot)


TIMERS: dict[str, Timer] = {
    "get": _get,
    "set": _set,
    f"scan of {SCANNED} keys": _scan,
    "plan of a join": _plan,
    "join": _join,
    "longest chunk of a join": _longest_wait,
    "snapshot": _snapshot,
}
