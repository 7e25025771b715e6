"""A transaction happens at one moment or not at all."""

import random
import threading

import pytest

from core import (
    FaultInjector,
    InvalidKeyError,
    InvalidOptionError,
    InvalidValueError,
    KeyValueStore,
    ManualClock,
    NoServersError,
    QuorumError,
    Transaction,
    TransactionConflict,
)
from tests.stress.registers import Interleaver
from tests.support import store_with


@pytest.fixture(params=[1, 3], ids=["one-replica", "three-replicas"])
def store(request: pytest.FixtureRequest) -> KeyValueStore:
    return store_with(replication_factor=request.param)


def test_reads_and_writes_happen_together(store: KeyValueStore) -> None:
    store.set_many({"a": "1", "b": "2", "c": "3"})
    with store.transaction() as tx:
        assert tx.get("a") == "1"
        tx.set("a", "10")
        assert tx.get("a") == "10"
        assert tx.remove("b")
        assert tx.get("b") is None
        assert not tx.remove("nobody")
        assert tx.get("nobody", "default") == "default"
        tx.set("d", b"4")
        assert store.get("a") == "1"  # not before the end
    assert store.get_many("abcd") == {"a": "10", "c": "3", "d": b"4"}
    assert len(store) == 3
    store.check_invariants()


def test_an_error_inside_leaves_the_store_as_it_was(store: KeyValueStore) -> None:
    store.set("a", "1")

    def change_my_mind() -> None:
        with store.transaction() as tx:
            tx.set("a", "2")
            tx.set("b", "2")
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        change_my_mind()
    assert store.get_many("ab") == {"a": "1"}


@pytest.mark.parametrize("change", ["set", "remove", "same value again"])
def test_what_was_read_and_changed_meanwhile_is_a_conflict(
    store: KeyValueStore, change: str
) -> None:
    store.set_many({"a": "1", "b": "1"})
    tx = store.transaction()
    assert tx.get("a") == "1"
    tx.set("b", "2")
    if change == "remove":
        store.remove("a")
    else:
        store.set("a", "1" if change == "same value again" else "9")
    with pytest.raises(TransactionConflict) as raised:
        tx.commit()
    assert raised.value.key == "a"
    assert store.get("b") == "1"


def test_a_key_that_was_absent_and_came_meanwhile_is_a_conflict(store: KeyValueStore) -> None:
    tx = store.transaction()
    assert tx.get("a") is None
    tx.set("b", "2")
    store.set("a", "1")
    with pytest.raises(TransactionConflict):
        tx.commit()


def test_a_write_without_a_read_conflicts_with_nothing(store: KeyValueStore) -> None:
    tx = store.transaction()
    tx.set("a", "mine")
    store.set("a", "theirs")
    tx.commit()
    assert store.get("a") == "mine"


def test_a_transaction_that_only_reads_is_validated_too(store: KeyValueStore) -> None:
    store.set_many({"a": "1", "b": "1"})
    tx = store.transaction()
    tx.get("a")
    store.set_many({"a": "2", "b": "2"})
    tx.get("b")
    with pytest.raises(TransactionConflict):
        tx.commit()


def test_the_same_key_reads_the_same_throughout(store: KeyValueStore) -> None:
    store.set("a", "1")
    tx = store.transaction()
    assert tx.get("a") == "1"
    store.set("a", "2")
    assert tx.get("a") == "1"


def test_it_is_over_after_its_end(store: KeyValueStore) -> None:
    with store.transaction() as tx:
        tx.set("a", "1")
    for use in (
        lambda: tx.get("a"),
        lambda: tx.set("a", "2"),
        lambda: tx.remove("a"),
        tx.commit,
    ):
        with pytest.raises(InvalidOptionError, match="is over"):
            use()
    assert store.get("a") == "1"


def test_bad_keys_and_values_are_refused_at_once(store: KeyValueStore) -> None:
    tx = store.transaction()
    with pytest.raises(InvalidKeyError):
        tx.get("")
    with pytest.raises(InvalidKeyError):
        tx.set("\ud800", "value")
    with pytest.raises(InvalidValueError):
        tx.set("a", 7)  # type: ignore[arg-type]


def test_run_transaction_tries_again_and_returns_the_result(store: KeyValueStore) -> None:
    store.set("a", "1")
    attempts = []

    def count_up(tx: Transaction) -> int:
        attempts.append(1)
        value = int(tx.get("a", "0"))
        if len(attempts) < 3:
            store.set("a", str(value))  # somebody else is faster
        tx.set("a", str(value + 1))
        return value + 1

    assert store.run_transaction(count_up) == 2
    assert (len(attempts), store.get("a")) == (3, "2")


def test_run_transaction_gives_up_after_its_retries(store: KeyValueStore) -> None:
    attempts = []

    def never(tx: Transaction) -> None:
        attempts.append(1)
        tx.get("a")
        store.set("a", str(len(attempts)))

    with pytest.raises(TransactionConflict):
        store.run_transaction(never, retries=4)
    assert len(attempts) == 5
    with pytest.raises(InvalidOptionError, match="retries"):
        store.run_transaction(never, retries=-1)


def test_an_expired_key_is_absent_in_a_transaction() -> None:
    clock = ManualClock()
    store = store_with(clock=clock, background=False)
    store.set("a", "1", ttl=1)
    tx = store.transaction()
    assert tx.get("a") == "1"
    clock.advance(1)
    assert store.transaction().get("a") is None
    with pytest.raises(TransactionConflict):  # what it read is no longer there
        tx.commit()


def test_without_servers_a_commit_that_writes_says_so() -> None:
    store = KeyValueStore()
    with pytest.raises(NoServersError), store.transaction() as tx:
        tx.set("a", "1")


def test_too_few_replicas_apply_nothing_of_it() -> None:
    store = store_with(replication_factor=2, background=False)
    content = {f"key:{number}": "old" for number in range(20)}
    store.set_many(content)
    store.crash_server("alpha")
    tx = store.transaction()
    for key in content:
        tx.set(key, "new")
    with pytest.raises(QuorumError) as raised:
        tx.commit()
    assert not raised.value.unknown
    store.recover_server("alpha")
    assert store.get_many(content) == content


def test_a_commit_whose_outcome_is_unknown_is_still_all_or_nothing() -> None:
    faults = FaultInjector()
    store = store_with(("alpha", "bravo"), replication_factor=2, background=False, faults=faults)
    store.set_many({"a": "1", "b": "1", "c": "1"})
    faults.partition("bravo")
    tx = store.transaction()
    for key in "abc":
        tx.set(key, "2")
    with pytest.raises(QuorumError) as raised:
        tx.commit()
    assert raised.value.unknown
    faults.heal("bravo")
    while store.maintain():
        pass
    assert store.get_many("abc") == {"a": "2", "b": "2", "c": "2"}
    store.check_invariants()


@pytest.mark.parametrize("factor", [1, 3])
def test_opposite_orders_never_wait_for_each_other(factor: int) -> None:
    """Two threads write the same keys in opposite order: with locks in that order, a deadlock."""
    store = store_with(replication_factor=factor, yield_point=Interleaver(1))
    keys = [f"key:{number}" for number in range(6)]

    def write(order: list[str], name: str) -> None:
        for _ in range(60):
            with store.transaction() as tx:
                for key in order:
                    tx.set(key, name)

    threads = [
        threading.Thread(target=write, args=(keys, "one"), daemon=True),
        threading.Thread(target=write, args=(keys[::-1], "two"), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(set(store.get_many(keys).values())) == 1


@pytest.mark.parametrize("factor", [1, 3])
def test_a_plain_reader_never_sees_half_of_a_commit(factor: int) -> None:
    """A writer sets both keys to one number: who reads one, then the other, sees no older one."""
    store = store_with(replication_factor=factor, yield_point=Interleaver(7, chance=0.5))
    first, second = _keys_apart(store)
    store.set_many({first: "0", second: "0"})
    stop = threading.Event()
    halves: list[tuple[str, str]] = []
    reads = [0]

    def read() -> None:
        while not stop.is_set():
            a = str(store.get(first))
            b = str(store.get(second))
            reads[0] += 1
            if int(b) < int(a):
                halves.append((a, b))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    source = random.Random(3)
    for number in range(1, 300):
        with store.transaction() as tx:
            # Applied in the order of writing: the reader's first key first.
            for key in (first, second):
                tx.set(key, str(number))
        if source.random() < 0.05:
            store.get(first)
    stop.set()
    for reader in readers:
        reader.join()
    assert halves == []
    assert reads[0] > 100


def _keys_apart(store: KeyValueStore) -> tuple[str, str]:
    """Return two keys in different stripes, so that no one lock covers both."""
    first = "key:0"
    stripe = store.explain(first).position >> 22
    return first, next(
        key
        for key in (f"key:{number}" for number in range(1, 100))
        if store.explain(key).position >> 22 != stripe
    )
