"""The operations: which, on which keys, with which values, and what is counted of them."""

from collections import Counter
from random import Random

import pytest

from core.errors import NoServersError
from core.workload.distributions import Distribution
from core.workload.key_space import KEY_PREFIX, KeySpace
from core.workload.load_settings import LoadSettings
from core.workload.operations import LoadTarget, Orders, Tally, TimedOperations, value_text
from core.workload.ycsb import OperationKind, Workload
from tests.core.workload.targets import FailingStore, RecordingStore

KEY_COUNT = 500


def orders_for(settings: LoadSettings) -> Orders:
    text = value_text(settings.value_size, settings.seed)
    return Orders(settings, KeySpace(settings.key_count), text)


def carry_out(
    target: LoadTarget, orders: Orders, times: int, random: Random | None = None
) -> Tally:
    tally = Tally()
    operations = TimedOperations(target, orders, random or Random(1), tally)
    for _ in range(times):
        operations.carry_out_one()
    return tally


def run(workload: Workload, times: int, **fields: int) -> tuple[RecordingStore, Tally]:
    store = RecordingStore()
    settings = LoadSettings(workload=workload, key_count=KEY_COUNT, **fields)  # type: ignore[arg-type]
    return store, carry_out(store, orders_for(settings), times)


@pytest.mark.parametrize("workload", Workload)
def test_the_mix_is_the_published_one(workload: Workload) -> None:
    times = 40_000
    _, tally = run(workload, times)
    counts = {kind: recorder.histogram().count for kind, recorder in tally.recorders.items()}
    assert sum(counts.values()) == times
    assert set(counts) == {kind for kind, _ in workload.spec.mix}
    for kind, percent in workload.spec.mix:
        # Four standard deviations of the worst case, 50/50, are 1 %.
        assert counts[kind] / times == pytest.approx(percent / 100, abs=0.01)


@pytest.mark.parametrize("workload", Workload)
def test_every_key_lies_under_the_prefix(workload: Workload) -> None:
    store, _ = run(workload, 2_000)
    assert all(key.startswith(f"{KEY_PREFIX}user") for _, key, _ in store.calls)


@pytest.mark.parametrize("workload", [Workload.A, Workload.B, Workload.C, Workload.F])
def test_reads_and_updates_stay_among_the_loaded_keys(workload: Workload) -> None:
    store, _ = run(workload, 5_000)
    numbers = {int(key.removeprefix(f"{KEY_PREFIX}user")) for _, key, _ in store.calls}
    assert numbers <= set(range(KEY_COUNT))


@pytest.mark.parametrize("workload", [Workload.D, Workload.E])
def test_inserts_take_the_next_numbers_and_are_chosen_afterwards(workload: Workload) -> None:
    store, tally = run(workload, 5_000)
    inserted = [key for method, key, _ in store.calls if method == "set"]
    assert len(inserted) == tally.recorders[OperationKind.INSERT].histogram().count
    assert inserted == [f"load:user{KEY_COUNT + number}" for number in range(len(inserted))]
    chosen = {key for method, key, _ in store.calls if method != "set"}
    assert chosen & set(inserted)
    seen: set[str] = set()
    for method, key, _ in store.calls:
        if method == "set":
            seen.add(key)
        else:
            assert key in seen or int(key.removeprefix("load:user")) < KEY_COUNT


def test_scan_lengths_are_uniform_from_1_to_100() -> None:
    store, _ = run(Workload.E, 100_000)
    lengths = Counter(count for method, _, count in store.calls if method == "scan")
    assert set(lengths) == set(range(1, 101))
    expected = lengths.total() / 100
    chi_square = sum((count - expected) ** 2 / expected for count in lengths.values())
    # 99 degrees of freedom: 148 is exceeded once in a thousand seeds.
    assert chi_square < 148


def test_read_modify_write_reads_a_key_and_writes_the_same() -> None:
    store, tally = run(Workload.F, 2_000)
    writes = [index for index, call in enumerate(store.calls) if call[0] == "set"]
    assert len(writes) == tally.recorders[OperationKind.READ_MODIFY_WRITE].histogram().count
    assert all(store.calls[index - 1][:2] == ("get", store.calls[index][1]) for index in writes)


@pytest.mark.parametrize("size", [1, 100, 5_000])
def test_values_have_the_size_and_differ(size: int) -> None:
    store, _ = run(Workload.A, 1_000, value_size=size)
    values = [value for method, _, value in store.calls if method == "set"]
    assert all(isinstance(value, str) and len(value.encode()) == size for value in values)
    if size > 1:
        assert len(set(values)) == len(values)


@pytest.mark.parametrize("workload", Workload)
def test_the_same_seed_makes_the_same_operations(workload: Workload) -> None:
    assert run(workload, 500)[0].calls == run(workload, 500)[0].calls


def test_another_distribution_can_be_asked_for() -> None:
    def most_read(distribution: Distribution | None) -> int:
        store = RecordingStore()
        settings = LoadSettings(workload=Workload.C, key_count=KEY_COUNT, distribution=distribution)
        carry_out(store, orders_for(settings), 20_000)
        return Counter(key for _, key, _ in store.calls).most_common(1)[0][1]

    # The most popular key gets 1/500 of a uniform load, and over 1/27 of a zipfian one.
    assert most_read(Distribution.UNIFORM) < 100 < 700 < most_read(None)


@pytest.mark.parametrize("workload", [Workload.C, Workload.F])
def test_reads_of_missing_keys_are_misses(workload: Workload) -> None:
    store = RecordingStore()
    orders = orders_for(LoadSettings(workload=workload, key_count=10_000_000))
    tally = carry_out(store, orders, 1_000)
    read = set()
    missed = 0
    for method, key, _ in store.calls:
        if method == "set":
            read.add(key)
        elif key not in read:
            missed += 1
    assert tally.misses == missed > 500


def test_what_the_store_raises_is_passed_on_and_not_counted() -> None:
    for workload in Workload:
        tally = Tally()
        operations = TimedOperations(
            FailingStore(NoServersError()),
            orders_for(LoadSettings(workload=workload)),
            Random(1),
            tally,
        )
        for _ in range(100):
            with pytest.raises(NoServersError):
                operations.carry_out_one()
        assert all(recorder.histogram().count == 0 for recorder in tally.recorders.values())


def test_a_failed_insert_does_not_hold_up_the_others() -> None:
    store = FailingStore(NoServersError())
    orders = orders_for(LoadSettings(workload=Workload.D, key_count=KEY_COUNT))
    operations = TimedOperations(store, orders, Random(1), Tally())
    for _ in range(1_000):
        with pytest.raises(NoServersError):
            operations.carry_out_one()
    store.error = None
    for _ in range(1_000):
        operations.carry_out_one()
    orders.keys.check_invariants()
    assert orders.keys.count == orders.keys.take()
