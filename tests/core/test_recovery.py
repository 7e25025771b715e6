"""A server that comes back catches up, and answers no read before."""

import threading

import pytest

from core import (
    FaultInjector,
    KeyValueStore,
    ManualClock,
    RecoveryFinished,
    RecoveryPaused,
    RecoveryStarted,
    RecoveryState,
    ServerCrashed,
    ServerState,
    ServerUnavailableError,
    UnknownServerError,
)
from tests.support import content_of, filled, store_with

THREE = ("alpha", "bravo", "charlie")


def replicated(factor: int = 3, **options: object) -> KeyValueStore:
    return store_with(THREE, replication_factor=factor, background=False, **options)


def test_a_server_that_comes_back_empty_is_rebuilt_from_its_replicas() -> None:
    clock = ManualClock()
    store = replicated(clock=clock)
    content = filled(store, 400)
    store.crash_server("alpha")
    store.set("user:1", "changed meanwhile")
    store.remove("user:2")
    content["user:1"] = "changed meanwhile"
    del content["user:2"]
    recovery = store.begin_recovery("alpha")
    assert recovery is not None
    assert store.snapshot().servers[0].state is ServerState.CATCHING_UP
    steps = 0
    while recovery.step():
        steps += 1
        clock.advance(0.01)
        if steps % 100 == 0:
            assert content_of(store) == content
            assert 0 < recovery.progress.fraction < 1
            assert store.snapshot().recoveries[0].server_id == "alpha"
            store.check_invariants()
    progress = recovery.progress
    assert (progress.state, progress.stripes_left) == (RecoveryState.FINISHED, 0)
    assert progress.copied == len(content)
    assert store.snapshot().recoveries == ()
    for victim in ("bravo", "charlie"):
        store.crash_server(victim)
    assert {key: store.get(key) for key in content} == content
    kinds = [type(event) for event in store.events()]
    assert kinds.index(ServerCrashed) < kinds.index(RecoveryStarted) < kinds.index(RecoveryFinished)


def test_a_recovering_server_takes_writes_at_once_and_answers_no_read() -> None:
    store = replicated()
    filled(store, 300)
    store.crash_server("alpha")
    store.begin_recovery("alpha")
    store.set("user:7", "written meanwhile")
    copies = {copy.server_id: copy for copy in store.explain("user:7").copies}
    assert copies["alpha"].version == store.explain("user:7").version
    assert not copies["alpha"].current
    copies = {copy.server_id: copy for copy in store.explain("user:8").copies}
    assert (copies["alpha"].version, copies["alpha"].current) == (None, False)
    assert store.get("user:8") == "value 8"
    while store.maintain():
        pass
    assert store.snapshot().servers[0].state is ServerState.UP
    store.check_invariants()


def test_recover_server_says_whether_there_was_anything_to_do() -> None:
    store = replicated()
    assert not store.recover_server("alpha")
    assert not store.recover_server("nobody")
    assert store.begin_recovery("alpha") is None
    store.crash_server("alpha")
    assert store.recover_server("alpha")
    assert not store.recover_server("alpha")
    with pytest.raises(UnknownServerError):
        store.plan_crash("nobody")
    assert not store.crash_server("nobody")


def test_what_nobody_holds_any_more_is_gone_and_the_rest_goes_on() -> None:
    store = replicated(1)
    content = filled(store, 300)
    gone = set(store.get_keys_for_server("bravo"))
    store.crash_server("bravo")
    assert store.recover_server("bravo")
    assert content_of(store) == {key: content[key] for key in content if key not in gone}
    assert store.set(next(iter(gone)), "again")
    store.check_invariants()


def test_all_servers_crash_and_come_back_empty() -> None:
    store = replicated()
    filled(store, 100)
    for server_id in THREE:
        store.crash_server(server_id)
    with pytest.raises(ServerUnavailableError):
        store.get("user:1")
    for server_id in THREE:
        store.recover_server(server_id)
    assert content_of(store) == {}
    assert store.set("user:1", "again")
    assert store.get("user:1") == "again"
    store.check_invariants()


def test_a_second_crash_during_the_recovery_loses_nothing() -> None:
    store = replicated()
    content = filled(store, 300)
    store.crash_server("alpha")
    recovery = store.begin_recovery("alpha")
    assert recovery is not None
    for _ in range(300):
        recovery.step()
    store.crash_server("alpha")
    assert not recovery.step()
    store.crash_server("bravo")
    assert {key: store.get(key) for key in content} == content
    for server_id in ("bravo", "alpha"):
        store.recover_server(server_id)
    assert content_of(store) == content
    store.check_invariants()


@pytest.mark.parametrize("ends", ["crash", "close"])
def test_whoever_waits_for_a_recovery_waits_no_longer_than_there_is_one(ends: str) -> None:
    store = replicated()  # without a background: nobody goes on with it
    filled(store, 50)
    store.crash_server("alpha")
    recovery = store.begin_recovery("alpha")
    assert recovery is not None
    assert recovery.step()
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(recovery.wait(60)))
    waiting.start()
    if ends == "crash":
        store.crash_server("alpha")
    else:
        store.close()
    waiting.join()
    assert waited == [True]
    assert recovery.progress.state is RecoveryState.FINISHED


def test_a_recovery_that_begins_while_the_store_closes_is_over() -> None:
    store = replicated()
    filled(store, 50)
    store.crash_server("alpha")
    store._failover.close()
    recovery = store._failover.begin_recovery("alpha")
    assert recovery is not None
    assert recovery.wait(0)


def test_a_recovery_that_a_crash_ended_does_nothing_to_the_next_one() -> None:
    store = replicated()
    filled(store, 50)
    store.crash_server("alpha")
    first = store.begin_recovery("alpha")
    store.crash_server("alpha")
    second = store.begin_recovery("alpha")
    assert first is not None
    assert second is not None
    assert first is not second
    behind = second.progress.stripes_left
    assert not first.step()
    assert second.progress.stripes_left == behind
    assert second.step()


def test_a_recovery_whose_source_does_not_answer_waits_and_says_so() -> None:
    faults = FaultInjector()
    store = store_with(("alpha", "bravo"), replication_factor=2, background=False, faults=faults)
    content = filled(store, 200)
    store.crash_server("alpha")
    faults.partition("bravo")
    with pytest.raises(ServerUnavailableError, match="bravo"):
        store.recover_server("alpha")
    (progress,) = store.snapshot().recoveries
    assert progress.state is RecoveryState.WAITING
    assert "bravo" in (progress.error or "")
    assert any(isinstance(event, RecoveryPaused) for event in store.events())
    with pytest.raises(ServerUnavailableError):
        store.get("user:1")  # alpha is back, and must not answer from what it lost
    faults.heal("bravo")
    while store.maintain():
        pass
    assert content_of(store) == content
    store.check_invariants()


def test_the_background_brings_a_server_back_by_itself() -> None:
    faults = FaultInjector()
    store = store_with(THREE, replication_factor=3, faults=faults)
    content = filled(store, 200)
    faults.partition("alpha")
    for key in list(content)[:50]:
        store.set(key, "changed")
        content[key] = "changed"
    faults.heal("alpha")
    recovery = store.begin_recovery("alpha")
    assert recovery is None or recovery.wait(30)
    assert store.snapshot().servers[0].state is ServerState.UP
    assert content_of(store) == content
    store.close()


def test_clearing_and_closing_end_a_recovery() -> None:
    store = store_with(THREE, replication_factor=3)
    filled(store, 200)
    store.crash_server("alpha")
    store.begin_recovery("alpha")
    store.clear()
    assert store.get_servers() == []
    store.add_server("delta")
    store.set("key", "value")
    store.check_invariants()
    store.close()
