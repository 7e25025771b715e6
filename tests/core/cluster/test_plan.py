"""A plan says exactly what committing it then does."""

import pytest

from core import (
    HashRing,
    KeyValueStore,
    LastServerError,
    MigrationFinished,
    MigrationInProgressError,
    MigrationStarted,
    Plan,
    ServerExistsError,
    StalePlanError,
)
from tests.support import SERVERS, content_of, filled, store_with


def carried_out(store: KeyValueStore, plan: Plan) -> int:
    migration = store.commit(plan)
    assert migration.wait(30)
    return migration.progress.keys_moved


@pytest.mark.parametrize("kind", ["add", "remove"])
def test_the_plan_counts_exactly_the_keys_that_then_move(kind: str) -> None:
    store = store_with()
    content = filled(store, 2_000)
    plan = store.plan_add_server("echo") if kind == "add" else store.plan_remove_server("bravo")
    before = {key: store.get_server_for_key(key) for key in content}

    moved = carried_out(store, plan)

    after = {key: store.get_server_for_key(key) for key in content}
    changed = [key for key in content if before[key] != after[key]]
    assert moved == plan.keys_moved == len(changed)
    for transfer in plan.transfers:
        pair = (transfer.source, transfer.target)
        keys = [key for key in changed if (before[key], after[key]) == pair]
        assert transfer.keys == len(keys)
        assert transfer.bytes == sum(len(key) + len(content[key]) for key in keys)
    assert plan.keys_after == store.get_stats()
    assert plan.fraction_moved == len(changed) / 2_000
    store.check_invariants()


def test_the_peers_are_the_servers_that_give_a_key_or_take_one() -> None:
    store = store_with(replication_factor=3)
    filled(store, 2_000)
    assert store.plan_add_server("echo").peers == {*SERVERS}
    assert store.plan_remove_server("bravo").peers == {*SERVERS} - {"bravo"}
    assert store.plan_set_weight("bravo", 2.0).peers == {*SERVERS} - {"bravo"}


def test_who_gives_or_takes_no_key_is_no_peer_where_keys_move() -> None:
    store = store_with()
    store.set("key", "value")
    owner = store.get_server_for_key("key")
    plan = store.plan_remove_server(owner)
    assert len(plan.transfers) == len(SERVERS) - 1
    store.commit(plan).wait(30)
    assert plan.peers == {store.get_server_for_key("key")}


def test_a_server_that_is_down_gives_nothing() -> None:
    store = store_with((*SERVERS, "echo"), replication_factor=3)
    filled(store, 2_000)
    store.crash_server("bravo")
    plan = store.plan_remove_server("bravo")
    assert {transfer.source for transfer in plan.transfers} == {*SERVERS, "echo"} - {"bravo"}
    assert carried_out(store, plan) == plan.keys_moved > 0


def test_making_a_plan_changes_nothing() -> None:
    store = store_with()
    filled(store, 500)
    before = (store.get_stats(), store.snapshot().epoch, store.snapshot().view)
    store.plan_add_server("echo")
    store.plan_remove_server("alpha")
    assert (store.get_stats(), store.snapshot().epoch, store.snapshot().view) == before


def test_a_plan_of_an_empty_store_speaks_of_shares() -> None:
    store = store_with()
    plan = store.plan_add_server("echo")
    assert plan.keys_moved == 0
    assert plan.ideal_fraction == pytest.approx(1 / 5)
    assert 0.05 < plan.fraction_moved < 0.5
    assert plan.peak_to_average_before > 1


def test_the_ideal_fraction_counts_weights() -> None:
    store = store_with(["alpha", "bravo"])
    assert store.plan_add_server("charlie", weight=2.0).ideal_fraction == pytest.approx(0.5)


def test_bytes_are_counted_in_utf8() -> None:
    store = store_with(["alpha"])
    store.set("ä", "🌍")
    store.set("b", b"\x00\x01\x02")
    store.add_server("bravo")
    moved = sum(transfer.bytes for transfer in store.plan_remove_server("alpha").transfers)
    kept = sum(transfer.bytes for transfer in store.plan_remove_server("bravo").transfers)
    assert moved + kept == 2 + 4 + 1 + 3


def test_a_plan_for_another_epoch_is_stale() -> None:
    store = store_with()
    plan = store.plan_add_server("echo")
    store.add_server("foxtrot")
    with pytest.raises(StalePlanError, match="plan again"):
        store.commit(plan)
    assert "echo" not in store.get_servers()


def test_a_plan_of_another_store_is_stale() -> None:
    store, other = store_with(), store_with()
    with pytest.raises(StalePlanError):
        store.commit(other.plan_add_server("echo"))


def test_writes_do_not_make_a_plan_stale() -> None:
    store = store_with()
    plan = store.plan_add_server("echo")
    content = filled(store, 500)
    carried_out(store, plan)
    assert content_of(store) == content
    assert store.get_stats()["echo"] > 0


def test_a_server_that_is_there_can_not_be_planned_again() -> None:
    with pytest.raises(ServerExistsError, match="alpha"):
        store_with().plan_add_server("alpha")


def test_while_a_migration_runs_nothing_can_be_planned() -> None:
    store = store_with()
    plan = store.plan_remove_server("alpha")
    store.commit(store.plan_add_server("echo"), start=False)
    with pytest.raises(MigrationInProgressError):
        store.plan_remove_server("alpha")
    with pytest.raises(MigrationInProgressError):
        store.commit(plan)


def test_the_last_server_can_be_planned_to_leave_only_when_it_is_empty() -> None:
    store = store_with(["alpha"])
    plan = store.plan_remove_server("alpha")
    assert "nothing can be written" in plan.warnings[0]
    store.set("key", "value")
    with pytest.raises(LastServerError):
        store.plan_remove_server("alpha")
    with pytest.raises(LastServerError):
        store.commit(plan)
    assert store.get("key") == "value"
    assert store.set("key", "still writable")


def test_a_plan_warns_when_one_server_remains_and_when_it_would_be_uneven() -> None:
    store = store_with(["alpha", "bravo"])
    assert store.plan_remove_server("bravo").warnings == (
        "only alpha remains: it takes every key and all the load",
    )
    uneven = store_with(["alpha", "bravo", "charlie"], virtual_nodes_per_node=1)
    assert (
        uneven.plan_add_server("delta")
        .warnings[-1]
        .endswith(" times the mean for its weight: more virtual nodes even that out")
    )


def test_a_plan_of_a_balanced_ring_advises_what_helps_there() -> None:
    store = store_with(
        ["alpha", "bravo", "charlie"], virtual_nodes_per_node=1, placement="balanced"
    )
    store.remove_server("bravo")
    plan = store.plan_remove_server("charlie")
    assert plan.warnings == ("only alpha remains: it takes every key and all the load",)
    store.add_server("delta")
    leave = store.plan_remove_server("alpha")
    assert leave.warnings[-1].endswith(
        " times the mean for its weight: the next server that joins evens that out"
    )
    peak = leave.peak_to_average_after
    store.commit(leave).wait()
    assert store.plan_add_server("echo").peak_to_average_after < peak


def test_the_changes_of_a_plan_are_those_of_the_ring() -> None:
    store = store_with()
    ring = HashRing(30)
    for server_id in (*SERVERS, "echo"):
        ring.add_server(server_id)
    assert store.plan_add_server("echo").after.vnodes == ring.view.vnodes


@pytest.mark.parametrize(
    ("replication_factor", "servers", "replicas"), [(1, 4, 1), (3, 4, 3), (3, 2, 3)]
)
def test_a_plan_and_its_events_say_on_how_many_servers_a_key_lies(
    replication_factor: int, servers: int, replicas: int
) -> None:
    store = store_with(SERVERS[:servers], replication_factor=replication_factor)
    filled(store, 200)
    plan = store.plan_add_server("echo")
    assert plan.replicas == replicas
    assert store.commit(plan).wait(30)
    started, finished = store.events()[-2:]
    assert isinstance(started, MigrationStarted)
    assert isinstance(finished, MigrationFinished)
    assert (started.replicas, finished.replicas) == (replicas, replicas)
    assert started.keys == finished.keys == plan.keys_moved


def test_a_change_that_moves_nothing_still_has_a_replica() -> None:
    assert KeyValueStore().plan_add_server("alpha").replicas == 1
    assert store_with(["alpha"]).plan_remove_server("alpha").replicas == 1
