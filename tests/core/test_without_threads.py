"""A store that was told to have no background starts no thread, and moves data nevertheless."""

import threading

import pytest

from core import KeyValueStore, ManualClock, MigrationInProgressError, MigrationState
from tests.support import content_of, filled, store_with

SERVERS = ("alpha", "bravo", "charlie")


def quiet_store(**options: object) -> KeyValueStore:
    return store_with(SERVERS, clock=ManualClock(), background=False, **options)


@pytest.fixture(autouse=True)
def no_thread_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise AssertionError(f"{thread.name} was started")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_joins_and_leaves_move_data_in_the_calling_thread() -> None:
    store = quiet_store(replication_factor=2)
    content = filled(store, 200)
    assert store.add_server("delta")
    assert store.remove_server("alpha")
    assert content_of(store) == content
    store.check_invariants()


def test_maintain_carries_a_started_migration_on() -> None:
    store = quiet_store()
    content = filled(store, 200)
    migration = store.commit(store.plan_add_server("delta"))
    assert migration.progress.state is MigrationState.RUNNING
    while store.maintain():
        store.check_invariants()
    assert migration.over
    assert content_of(store) == content


def test_cancel_is_carried_out_by_maintain() -> None:
    store = quiet_store()
    content = filled(store, 200)
    migration = store.commit(store.plan_add_server("delta"), start=False)
    for _ in range(20):
        migration.step()
    assert migration.cancel()
    assert not migration.over
    while store.maintain():
        pass
    assert migration.progress.state is MigrationState.CANCELLED
    assert store.get_servers() == sorted(SERVERS)
    assert content_of(store) == content


def test_waiting_moves_and_ends_when_the_time_is_over() -> None:
    clock = ManualClock()
    store = store_with(SERVERS, clock=clock, background=False)
    filled(store, 400)
    migration = store.commit(store.plan_add_server("delta"), keys_per_second=10)
    assert not migration.wait(timeout=1)
    assert 1 <= clock.monotonic() < 5
    assert migration.wait()


def test_who_needs_a_turn_carries_out_what_is_before_it() -> None:
    store = quiet_store()
    content = filled(store, 100)
    first = store.commit(store.plan_add_server("delta"))
    assert store.add_server("echo")
    assert first.over
    assert content_of(store) == content
    assert store.commit(store.plan_remove_server("echo"), start=False).paused
    with pytest.raises(MigrationInProgressError):
        store.add_server("foxtrot")
