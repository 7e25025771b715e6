"""A bench runs a load for as long as it was told, measures it, and reports errors."""

from dataclasses import replace

import pytest

from core import (
    KeyValueStore,
    LoadGenerator,
    LoadSettings,
    OperationKind,
    ServerFailedError,
    Value,
    Workload,
)
from tests.support import store_with
from tests.tui.renderables.support import lines_of
from tui.bench import BenchResult, run_bench
from tui.bench_report import draw_bench_report
from tui.renderables.look import DARK

ASCII = replace(DARK, ascii_only=True)


class FailingTarget:
    """A store of which every hundredth read fails, with whatever error it was given."""

    def __init__(self, store: KeyValueStore, error: Exception) -> None:
        self._store = store
        self._error = error
        self.armed = False
        self._reads = 0

    def get(self, key: str) -> Value | None:
        self._reads += 1
        if self.armed and self._reads % 100 == 0:
            raise self._error
        return self._store.get(key)

    def set(self, key: str, value: Value) -> bool:
        return self._store.set(key, value)

    def scan(self, start_key: str, count: int) -> list[tuple[str, Value]]:
        return self._store.scan(start_key, count)


@pytest.fixture
def store() -> KeyValueStore:
    return store_with(["alpha", "bravo"])


def loaded(store: KeyValueStore, **settings: object) -> LoadGenerator:
    load = LoadGenerator(store, LoadSettings(**{"key_count": 200, **settings}))  # type: ignore[arg-type]
    load.load()
    return load


def failing(store: KeyValueStore, error: Exception) -> LoadGenerator:
    target = FailingTarget(store, error)
    load = LoadGenerator(target, LoadSettings(key_count=200, threads=2))
    load.load()
    target.armed = True
    return load


def test_it_ends_after_its_operations(store: KeyValueStore) -> None:
    load = loaded(store, workload=Workload.A, threads=2)
    result = run_bench(load, None, 500)
    assert result.interval.operations >= 500
    assert set(result.kinds) == {OperationKind.READ, OperationKind.UPDATE}
    assert sum(kind.count for kind in result.kinds.values()) == result.interval.operations
    assert not load.running
    assert not result.had_errors


def test_it_ends_when_its_time_is_over(store: KeyValueStore) -> None:
    result = run_bench(loaded(store, operations_per_second=100.0), 0.2, 10**9)
    assert result.interval.seconds >= 0.2
    assert 0 < result.interval.operations < 10**9


def test_what_was_counted_before_is_not_counted_again(store: KeyValueStore) -> None:
    load = loaded(store)
    first = run_bench(load, None, 1_000)
    second = run_bench(load, None, 1)
    assert sum(kind.count for kind in second.kinds.values()) == second.interval.operations
    assert second.load.operations >= first.interval.operations + second.interval.operations


def test_errors_are_counted_by_type_and_the_load_goes_on(store: KeyValueStore) -> None:
    result = run_bench(failing(store, ServerFailedError("alpha", "gone\x1b[2J")), None, 1_000)
    assert result.had_errors
    assert result.load.errors["ServerFailedError"] >= 1
    report = draw_bench_report(result, store.snapshot(), DARK).plain
    assert "ServerFailedError" in report
    assert "alpha: gone\\x1b[2J" in report
    assert "no errors" not in report


def test_a_bug_ends_the_bench_and_is_reported(store: KeyValueStore) -> None:
    load = failing(store, ZeroDivisionError("a bug"))
    result = run_bench(load, 60.0, None)
    assert result.had_errors
    assert not load.running
    report = draw_bench_report(result, store.snapshot(), DARK).plain
    assert "ended by a bug: ZeroDivisionError: a bug" in report


def test_an_interrupt_stops_the_load(store: KeyValueStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tui.bench.time.sleep", interrupted)
    load = loaded(store)
    with pytest.raises(KeyboardInterrupt):
        run_bench(load, 60.0, None)
    assert not load.running


@pytest.fixture
def result(store: KeyValueStore) -> BenchResult:
    return run_bench(loaded(store, workload=Workload.F), None, 2_000)


def test_the_report_has_a_line_a_kind_that_adds_up(
    store: KeyValueStore, result: BenchResult
) -> None:
    lines = lines_of(draw_bench_report(result, store.snapshot(), DARK))
    assert lines[0] == "YCSB F  Read-modify-write: user records that are read and changed"
    assert lines[1] == "4 threads, unpaced, zipfian; 200 keys of 100 B on 2 servers; seed 0"
    assert lines[3].split() == [
        *("kind", "operations", "ops/s", "mean", "p50", "p99", "p99.9", "max")
    ]
    counts = [int(line.split()[1].replace(",", "")) for line in lines[4:7]]
    assert [line.split()[0] for line in lines[4:7]] == ["read", "read-modify-write", "all"]
    assert counts[0] + counts[1] == counts[2] == result.interval.operations
    assert lines[-1].endswith("0 reads found nothing, no errors")


def test_a_bench_without_operations_has_no_latency(
    store: KeyValueStore, result: BenchResult
) -> None:
    load = loaded(store)
    nothing = load.snapshot()
    empty = BenchResult(nothing, nothing.since(nothing), {})
    lines = lines_of(draw_bench_report(empty, store.snapshot(), DARK))
    assert lines[4].split() == ["all", "0", "0", "-", "-", "-", "-", "-"]


def test_in_ascii_everything_is_ascii(store: KeyValueStore, result: BenchResult) -> None:
    assert draw_bench_report(result, store.snapshot(), ASCII).plain.isascii()
