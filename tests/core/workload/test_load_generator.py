"""The load generator with real threads, against real and failing stores."""

import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import count
from random import Random
from typing import Any, get_type_hints

import pytest

from core.clock import ManualClock
from core.errors import InvalidOptionError, NoServersError, ServerFailedError, StoreError
from core.record import Value
from core.store import KeyValueStore
from core.workload.distributions import Distribution
from core.workload.load_generator import LoadChanges, LoadGenerator
from core.workload.load_settings import LoadSettings
from core.workload.load_worker import LONGEST_BACKOFF_SECONDS, LoadWorker
from core.workload.ycsb import OperationKind, Workload
from tests.core.workload.targets import FailingStore, RecordingStore, load_threads, until

# One operation in so many seconds: a thread that waits for its turn waits longer than any test.
HARDLY_EVER = 0.001


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    assert load_threads() == set()
    assert sys.getswitchinterval() == interval


@pytest.fixture
def store() -> Iterator[KeyValueStore]:
    with KeyValueStore() as store:
        for server_id in ("alpha", "bravo", "charlie"):
            store.add_server(server_id)
        yield store


def operations_of(generator: LoadGenerator) -> int:
    return generator.snapshot().operations


def until_more_operations(generator: LoadGenerator, more: int = 100) -> None:
    wanted = operations_of(generator) + more
    until(lambda: operations_of(generator) >= wanted)


# Loading


def test_load_writes_the_keys_under_the_prefix(store: KeyValueStore) -> None:
    store.set("user:1", "not the load's")
    generator = LoadGenerator(store, LoadSettings(key_count=300, value_size=40))
    assert generator.load() == 300
    assert set(store.keys("load:")) == {f"load:user{number}" for number in range(300)}
    assert len(store) == 301
    assert all(len(str(store.get(key))) == 40 for key in store.keys("load:"))


def test_loading_again_writes_only_what_is_missing() -> None:
    store = RecordingStore()
    generator = LoadGenerator(store, LoadSettings(key_count=2_500))
    generator.load()
    store.values["load:user7"] = "changed since"
    del store.values["load:user1234"]
    store.calls.clear()
    assert generator.load() == 1
    assert [key for method, key, _ in store.calls if method == "set"] == ["load:user1234"]
    assert store.values["load:user7"] == "changed since"
    assert generator.load() == 0


def test_loading_without_servers_says_so() -> None:
    with pytest.raises(NoServersError):
        LoadGenerator(KeyValueStore()).load()


def test_stop_ends_loading() -> None:
    class StoppingStore(RecordingStore):
        def set(self, key: str, value: Value) -> bool:
            if key == "load:user1500":
                generator.stop()
            return super().set(key, value)

    generator = LoadGenerator(StoppingStore(), LoadSettings(key_count=1_000_000))
    assert 1_500 < generator.load() < 10_000
    # It was that load which was stopped, not the next one.
    generator.change(key_count=3_000)
    assert generator.load() > 0
    assert generator.load() == 0


def test_loading_shows_how_far_it_is() -> None:
    shown: list[int | None] = []

    class WatchedStore(RecordingStore):
        def set(self, key: str, value: Value) -> bool:
            shown.append(generator.snapshot().checked_keys)
            return super().set(key, value)

    generator = LoadGenerator(WatchedStore(), LoadSettings(key_count=2_500))
    generator.load()
    assert Counter(shown) == dict.fromkeys(range(0, 2_500, 100), 100)
    assert generator.snapshot().checked_keys is None


# Start and stop


@pytest.mark.parametrize("workload", Workload)
def test_every_workload_runs_on_a_real_store(store: KeyValueStore, workload: Workload) -> None:
    generator = LoadGenerator(store, LoadSettings(workload=workload, threads=3, key_count=500))
    generator.load()
    generator.start()
    until(lambda: len(generator.snapshot().errors) > 0 or operations_of(generator) > 300)
    generator.stop()
    snapshot = generator.snapshot()
    assert snapshot.errors == {}
    assert snapshot.misses == 0
    ran = {kind for kind, operations in snapshot.operations_by_kind.items() if operations}
    assert ran <= {kind for kind, _ in workload.spec.mix}
    inserted = snapshot.operations_by_kind[OperationKind.INSERT]
    assert snapshot.keys == 500 + inserted == len(store.keys("load:")) == len(store)
    assert snapshot.latency.count == snapshot.operations
    assert 0 < snapshot.latency.p50_ns <= snapshot.latency.p99_ns <= snapshot.latency.maximum_ns
    store.check_invariants()


@pytest.mark.parametrize("threads", [1, 8, 64])
def test_it_runs_as_many_threads_as_asked_for(threads: int) -> None:
    generator = LoadGenerator(
        FailingStore(None), LoadSettings(threads=threads, operations_per_second=100)
    )
    assert not generator.running
    generator.start()
    assert generator.running
    assert len(load_threads()) == threads
    generator.stop()
    assert not generator.running
    assert load_threads() == set()


def test_every_operation_is_counted_once() -> None:
    store = FailingStore(None)
    generator = LoadGenerator(store, LoadSettings(workload=Workload.A, threads=1))
    generator.start()
    until(lambda: store.calls > 1_000)
    generator.stop()
    assert operations_of(generator) == store.calls
    by_kind = generator.snapshot().operations_by_kind
    assert by_kind[OperationKind.READ] + by_kind[OperationKind.UPDATE] == store.calls


def test_starting_and_stopping_twice_does_nothing_more(store: KeyValueStore) -> None:
    generator = LoadGenerator(store, LoadSettings(threads=2))
    generator.stop()
    generator.start()
    threads = load_threads()
    generator.start()
    assert load_threads() == threads
    generator.stop()
    generator.stop()
    assert not generator.running


def test_counts_go_on_after_another_start(store: KeyValueStore) -> None:
    generator = LoadGenerator(store, LoadSettings(threads=2))
    generator.start()
    until_more_operations(generator)
    generator.stop()
    before = operations_of(generator)
    generator.start()
    until_more_operations(generator)
    generator.stop()
    assert operations_of(generator) >= before + 100


def test_stop_wakes_a_thread_that_waits_for_its_turn() -> None:
    generator = LoadGenerator(
        FailingStore(None), LoadSettings(threads=4, operations_per_second=HARDLY_EVER)
    )
    generator.start()
    until(lambda: operations_of(generator) >= 1)
    # Returns in this test's time, though the next operation is due in hundreds of seconds.
    generator.stop()
    assert load_threads() == set()


def test_leaving_the_context_stops(store: KeyValueStore) -> None:
    with LoadGenerator(store) as generator:
        generator.start()
    assert not generator.running


def test_when_the_system_has_no_more_threads_nothing_is_left_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    really_start = LoadWorker.start
    started: list[LoadWorker] = []

    def start_three(worker: LoadWorker) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(worker)
        really_start(worker)

    monkeypatch.setattr(LoadWorker, "start", start_three)
    generator = LoadGenerator(FailingStore(None), LoadSettings(threads=8))
    with pytest.raises(RuntimeError, match="can't start"):
        generator.start()
    assert not generator.running
    generator.stop()
    assert load_threads() == set()


def test_the_interpreter_switches_threads_more_often_while_it_runs(store: KeyValueStore) -> None:
    usual = sys.getswitchinterval()
    first, second = LoadGenerator(store), LoadGenerator(store)
    first.start()
    second.start()
    until(lambda: operations_of(first) > 0 and operations_of(second) > 0)
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    first.stop()
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    second.stop()
    assert sys.getswitchinterval() == usual


# Changes while it runs


def test_threads_come_and_go_and_the_others_stay(store: KeyValueStore) -> None:
    generator = LoadGenerator(store, LoadSettings(threads=4))
    generator.start()
    four = load_threads()
    generator.change(threads=7)
    seven = load_threads()
    assert len(seven) == 7
    assert four < seven
    before = operations_of(generator)
    generator.change(threads=2)
    two = load_threads()
    assert len(two) == 2
    assert two < four
    assert operations_of(generator) >= before
    until_more_operations(generator)
    generator.stop()


class CountingStore(FailingStore):
    """Counts reads exactly, however many threads there are."""

    def __init__(self) -> None:
        super().__init__(None)
        self._next_read = count().__next__

    def get(self, key: str) -> Value | None:
        self._next_read()
        return key

    def reads(self) -> int:
        return self._next_read()


def test_a_thread_count_that_wanders_loses_no_count() -> None:
    store = CountingStore()
    generator = LoadGenerator(store, LoadSettings(workload=Workload.C, threads=1))
    generator.start()
    random = Random(1)
    seen = 0
    for _ in range(30):
        generator.change(threads=random.randint(1, 12))
        assert len(load_threads()) == generator.settings.threads
        operations = operations_of(generator)
        assert operations >= seen
        seen = operations
    generator.stop()
    assert operations_of(generator) == store.reads()


def test_threads_of_one_load_make_different_operations() -> None:
    keys_of_thread: dict[int, list[str]] = defaultdict(list)

    class ByThread(RecordingStore):
        def get(self, key: str) -> Value | None:
            keys = keys_of_thread[threading.get_ident()]
            if len(keys) < 200:
                keys.append(key)
            return "there"

    generator = LoadGenerator(ByThread(), LoadSettings(workload=Workload.C, threads=3))
    generator.start()
    until(
        lambda: (
            len(keys_of_thread) == 3
            and all(len(keys) == 200 for keys in list(keys_of_thread.values()))
        )
    )
    generator.stop()
    first, second, third = keys_of_thread.values()
    assert first != second != third != first


def test_the_workload_changes_without_a_restart(store: KeyValueStore) -> None:
    generator = LoadGenerator(store, LoadSettings(workload=Workload.C, threads=2))
    generator.load()
    generator.start()
    until_more_operations(generator)
    threads = load_threads()
    reads_only = generator.snapshot().operations_by_kind
    assert set(+Counter(reads_only)) == {OperationKind.READ}
    generator.change(workload=Workload.F)
    until(lambda: generator.snapshot().operations_by_kind[OperationKind.READ_MODIFY_WRITE] > 0)
    assert load_threads() == threads
    generator.stop()
    assert generator.settings.workload is Workload.F
    assert (
        generator.snapshot().operations_by_kind[OperationKind.READ]
        >= reads_only[OperationKind.READ]
    )


def test_a_change_of_pace_reaches_a_thread_that_waits_for_its_turn() -> None:
    generator = LoadGenerator(
        FailingStore(None), LoadSettings(threads=2, operations_per_second=HARDLY_EVER)
    )
    generator.start()
    until(lambda: operations_of(generator) >= 1)
    generator.change(operations_per_second=None)
    until_more_operations(generator, 1_000)
    generator.change(operations_per_second=HARDLY_EVER)
    generator.stop()


def test_a_paced_thread_waits_for_its_turn_again_after_a_change() -> None:
    # A wait on this clock moves it only while nobody wakes the thread.
    clock = ManualClock()
    generator = LoadGenerator(
        FailingStore(None), LoadSettings(threads=1, operations_per_second=10.0), clock=clock
    )
    generator.start()
    generator.change(workload=Workload.C)
    until_more_operations(generator)
    generator.stop()
    assert operations_of(generator) == pytest.approx(clock.monotonic() * 10, abs=2)


def test_the_value_size_and_distribution_change_while_it_runs() -> None:
    store = RecordingStore()
    generator = LoadGenerator(store, LoadSettings(workload=Workload.A, threads=1, value_size=10))
    generator.start()
    until(lambda: bool(store.values))
    generator.change(value_size=33, distribution=Distribution.UNIFORM)
    until(lambda: any(len(value) == 33 for value in list(store.values.values())))
    generator.stop()
    assert {len(value) for value in store.values.values()} == {10, 33}


def test_a_greater_key_count_needs_another_load(store: KeyValueStore) -> None:
    generator = LoadGenerator(store, LoadSettings(workload=Workload.C, threads=1, key_count=10))
    generator.load()
    generator.start()
    until_more_operations(generator)
    assert generator.snapshot().misses == 0
    generator.change(key_count=1_000)
    until(lambda: generator.snapshot().misses > 0)
    assert generator.load() == 990
    assert generator.snapshot().keys == 1_000
    generator.stop()


def test_inserted_keys_stay_chosen_when_something_else_changes(store: KeyValueStore) -> None:
    generator = LoadGenerator(store, LoadSettings(workload=Workload.D, threads=2, key_count=50))
    generator.load()
    generator.start()
    until(lambda: generator.snapshot().keys > 60)
    generator.change(threads=1, workload=Workload.C)
    assert generator.snapshot().keys > 60
    generator.stop()
    assert generator.snapshot().misses == 0


def test_a_change_before_the_start_holds_from_the_start(store: KeyValueStore) -> None:
    generator = LoadGenerator(store)
    generator.change(threads=3, operations_per_second=50.0)
    assert load_threads() == set()
    generator.start()
    assert len(load_threads()) == 3
    generator.stop()


def test_a_change_out_of_range_changes_nothing(store: KeyValueStore) -> None:
    generator = LoadGenerator(store, LoadSettings(threads=2))
    generator.start()
    before = generator.settings
    with pytest.raises(InvalidOptionError):
        generator.change(workload=Workload.E, threads=65)
    assert generator.settings is before
    assert len(load_threads()) == 2
    generator.stop()


def test_everything_can_be_changed() -> None:
    assert list(get_type_hints(LoadChanges)) == [field.name for field in fields(LoadSettings)]


# Pace and determinism


def test_a_paced_load_keeps_its_pace() -> None:
    clock = ManualClock()
    generator = LoadGenerator(
        FailingStore(None), LoadSettings(threads=1, operations_per_second=250.0), clock=clock
    )
    generator.start()
    until(lambda: operations_of(generator) > 2_000)
    generator.stop()
    # Waiting moves this clock: its time is that of the schedule, however long the test took.
    assert operations_of(generator) == pytest.approx(clock.monotonic() * 250, abs=2)


@pytest.mark.parametrize("workload", Workload)
def test_one_thread_with_one_seed_makes_the_same_operations(workload: Workload) -> None:
    def calls(seed: int) -> list[tuple[str, str, Value | int | None]]:
        store = RecordingStore()
        settings = LoadSettings(workload=workload, threads=1, key_count=200, seed=seed)
        with LoadGenerator(store, settings) as generator:
            generator.start()
            until(lambda: len(store.calls) >= 500)
        return store.calls[:500]

    assert calls(seed=1) == calls(seed=1)
    assert calls(seed=1) != calls(seed=2)


# Errors


def test_errors_of_the_store_are_counted_by_type_and_the_last_is_shown() -> None:
    store = KeyValueStore()
    generator = LoadGenerator(store, LoadSettings(workload=Workload.A, threads=2))
    generator.start()
    until(lambda: generator.snapshot().failed_operations >= 10)
    snapshot = generator.snapshot()
    assert generator.running
    assert set(snapshot.errors) == {"NoServersError"}
    assert snapshot.last_error == f"NoServersError: {NoServersError()}"
    assert snapshot.operations_by_kind[OperationKind.UPDATE] == 0
    assert snapshot.failure is None
    store.add_server("alpha")
    until(lambda: generator.snapshot().operations_by_kind[OperationKind.UPDATE] > 0)
    generator.stop()
    assert generator.failure is None


def test_each_error_type_is_counted_apart() -> None:
    store = FailingStore(NoServersError())
    generator = LoadGenerator(store, LoadSettings(threads=1))
    generator.start()
    until(lambda: generator.snapshot().errors.get("NoServersError", 0) > 0)
    store.error = ServerFailedError("alpha", "connection refused")
    until(lambda: generator.snapshot().errors.get("ServerFailedError", 0) > 0)
    generator.stop()
    snapshot = generator.snapshot()
    assert snapshot.failed_operations == store.calls
    assert snapshot.last_error == "ServerFailedError: alpha: connection refused"
    assert snapshot.operations == 0


def test_a_store_that_always_fails_is_asked_ever_less_often() -> None:
    clock = ManualClock()
    store = FailingStore(NoServersError())
    generator = LoadGenerator(store, LoadSettings(threads=1), clock=clock)
    generator.start()
    until(lambda: store.calls >= 200)
    generator.stop()
    # 1 + 2 + 4 + ... + 64 ms, then 100 ms each time; the last wait may have been cut short.
    waited = 0.127 + (store.calls - 7) * LONGEST_BACKOFF_SECONDS
    assert clock.monotonic() == pytest.approx(waited, abs=LONGEST_BACKOFF_SECONDS + 0.001)


def test_a_single_error_costs_a_millisecond() -> None:
    class EveryTenth(FailingStore):
        def get(self, key: str) -> Value | None:
            self.error = NoServersError() if self.calls % 10 == 9 else None
            return super().get(key)

    clock = ManualClock()
    store = EveryTenth(None)
    generator = LoadGenerator(store, LoadSettings(workload=Workload.C, threads=1), clock=clock)
    generator.start()
    until(lambda: store.calls >= 2_000)
    generator.stop()
    errors = generator.snapshot().failed_operations
    assert errors == store.calls // 10
    assert clock.monotonic() == pytest.approx(errors * 0.001, abs=0.002)


def test_the_text_of_an_error_is_made_safe_to_show() -> None:
    store = FailingStore(StoreError("\x1b]52;c;aGFja2Vk\x07" + "x" * 10_000))
    generator = LoadGenerator(store, LoadSettings(threads=1))
    generator.start()
    until(lambda: generator.snapshot().failed_operations > 0)
    generator.stop()
    shown = generator.snapshot().last_error
    assert shown is not None
    assert shown.startswith("StoreError: \\x1b]52")
    assert shown.isprintable()
    assert len(shown) <= 200


def test_a_failing_server_shows_as_errors_and_the_rest_goes_on() -> None:
    with KeyValueStore() as store:
        store.add_server("alpha")
        generator = LoadGenerator(store, LoadSettings(workload=Workload.A, threads=2, key_count=50))
        generator.load()
        generator.start()
        until_more_operations(generator)
        store.close()
        until(lambda: generator.snapshot().errors.get("StoreClosedError", 0) > 0)
        assert generator.running
        generator.stop()
        assert generator.failure is None


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), SystemExit(3), MemoryError()])
def test_any_other_exception_ends_the_load_and_is_raised_by_stop(error: BaseException) -> None:
    store = FailingStore(None)
    generator = LoadGenerator(store, LoadSettings(threads=4))
    generator.start()
    until_more_operations(generator)
    store.error = error
    until(lambda: not generator.running)
    until(lambda: bool(generator.snapshot().errors))
    snapshot = generator.snapshot()
    name = type(error).__name__
    assert snapshot.failure == snapshot.last_error == f"{name}: {error}"
    assert set(snapshot.errors) == {name}
    assert generator.failure is error
    with pytest.raises(type(error)) as caught:
        generator.stop()
    assert caught.value is error
    assert load_threads() == set()
    # Raised once; shown until the next start.
    generator.stop()
    assert generator.snapshot().failure == f"{name}: {error}"


def test_after_a_failure_the_load_can_be_started_again() -> None:
    store = FailingStore(ZeroDivisionError("a bug"))
    generator = LoadGenerator(store, LoadSettings(threads=4))
    generator.start()
    until(lambda: not generator.running)
    generator.change(threads=2)
    assert load_threads() == set()
    store.error = None
    generator.start()
    assert len(load_threads()) == 2
    until_more_operations(generator)
    assert generator.failure is None
    assert generator.snapshot().failure is None
    assert generator.snapshot().errors["ZeroDivisionError"] >= 1
    generator.stop()


def test_leaving_the_context_raises_the_failure() -> None:
    generator = LoadGenerator(FailingStore(ZeroDivisionError("a bug")))
    generator.start()
    until(lambda: not generator.running)
    with pytest.raises(ZeroDivisionError), generator:
        pass


# Snapshots


def test_an_interval_holds_what_happened_in_between(store: KeyValueStore) -> None:
    clock = ManualClock()
    generator = LoadGenerator(store, LoadSettings(threads=2), clock=clock)
    generator.load()
    before_the_start = generator.snapshot()
    generator.start()
    until_more_operations(generator)
    generator.stop()
    clock.advance(10.0)
    first = generator.snapshot()
    generator.start()
    until_more_operations(generator, 500)
    generator.stop()
    clock.advance(2.0)
    second = generator.snapshot()
    interval = second.since(first)
    assert interval.seconds == pytest.approx(2.0)
    assert interval.operations == second.operations - first.operations >= 500
    assert interval.latency.count == interval.operations
    assert interval.operations_per_second == pytest.approx(interval.operations / 2)
    assert first.since(before_the_start).operations == first.operations
    nothing = second.since(second)
    assert (nothing.operations, nothing.operations_per_second) == (0, 0.0)


def test_an_interval_counts_errors_and_misses() -> None:
    store = KeyValueStore()
    generator = LoadGenerator(store, LoadSettings(workload=Workload.A, threads=1))
    generator.start()
    until(lambda: generator.snapshot().failed_operations > 0)
    before = generator.snapshot()
    until(lambda: generator.snapshot().failed_operations > before.failed_operations + 2)
    generator.stop()
    interval = generator.snapshot().since(before)
    assert interval.failed_operations > 2
    assert interval.misses > 0


def test_a_snapshot_stands_still(store: KeyValueStore) -> None:
    generator = LoadGenerator(store, LoadSettings(threads=2))
    generator.start()
    until_more_operations(generator)
    snapshot = generator.snapshot()
    operations, latency = snapshot.operations, snapshot.latency
    until_more_operations(generator)
    generator.stop()
    assert (snapshot.operations, snapshot.latency) == (operations, latency)
    frozen: tuple[Callable[[], Any], ...] = (
        lambda: snapshot.errors.clear(),  # type: ignore[attr-defined]
        lambda: snapshot.histograms.clear(),  # type: ignore[attr-defined]
    )
    for attempt in frozen:
        with pytest.raises(AttributeError):
            attempt()


# With membership changes


def test_a_load_sees_no_error_and_no_miss_while_servers_join_and_leave() -> None:
    with KeyValueStore() as store:
        store.add_server("alpha")
        settings = LoadSettings(workload=Workload.D, threads=4, key_count=2_000)
        with LoadGenerator(store, settings) as generator:
            generator.load()
            generator.start()
            for workload in (Workload.D, Workload.A, Workload.F, Workload.E):
                generator.change(workload=workload)
                store.add_server("bravo")
                store.add_server("charlie")
                store.remove_server("alpha")
                until_more_operations(generator, 50)
                store.add_server("alpha")
                store.remove_server("bravo")
                store.remove_server("charlie")
        snapshot = generator.snapshot()
        assert snapshot.errors == {}
        assert snapshot.misses == 0
        assert len(store.keys("load:")) == snapshot.keys
        store.check_invariants()
