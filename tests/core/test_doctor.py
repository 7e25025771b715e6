"""The doctor finds records that are not where they should be, and puts them right."""

import pytest

from core import Fault, FaultInjector, KeyValueStore
from core.record import NEVER_EXPIRES, Entry, Record
from tests.support import content_of, filled, store_with

FIVE = ("alpha", "bravo", "charlie", "delta", "echo")


@pytest.fixture
def store() -> KeyValueStore:
    return store_with(FIVE, replication_factor=3, background=False, faults=FaultInjector())


def entry_of(store: KeyValueStore, key: str, value: str = "stray", version: int = 1) -> Entry:
    return Entry(store.explain(key).position, key, Record(value, version, NEVER_EXPIRES))


def stranger_to(store: KeyValueStore, key: str) -> str:
    return next(name for name in FIVE if name not in store.explain(key).replicas)


def test_a_healthy_store_has_no_finding(store: KeyValueStore) -> None:
    filled(store, 200)
    report = store.doctor()
    assert (report.healthy, report.keys, report.findings, report.repaired) == (True, 200, (), 0)


def test_under_replicated(store: KeyValueStore) -> None:
    content = filled(store, 50)
    placement = store.explain("user:7")
    owner = placement.replicas[0]
    store._shards.replicas[owner].server.drop(placement.position, "user:7")
    report = store.doctor()
    assert report.counts[Fault.UNDER_REPLICATED] == 1
    (finding,) = report.findings
    assert (finding.key, finding.owners) == ("user:7", placement.replicas)
    assert finding.servers == tuple(sorted(placement.replicas[1:]))
    assert store.doctor(repair=True).repaired == 1
    assert store.doctor().healthy
    assert content_of(store) == content
    store.check_invariants()


def test_diverged_takes_the_newest(store: KeyValueStore) -> None:
    content = filled(store, 50)
    placement = store.explain("user:7")
    server = store._shards.replicas[placement.replicas[1]].server
    server.drop(placement.position, "user:7")
    server.apply(entry_of(store, "user:7", "older", 1))
    assert store.doctor().counts[Fault.DIVERGED] == 1
    store.doctor(repair=True)
    assert store.doctor().healthy
    assert content_of(store) == content
    store.check_invariants()


def test_orphaned_is_taken_away(store: KeyValueStore) -> None:
    content = filled(store, 50)
    stranger = stranger_to(store, "user:7")
    store._shards.replicas[stranger].server.apply(entry_of(store, "user:7"))
    report = store.doctor()
    assert report.counts[Fault.ORPHANED] == 1
    assert report.findings[0].servers == tuple(
        sorted((*store.explain("user:7").replicas, stranger))
    )
    store.doctor(repair=True)
    assert store.doctor().healthy
    assert content_of(store) == content
    store.check_invariants()


def test_misplaced_is_brought_home(store: KeyValueStore) -> None:
    content = filled(store, 50)
    stranger = stranger_to(store, "lost:1")
    store._shards.replicas[stranger].server.apply(entry_of(store, "lost:1", "found", 99))
    report = store.doctor()
    assert report.counts[Fault.MISPLACED] == 1
    store.doctor(repair=True)
    assert store.doctor().healthy
    assert content_of(store) == content | {"lost:1": "found"}
    assert len(store) == 51
    store.check_invariants()


def test_of_a_server_that_is_down_nothing_is_said(store: KeyValueStore) -> None:
    filled(store, 50)
    store.crash_server("alpha")
    report = store.doctor()
    assert report.unreachable == ("alpha",)
    assert report.reasons == {"alpha": "it is down"}
    assert report.healthy


def test_of_a_server_that_does_not_answer_nothing_is_said() -> None:
    faults = FaultInjector()
    store = store_with(FIVE, replication_factor=3, background=False, faults=faults)
    filled(store, 50)
    faults.partition("alpha")
    report = store.doctor(repair=True)
    assert report.unreachable == ("alpha",)
    assert report.reasons["alpha"].startswith("alpha: can't be reached")
    assert report.healthy
