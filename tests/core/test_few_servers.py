"""A program is told when its keys lie on fewer servers than it asked for: once, where it wrote."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from core import KeyValueStore, TooFewServersWarning, Transaction
from tests.support import store_with


@pytest.fixture(autouse=True)
def _as_programs_run() -> None:
    """Give up the tests' own wish not to be told. Pytest takes this back after each test."""
    warnings.resetwarnings()
    warnings.simplefilter("always")


def told(*operations: object) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for operation in operations:
            assert callable(operation)
            operation()
    return caught


def test_the_first_write_on_too_few_servers_warns_at_the_programs_own_line() -> None:
    store = KeyValueStore(replication_factor=3)
    assert told(lambda: store.add_server("alpha"), lambda: store.add_server("bravo")) == []
    (warning,) = told(lambda: store.set("key", "value"))
    assert warning.filename == __file__
    assert isinstance(warning.message, TooFewServersWarning)
    assert (warning.message.servers, warning.message.replication_factor) == (2, 3)
    assert str(warning.message).startswith(
        "2 servers hold 2 replicas of each key, and not 3: add 1 "
    )
    assert store.get("key") == "value"


WRITES: dict[str, Callable[[KeyValueStore], object]] = {
    "set": lambda store: store.set("key", "value"),
    "set with a ttl": lambda store: store.set("key", "value", ttl=5),
    "set_many": lambda store: store.set_many({"key": "value"}),
    "transaction": lambda store: store.run_transaction(lambda tx: tx.set("key", "value")),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("on_disk", [False, True], ids=["in memory", "on disk"])
def test_every_way_to_write_warns(tmp_path: Path, write: str, on_disk: bool) -> None:
    data_dir = tmp_path / "data" if on_disk else None
    with KeyValueStore(data_dir=data_dir, replication_factor=2) as store:
        store.add_server("alpha")
        (warning,) = told(lambda: WRITES[write](store))
        assert warning.category is TooFewServersWarning
        assert warning.filename == __file__


def test_it_is_said_once_and_again_only_when_it_gets_worse() -> None:
    store = store_with(replication_factor=3, servers=("alpha", "bravo"))
    assert len(told(*[lambda: store.set("key", "value")] * 3, lambda: store.set("other", "x"))) == 1
    store.remove_server("bravo")
    (warning,) = told(lambda: store.set("key", "value"), lambda: store.set("other", "x"))
    assert str(warning.message).startswith("1 server holds 1 replica of each key, and not 3")
    store.add_server("bravo")
    assert told(lambda: store.set("key", "value")) == []


@pytest.mark.parametrize("factor", [1, 3, 4])
def test_nothing_is_said_while_there_are_enough(factor: int) -> None:
    store = store_with(replication_factor=factor)
    assert (
        told(
            lambda: store.set("key", "value"),
            lambda: store.crash_server("alpha"),  # it is there, and comes back
            lambda: store.set("key", "value"),
            lambda: store.recover_server("alpha"),
            lambda: store.set("key", "value", ttl=5),
        )
        == []
    )


def test_nothing_is_said_of_a_range_that_waits_for_its_last_owner() -> None:
    store = store_with(replication_factor=3, servers=("alpha", "bravo"))
    migration = store.commit(store.plan_add_server("charlie"), start=False)
    assert told(lambda: store.set_many({f"key{n}": "value" for n in range(100)})) == []
    migration.resume()
    assert migration.wait(30)


def test_as_an_error_it_stores_nothing_and_half_of_no_transaction() -> None:
    warnings.simplefilter("error")
    store = store_with(replication_factor=3, servers=("alpha", "bravo"))

    def store_two(tx: Transaction) -> None:
        tx.set("one", "value")
        tx.set("two", "value")

    with pytest.raises(TooFewServersWarning):
        store.run_transaction(store_two)
    assert store.keys() == []
    store.set("key", "value")  # said once
    store.check_invariants()
