"""A write with a condition happens only if the condition holds at that moment."""

import threading
from typing import Any

import pytest

from core import InvalidOptionError, ManualClock
from tests.support import store_with


def test_only_if_absent() -> None:
    store = store_with()
    assert store.set("key", "first", only_if_absent=True)
    assert not store.set("key", "second", only_if_absent=True)
    assert store.get("key") == "first"
    store.remove("key")
    assert store.set("key", "third", only_if_absent=True)
    assert len(store) == 1


def test_an_expired_key_is_absent() -> None:
    clock = ManualClock()
    store = store_with(clock=clock, background=False)
    store.set("key", "value", ttl=1)
    clock.advance(1)
    assert store.set("key", "other", only_if_absent=True)
    assert store.ttl("key") is None


def test_expected_version() -> None:
    store = store_with()
    assert store.get_with_version("key") is None
    assert not store.set("key", "value", expected_version=7)
    assert store.set("key", "first", expected_version=0)
    found = store.get_with_version("key")
    assert found is not None
    value, version = found
    assert value == "first"
    assert store.set("key", "second", expected_version=version)
    assert not store.set("key", "third", expected_version=version)
    newer = store.get_with_version("key")
    assert newer is not None
    assert newer[0] == "second"
    assert newer[1] > version
    store.remove("key")
    assert not store.set("key", "fourth", expected_version=newer[1])


@pytest.mark.parametrize("factor", [1, 3])
def test_counting_up_with_versions_from_many_threads_loses_no_count(factor: int) -> None:
    store = store_with(replication_factor=factor)
    store.set("counter", "0")

    def count_up() -> None:
        for _ in range(100):
            while True:
                found = store.get_with_version("counter")
                assert found is not None
                if store.set("counter", str(int(found[0]) + 1), expected_version=found[1]):
                    break

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("counter") == "400"


@pytest.mark.parametrize("version", ["1", 1.5, -1, b"1", ("value", 1)])
def test_what_can_be_no_version_is_refused_and_is_no_lost_race(version: Any) -> None:
    store = store_with()
    store.set("key", "value")
    with pytest.raises(InvalidOptionError):
        store.set("key", "other", expected_version=version)
    assert store.get("key") == "value"
