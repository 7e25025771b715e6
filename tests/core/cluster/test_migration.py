"""A migration can be watched, paused, resumed, limited and cancelled, and loses nothing."""

import threading
from typing import Any

import pytest

from core import (
    Event,
    InvalidOptionError,
    KeyValueStore,
    ManualClock,
    Migration,
    MigrationCancelling,
    MigrationFinished,
    MigrationPaused,
    MigrationResumed,
    MigrationStarted,
    MigrationState,
    ServerState,
    StoreCleared,
    StoreClosedError,
)
from core.cluster.shards import HeldLocks, Shards
from core.ring.hashing import murmur3, position_of
from core.stripes import STRIPES, stripe_of
from tests.support import SERVERS, content_of, filled, store_with


def same_for_all(text: bytes, seed: int, signed: bool) -> int:
    return 7


def one_stripe(text: bytes, seed: int, signed: bool) -> int:
    """Put everything at the beginning of the ring, where a range then has very many keys."""
    return murmur3(text, seed, signed) >> 12


def kinds(store: KeyValueStore) -> list[type[Event]]:
    return [type(event) for event in store.events()]


def test_progress_goes_from_nothing_to_everything() -> None:
    store = store_with()
    filled(store, 2_000)
    plan = store.plan_add_server("echo")
    migration = store.commit(plan, start=False)
    seen = [migration.progress]
    while migration.step():
        seen.append(migration.progress)
    assert seen[0].fraction == 0
    assert [step.fraction for step in seen] == sorted(step.fraction for step in seen)
    assert [step.keys_moved for step in seen] == sorted(step.keys_moved for step in seen)
    end = migration.progress
    assert (end.state, end.fraction) == (MigrationState.FINISHED, 1.0)
    assert end.keys_moved == end.keys_total == plan.keys_moved
    assert store.migration is None


def test_at_every_step_all_keys_are_there_and_everything_adds_up() -> None:
    store = store_with()
    content = filled(store, 600)
    migration = store.commit(store.plan_add_server("echo"), start=False)
    while migration.step():
        store.check_invariants()
        assert sum(store.get_stats().values()) == len(content)
    assert content_of(store) == content
    store.check_invariants()


def test_stripes_without_a_key_change_owners_many_at_a_time() -> None:
    store = store_with(["alpha"], virtual_nodes_per_node=1)
    content = filled(store, 3)
    migration = store.commit(store.plan_add_server("bravo"), start=False)
    steps = 1
    while migration.step():
        steps += 1
    store.check_invariants()
    assert content_of(store) == content
    # Two spans at most, cut by three keys, of half of all stripes or so.
    assert steps < STRIPES / 10


def test_a_key_that_comes_into_a_stripe_that_seemed_empty_moves_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = store_with(["alpha"], virtual_nodes_per_node=1)
    content: dict[str, str | bytes] = {}
    stripes = Shards.stripes

    def come_first(shards: Shards, first: int = 0, last: int = STRIPES - 1) -> HeldLocks:
        if first < last < first + STRIPES // 2:
            key = f"between {len(content)}"
            while not first < stripe_of(position_of(key)) <= last:
                key += "x"
            store.set(key, "value")
            content[key] = "value"
        return stripes(shards, first, last)

    migration = store.commit(store.plan_add_server("bravo"), start=False)
    monkeypatch.setattr(Shards, "stripes", come_first)
    while migration.step():
        store.check_invariants()
    assert content_of(store) == content
    assert "bravo" in {store.get_server_for_key(key) for key in content}


def moved_by_each_step(migration: Migration) -> list[int]:
    moved, before = [], 0
    while migration.step():
        moved.append(migration.progress.keys_moved - before)
        before = migration.progress.keys_moved
    return moved


def test_one_step_moves_at_most_500_keys() -> None:
    store = store_with(["alpha"], hash_function=one_stripe)
    content = filled(store, 4_000)
    chunks = moved_by_each_step(store.commit(store.plan_add_server("bravo", 50), start=False))
    assert sum(chunks) == store.get_stats()["bravo"] > 2_000
    assert max(chunks) <= 500
    assert content_of(store) == content
    store.check_invariants()


def test_with_a_limit_one_step_moves_at_most_a_quarter_of_a_second_of_keys() -> None:
    store = store_with(["alpha"], hash_function=one_stripe)
    filled(store, 4_000)
    plan = store.plan_add_server("bravo")
    chunks = moved_by_each_step(store.commit(plan, keys_per_second=100, start=False))
    assert max(chunks) <= 25


def test_keys_at_one_position_move_together() -> None:
    store = store_with(["alpha"], hash_function=same_for_all)
    content = filled(store, 1_200)
    assert store.add_server("Alpha")  # sorts before "alpha", so it takes the position
    assert store.get_stats() == {"Alpha": 1_200, "alpha": 0}
    assert content_of(store) == content
    store.check_invariants()


def test_a_joiner_whose_every_vnode_is_hidden_by_another_takes_nothing() -> None:
    store = store_with(["alpha"], hash_function=same_for_all)
    content = filled(store, 100)
    assert store.add_server("zulu")
    assert store.get_stats() == {"alpha": 100, "zulu": 0}
    store.check_invariants()
    assert store.remove_server("alpha")
    assert store.get_stats() == {"zulu": 100}
    assert content_of(store) == content
    store.check_invariants()


@pytest.mark.parametrize("start", [True, False])
def test_the_first_join_and_the_last_leave_are_done_at_once(start: bool) -> None:
    store = KeyValueStore()
    migration = store.commit(store.plan_add_server("alpha"), start=start)
    assert migration.progress.state is MigrationState.FINISHED
    assert store.migration is None
    assert store.set("key", "value")
    store.remove("key")
    assert store.commit(store.plan_remove_server("alpha"), start=start).over
    assert store.get_servers() == []
    store.check_invariants()


def test_explain_and_snapshot_tell_what_is_moving_where() -> None:
    store = store_with()
    content = filled(store, 400)
    plan = store.plan_add_server("echo")
    after = {key: plan.after.server_for_key(key) for key in content}
    migration = store.commit(plan, start=False)
    for _ in range(20):
        migration.step()
    states = {server.server_id: server.state for server in store.snapshot().servers}
    assert states == {**dict.fromkeys(SERVERS, ServerState.UP), "echo": ServerState.JOINING}
    assert {s.server_id: s.target_keys for s in store.snapshot().servers} == plan.keys_after
    moving = still = 0
    for key in content:
        placement = store.explain(key)
        assert placement.located_on == (placement.primary,) == (store.get_server_for_key(key),)
        assert placement.vnode.server_id == placement.primary
        if placement.moving_to is not None:
            assert (placement.moving_to, after[key]) == ("echo", "echo")
            moving += 1
        else:
            assert placement.primary == after[key]
            still += 1
    assert moving > 10
    assert still > 10


def test_pause_stands_still_and_resume_goes_on() -> None:
    store = store_with()
    content = filled(store, 3_000)
    migration = store.commit(store.plan_add_server("echo"), keys_per_second=2_000)
    assert migration.pause()
    assert not migration.pause()
    with_pause = migration.progress
    assert with_pause.state is MigrationState.PAUSED
    assert with_pause.fraction < 1
    assert migration.wait(0.01) is False
    assert store.migration is migration
    assert content_of(store) == content
    assert migration.resume()
    assert not migration.resume()
    assert migration.wait(30)
    assert kinds(store)[-3:] == [MigrationPaused, MigrationResumed, MigrationFinished]
    assert content_of(store) == content


@pytest.mark.parametrize("change", ["add", "remove"])
@pytest.mark.parametrize("steps", [0, 1, 40])
def test_cancel_brings_everything_back(change: str, steps: int) -> None:
    store = store_with()
    content = filled(store, 1_000)
    before = (store.get_stats(), store.get_servers(), store.snapshot().view.vnodes)
    plan = store.plan_add_server("echo") if change == "add" else store.plan_remove_server("alpha")
    migration = store.commit(plan, start=False)
    for _ in range(steps):
        migration.step()
    content["user:1"] = "written meanwhile"
    store.set("user:1", "written meanwhile")
    assert migration.cancel()
    assert not migration.cancel()
    assert migration.wait(30)
    assert migration.progress.state is MigrationState.CANCELLED
    assert migration.progress.fraction == 0
    assert (store.get_stats(), store.get_servers(), store.snapshot().view.vnodes) == before
    assert content_of(store) == content
    store.check_invariants()
    finished = store.events()[-1]
    assert isinstance(finished, MigrationFinished)
    assert finished.cancelled
    assert MigrationCancelling in kinds(store)


def test_a_migration_that_is_over_can_not_be_paused_resumed_or_cancelled() -> None:
    store = store_with()
    migration = store.commit(store.plan_add_server("echo"))
    assert migration.wait(30)
    assert not migration.pause()
    assert not migration.resume()
    assert not migration.cancel()
    assert not migration.step()
    assert store.get_servers() == [*SERVERS, "echo"]


def test_a_limit_is_kept() -> None:
    clock = ManualClock()
    store = store_with(clock=clock)
    filled(store, 4_000)
    began = clock.monotonic()
    migration = store.commit(store.plan_add_server("echo"), keys_per_second=100)
    assert migration.wait(60)
    seconds = clock.monotonic() - began
    moved = migration.progress.keys_moved
    assert moved / 100 * 0.9 <= seconds <= moved / 100 * 1.1


def test_the_rate_and_the_time_left_are_told() -> None:
    clock = ManualClock()
    store = store_with(clock=clock, background=False)
    filled(store, 4_000)
    migration = store.commit(store.plan_add_server("echo"))
    assert (migration.progress.keys_per_second, migration.progress.eta_seconds) == (0, None)
    for seconds in range(1, 20):
        clock.advance(1)
        assert migration.step()
        progress = migration.progress
        assert progress.keys_per_second == pytest.approx(progress.keys_moved / seconds)
        left = seconds * (1 - progress.fraction) / progress.fraction
        assert progress.eta_seconds == pytest.approx(left)
    assert progress.keys_moved


def test_the_rate_and_the_time_left_of_a_cancelled_one_are_those_of_the_way_back() -> None:
    clock = ManualClock()
    store = store_with(clock=clock)
    filled(store, 2_000)
    migration = store.commit(store.plan_add_server("echo"), start=False)
    migration._state = MigrationState.RUNNING  # without its thread: each step is taken here
    for _ in range(20):
        clock.advance(10)
        migration.step()
    there = migration.progress
    assert migration.cancel()
    for _ in range(10):
        clock.advance(1)
        migration.step()
    back = migration.progress
    assert back.eta_seconds == pytest.approx(10 * back.fraction / (there.fraction - back.fraction))
    assert back.keys_per_second == pytest.approx((back.keys_moved - there.keys_moved) / 10)


@pytest.mark.parametrize("limit", [0, -5, float("nan"), float("inf"), "5"])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    store = store_with()
    plan = store.plan_add_server("echo")
    with pytest.raises(InvalidOptionError):
        store.commit(plan, keys_per_second=limit)
    assert store.get_servers() == list(SERVERS)
    assert store.commit(plan).wait(30)


def test_events_tell_the_story_in_order() -> None:
    clock = ManualClock(now_ms=5_000)
    store = store_with(["alpha", "bravo"], clock=clock)
    filled(store, 1_000)
    store.remove_server("bravo")
    store.clear()
    events = store.events()
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert {event.at_ms for event in events} == {5_000}
    started, finished, cleared = events[-3:]
    assert isinstance(started, MigrationStarted)
    assert (started.server_id, started.change, started.peers) == ("bravo", "remove", 1)
    assert isinstance(finished, MigrationFinished)
    assert (finished.keys, finished.cancelled) == (started.keys, False)
    assert isinstance(cleared, StoreCleared)
    assert (cleared.keys, cleared.servers) == (1_000, 1)


def test_clear_ends_a_migration_under_way() -> None:
    store = store_with()
    filled(store, 2_000)
    migration = store.commit(store.plan_add_server("echo"), keys_per_second=200)
    store.clear()
    assert store.migration is None
    assert store.get_servers() == []
    assert not migration.wait(30)
    assert not migration.resume()
    assert store.add_server("alpha")
    store.check_invariants()


def test_close_ends_a_migration_under_way_and_its_thread() -> None:
    store = store_with()
    filled(store, 2_000)
    migration = store.commit(store.plan_add_server("echo"), keys_per_second=200)
    store.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not any("migration" in name for name in names)
    assert not migration.step()
    with pytest.raises(StoreClosedError):
        store.add_server("foxtrot")


def test_who_waits_for_a_turn_is_told_when_the_store_closes() -> None:
    store = store_with()
    filled(store, 2_000)
    store.commit(store.plan_add_server("echo"), keys_per_second=100)
    outcome: list[BaseException] = []

    def add() -> None:
        try:
            store.add_server("foxtrot")
        except StoreClosedError as error:
            outcome.append(error)

    waiting = threading.Thread(target=add)
    waiting.start()
    store.close()
    waiting.join(30)
    assert len(outcome) == 1
