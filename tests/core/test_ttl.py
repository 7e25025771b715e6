"""A key with a time to live is absent from that moment on, wherever it lies."""

import time

import pytest

from core import FaultInjector, InvalidOptionError, KeyValueStore, ManualClock
from core.cluster.expiry import KEYS_PER_SWEEP
from tests.support import store_with


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=[1, 3], ids=["one-replica", "three-replicas"])
def store(request: pytest.FixtureRequest, clock: ManualClock) -> KeyValueStore:
    return store_with(clock=clock, background=False, replication_factor=request.param)


def test_a_key_is_absent_from_the_moment_it_expires(
    store: KeyValueStore, clock: ManualClock
) -> None:
    store.set("key", "value", ttl=2.5)
    assert store.ttl("key") == 2.5
    clock.advance(2.499)
    assert store.get("key") == "value"
    assert store.ttl("key") == pytest.approx(0.001)
    clock.advance(0.001)
    assert store.get("key") is None
    assert store.get("key", "default") == "default"
    assert "key" not in store
    assert store.ttl("key") is None
    assert store.get_with_version("key") is None
    assert store.keys() == []
    assert store.scan("key", 10) == []
    assert store.get_many(["key"]) == {}
    assert all(store.get_keys_for_server(server) == [] for server in store.get_servers())
    assert store.explain("key").exists is False
    assert not store.expire("key", 1)
    assert not store.persist("key")
    assert not store.remove("key")
    assert len(store) == 0


def test_expire_and_persist(store: KeyValueStore, clock: ManualClock) -> None:
    assert not store.expire("key", 1)
    assert not store.persist("key")
    store.set("key", "value")
    assert store.ttl("key") is None
    assert not store.persist("key")
    assert store.expire("key", 1)
    assert store.ttl("key") == 1
    assert store.persist("key")
    clock.advance(5)
    assert store.get("key") == "value"
    assert store.expire("key", 1)
    assert store.explain("key").ttl == 1
    clock.advance(1)
    assert store.get("key") is None


def test_a_plain_write_keeps_for_ever(store: KeyValueStore, clock: ManualClock) -> None:
    store.set("key", "value", ttl=1)
    store.set("key", "other")
    clock.advance(5)
    store.maintain()
    assert store.get("key") == "other"


def test_a_clock_that_jumps_back_revives_nothing(store: KeyValueStore, clock: ManualClock) -> None:
    store.set("key", "value", ttl=10)
    clock.advance(10)
    assert store.get("key") is None
    clock.jump(-3_600)
    assert store.get("key") is None
    assert len(store) == 0
    store.set("other", "value", ttl=10)
    assert store.get("other") == "value"


@pytest.mark.parametrize("jump", [-3_600, 3_600], ids=["back", "forward"])
def test_a_clock_that_is_set_changes_no_time_to_live(
    store: KeyValueStore, clock: ManualClock, jump: float
) -> None:
    store.set("before", "value", ttl=10)
    clock.advance(4)
    clock.jump(jump)
    store.set("after", "value", ttl=10)
    assert (store.ttl("before"), store.ttl("after")) == (6, 10)
    clock.advance(6)
    assert (store.get("before"), store.ttl("after")) == (None, 4)
    clock.advance(3.999)
    assert store.get("after") == "value"
    clock.advance(0.001)
    assert store.get("after") is None
    assert len(store) == 0


def test_expiry_is_kept_as_wall_clock_time(store: KeyValueStore, clock: ManualClock) -> None:
    """So that it means the same to a store that is opened later, by another process."""
    clock.advance(7)
    store.set("key", "value", ttl=10)
    record = store._read("key")
    assert record is not None
    assert record.expires_at == clock.now_ms() + 10_000


def test_the_sweeper_frees_memory_a_bounded_piece_at_a_time(
    store: KeyValueStore, clock: ManualClock
) -> None:
    for number in range(250):
        store.set(f"short:{number}", "value", ttl=1)
        store.set(f"long:{number}", "value", ttl=100)
        store.set(f"ever:{number}", "value")
    held = sum(replica.server.count() for replica in store._shards.replicas.values())
    clock.advance(1)
    copies = store.snapshot().replication_factor
    assert store.maintain()
    left = sum(replica.server.count() for replica in store._shards.replicas.values())
    assert held - left == KEYS_PER_SWEEP * copies
    while store.maintain():
        pass
    left = sum(replica.server.count() for replica in store._shards.replicas.values())
    assert held - left == 250 * copies
    assert len(store) == 500
    store.check_invariants()


def test_the_index_stays_small_when_a_key_is_written_again_and_again(
    store: KeyValueStore, clock: ManualClock
) -> None:
    for number in range(10_000):
        store.set("key", str(number), ttl=60)
    assert store._expiry.waiting == 1
    clock.advance(60)
    store.maintain()
    assert len(store) == 0


def test_expiry_survives_moves(store: KeyValueStore, clock: ManualClock) -> None:
    for number in range(200):
        store.set(f"key:{number}", "value", ttl=10)
    store.add_server("echo")
    store.remove_server("alpha")
    assert store.ttl("key:7") == 10
    clock.advance(10)
    assert store.keys() == []
    assert len(store) == 0
    store.check_invariants()


def test_expiry_survives_a_crash_and_a_recovery(clock: ManualClock) -> None:
    store = store_with(clock=clock, background=False, replication_factor=3)
    for number in range(200):
        store.set(f"key:{number}", "value", ttl=10)
    store.crash_server("alpha")
    clock.advance(5)
    store.recover_server("alpha")
    for victim in ("bravo", "charlie"):
        store.crash_server(victim)
        store.recover_server(victim)
    assert store.ttl("key:7") == 5
    clock.advance(5)
    assert store.keys() == []
    assert len(store) == 0
    store.check_invariants()


def test_a_key_that_expires_while_its_server_does_not_answer_is_gone_when_it_does(
    clock: ManualClock,
) -> None:
    faults = FaultInjector(clock)
    store = store_with(clock=clock, background=False, replication_factor=3, faults=faults)
    for number in range(100):
        store.set(f"key:{number}", "value", ttl=10)
    faults.partition("alpha")
    clock.advance(10)
    while store.maintain():
        pass
    faults.heal("alpha")
    while store.maintain():
        pass
    assert store.keys() == []
    assert len(store) == 0
    assert store.doctor().keys == 0
    store.check_invariants()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 10**12, "1"])
def test_a_time_that_is_none_is_refused(store: KeyValueStore, seconds: float) -> None:
    with pytest.raises(InvalidOptionError, match="seconds"):
        store.set("key", "value", ttl=seconds)
    store.set("key", "value")
    with pytest.raises(InvalidOptionError, match="seconds"):
        store.expire("key", seconds)
    assert store.ttl("key") is None


def test_the_background_sweeps_by_itself() -> None:
    store = store_with()
    store.set("key", "value", ttl=0.001)
    deadline = time.monotonic() + 30
    while any(replica.server.count() for replica in store._shards.replicas.values()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    store.close()
