"""Lookup, get and set against the floor: the hash and one dict operation on the same keys."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence

import mmh3
from uhashring import HashRing as UHashRing

from core import HashRing, KeyValueStore
from tests.benchmarks.compiled import core_is_compiled, uncompiled_figures
from tests.benchmarks.measure import Figure, at_least, at_most, interleaved

SERVERS = [f"server-{number}" for number in range(10)]
KEYS = 200_000
# As YCSB's records: keys of about 20 bytes, values of 100.
VALUE = "v" * 100


def random_keys(count: int = KEYS) -> list[str]:
    """Return the same random keys in every run."""
    source = random.Random(42)
    return [f"user:{source.getrandbits(50):015d}" for _ in range(count)]


def filled_store(keys: Sequence[str], replication_factor: int = 1) -> KeyValueStore:
    """Return a store of ten servers with these keys."""
    store = KeyValueStore(replication_factor=replication_factor)
    for server_id in SERVERS:
        store.add_server(server_id)
    store.set_many(dict.fromkeys(keys, VALUE))
    return store


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    keys = random_keys()
    yield from _lookup_figures(keys)
    store, plain = filled_store(keys), dict.fromkeys(keys, VALUE)
    yield from _operation_figures(keys, store, plain, threads=1)
    yield from _operation_figures(keys, store, plain, threads=8)
    yield from _thread_figures(keys, store)
    yield from _replication_figures(keys, store)
    if core_is_compiled():
        yield from uncompiled_figures("operations")


def _lookup_figures(keys: list[str]) -> Iterator[Figure]:
    ring = HashRing()
    for server_id in SERVERS:
        ring.add_server(server_id)
    peer = UHashRing(SERVERS)
    peer_by_mmh3 = UHashRing(SERVERS, hash_fn=mmh3.hash)
    plain = dict.fromkeys(keys, "server-1")
    lookup, fetch, hashed = ring.view.server_for_key, plain.get, mmh3.hash

    def run_floor() -> None:
        for key in keys:
            fetch(key)
            hashed(key, 0, False)

    def run_hash() -> None:
        for key in keys:
            hashed(key, 0, False)

    def run_lookup() -> None:
        for key in keys:
            lookup(key)

    def run_peer(peer_lookup: Callable[[str], object]) -> None:
        for key in keys:
            peer_lookup(key)

    seconds = interleaved(
        {
            "floor": run_floor,
            "hash": run_hash,
            "ring": run_lookup,
            "uhashring": lambda: run_peer(peer.get_node),
            "uhashring by mmh3": lambda: run_peer(peer_by_mmh3.get_node),
        }
    )
    yield Figure("ring lookup", seconds["ring"] / len(keys) * 1e9, "ns")
    yield at_most("ring lookup / mmh3.hash", seconds["ring"] / seconds["hash"], 1.6)
    yield Figure("ring lookup / (mmh3.hash + dict get)", seconds["ring"] / seconds["floor"], "x")
    yield at_least(
        "uhashring 2.5 (default) / ring lookup", seconds["uhashring"] / seconds["ring"], 4.5
    )
    yield at_least(
        "uhashring 2.5 (mmh3) / ring lookup", seconds["uhashring by mmh3"] / seconds["ring"], 2
    )


def _operation_figures(
    keys: list[str], store: KeyValueStore, plain: dict[str, str], threads: int
) -> Iterator[Figure]:
    def floor_get(part: list[str]) -> None:
        fetch, hashed = plain.get, mmh3.hash
        for key in part:
            hashed(key, 0, False)
            fetch(key)

    def floor_set(part: list[str]) -> None:
        hashed = mmh3.hash
        for key in part:
            hashed(key, 0, False)
            plain[key] = VALUE

    def store_get(part: list[str]) -> None:
        fetch = store.get
        for key in part:
            fetch(key)

    def store_set(part: list[str]) -> None:
        put = store.set
        for key in part:
            put(key, VALUE)

    runs = {"floor get": floor_get, "get": store_get, "floor set": floor_set, "set": store_set}
    seconds = interleaved({name: _in_threads(run, keys, threads) for name, run in runs.items()})
    of = "1 thread" if threads == 1 else f"{threads} threads"
    yield Figure(f"get, {of}", seconds["get"] / len(keys) * 1e9, "ns")
    yield at_most(f"get / (mmh3.hash + dict get), {of}", seconds["get"] / seconds["floor get"], 2.5)
    yield Figure(f"set, {of}", seconds["set"] / len(keys) * 1e9, "ns")
    yield at_most(f"set / (mmh3.hash + dict set), {of}", seconds["set"] / seconds["floor set"], 3.0)


def _thread_figures(keys: list[str], store: KeyValueStore) -> Iterator[Figure]:
    """Half reads and half writes, of the same keys in the same order but for the threads."""
    parts = [keys[number::8] for number in range(8)]

    def read_and_write(part: list[str]) -> None:
        fetch, put = store.get, store.set
        for number, key in enumerate(part):
            if number & 1:
                put(key, VALUE)
            else:
                fetch(key)

    def run_one() -> None:
        for part in parts:
            read_and_write(part)

    seconds = interleaved({"1": run_one, "8": _in_threads(read_and_write, keys, 8)})
    yield Figure("half get, half set: 8 threads / 1", seconds["1"] / seconds["8"], "x")


def _replication_figures(keys: list[str], single: KeyValueStore) -> Iterator[Figure]:
    def run_get(store: KeyValueStore) -> None:
        fetch = store.get
        for key in keys:
            fetch(key)

    def run_set(store: KeyValueStore) -> None:
        put = store.set
        for key in keys:
            put(key, VALUE)

    triple = filled_store(keys, replication_factor=3)
    seconds = interleaved(
        {
            "get 1": lambda: run_get(single),
            "get 3": lambda: run_get(triple),
            "set 1": lambda: run_set(single),
            "set 3": lambda: run_set(triple),
        }
    )
    yield at_most("get, 3 replicas / 1 replica", seconds["get 3"] / seconds["get 1"], 1.2)
    yield at_most("set, 3 replicas / 1 replica", seconds["set 3"] / seconds["set 1"], 3.0)


def _in_threads(
    run: Callable[[list[str]], None], keys: list[str], threads: int
) -> Callable[[], None]:
    """Return a function that runs `run` on parts of the keys, a part a thread."""
    if threads == 1:
        return lambda: run(keys)
    parts = [keys[number::threads] for number in range(threads)]

    def run_all() -> None:
        workers = [threading.Thread(target=run, args=(part,)) for part in parts]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return run_all
