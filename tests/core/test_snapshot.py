"""A snapshot is frozen, complete and true."""

import dataclasses

import pytest

from core import (
    DataLossError,
    FaultInjector,
    ManualClock,
    Migration,
    MigrationState,
    QuorumError,
    ServerState,
    ServerUnavailableError,
)
from tests.support import SERVERS, filled, store_with


def test_a_snapshot_says_what_the_store_says() -> None:
    clock = ManualClock(now_ms=123_000)
    store = store_with(clock=clock)
    filled(store, 1_000)
    clock.advance(2)
    snapshot = store.snapshot()
    assert snapshot.taken_at_ms == 125_000
    assert snapshot.monotonic == 2
    assert snapshot.total_keys == 1_000
    assert {s.server_id: s.keys for s in snapshot.servers} == store.get_stats()
    assert {s.server_id: s.share for s in snapshot.servers} == snapshot.view.shares()
    assert sum(s.share for s in snapshot.servers) == pytest.approx(1)
    assert {s.state for s in snapshot.servers} == {ServerState.UP}
    assert {s.vnodes for s in snapshot.servers} == {snapshot.virtual_nodes_per_node} == {30}
    assert snapshot.peak_to_average == max(store.get_stats().values()) / 250
    assert snapshot.migration is None
    assert snapshot.events == store.events()


def test_a_snapshot_is_frozen_and_does_not_change_with_the_store() -> None:
    store = store_with()
    filled(store, 100)
    snapshot = store.snapshot()
    store.clear()
    assert snapshot.total_keys == 100
    assert len(snapshot.servers) == len(SERVERS)
    assert snapshot.view.servers == SERVERS
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.total_keys = 0  # type: ignore[misc]


def test_an_empty_store_has_a_snapshot() -> None:
    snapshot = store_with([]).snapshot()
    assert (snapshot.servers, snapshot.total_keys, snapshot.peak_to_average) == ((), 0, 1.0)


def test_every_operation_is_counted_at_its_server() -> None:
    store = store_with()
    content = filled(store, 500)
    for key in content:
        store.get(key)
    store.get("nobody")
    store.remove("user:1")
    servers = {server.server_id: server for server in store.snapshot().servers}
    assert sum(server.writes for server in servers.values()) == 501
    assert sum(server.reads for server in servers.values()) == 501
    for server_id, count in store.get_stats().items():
        assert abs(servers[server_id].reads - count) <= 2


def test_a_leaving_server_is_shown_until_it_is_gone() -> None:
    store = store_with()
    filled(store, 500)
    plan = store.plan_remove_server("bravo")
    migration = store.commit(plan, start=False)
    halfway(migration)
    snapshot = store.snapshot()
    leaver = next(server for server in snapshot.servers if server.server_id == "bravo")
    assert leaver.state is ServerState.LEAVING
    assert (leaver.share, leaver.vnodes, leaver.target_keys) == (0, 30, 0)
    assert 0 < leaver.keys < plan.keys_before["bravo"]
    assert snapshot.migration is not None
    assert snapshot.migration.state is MigrationState.PAUSED
    migration.resume()
    assert migration.wait(30)
    assert [s.server_id for s in store.snapshot().servers] == ["alpha", "charlie", "delta"]


@pytest.mark.parametrize(
    ("change", "state"), [("add", ServerState.LEAVING), ("remove", ServerState.JOINING)]
)
def test_while_a_change_is_turned_back_the_server_goes_the_other_way(
    change: str, state: ServerState
) -> None:
    store = store_with()
    filled(store, 2_000)
    plan = store.plan_add_server("echo") if change == "add" else store.plan_remove_server("bravo")
    migration = store.commit(plan, start=False)
    halfway(migration)
    migration.pause()
    # Cancelling starts it again; with the step lock held it can't get far before it is looked at.
    with store._membership.changed:
        migration.cancel()
        snapshot = store.snapshot()
    server = next(s for s in snapshot.servers if s.server_id == plan.server_id)
    assert server.state is state
    assert server.vnodes == 30
    assert server.target_keys == plan.keys_before.get(plan.server_id, 0)
    assert migration.wait(30)


def halfway(migration: Migration) -> None:
    while migration.progress.fraction < 0.5:
        migration.step()


def test_a_store_tells_what_injects_its_faults() -> None:
    faults = FaultInjector()
    assert store_with(faults=faults).faults is faults
    assert store_with().faults is None


def test_what_failed_while_a_server_was_away_is_advised_in_words() -> None:
    # These are shown on a screen too, where nobody can call a method.
    errors = (
        ServerUnavailableError(["alpha"]),
        QuorumError(1, 2, unknown=True),
        DataLossError("alpha", 3),
    )
    for error in errors:
        assert "()" not in str(error)
        assert "recover" in str(error)


def test_a_server_that_crashed_goes_on_counting_where_it_was() -> None:
    store = store_with(("alpha", "bravo"), replication_factor=2)
    content = filled(store, 50)
    for key in content:
        store.get(key)
    before = {server.server_id: server for server in store.snapshot().servers}
    store.crash_server("alpha")
    store.recover_server("alpha")
    after = {server.server_id: server for server in store.snapshot().servers}
    assert after["alpha"].reads == before["alpha"].reads > 0
    assert after["alpha"].writes == before["alpha"].writes > 0
    for key in content:
        store.get(key)
    assert sum(server.reads for server in store.snapshot().servers) == 100
