"""Buckets of records: split where they are too full, and read while they are split."""

import itertools
import random
import sys
import threading
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import KeyValueStore
from core.murmur3 import COMPILED
from core.record import NEVER_EXPIRES, Record
from core.ring import position_of
from core.servers.memory_server import MemoryServer
from core.servers.record_table import KEYS_PER_BUCKET, RecordTable
from core.stripes import LAST_POSITION, POSITIONS, stripe_of


def put(table: RecordTable, key: str, version: int) -> None:
    """Store a record as a writer does, and split what is too full."""
    position = position_of(key)
    table.bucket(position)[key] = Record("value", version, NEVER_EXPIRES)
    while table.overfull(position) is not None:
        table.split(position)


def test_no_bucket_is_fuller_than_it_should_be() -> None:
    table = RecordTable(position_of)
    for number in range(20_000):
        put(table, f"key-{number}", number + 1)
    table.check_invariants()
    assert table.count() == 20_000
    buckets = table.between(0, LAST_POSITION)
    assert max(len(bucket) for _, bucket in buckets) <= KEYS_PER_BUCKET
    assert len(buckets) < 20_000 / KEYS_PER_BUCKET * 3
    for number in range(20_000):
        found = table.bucket(position_of(f"key-{number}")).get(f"key-{number}")
        assert found is not None
        assert found.version == number + 1


def test_the_buckets_of_a_part_of_the_ring_alone_are_split() -> None:
    high = POSITIONS // 8 - 1
    table = RecordTable(lambda key: int(key) % (high + 1))
    source = random.Random(5)
    for number in range(10_000):
        key = str(source.getrandbits(40))
        table.bucket(int(key) % (high + 1))[key] = Record("value", number + 1, NEVER_EXPIRES)
        while table.overfull(int(key) % (high + 1)) is not None:
            table.split(int(key) % (high + 1))
    table.check_invariants()
    spans = [span for span, _ in table.between(0, LAST_POSITION)]
    assert spans[-1] == (POSITIONS // 2, LAST_POSITION)
    assert sum(last - first + 1 for first, last in spans) == POSITIONS


def test_keys_at_one_position_stay_together() -> None:
    table = RecordTable(lambda _: 12_345)
    for number in range(3 * KEYS_PER_BUCKET):
        table.bucket(12_345)[str(number)] = Record("value", number + 1, NEVER_EXPIRES)
        while table.overfull(12_345) is not None:
            table.split(12_345)
    table.check_invariants()
    assert len(table.bucket(12_345)) == 3 * KEYS_PER_BUCKET


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.lists(st.integers(0, LAST_POSITION), min_size=1, max_size=4))
def test_a_server_lists_what_is_there_however_its_buckets_are_cut(
    seed: int, edges: list[int]
) -> None:
    source = random.Random(seed)
    server = MemoryServer("alpha", position_of)
    places: dict[str, int] = {}
    for number in range(source.randrange(4 * KEYS_PER_BUCKET)):
        key = f"key-{source.getrandbits(30)}"
        places[key] = position_of(key)
        put(server.records, key, number + 1)
    low, high = min(edges), max(edges)
    inside = sorted((place, key) for key, place in places.items() if low <= place <= high)
    assert [entry.place for entry in server.scan(low, high)] == inside
    assert [entry.place for entry in server.scan(low, high, 10)] == inside[:10]
    assert server.measure(low, high).keys == len(inside)
    assert server.discard(low, high) == len(inside)
    server.records.check_invariants()
    assert server.count() == len(places) - len(inside)


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from("adrd"), st.lists(st.integers(0, 40), max_size=12)), max_size=12
    )
)
def test_a_listing_has_what_is_there_whatever_changed_since_the_last_one(
    changes: list[tuple[str, list[int]]],
) -> None:
    """Keys are added, deleted, and removed to be stored again."""
    table = RecordTable(position_of)
    bucket = table.bucket(0)
    for change, numbers in changes:
        for key in [f"key-{number}" for number in numbers]:
            if change == "a" or key not in bucket:
                bucket[key] = Record("value", 1, NEVER_EXPIRES)
            else:
                record = bucket.pop(key)
                if change == "r":
                    bucket[key] = record
        listing = table._listing(bucket)
        assert listing.keys == list(bucket)
        assert list(listing.positions) == [position_of(key) for key in bucket]


def test_a_listing_is_of_the_bucket_that_was_asked_for() -> None:
    table = RecordTable(position_of)
    for number in range(10 * KEYS_PER_BUCKET):
        put(table, f"key-{number}", number + 1)
    (_, first), (_, second), *_ = table.between(0, LAST_POSITION)
    for bucket in (first, second, first):
        listing = table._listing(bucket)
        assert listing.keys == list(bucket)
        assert list(listing.positions) == [position_of(key) for key in bucket]


def test_keys_that_were_listed_before_are_not_hashed_again() -> None:
    hashed: list[str] = []

    def position(key: str) -> int:
        hashed.append(key)
        return position_of(key)

    table = RecordTable(position)
    bucket = table.bucket(0)
    keys = [f"key-{number}" for number in range(20)]
    bucket.update(dict.fromkeys(keys, Record("value", 1, NEVER_EXPIRES)))
    table._listing(bucket)
    for gone in (keys[0], keys[7], keys[19]):
        del bucket[gone]
    bucket["new"] = Record("value", 2, NEVER_EXPIRES)
    table._listing(bucket)
    assert hashed == [*keys, "new"]


def test_who_was_given_a_bucket_finds_in_it_what_was_there_when_it_was_split() -> None:
    table = RecordTable(position_of)
    for number in range(KEYS_PER_BUCKET + 1):
        key = f"key-{number}"
        table.bucket(position_of(key))[key] = Record("value", number + 1, NEVER_EXPIRES)
    before = table.bucket(0)
    table.split(0)
    assert table.bucket(0) is not before
    assert len(before) == KEYS_PER_BUCKET + 1


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_bucket_is_not_split_under_a_writer(replicas: int) -> None:
    """One that is between fetching a bucket and writing to it would write to what is left over."""
    waited: list[bool] = []
    fetched, split = threading.Event(), threading.Event()

    def hold_up(step: str) -> None:
        if step == "set.bucket" and threading.current_thread().name == "slow":
            fetched.set()
            waited.append(not split.wait(0.2))

    store = KeyValueStore(replication_factor=replicas, background=False, yield_point=hold_up)
    for server_id in ("alpha", "bravo", "charlie")[:replicas]:
        store.add_server(server_id)
    store.set_many({f"key-{number}": "value" for number in range(KEYS_PER_BUCKET)})
    slow = threading.Thread(target=lambda: store.set("slow", "value"), name="slow")
    slow.start()
    assert fetched.wait(5)
    held = stripe_of(position_of("slow"))
    others = (f"more-{number}" for number in itertools.count())
    # One in the stripe that the slow writer holds would wait for it, and split nothing.
    store.set(next(key for key in others if stripe_of(position_of(key)) != held), "value")
    split.set()
    slow.join()
    assert waited == [True], "the bucket was split while a writer had it"
    assert store.get("slow") == "value"
    store.check_invariants()


@pytest.mark.skipif(COMPILED, reason="compiled code can't be traced")
def test_two_buckets_are_split_at_a_time_and_both_stay_split() -> None:
    """Their spans, and so the locks that are held, have nothing in common."""
    table = RecordTable(position_of)
    for key in (f"key-{number}" for number in range(4 * KEYS_PER_BUCKET)):
        table.bucket(position_of(key))[key] = Record(key, 1, NEVER_EXPIRES)
    table.split(0)
    assert len(table.between(0, LAST_POSITION)) == 2
    other = threading.Thread(target=lambda: table.split(LAST_POSITION))

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if "middle" in frame.f_locals and other.ident is None:  # it has read the buckets
            other.start()
            other.join(0.2)  # it ends now, or waits for the first one
        return trace

    def split_slowly() -> None:
        sys.settrace(trace)
        table.split(0)

    first = threading.Thread(target=split_slowly)
    first.start()
    first.join()
    other.join()
    assert len(table.between(0, LAST_POSITION)) == 4
    table.check_invariants()


@pytest.mark.parametrize("replicas", [1, 3])
def test_keys_are_counted_right_while_others_of_their_bucket_come_and_go(replicas: int) -> None:
    """Writers hold the locks of different stripes, and all write to one bucket."""
    store = KeyValueStore(replication_factor=replicas, background=False)
    for server_id in ("alpha", "bravo", "charlie")[:replicas]:
        store.add_server(server_id)

    def write_and_remove(name: str) -> None:
        keys = [f"{name}-{number}" for number in range(40)]
        for _ in range(150):
            for key in keys:
                store.set(key, "value")
            for key in keys:
                store.remove(key)
        store.set_many(dict.fromkeys(keys, "value"))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=write_and_remove, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len(store) == len(list(store.items())) == 4 * 40
    store.check_invariants()
