"""Servers misbehave as they are told, and no more."""

from typing import Any

import pytest

from core import (
    FaultInjector,
    Faults,
    InvalidOptionError,
    ManualClock,
    MigrationFailedError,
    QuorumError,
    ServerState,
    ServerUnavailableError,
)
from core.ring.hashing import position_of
from core.servers.faults import FaultyServer
from core.servers.memory_server import MemoryServer
from core.servers.server import Server
from tests.core.servers.server_contract import ServerContract
from tests.support import content_of, filled, store_with


class TestFaultyServerWithoutFaults(ServerContract):
    def make(self) -> Server:
        return FaultyServer(MemoryServer("alpha", position_of), FaultInjector())


class TestSlowServer(ServerContract):
    def make(self) -> Server:
        faults = FaultInjector(ManualClock())
        faults.slow("alpha", 1.0)
        return FaultyServer(MemoryServer("alpha", position_of), faults)


def test_a_slow_server_takes_its_time() -> None:
    clock = ManualClock()
    faults = FaultInjector(clock)
    store = store_with(("alpha",), faults=faults, background=False)
    store.set("key", "value")
    assert clock.monotonic() == 0
    faults.slow("alpha", 0.25)
    store.get("key")
    assert clock.monotonic() == 0.25
    faults.slow("alpha", 0)
    store.get("key")
    assert clock.monotonic() == 0.25
    assert faults.faulty() == ()


def test_the_next_calls_fail_and_then_none() -> None:
    faults = FaultInjector()
    store = store_with(("alpha",), faults=faults, background=False)
    store.set("key", "value")
    faults.fail_next("alpha", 10)
    with pytest.raises(ServerUnavailableError):
        store.get("key")
    left = faults.faults_of("alpha").failing_calls
    assert 0 < left < 10
    faults.fail_next("alpha", 1)
    assert store.get("key") == "value"  # it looks again before it gives up
    assert faults.faults_of("alpha") == Faults()


def test_a_partitioned_server_keeps_what_it_holds() -> None:
    faults = FaultInjector()
    store = store_with(faults=faults, background=False)
    content = filled(store, 100)
    faults.partition("alpha")
    key = next(key for key in content if store.get_server_for_key(key) == "alpha")
    with pytest.raises(ServerUnavailableError, match="alpha"):
        store.get(key)
    with pytest.raises(QuorumError):
        store.set(key, "value")
    assert store.snapshot().servers[0].faults.partitioned
    faults.heal_all()
    content[key] = "value"  # its outcome was unknown: it was kept as a hint
    assert content_of(store) == content
    store.check_invariants()


def test_a_crashed_server_has_lost_what_it_held_until_it_recovers() -> None:
    faults = FaultInjector()
    store = store_with(faults=faults, replication_factor=3, background=False)
    content = filled(store, 300)
    assert faults.crash("alpha")
    assert not faults.crash("alpha")
    assert not faults.crash("zulu")
    states = {server.server_id: server.state for server in store.snapshot().servers}
    assert states.pop("alpha") is ServerState.DOWN
    assert {*states.values()} == {ServerState.UP}
    assert faults.faulty() == ()
    assert store.recover_server("alpha")
    assert content_of(store) == content
    store.check_invariants()


def test_a_migration_from_a_partitioned_server_waits_for_it() -> None:
    faults = FaultInjector()
    store = store_with(faults=faults, background=False)
    content = filled(store, 200)
    faults.partition("alpha")
    with pytest.raises(MigrationFailedError, match="alpha"):
        store.add_server("echo")
    faults.heal("alpha")
    assert store.migration is not None
    store.migration.resume()
    assert store.migration is None or store.migration.wait(30)
    assert content_of(store) == content
    store.check_invariants()


@pytest.mark.parametrize("seconds", [-1, 61, float("nan"), "1", None])
def test_a_slowness_out_of_range_is_refused(seconds: Any) -> None:
    with pytest.raises(InvalidOptionError):
        FaultInjector().slow("alpha", seconds)


@pytest.mark.parametrize("calls", [-1, 1.5, float("nan"), "1", None])
def test_a_number_of_failures_that_is_none_is_refused(calls: Any) -> None:
    with pytest.raises(InvalidOptionError):
        FaultInjector().fail_next("alpha", calls)


def test_an_injector_goes_on_with_another_store_when_the_first_is_closed() -> None:
    faults = FaultInjector()
    store_with(faults=faults).close()
    store = store_with(faults=faults)
    assert faults.crash("alpha")
    assert store.snapshot().servers[0].state is ServerState.DOWN
    faults.slow("bravo", 0.001)
    faults.heal_all()
