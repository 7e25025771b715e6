"""A join at 1,000,000 keys under load: what moves, how long it takes, and what the load feels.

The load is YCSB's workload A (half reads, half updates, some keys far more often than others) from
four threads, as fast as they can. Rounds of a quiet time and a join are compared: how long the
longest of a million operations takes is chance. The load generator lets the interpreter switch
threads every 0.5 ms; some rounds are measured at CPython's own 5 ms as well, beside the bars.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import mmh3

from core import KeyValueStore, LatencyHistogram, LoadGenerator, LoadSettings, Workload
from core.workload.key_space import load_key
from tests.benchmarks.keys import VALUE
from tests.benchmarks.measure import Figure, at_least, at_most, equal, interleaved

KEYS = 1_000_000
SERVERS = ("alpha", "bravo", "charlie", "delta")
THREADS = 4
ROUNDS = 7
QUIET_ROUNDS = 3
# What CPython begins with.
OWN_SWITCH_INTERVAL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Round:
    """What was measured in one round: times in seconds, keys, and the load's latencies."""

    floor: float
    alone: float
    join: float
    moved: int
    quiet: LatencyHistogram
    joining: LatencyHistogram


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    store = KeyValueStore()
    for server_id in SERVERS:
        store.add_server(server_id)
    generator = LoadGenerator(
        store, LoadSettings(workload=Workload.A, threads=THREADS, key_count=KEYS)
    )
    generator.load()
    keys = [load_key(number) for number in range(KEYS)]
    yield from _plan_figures(store, keys)
    before, after = store.snapshot().view, store.plan_add_server("echo").after
    changing = [key for key in keys if after.server_for_key(key) != before.server_for_key(key)]
    gives = dict.fromkeys(keys, VALUE)
    yield from _quiet_figures(store, gives, changing)
    rounds = _rounds(store, generator, gives, changing)
    moved = {each.moved for each in rounds}
    yield equal(
        "join under load: keys moved / keys whose owner changed",
        max(moved, key=lambda keys: abs(keys - len(changing))) / len(changing),
        1,
        "x",
    )
    yield from _loaded_figures(rounds)
    own = _rounds(
        store, generator, gives, changing, QUIET_ROUNDS, interval=OWN_SWITCH_INTERVAL_SECONDS
    )
    yield from _at_own_interval(own)
    store.check_invariants()
    store.close()


def _quiet_figures(
    store: KeyValueStore, gives: dict[str, str], changing: list[str]
) -> Iterator[Figure]:
    """A join while nothing else happens."""
    moved = 0
    floors: list[float] = []
    joins: list[float] = []
    for _ in range(QUIET_ROUNDS):
        floors.append(_floor(gives, changing))
        began = time.perf_counter()
        moved = _join(store)
        joins.append(time.perf_counter() - began)
        store.remove_server("echo")
    yield equal("join: keys moved / keys whose owner changed", moved / len(changing), 1, "x")
    yield Figure("join: keys moved", moved, "keys")
    ratio = statistics.median(joins) / statistics.median(floors)
    yield Figure("join: a moved key / dict pop + set, no load", ratio, "x")


def _plan_figures(store: KeyValueStore, keys: list[str]) -> Iterator[Figure]:
    hashed = mmh3.hash

    def hash_all() -> None:
        for key in keys:
            hashed(key, 0, False)

    seconds = interleaved({"plan": lambda: store.plan_add_server("echo"), "hash": hash_all})
    yield at_most(
        "plan of 1,000,000 keys / hashing them once", seconds["plan"] / seconds["hash"], 1.5
    )


def _rounds(
    store: KeyValueStore,
    generator: LoadGenerator,
    gives: dict[str, str],
    changing: list[str],
    count: int = ROUNDS,
    interval: float | None = None,
) -> list[Round]:
    rounds: list[Round] = []
    generator.start()
    if interval is not None:
        sys.setswitchinterval(interval)
    length = 3.0
    for _ in range(count):
        floor = _floor(gives, changing)
        start = _latencies(generator)
        began = time.perf_counter()
        time.sleep(length)
        alone = time.perf_counter() - began
        quiet = _latencies(generator)
        began = time.perf_counter()
        moved = _join(store)
        length = time.perf_counter() - began
        joined = _latencies(generator)
        store.remove_server("echo")
        rounds.append(Round(floor, alone, length, moved, quiet - start, joined - quiet))
    generator.stop()
    return rounds


def _loaded_figures(rounds: list[Round]) -> Iterator[Figure]:
    quiet = [each.quiet.summary() for each in rounds]
    joining = [each.joining.summary() for each in rounds]
    join = statistics.median(each.join for each in rounds)
    yield Figure("join: time under load", join, "s")
    floor = statistics.median(each.floor for each in rounds)
    yield at_most("join: a moved key / dict pop + set, both under load", join / floor, 6.0)
    tail = statistics.median(each.p999_ns for each in joining)
    yield Figure("join: foreground p99.9", tail / 1e6, "ms")
    without = statistics.median(each.p999_ns for each in quiet)
    yield at_most("join: foreground p99.9 / without", tail / without, 2.0)
    longest = statistics.median(each.maximum_ns for each in joining)
    yield Figure("join: longest stall", longest / 1e6, "ms")
    without = statistics.median(each.maximum_ns for each in quiet)
    yield at_most("join: longest stall / without", longest / without, 2.0)
    rates = statistics.median(
        (each.joining.count / each.join) / (each.quiet.count / each.alone) for each in rounds
    )
    yield at_least("join: throughput / without", rates, 0.5)


def _at_own_interval(rounds: list[Round]) -> Iterator[Figure]:
    """What the load feels where the interpreter switches as seldom as CPython lets it."""
    for name, of in (("p99.9", "p999_ns"), ("longest stall", "maximum_ns")):
        joining = statistics.median(getattr(each.joining.summary(), of) for each in rounds)
        quiet = statistics.median(getattr(each.quiet.summary(), of) for each in rounds)
        yield Figure(f"join, switching every 5 ms: {name} / without", joining / quiet, "x")


def _join(store: KeyValueStore) -> int:
    """Let a server join; return how many keys moved."""
    migration = store.commit(store.plan_add_server("echo"))
    migration.wait()
    return migration.progress.keys_moved


def _latencies(generator: LoadGenerator) -> LatencyHistogram:
    """Return how long the operations took so far."""
    return LatencyHistogram.merged(generator.snapshot().histograms.values())


def _floor(gives: dict[str, str], changing: list[str]) -> float:
    """Return how long it takes to move these keys from a dict to another, in seconds."""
    takes: dict[str, str] = {}
    began = time.perf_counter()
    for key in changing:
        takes[key] = gives.pop(key)
    seconds = time.perf_counter() - began
    gives.update(takes)
    return seconds
