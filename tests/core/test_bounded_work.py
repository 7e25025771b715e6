"""No operation holds up the others for longer because there are more keys."""

import random
import sys
import threading
import time
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest

from core import KeyValueStore, ManualClock
from core.cluster.expiry_index import _PARTS, ExpiryIndex
from core.cluster.replication import Replication
from core.cluster.shards import KEYS_AT_ONCE
from core.record import Entry
from core.servers.memory_server import MemoryServer
from core.servers.record_table import KEYS_PER_BUCKET
from core.stripes import LAST_POSITION, POSITIONS_PER_STRIPE, STRIPE_SHIFT, STRIPES

CROWDED_STRIPE = 5
KEYS = 3_000


def crowded(key: bytes, _seed: int, _signed: bool) -> int:
    """Give nearly every key a position in one stripe, and every third that of another key."""
    number = zlib.crc32(key)
    if number % 50 == 0:
        return number
    place = number % POSITIONS_PER_STRIPE
    return (CROWDED_STRIPE << STRIPE_SHIFT) | (place - place % 3_000)


@pytest.fixture
def crowded_store() -> KeyValueStore:
    store = KeyValueStore(hash_function=crowded)
    for server_id in ("alpha", "bravo", "charlie"):
        store.add_server(server_id)
    store.set_many({f"key-{number}": str(number) for number in range(KEYS)})
    return store


def in_ring_order(keys: list[str]) -> list[str]:
    """Return the keys by position, then key."""
    return sorted(keys, key=lambda key: (crowded(key.encode(), 0, False), key))


def test_a_crowded_stripe_is_read_in_parts(
    crowded_store: KeyValueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = Replication.entries_between

    def counted(*arguments: object, **options: object) -> list[Entry]:
        found: list[Entry] = original(*arguments, **options)  # type: ignore[arg-type]
        sizes.append(len(found))
        return found

    monkeypatch.setattr(Replication, "entries_between", counted)
    expected = in_ring_order([f"key-{number}" for number in range(KEYS)])
    assert crowded_store.keys() == expected
    assert [item.key for item in crowded_store.items()] == expected
    assert sum(sizes) == 2 * KEYS
    assert max(sizes) < 1.5 * KEYS_AT_ONCE
    sizes.clear()
    start = next(key for key in expected if crowded(key.encode(), 0, False) >> STRIPE_SHIFT == 5)
    assert crowded_store.scan(start, 1)[0][0] == start
    assert sum(sizes) < 1.5 * KEYS_AT_ONCE


def test_a_scan_from_any_key_of_a_crowded_stripe_goes_round_once(
    crowded_store: KeyValueStore,
) -> None:
    expected = in_ring_order([f"key-{number}" for number in range(KEYS)])
    positions = [crowded(key.encode(), 0, False) for key in expected]
    assert len(set(positions)) < KEYS - 500  # many a start has another key at its position
    for first in range(0, KEYS, 97):
        found = [key for key, _ in crowded_store.scan(expected[first], KEYS + 1)]
        assert found == expected[first:] + expected[:first]
    behind = [key for key, _ in crowded_store.scan("no such key", KEYS)]
    assert sorted(behind) == sorted(expected)


@pytest.mark.parametrize("operation", ["set_many", "get_many", "remove_many"])
def test_others_have_their_turn_during_a_large_batch(operation: str) -> None:
    store = KeyValueStore()
    store.add_server("alpha")
    content = {f"key-{number}": "value" for number in range(80_000)}
    if operation != "set_many":
        store.set_many(content)
    waiting = Waiting()
    try:
        before = waiting.times
        if operation == "set_many":
            assert store.set_many(content) == len(content)
        elif operation == "get_many":
            assert store.get_many(content) == content
        else:
            assert store.remove_many(content) == len(content)
        times = waiting.times - before
    finally:
        waiting.stop()
    # Once or twice, if it stood still until the batch was done; else at most every 0.1 ms.
    assert times >= 5


class Waiting:
    """A thread that always wants to run, and counts how often it had to wait."""

    def __init__(self) -> None:
        self.times = 0
        self._stopped = False
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(0.000_1)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Stop counting."""
        self._stopped = True
        self._thread.join()
        sys.setswitchinterval(self._interval)

    def _run(self) -> None:
        last = time.perf_counter()
        while not self._stopped:
            now = time.perf_counter()
            self.times += now - last > 0.000_02  # a step of its own takes a hundredth of that
            last = now


def test_what_a_server_held_is_given_up_when_no_lock_is_held() -> None:
    held: list[int] = []
    store: KeyValueStore

    class Watched(MemoryServer):
        def close(self) -> None:
            held.append(sum(lock.locked() for lock in store._shards.locks))
            super().close()
            assert self.count() == 0

    store = KeyValueStore(create_server=lambda server_id: Watched(server_id, zlib_position))
    for server_id in ("alpha", "bravo"):
        store.add_server(server_id)
    store.set_many({f"key-{number}": "value" for number in range(2 * KEYS_PER_BUCKET)})
    store.crash_server("alpha")
    store.recover_server("alpha")
    assert held
    closed = len(held)
    store.clear()
    assert held == [0] * (closed + 2)
    assert len(store) == 0


def zlib_position(key: str) -> int:
    """Return a position for a server that is asked for none."""
    return zlib.crc32(key.encode())


class TestExpiryIndex:
    def test_keys_come_in_order_of_their_earliest_time(self) -> None:
        seed = random.randrange(1 << 32)
        source = random.Random(seed)
        index, model = ExpiryIndex(), dict[str, int]()
        for _ in range(3_000):
            key, at = f"key-{source.randrange(300)}", source.randrange(1_000)
            index.note(key, at)
            model[key] = min(at, model.get(key, at))
            if source.random() < 0.05:
                now, limit = source.randrange(400), source.randrange(1, 20)
                due = index.take_due(now, limit)
                places = sorted((when, name) for name, when in model.items() if when <= now)
                assert due == places[:limit], f"replay: random.Random({seed})"
                for _, name in due:
                    del model[name]
            assert len(index) == len(model), f"replay: random.Random({seed})"
            first = min(model.values(), default=None)
            assert index.first_ms() == first, f"replay: random.Random({seed})"
        index.clear()
        assert len(index) == 0
        assert index.first_ms() is None

    def test_no_part_of_it_grows_with_the_keys(self) -> None:
        index = ExpiryIndex()
        for ttl in (3, 2, 1):  # ever shorter, so that each place is exchanged
            for number in range(40_000):
                index.note(f"key-{number}", ttl * 1_000_000 + number)
        assert len(index) == 40_000
        assert max(map(len, index._places._lists)) <= 2_000
        assert max(map(len, index._times)) < 3 * 40_000 / _PARTS


def test_a_stripe_is_cut_into_as_many_parts_as_its_keys_need(crowded_store: KeyValueStore) -> None:
    for stripe in range(STRIPES):
        parts = crowded_store._shards.parts_of(stripe)
        assert parts[0][0] == stripe << STRIPE_SHIFT
        assert parts[-1][1] == ((stripe + 1) << STRIPE_SHIFT) - 1
        assert all(first[1] + 1 == second[0] for first, second in pairwise(parts))
        assert len(parts) == (8 if stripe == CROWDED_STRIPE else 1)


@pytest.mark.parametrize("level", [None, "all"])
def test_no_dict_of_any_copy_is_fuller_than_it_should_be(level: str | None) -> None:
    store = KeyValueStore(1, replication_factor=3)
    for server_id in ("alpha", "bravo", "charlie", "delta"):
        store.add_server(server_id)
    for number in range(60 * 85):
        store.set(f"key-{number}", "value", write_level=level)
        if number % 85 == 0:
            for replica in store._shards.replicas.values():
                records = replica.server.records
                assert records is not None
                buckets = [bucket for _, bucket in records.between(0, LAST_POSITION)]
                assert max(map(len, buckets)) <= KEYS_PER_BUCKET, replica.server_id
    store.check_invariants()


@pytest.mark.parametrize("while_", ["well", "expired", "applied"])
def test_a_batch_counts_each_read_once(while_: str) -> None:
    clock = ManualClock()
    store = KeyValueStore(clock=clock, background=False)
    store.add_server("alpha")
    keys = [f"key-{number}" for number in range(10)]
    for key in keys:
        store.set(key, "value", ttl=5 if while_ == "expired" else None)
    before = store.snapshot().servers[0].reads
    if while_ == "expired":
        clock.advance(6)
        assert store.get_many(keys) == {}
    else:
        store._committer.applying.extend([None] * (while_ == "applied"))
        assert store.get_many(keys) == dict.fromkeys(keys, "value")
        store._committer.applying.clear()
    assert store.snapshot().servers[0].reads - before == len(keys)


def test_a_key_that_is_set_while_others_are_given_up_is_swept() -> None:
    clock = ManualClock()
    store = KeyValueStore(clock=clock, background=False)
    store.add_server("alpha")
    store.set("before", "value", ttl=5)
    clear = store._membership.clear

    def clear_and_set(emptied: Callable[[], None]) -> None:
        clear(emptied)
        store.add_server("bravo")  # as another thread may from here on
        store.set("meanwhile", "value", ttl=5)

    store._membership.clear = clear_and_set  # type: ignore[method-assign]
    store.clear()
    assert store._expiry.waiting == 1
    clock.advance(6)
    assert len(store) == 0
    store.check_invariants()
