"""Every key lies on N servers, and is read and written while some of them do not answer."""

import threading
from collections.abc import Callable

import pytest

from core import (
    Consistency,
    DataLossError,
    FaultInjector,
    InvalidOptionError,
    KeyValueStore,
    Level,
    Migration,
    MigrationFailedError,
    QuorumError,
    ServerFellBehind,
    ServerState,
    ServerUnavailableError,
)
from core.cluster.replica import Replica
from core.record import NEVER_EXPIRES, Entry, Record
from core.ring.hashing import position_of
from core.servers.memory_server import MemoryServer
from core.stripes import stripe_of
from tests.support import content_of, filled, store_with

FIVE = ("alpha", "bravo", "charlie", "delta", "echo")


def replicated(factor: int = 3, **options: object) -> KeyValueStore:
    return store_with(FIVE, replication_factor=factor, background=False, **options)


def key_on(store: KeyValueStore, *owners: str) -> str:
    """Return a key that lies on these servers, among others."""
    return next(
        key
        for key in (f"key:{number}" for number in range(100_000))
        if set(owners) <= set(store.explain(key).replicas)
    )


def run_to_the_end(migration: Migration) -> None:
    while migration.step():
        pass


@pytest.mark.parametrize("factor", range(1, 8))
def test_a_key_lies_on_the_first_n_distinct_servers_clockwise(factor: int) -> None:
    store = replicated(factor)
    content = filled(store, 200)
    for key, value in content.items():
        placement = store.explain(key)
        view = store.snapshot().view
        assert placement.replicas == view.replicas(position_of(key), factor)
        assert placement.located_on == placement.replicas
        assert len(placement.replicas) == min(factor, len(FIVE))
        assert store.get(key) == value
    assert len(store) == 200
    assert sum(store.get_stats().values()) == 200
    store.check_invariants()


@pytest.mark.parametrize("factor", [0, 8, 2.5, "3"])
def test_a_replication_factor_out_of_range_is_refused(factor: object) -> None:
    with pytest.raises(InvalidOptionError, match="1 to 7"):
        KeyValueStore(replication_factor=factor)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "level"),
    [
        ("get", "read_level"),
        ("exists", "read_level"),
        ("get_with_version", "read_level"),
        ("ttl", "read_level"),
        ("remove", "write_level"),
        ("persist", "write_level"),
    ],
)
def test_an_operation_asks_as_many_replicas_as_its_level_says(operation: str, level: str) -> None:
    store = replicated()
    store.set("key", "value", ttl=100)
    store.crash_server(store.explain("key").replicas[1])
    call = getattr(store, operation)
    with pytest.raises(QuorumError):
        call("key", **{level: "all"})
    with pytest.raises(InvalidOptionError):
        call("key", **{level: "most"})
    assert call("key", **{level: "one"})


@pytest.mark.parametrize(
    "call",
    [
        lambda store, level: store.get_many(["key"], read_level=level),
        lambda store, level: store.set_many({"key": "newer"}, write_level=level),
        lambda store, level: store.expire("key", 100, write_level=level),
        lambda store, level: store.remove_many(["key"], write_level=level),
    ],
    ids=["get_many", "set_many", "expire", "remove_many"],
)
def test_operations_with_more_arguments_keep_to_the_level(
    call: Callable[[KeyValueStore, str], object],
) -> None:
    store = replicated()
    store.set("key", "value")
    store.crash_server(store.explain("key").replicas[1])
    with pytest.raises(QuorumError):
        call(store, "all")
    with pytest.raises(InvalidOptionError):
        call(store, "most")
    assert call(store, "one")


def test_unknown_levels_are_refused() -> None:
    store = replicated()
    with pytest.raises(InvalidOptionError, match="'strong' or 'eventual'"):
        KeyValueStore(consistency="weak")
    with pytest.raises(InvalidOptionError, match="'one', 'quorum' or 'all'"):
        store.get("key", read_level="most")
    with pytest.raises(InvalidOptionError, match="'one', 'quorum' or 'all'"):
        store.set("key", "value", write_level="most")


def test_fewer_servers_than_replicas_works_and_warns() -> None:
    store = store_with((), replication_factor=3)
    plan = store.plan_add_server("alpha")
    assert any("can't hold 3 replicas" in warning for warning in plan.warnings)
    store.add_server("alpha")
    store.set("key", "value")
    assert store.snapshot().under_replicated_keys == 1
    store.add_server("bravo")
    store.add_server("charlie")
    assert store.snapshot().under_replicated_keys == 0
    assert store.explain("key").located_on == store.explain("key").replicas
    warnings = store.plan_add_server("delta").warnings
    assert not any("can't hold" in warning for warning in warnings)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_change_moves_every_replica_that_must_move_and_only_those(factor: int) -> None:
    store = replicated(factor)
    content = filled(store, 600)
    before = {key: set(store.explain(key).replicas) for key in content}
    plan = store.plan_add_server("foxtrot")
    store.commit(plan).wait(30)
    gained = 0
    for key, owners in before.items():
        after = set(store.explain(key).replicas)
        assert after - owners <= {"foxtrot"}
        gained += len(after - owners)
    assert gained == plan.keys_moved
    assert {transfer.target for transfer in plan.transfers} == {"foxtrot"}
    assert store.get_stats() == dict(plan.keys_after)
    store.check_invariants()
    store.remove_server("foxtrot")
    assert {key: set(store.explain(key).replicas) for key in content} == before
    assert content_of(store) == content
    store.check_invariants()


@pytest.mark.parametrize("victim", FIVE)
def test_a_crash_of_any_one_server_of_three_replicas_loses_nothing(victim: str) -> None:
    store = replicated()
    content = filled(store, 500)
    preview = store.plan_crash(victim)
    assert (preview.keys_lost, preview.keys_refused) == (0, 0)
    assert preview.keys_left == sum(victim in store.explain(key).replicas for key in content)
    assert store.crash_server(victim)
    assert not store.crash_server(victim)
    assert content_of(store) == content
    assert store.snapshot().under_replicated_keys == preview.keys_left
    for number in range(0, 500, 3):
        store.set(f"user:{number}", "changed")
        content[f"user:{number}"] = "changed"
    for number in range(1, 500, 3):
        assert store.remove(f"user:{number}")
        del content[f"user:{number}"]
    assert content_of(store) == content
    assert len(store) == len(content)
    store.check_invariants()


def test_too_few_replicas_refuse_a_write_and_change_nothing() -> None:
    store = replicated()
    key = key_on(store, "alpha", "bravo")
    store.set(key, "old")
    store.crash_server("alpha")
    assert store.set(key, "with two of three")
    store.crash_server("bravo")
    with pytest.raises(QuorumError) as raised:
        store.set(key, "with one of three")
    assert (raised.value.reached, raised.value.needed, raised.value.unknown) == (1, 2, False)
    assert "nothing changed" in str(raised.value)
    assert store.get(key) == "with two of three"
    with pytest.raises(QuorumError):
        store.remove(key)
    with pytest.raises(QuorumError):
        store.get(key, read_level=Level.ALL)
    assert store.set(key, "at level one", write_level=Level.ONE)
    assert store.get(key) == "at level one"
    assert store.get(key, read_level="one") == "at level one"


def test_eventual_consistency_goes_on_with_one_replica() -> None:
    store = replicated(consistency=Consistency.EVENTUAL)
    key = key_on(store, "alpha", "bravo")
    store.crash_server("alpha")
    store.crash_server("bravo")
    assert store.set(key, "value")
    assert store.get(key) == "value"
    with pytest.raises(QuorumError):
        store.set(key, "value", write_level=Level.QUORUM)


def test_without_any_replica_reads_and_writes_say_so() -> None:
    store = replicated(1)
    content = filled(store, 300)
    lost = store.get_stats()["alpha"]
    preview = store.plan_crash("alpha")
    assert (preview.keys_lost, preview.keys_left) == (lost, 0)
    key = store.get_keys_for_server("alpha")[0]
    store.crash_server("alpha")
    with pytest.raises(ServerUnavailableError, match="alpha: not answering"):
        store.get(key)
    with pytest.raises(QuorumError):
        store.set(key, "value")
    assert len(store) == len(content) - lost
    assert store.explain(key).exists is False
    store.check_invariants()


def test_a_write_that_misses_a_replica_becomes_a_hint_and_is_delivered() -> None:
    faults = FaultInjector()
    store = replicated(faults=faults)
    key = key_on(store, "alpha")
    store.set(key, "old")
    faults.partition("alpha")
    assert store.set(key, "new")
    assert store.get(key) == "new"
    alpha = store.snapshot().servers[0]
    assert (alpha.state, alpha.hints, alpha.stripes_behind) == (ServerState.CATCHING_UP, 1, 1)
    store.set(key, "newer")
    assert store.snapshot().servers[0].hints == 1  # the latest of each key
    faults.heal("alpha")
    assert store.get(key) == "newer"  # not from alpha, which has not caught up
    while store.maintain():
        pass
    alpha = store.snapshot().servers[0]
    assert (alpha.state, alpha.hints) == (ServerState.UP, 0)
    assert {copy.version for copy in store.explain(key).copies} == {store.explain(key).version}
    assert any(isinstance(event, ServerFellBehind) for event in store.events())
    store.check_invariants()


def test_a_replica_that_is_behind_answers_no_read_even_alone() -> None:
    """The only replica that holds the write can't be reached: no read may show the older value."""
    faults = FaultInjector()
    store = store_with(("alpha", "bravo"), replication_factor=2, background=False, faults=faults)
    store.set("key", "old")
    faults.partition("alpha")
    assert store.set("key", "new", write_level=Level.ONE)
    faults.heal("alpha")
    faults.partition("bravo")
    # alpha has a hint for the write, so it can be settled and then answers.
    assert store.get("key") == "new"
    store.check_invariants()


def test_a_removed_key_does_not_return_with_a_replica_that_missed_the_removal() -> None:
    faults = FaultInjector()
    store = replicated(faults=faults)
    content = filled(store, 300)
    faults.partition("alpha")
    for key in list(content)[::2]:
        assert store.remove(key)
        del content[key]
    faults.heal("alpha")
    while store.maintain():
        pass
    assert content_of(store) == content
    for victim in ("bravo", "charlie"):
        store.crash_server(victim)
        assert content_of(store) == content
        store.recover_server(victim)
    store.check_invariants()
    assert store.doctor().healthy


def test_a_hint_does_not_outlive_the_range_it_is_for() -> None:
    """A server that is behind loses a range and gets it back: the old record must not return."""
    faults = FaultInjector()
    store = store_with(("alpha", "bravo"), replication_factor=1, background=False, faults=faults)
    key = key_on(store, "alpha")
    store.set(key, "old")
    replica = store._shards.replicas["alpha"]
    stripe = stripe_of(position_of(key))
    replica.miss(stripe, Entry(position_of(key), key, Record("hinted", 10**9, NEVER_EXPIRES)))
    store._shards.routing.refresh(stripe)
    store.get(key)  # delivers it
    assert store.get(key) == "hinted"
    replica.miss(stripe, Entry(position_of(key), key, Record("outlived", 10**10, NEVER_EXPIRES)))
    replica.forget_hints(stripe, position_of(key), position_of(key))
    assert replica.current(stripe)
    replica.check_invariants()


def test_too_many_hints_become_a_comparison() -> None:
    faults = FaultInjector()
    store = replicated(faults=faults, hints_kept=10)
    content = filled(store, 400)
    faults.partition("alpha")
    for key in content:
        store.set(key, "changed")
        content[key] = "changed"
    assert store.snapshot().servers[0].hints <= 10
    assert content_of(store) == content
    faults.heal("alpha")
    recovery = store.begin_recovery("alpha")
    assert recovery is not None
    steps = 0
    while recovery.step():
        steps += 1
        store.check_invariants()
    progress = recovery.progress
    assert steps > 80
    assert progress.copied > progress.hints
    assert progress.fraction == 1.0
    assert content_of(store) == content
    assert store.doctor().healthy


def test_read_repair_mends_a_replica_that_differs() -> None:
    store = replicated()
    store.set("key", "value")
    placement = store.explain("key")
    last = store._shards.replicas[placement.replicas[-1]].server
    last.drop(placement.position, "key")
    assert store.explain("key").located_on == placement.replicas[:-1]
    assert store.get("key", read_level=Level.ALL) == "value"
    assert store.explain("key").located_on == placement.replicas
    store.check_invariants()


def test_failing_calls_of_one_server_are_never_seen_by_the_user() -> None:
    faults = FaultInjector()
    store = replicated(faults=faults)
    content = filled(store, 200)
    for server_id in FIVE:
        faults.fail_next(server_id, 50)
        for key in content:
            assert store.get(key) == content[key]
            store.set(key, f"{server_id} {key}")
            content[key] = f"{server_id} {key}"
        while store.maintain():
            pass
        faults.heal(server_id)
    assert content_of(store) == content
    store.check_invariants()


def test_a_write_below_its_level_says_that_its_outcome_is_unknown() -> None:
    faults = FaultInjector()
    store = store_with(("alpha", "bravo"), replication_factor=2, background=False, faults=faults)
    store.set("key", "old")
    faults.partition("bravo")
    with pytest.raises(QuorumError, match="may have happened or not") as raised:
        store.set("key", "new")
    assert (raised.value.reached, raised.value.needed, raised.value.unknown) == (1, 2, True)
    faults.heal("bravo")
    seen = store.get("key")
    assert seen == "new"  # alpha has it, and bravo its hint
    while store.maintain():
        pass
    assert {copy.version for copy in store.explain("key").copies} == {store.explain("key").version}


def test_removing_a_dead_server_copies_from_the_survivors() -> None:
    store = replicated()
    content = filled(store, 400)
    store.crash_server("bravo")
    assert store.plan_remove_server("bravo").keys_lost == 0
    assert store.remove_server("bravo")
    assert content_of(store) == content
    assert store.snapshot().under_replicated_keys == 0
    store.check_invariants()


def test_removing_the_only_holder_of_keys_is_refused_unless_forced() -> None:
    store = replicated(1)
    content = filled(store, 300)
    gone = store.get_keys_for_server("bravo")
    store.crash_server("bravo")
    plan = store.plan_remove_server("bravo")
    assert plan.keys_lost == len(gone)
    assert any("will be lost" in warning for warning in plan.warnings)
    with pytest.raises(DataLossError) as raised:
        store.remove_server("bravo")
    assert (raised.value.server_id, raised.value.keys) == ("bravo", len(gone))
    with pytest.raises(DataLossError):
        store.commit(plan)
    assert "bravo" in store.get_servers()
    assert store.remove_server("bravo", force=True)
    for key in gone:
        del content[key]
    assert content_of(store) == content
    store.check_invariants()


def test_a_join_and_a_leave_while_a_server_is_down() -> None:
    store = replicated()
    content = filled(store, 400)
    store.crash_server("charlie")
    store.add_server("foxtrot")
    assert content_of(store) == content
    store.remove_server("alpha")
    assert content_of(store) == content
    store.check_invariants()
    assert store.recover_server("charlie")
    assert content_of(store) == content
    assert store.snapshot().under_replicated_keys == 0
    store.check_invariants()
    assert store.doctor().healthy


def test_a_joiner_that_crashes_half_way_can_be_cancelled_without_loss() -> None:
    store = replicated()
    content = filled(store, 400)
    migration = store.commit(store.plan_add_server("foxtrot"), start=False)
    for _ in range(200):
        migration.step()
    store.crash_server("foxtrot")
    assert content_of(store) == content
    migration.cancel()
    assert migration.wait(30)
    assert content_of(store) == content
    assert "foxtrot" not in store.get_servers()
    store.check_invariants()


def test_a_range_is_not_given_to_servers_that_are_all_down() -> None:
    store = replicated(1)
    content = filled(store, 200)
    migration = store.commit(store.plan_add_server("foxtrot"), start=False)
    store.crash_server("foxtrot")
    with pytest.raises(MigrationFailedError, match="foxtrot"):
        run_to_the_end(migration)
    assert content_of(store) == content
    migration.cancel()
    assert migration.wait(30)
    assert content_of(store) == content
    store.check_invariants()


def test_hints_are_counted_by_all_threads_alike() -> None:
    replica = Replica(MemoryServer("alpha", position_of), hints_kept=1_000_000)

    def miss(first: int) -> None:
        for number in range(first, first + 2_000):
            entry = Entry(number, f"key {number}", Record("value", 1, NEVER_EXPIRES))
            replica.miss(first // 2_000, entry)

    threads = [threading.Thread(target=miss, args=(number * 2_000,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replica.hints == 8_000
    replica.check_invariants()
    for stripe in replica.behind:
        replica.caught_up(stripe)
    assert replica.hints == 0


def test_no_hint_is_given_up_or_made_older_for_what_was_mended_on_others() -> None:
    replica = Replica(MemoryServer("alpha", position_of), hints_kept=2)
    newer, older = Record("newer", 7, NEVER_EXPIRES), Record("older", 3, NEVER_EXPIRES)
    replica.miss(0, Entry(1, "kept", newer))
    replica.others_mended(0, Entry(1, "kept", older))
    assert replica.hints_of(0) == [Entry(1, "kept", newer)]
    replica.others_mended(0, Entry(2, "other", older))
    replica.others_mended(0, Entry(2, "other", newer))
    assert replica.hints_of(0) == [Entry(1, "kept", newer), Entry(2, "other", newer)]
    replica.others_mended(0, Entry(3, "one too many", older))
    assert replica.hints_of(0) == [Entry(1, "kept", newer), Entry(2, "other", newer)]
    assert replica.complete(0)
    replica.check_invariants()
