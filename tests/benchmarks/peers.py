"""End to end: what others would use in place of the store, doing the same.

Each is used as its documentation shows, on one disk or in memory as it comes. The plain dict under
a lock with uhashring in front is what one would write in an afternoon: one ring, one lock, one dict
a server.
"""

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import diskcache
from uhashring import HashRing as UHashRing

from core import KeyValueStore
from tests.benchmarks.keys import SERVERS, VALUE, filled_store, random_keys
from tests.benchmarks.measure import Figure, interleaved

KEYS = 20_000
# What writes to a disk is measured with fewer.
DISK_KEYS = 2_000


class Peer(Protocol):
    """What a store in memory is compared with."""

    def set(self, key: str, value: str) -> object:
        """Store a value."""

    def get(self, key: str) -> object:
        """Return a value."""

    def remove(self, key: str) -> object:
        """Remove a key."""

    def items(self) -> object:
        """Return all keys and values."""


class LockedDicts:
    """A dict a server under one lock, and uhashring in front."""

    def __init__(self) -> None:
        self._ring = UHashRing(SERVERS)
        self._lock = threading.Lock()
        self._content: dict[str, dict[str, str]] = {server_id: {} for server_id in SERVERS}

    def set(self, key: str, value: str) -> None:
        """Store a value."""
        with self._lock:
            self._content[self._ring.get_node(key)][key] = value

    def get(self, key: str) -> str | None:
        """Return a value."""
        with self._lock:
            return self._content[self._ring.get_node(key)].get(key)

    def remove(self, key: str) -> None:
        """Remove a key."""
        with self._lock:
            del self._content[self._ring.get_node(key)][key]

    def items(self) -> list[tuple[str, str]]:
        """Return all keys and values."""
        with self._lock:
            return [pair for content in self._content.values() for pair in content.items()]


class Sqlite:
    """A table in a file, written ahead, and no waiting for the disk."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("CREATE TABLE records (key TEXT PRIMARY KEY, value TEXT)")

    def set(self, key: str, value: str) -> None:
        """Store a value."""
        self._database.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (key, value))

    def get(self, key: str) -> object:
        """Return a value."""
        return self._database.execute("SELECT value FROM records WHERE key = ?", (key,)).fetchone()

    def remove(self, key: str) -> None:
        """Remove a key."""
        self._database.execute("DELETE FROM records WHERE key = ?", (key,))

    def items(self) -> list[object]:
        """Return all keys and values."""
        return self._database.execute("SELECT key, value FROM records").fetchall()


class Fanout:
    """diskcache.FanoutCache as it comes."""

    def __init__(self, path: Path) -> None:
        self._cache = diskcache.FanoutCache(str(path))

    def set(self, key: str, value: str) -> object:
        """Store a value."""
        return self._cache.set(key, value)

    def get(self, key: str) -> object:
        """Return a value."""
        return self._cache.get(key)

    def remove(self, key: str) -> object:
        """Remove a key."""
        return self._cache.delete(key)

    def items(self) -> list[tuple[object, object]]:
        """Return all keys and values."""
        return [(key, self._cache.get(key)) for key in self._cache]


class Ours:
    """The store."""

    def __init__(self, store: KeyValueStore) -> None:
        self.set, self.get, self.remove = store.set, store.get, store.remove
        self._store = store

    def items(self) -> list[object]:
        """Return all keys and values."""
        return list(self._store.items())


def figures() -> Iterator[Figure]:
    """Measure and yield the figures: how much longer each peer takes than the store."""
    with tempfile.TemporaryDirectory(prefix="ringtop-bench-") as directory:
        path = Path(directory)
        yield from _against("dict + Lock + uhashring", LockedDicts(), KEYS)
        yield from _against("sqlite3", Sqlite(path / "sqlite"), DISK_KEYS)
        yield from _against("diskcache.FanoutCache", Fanout(path / "fanout"), DISK_KEYS)


def _against(name: str, peer: Peer, count: int) -> Iterator[Figure]:
    keys = random_keys(count)
    ours: Peer = Ours(filled_store(keys))

    def each(do: Callable[[str], object]) -> Callable[[], None]:
        def run() -> None:
            for key in keys:
                do(key)

        return run

    seconds = interleaved(
        {
            f"{side} {operation}": run
            for side, target in (("peer", peer), ("ours", ours))
            for operation, run in {
                "set": each(lambda key, target=target: target.set(key, VALUE)),  # type: ignore[misc]
                "get": each(target.get),
                "items": target.items,
                "remove": each(target.remove),
                "set of new keys": each(lambda key, target=target: target.set(key, VALUE)),  # type: ignore[misc]
            }.items()
        },
        repeats=5,
    )
    for operation in ("set", "set of new keys", "get", "remove", "items"):
        ratio = seconds[f"peer {operation}"] / seconds[f"ours {operation}"]
        yield Figure(f"{name} / ringtop | {operation}", ratio, "x")
