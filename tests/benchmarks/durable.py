"""A store on disk against what it is made of, and against a peer.

rocksdict is used directly with the same options and on the same keys, diskcache as it comes. All of
them hand a write to the operating system before it returns, and none waits for the disk. The keys
are written in another order each time, or what was written last would never be written next.
"""

import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import diskcache
import rocksdict

from core import KeyValueStore
from core.servers import rocksdb_database
from core.servers.rocksdb_server import SyncMode
from tests.benchmarks.keys import VALUE, random_keys
from tests.benchmarks.measure import Figure, at_least, at_most, interleaved, resident_bytes

SERVERS = ("alpha", "bravo", "charlie", "delta")
KEYS = 50_000
PEER_KEYS = 5_000
KEYS_TO_OPEN = 1_000_000
MEMORY_KEYS = (100_000, 1_000_000)
SYNCED_WRITES = 400


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    with tempfile.TemporaryDirectory(prefix="ringtop-bench-") as directory:
        path = Path(directory)
        yield from _operation_figures(path)
        yield from _peer_figures(path)
        yield from _sync_figures(path)
        yield from _large_figures(path)
        yield from _opening_figures(path)
        yield from _memory_figures(path)


def filled(path: Path, count: int) -> None:
    """Make a data directory with this many keys."""
    with new_store(path) as store:
        for keys in _parts(random_keys(count)):
            store.set_many(dict.fromkeys(keys, VALUE))


def new_store(path: Path, sync: SyncMode = "everysec") -> KeyValueStore:
    """Return a store on disk."""
    store = KeyValueStore(data_dir=path, sync=sync)
    for server_id in SERVERS:
        store.add_server(server_id)
    return store


def _operation_figures(path: Path) -> Iterator[Figure]:
    keys = random_keys(KEYS)
    direct = rocksdict.Rdict(str(path / "direct"), rocksdb_database.server_options())
    store = new_store(path / "store")
    source = random.Random(7)

    def direct_set() -> None:
        put = direct.put
        for key in keys:
            put(key.encode(), VALUE.encode())

    def direct_get() -> None:
        get = direct.get
        for key in keys:
            found = get(key.encode())
            assert found is not None
            found.decode()

    def store_set() -> None:
        put = store.set
        for key in keys:
            put(key, VALUE)

    def store_get() -> None:
        get = store.get
        for key in keys:
            get(key)

    def shuffle() -> None:
        source.shuffle(keys)

    direct_set()
    store_set()
    seconds = interleaved(
        {
            "shuffle": shuffle,
            "direct set": direct_set,
            "set": store_set,
            "direct get": direct_get,
            "get": store_get,
        }
    )
    yield Figure("on disk: set", seconds["set"] / KEYS * 1e9, "ns")
    yield at_most("on disk: set / rocksdict put", seconds["set"] / seconds["direct set"], 2.0)
    yield Figure("on disk: get", seconds["get"] / KEYS * 1e9, "ns")
    yield at_most("on disk: get / rocksdict get", seconds["get"] / seconds["direct get"], 2.0)
    store.close()
    direct.close()


def _peer_figures(path: Path) -> Iterator[Figure]:
    keys = random_keys(PEER_KEYS)
    peer = diskcache.FanoutCache(str(path / "peer"))
    store = new_store(path / "beside peer")

    def peer_set() -> None:
        for key in keys:
            peer.set(key, VALUE)

    def peer_get() -> None:
        for key in keys:
            peer.get(key)

    def store_set() -> None:
        for key in keys:
            store.set(key, VALUE)

    def store_get() -> None:
        for key in keys:
            store.get(key)

    peer_set()
    store_set()
    seconds = interleaved(
        {"peer set": peer_set, "set": store_set, "peer get": peer_get, "get": store_get}
    )
    yield at_least(
        "on disk: diskcache.FanoutCache / set", seconds["peer set"] / seconds["set"], 5.0
    )
    yield at_least(
        "on disk: diskcache.FanoutCache / get", seconds["peer get"] / seconds["get"], 2.0
    )
    store.close()
    peer.close()


def _sync_figures(path: Path) -> Iterator[Figure]:
    store = new_store(path / "synced", sync="always")
    numbers = iter(range(1, 1_000_000))

    def write(count: int) -> None:
        for _ in range(count):
            store.set(f"key-{next(numbers)}", VALUE)

    def alone() -> None:
        write(SYNCED_WRITES)

    def together() -> None:
        _in_threads(8, lambda: write(SYNCED_WRITES // 8))

    seconds = interleaved({"alone": alone, "together": together})
    yield Figure("sync=always: a write, 1 thread", seconds["alone"] / SYNCED_WRITES * 1e6, "us")
    ratio = seconds["alone"] / seconds["together"]
    yield Figure("sync=always: writes a second, 8 threads / 1", ratio, "x")
    store.close()


def _large_figures(path: Path) -> Iterator[Figure]:
    """Compare a store of many keys with one of few: indexes that outgrow the cache show here."""
    filled(path / "few", KEYS)
    filled(path / "large", KEYS_TO_OPEN)
    few, many = KeyValueStore(data_dir=path / "few"), KeyValueStore(data_dir=path / "large")
    source = random.Random(7)
    keys = {"few": random_keys(KEYS), "many": random_keys(KEYS_TO_OPEN)}

    def read(name: str, store: KeyValueStore) -> None:
        for key in source.choices(keys[name], k=20_000):
            store.get(key)

    seconds = interleaved(
        {"few": lambda: read("few", few), "many": lambda: read("many", many)}, repeats=5
    )
    ratio = seconds["many"] / seconds["few"]
    yield at_most("on disk: get of 1,000,000 keys / of 50,000", ratio, 5)
    few.close()
    many.close()


def _opening_figures(path: Path) -> Iterator[Figure]:
    large = path / "large"
    databases = [directory for directory in (large / "servers").iterdir() if directory.is_dir()]

    def open_directly() -> None:
        for database in databases:
            rocksdb_database.Database(database).close()

    def open_store() -> None:
        KeyValueStore(data_dir=large).close()

    seconds = interleaved({"direct": open_directly, "store": open_store}, repeats=3)
    over = seconds["store"] - seconds["direct"]
    yield at_most("on disk: open 1,000,000 keys, over bare RocksDB", over, 1.5, "s")


def _memory_figures(path: Path) -> Iterator[Figure]:
    used = {}
    for count in MEMORY_KEYS:
        run = subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "tests.benchmarks.durable",
                str(path / str(count)),
                str(count),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        used[count] = float(run.stdout)
        yield Figure(f"on disk: memory with {count:,} keys", used[count], "MiB")
    small, large = (used[count] for count in MEMORY_KEYS)
    yield Figure("on disk: memory with ten times the keys", large / small, "x")


def _write_and_read(path: Path, count: int) -> None:
    """Print how much memory it takes to write and read this many keys, in MiB."""
    before = resident_bytes()
    store = new_store(path)
    for number in range(count):
        store.set(f"user:{number:015d}", VALUE)
    for number in range(count):
        store.get(f"user:{number:015d}")
    sys.stdout.write(f"{(resident_bytes() - before) / 2**20:.1f}\n")
    store.close()


def _in_threads(count: int, run: Callable[[], None]) -> None:
    workers = [threading.Thread(target=run) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _parts(keys: list[str], size: int = 10_000) -> Iterator[list[str]]:
    for first in range(0, len(keys), size):
        yield keys[first : first + size]


if __name__ == "__main__":
    _write_and_read(Path(sys.argv[1]), int(sys.argv[2]))
