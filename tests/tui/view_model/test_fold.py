"""What a view says of a store, and what it remembers for the next."""

from datetime import UTC

import pytest

from core import FaultInjector, KeyValueStore, ManualClock
from core.cluster.snapshot import ServerState
from tests.support import SERVERS, filled, store_with
from tui.view_model import GRAPH_SECONDS, LoadView, fold
from tui.view_model.rates import GRAPH_STEPS

LOAD = LoadView(
    running=True,
    workload="B",
    description="reads 95 %, updates 5 %",
    threads=8,
    distribution="zipfian",
    keys=10_000,
    rate_per_thread=500.0,
    operations_per_second=3_900.0,
    p50=0.00008,
    p99=0.00031,
)


def test_an_empty_store_is_a_view_too() -> None:
    view = fold(KeyValueStore().snapshot())
    assert (view.servers, view.bars, view.events, view.throughput) == ((), (), (), ())
    assert (view.status.servers, view.status.total_keys, view.status.epoch) == (0, 0, 0)
    assert view.status.migration is None
    assert view.status.p99 is None


def test_the_first_view_claims_no_rates() -> None:
    store = store_with()
    filled(store, 400)
    view = fold(store.snapshot())
    assert view.status.operations_per_second is None
    assert all(row.operations_per_second is None for row in view.servers)
    assert all(row.keys_delta is None for row in view.servers)
    assert view.status.total_keys == 400
    assert sum(row.keys or 0 for row in view.servers) == 400
    assert (view.status.servers_up, view.status.servers) == (4, 4)


def test_rates_are_the_difference_of_two_moments_over_the_stores_clock() -> None:
    clock = ManualClock()
    store = store_with(clock=clock)
    keys = list(filled(store, 300))
    view = fold(store.snapshot())
    clock.advance(2.0)
    for key in keys:
        store.get(key)
    store.set("user:0", "again")
    view = fold(store.snapshot(), LOAD, view)
    assert view.status.operations_per_second == pytest.approx(301 / 2.0)
    for name in SERVERS:
        reads = sum(store.get_server_for_key(key) == name for key in keys)
        writes = store.get_server_for_key("user:0") == name
        found = next(row for row in view.servers if row.server_id == name)
        assert found.operations_per_second == pytest.approx((reads + writes) / 2.0)
    assert view.status.p99 == 0.00031
    assert view.load is LOAD


def test_a_rate_is_taken_over_about_a_second_however_often_it_is_drawn() -> None:
    clock = ManualClock()
    store = store_with(clock=clock)
    filled(store, 1)
    view = fold(store.snapshot())
    for step in range(40):
        clock.advance(0.25)
        for _ in range(100 if step < 32 else 20):
            store.get("user:0")
        view = fold(store.snapshot(), None, view)
        if step == 35:  # a whole second after the load fell
            assert view.status.operations_per_second == pytest.approx(80)
    assert view.status.operations_per_second == pytest.approx(80)


def test_the_change_of_keys_is_told_over_ten_seconds() -> None:
    clock = ManualClock()
    store = store_with(["alpha"], clock=clock)
    view = fold(store.snapshot())
    for second in range(30):
        clock.advance(1.0)
        store.set(f"key {second}", "value")
        view = fold(store.snapshot(), None, view)
    assert view.servers[0].keys_delta == 10
    assert view.bars[0].keys == 30


def test_time_that_stands_still_makes_no_rates_and_no_memories() -> None:
    store = store_with(clock=ManualClock())
    view = fold(store.snapshot())
    for _ in range(5):
        store.get("user:1")
        view = fold(store.snapshot(), None, view)
    assert view.status.operations_per_second is None
    assert len(view.memory.samples) == 1
    assert view.throughput == ()


def test_memory_is_bounded_however_long_it_runs() -> None:
    clock = ManualClock()
    store = store_with(["alpha"], clock=clock)
    view = fold(store.snapshot())
    for _ in range(1_000):
        clock.advance(0.5)
        view = fold(store.snapshot(), None, view)
    assert len(view.memory.samples) <= 22
    assert len(view.throughput) == GRAPH_STEPS


def test_a_server_that_left_and_came_back_has_no_negative_rate() -> None:
    clock = ManualClock()
    store = store_with(["alpha", "bravo"], clock=clock)
    keys = list(filled(store, 200))
    view = fold(store.snapshot())
    clock.advance(1.0)
    store.remove_server("bravo")
    store.add_server("bravo")
    for key in keys[:50]:
        store.get(key)
    view = fold(store.snapshot(), None, view)
    rates = [row.operations_per_second for row in view.servers]
    assert all(rate is not None and rate >= 0 for rate in rates)
    assert view.status.operations_per_second == pytest.approx(50)


def test_marks_stay_with_their_servers_from_view_to_view() -> None:
    store = store_with()
    view = fold(store.snapshot())
    before = {row.server_id: row.mark for row in view.servers}
    store.remove_server("bravo")
    store.add_server("aardvark")
    view = fold(store.snapshot(), None, view)
    after = {row.server_id: row.mark for row in view.servers}
    assert {name: after[name] for name in ("alpha", "charlie", "delta")} == {
        name: before[name] for name in ("alpha", "charlie", "delta")
    }
    assert view.ring.marks == after
    assert [bar.mark for bar in view.bars] == list(after.values())


def test_rows_and_bars_are_in_the_natural_order_of_ids() -> None:
    view = fold(store_with(["node10", "node9"]).snapshot())
    assert [row.server_id for row in view.servers] == ["node9", "node10"]
    assert [bar.server_id for bar in view.bars] == ["node9", "node10"]


@pytest.mark.parametrize("refresh", [0.1, 0.2, 0.25, 0.5, 0.48, 1.0, 3.0])
def test_a_step_of_the_graph_is_the_same_time_at_every_refresh_rate(refresh: float) -> None:
    clock = ManualClock()
    store = store_with(["alpha"], clock=clock)
    view = fold(store.snapshot())
    frames = round(60 / refresh)
    for _ in range(frames):
        clock.advance(refresh)
        for _ in range(30):
            store.get("user:1")
        view = fold(store.snapshot(), None, view)
    assert len(view.throughput) == pytest.approx(60 / GRAPH_SECONDS, abs=2)
    drawn = sum(view.throughput) * GRAPH_SECONDS
    assert drawn == pytest.approx(frames * 30, rel=0.05)


def test_a_refresh_that_is_a_little_early_or_late_draws_one_step_each_time() -> None:
    clock = ManualClock()
    store = store_with(["alpha"], clock=clock)
    view = fold(store.snapshot())
    for frame, seconds in enumerate([0.48, 0.53, 0.47, 0.52, 0.48, 0.52], start=1):
        clock.advance(seconds)
        view = fold(store.snapshot(), None, view)
        assert len(view.throughput) == frame


def test_bars_are_measured_by_the_longest_and_judged_by_weight() -> None:
    store = KeyValueStore(300)
    store.add_server("heavy", weight=3.0)
    store.add_server("light")
    filled(store, 4_000)
    heavy, light = fold(store.snapshot()).bars
    assert heavy.fraction == 1.0
    assert light.fraction == pytest.approx(light.keys / heavy.keys)
    assert heavy.deviation == pytest.approx(heavy.keys / 3_000 - 1)
    assert light.deviation == pytest.approx(light.keys / 1_000 - 1)
    assert abs(light.deviation or 1.0) < 0.3
    assert heavy.target_keys is None


def test_while_a_server_joins_rows_and_bars_tell_where_it_goes() -> None:
    store = store_with(["alpha", "bravo"], clock=ManualClock())
    filled(store, 900)
    view = fold(store.snapshot())
    plan = store.plan_add_server("charlie", weight=4.0)
    migration = store.commit(plan, start=False)
    for _ in range(10):
        migration.step()
    view = fold(store.snapshot(), None, view, zone=UTC)
    *_, charlie = view.servers
    assert (charlie.state, charlie.target_keys) == (ServerState.JOINING, plan.keys_moved)
    assert charlie.status.words.startswith("joining ")
    assert charlie.keys is not None
    assert 0 < charlie.keys < plan.keys_moved
    assert view.status.servers_up == 2
    assert view.status.migration is not None
    assert view.status.migration.sentence == f"charlie {charlie.status.words}, paused"
    bars = {bar.server_id: bar for bar in view.bars}
    longest = max(*(bar.keys for bar in view.bars), *plan.keys_after.values())
    for name, keys in plan.keys_after.items():
        assert bars[name].target_keys == keys
        assert bars[name].target_fraction == pytest.approx(keys / longest)
    assert max(bar.fraction for bar in view.bars) <= 1.0
    assert view.events[-1].sentence.startswith(f"charlie joins: {plan.keys_moved} keys (")


def test_a_leaving_server_has_a_target_of_nothing_and_no_mean_to_be_judged_by() -> None:
    store = store_with(["alpha", "bravo", "charlie"])
    filled(store, 900)
    store.commit(store.plan_remove_server("bravo"), start=False)
    view = fold(store.snapshot())
    bravo = next(bar for bar in view.bars if bar.server_id == "bravo")
    assert (bravo.target_keys, bravo.target_fraction, bravo.deviation) == (0, 0.0, None)
    alpha = next(bar for bar in view.bars if bar.server_id == "alpha")
    assert alpha.deviation == pytest.approx(alpha.keys / 450 - 1)


def test_a_cleared_store_forgets_its_servers() -> None:
    clock = ManualClock()
    store = store_with(clock=clock)
    filled(store, 100)
    view = fold(store.snapshot())
    clock.advance(1.0)
    store.clear()
    view = fold(store.snapshot(), None, view)
    assert (view.servers, view.bars, dict(view.ring.marks)) == ((), (), {})
    assert view.status.operations_per_second == 0
    assert view.events[-1].sentence == "cleared: 100 keys and 4 servers removed"


def test_a_view_is_a_value_and_folding_changes_none() -> None:
    clock = ManualClock()
    store = store_with(clock=clock)
    first = fold(store.snapshot())
    shown = repr(first)
    clock.advance(1.0)
    store.add_server("echo")
    fold(store.snapshot(), None, first)
    assert repr(first) == shown
    assert fold(store.snapshot(), None, first) == fold(store.snapshot(), None, first)


def replicated(**options: object) -> KeyValueStore:
    fixed = {"clock": ManualClock(), "replication_factor": 3, "background": False}
    store = store_with(SERVERS, **fixed, **options)
    filled(store, 900)
    return store


def test_the_status_says_how_many_replicas_there_are_and_what_they_promise() -> None:
    status = fold(replicated(consistency="eventual").snapshot()).status
    assert (status.replication_factor, status.consistency) == (3, "eventual")
    assert (status.servers_down, status.under_replicated_keys, status.recovery) == (0, 0, None)


def test_a_server_that_is_down_has_no_figures_and_is_seen_in_every_panel() -> None:
    store = replicated()
    clock = store._clock
    assert isinstance(clock, ManualClock)
    first = fold(store.snapshot())
    store.crash_server("charlie")
    clock.advance(1.0)
    view = fold(store.snapshot(), None, first)
    row = next(row for row in view.servers if row.server_id == "charlie")
    assert (row.state, row.status.sign, row.status.words) == (ServerState.DOWN, "✖", "down")
    assert (row.keys, row.keys_delta, row.operations_per_second) == (None, None, None)
    others = [row for row in view.servers if row.server_id != "charlie"]
    assert all(row.keys and row.operations_per_second is not None for row in others)
    bars = {bar.server_id: bar for bar in view.bars}
    assert bars["charlie"].down
    assert bars["charlie"].trouble == row.status
    assert bars["alpha"].trouble is None
    assert view.ring.down == {"charlie"}
    short = store.snapshot().under_replicated_keys
    assert (view.status.servers_up, view.status.servers_down) == (3, 1)
    assert view.status.under_replicated_keys == short > 0


def test_a_recovery_is_followed_from_the_first_stripe_to_the_last() -> None:
    store = replicated()
    store.crash_server("charlie")
    recovery = store.begin_recovery("charlie")
    assert recovery is not None
    seen = set()
    quarter = recovery.progress.stripes_total // 4
    for _ in range(3):
        for _ in range(quarter):
            recovery.step()
        view = fold(store.snapshot())
        assert view.status.recovery is not None
        row = next(row for row in view.servers if row.server_id == "charlie")
        seen.add(row.status.words)
        assert view.status.recovery.words == f"charlie {row.status.words}"
        trouble = next(bar.trouble for bar in view.bars if bar.server_id == "charlie")
        assert trouble is not None
        assert row.status.words == f"catching up {trouble.words}"
    assert len(seen) == 3
    while recovery.step():
        pass
    view = fold(store.snapshot())
    assert view.status.recovery is None
    assert all(row.status.words == "up" for row in view.servers)
    assert view.events[-1].sentence.startswith("charlie has caught up: ")


def test_hints_and_faults_are_told_of_the_server_that_has_them() -> None:
    faults = FaultInjector(ManualClock())
    store = replicated(faults=faults)
    faults.partition("bravo")
    for number in range(200):
        store.set(f"user:{number}", "new")
    rows = {row.server_id: row for row in fold(store.snapshot()).servers}
    waiting = {server.server_id: server.hints for server in store.snapshot().servers}
    assert rows["bravo"].hints == waiting["bravo"] > 0
    assert rows["alpha"].hints == 0
    assert (rows["bravo"].faults, rows["alpha"].faults) == ("cut off", "")
    assert rows["bravo"].status.words == "catching up, cut off"
