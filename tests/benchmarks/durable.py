"""A server on disk against what it is made of, and against a peer.

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

from core import Entry, RocksDBServer
from core.record import NEVER_EXPIRES
from core.ring import position_of
from core.servers import rocksdb_database
from tests.benchmarks.measure import Figure, at_least, at_most, interleaved
from tests.benchmarks.operations import VALUE, random_keys

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


def filled(path: Path, count: int) -> RocksDBServer:
    """Return a server with this many keys."""
    server = RocksDBServer("alpha", path)
    for keys in _parts(random_keys(count)):
        server.apply_many([Entry(position_of(key), key, (VALUE, 1, NEVER_EXPIRES)) for key in keys])
    return server


def _operation_figures(path: Path) -> Iterator[Figure]:
    places = [(position_of(key), key) for key in random_keys(KEYS)]
    encoded = VALUE.encode()
    direct = rocksdict.Rdict(str(path / "direct"), rocksdb_database.server_options())
    server = RocksDBServer("alpha", path / "server")
    source = random.Random(7)
    version = 0

    def direct_set() -> None:
        put = direct.put
        for _, key in places:
            put(key.encode(), encoded)

    def direct_get() -> None:
        get = direct.get
        for _, key in places:
            found = get(key.encode())
            assert found is not None
            found.decode()

    def server_set() -> None:
        nonlocal version
        version += 1
        apply = server.apply
        for position, key in places:
            apply(Entry(position, key, (VALUE, version, NEVER_EXPIRES)))

    def server_get() -> None:
        get = server.get
        for position, key in places:
            get(position, key)

    def shuffle() -> None:
        source.shuffle(places)

    direct_set()
    server_set()
    seconds = interleaved(
        {
            "shuffle": shuffle,
            "direct set": direct_set,
            "set": server_set,
            "direct get": direct_get,
            "get": server_get,
        }
    )
    yield Figure("durable server: set", seconds["set"] / KEYS * 1e9, "ns")
    yield at_most("durable set / rocksdict put", seconds["set"] / seconds["direct set"], 2.0)
    yield Figure("durable server: get", seconds["get"] / KEYS * 1e9, "ns")
    yield at_most("durable get / rocksdict get", seconds["get"] / seconds["direct get"], 2.0)
    server.close()
    direct.close()


def _peer_figures(path: Path) -> Iterator[Figure]:
    keys = random_keys(PEER_KEYS)
    peer = diskcache.FanoutCache(str(path / "peer"))
    server = RocksDBServer("alpha", path / "beside peer")
    version = 0

    def peer_set() -> None:
        for key in keys:
            peer.set(key, VALUE)

    def peer_get() -> None:
        for key in keys:
            peer.get(key)

    def server_set() -> None:
        nonlocal version
        version += 1
        for key in keys:
            server.apply(Entry(position_of(key), key, (VALUE, version, NEVER_EXPIRES)))

    def server_get() -> None:
        for key in keys:
            server.get(position_of(key), key)

    peer_set()
    server_set()
    seconds = interleaved(
        {"peer set": peer_set, "set": server_set, "peer get": peer_get, "get": server_get}
    )
    yield at_least("diskcache.FanoutCache / durable set", seconds["peer set"] / seconds["set"], 5.0)
    yield at_least("diskcache.FanoutCache / durable get", seconds["peer get"] / seconds["get"], 2.0)
    server.close()
    peer.close()


def _sync_figures(path: Path) -> Iterator[Figure]:
    server = RocksDBServer("alpha", path / "synced", sync="always")
    numbers = iter(range(1, 1_000_000))

    def write(count: int) -> None:
        for _ in range(count):
            key = f"key-{next(numbers)}"
            server.apply(Entry(position_of(key), key, (VALUE, 1, NEVER_EXPIRES)))

    def alone() -> None:
        write(SYNCED_WRITES)

    def together() -> None:
        _in_threads(8, lambda: write(SYNCED_WRITES // 8))

    seconds = interleaved({"alone": alone, "together": together})
    yield Figure("sync=always: a write, 1 thread", seconds["alone"] / SYNCED_WRITES * 1e6, "us")
    ratio = seconds["alone"] / seconds["together"]
    yield Figure("sync=always: writes a second, 8 threads / 1", ratio, "x")
    server.close()


def _large_figures(path: Path) -> Iterator[Figure]:
    """Compare a server of many keys with one of few: indexes that outgrow the cache show here."""
    few = filled(path / "few", KEYS)
    many = filled(path / "large", KEYS_TO_OPEN)
    source = random.Random(7)
    keys = {"few": random_keys(KEYS), "many": random_keys(KEYS_TO_OPEN)}

    def read(name: str, server: RocksDBServer) -> None:
        for key in source.choices(keys[name], k=20_000):
            server.get(position_of(key), key)

    seconds = interleaved(
        {"few": lambda: read("few", few), "many": lambda: read("many", many)}, repeats=5
    )
    yield at_most("durable get of 1,000,000 keys / of 50,000", seconds["many"] / seconds["few"], 5)
    few.close()
    many.close()


def _opening_figures(path: Path) -> Iterator[Figure]:
    def open_directly() -> None:
        rocksdb_database.Database(path / "large").close()

    def open_cleanly() -> None:
        RocksDBServer("alpha", path / "large").close()

    def open_after_crash() -> None:
        database = rocksdb_database.Database(path / "large")
        database.write([(rocksdb_database.META, b"count", None)])
        database.close()
        RocksDBServer("alpha", path / "large").close()

    seconds = interleaved(
        {"direct": open_directly, "clean": open_cleanly, "crash": open_after_crash}, repeats=3
    )
    bare = seconds["direct"]
    yield at_most("open 1,000,000 keys, over bare RocksDB", seconds["clean"] - bare, 1.5, "s")
    # That one opens it twice.
    yield at_most("the same after a crash", seconds["crash"] - 2 * bare, 1.5, "s")


def _memory_figures(path: Path) -> Iterator[Figure]:
    used = {}
    for count in MEMORY_KEYS:
        run = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.durable", str(path / str(count)), str(count)],
            check=True,
            capture_output=True,
            text=True,
        )
        used[count] = float(run.stdout)
        yield Figure(f"memory with {count:,} keys written and read", used[count], "MiB")
    small, large = (used[count] for count in MEMORY_KEYS)
    yield Figure("memory with ten times the keys", large / small, "x")


def _write_and_read(path: Path, count: int) -> None:
    """Print how much memory it takes to write and read this many keys, in MiB."""
    before = _resident_bytes()
    server = RocksDBServer("alpha", path)
    for number in range(count):
        key = f"user:{number:015d}"
        server.apply(Entry(position_of(key), key, (VALUE, 1, NEVER_EXPIRES)))
    for number in range(count):
        key = f"user:{number:015d}"
        server.get(position_of(key), key)
    sys.stdout.write(f"{(_resident_bytes() - before) / 2**20:.1f}\n")
    server.close()


def _resident_bytes() -> int:
    with open("/proc/self/status", encoding="utf-8") as lines:
        kib = next(line for line in lines if line.startswith("VmRSS")).split()[1]
    return int(kib) * 1_024


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
