"""What several test modules share: stores with servers in them, and servers that fail on demand."""

from collections.abc import Callable, Iterable, Sequence

from core import KeyValueStore, ServerFailedError
from core.record import Entry
from core.ring.hashing import HashFunction, murmur3, position_of
from core.servers.memory_server import MemoryServer

SERVERS = ("alpha", "bravo", "charlie", "delta")


def store_with(servers: Iterable[str] = SERVERS, **options: object) -> KeyValueStore:
    """Return a store with these servers, and 30 vnodes each unless told otherwise."""
    store = KeyValueStore(**{"virtual_nodes_per_node": 30, **options})  # type: ignore[arg-type]
    for server_id in servers:
        store.add_server(server_id)
    return store


def filled(store: KeyValueStore, count: int) -> dict[str, str]:
    """Store `count` keys and return what was stored."""
    content = {f"user:{number}": f"value {number}" for number in range(count)}
    store.set_many(content)
    return content


def content_of(store: KeyValueStore) -> dict[str, str | bytes]:
    """Return every key and value of a store."""
    return store.get_many(store.keys())


class Fuse:
    """Counts server calls and lets the one whose turn it is fail."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails_at: int | None = None
        self.failures = 1

    def arm(self, fails_at: int, failures: int = 1) -> None:
        """Let the call `fails_at` (1 is the next), and those right behind it, fail."""
        self.calls, self.fails_at, self.failures = 0, fails_at, failures

    def disarm(self) -> None:
        """Let every call succeed."""
        self.fails_at = None

    def burn(self, server_id: str, call: str) -> None:
        """Count a call."""
        self.calls += 1
        if self.fails_at is not None and 0 <= self.calls - self.fails_at < self.failures:
            raise ServerFailedError(server_id, f"{call} failed (call {self.calls})")


class FailingServer(MemoryServer):
    """A memory server whose calls fail when the fuse says so.

    A failing call has no effect, or half of it where `half` is set: as when a connection is lost
    after a part of the work was done.
    """

    def __init__(
        self,
        server_id: str,
        fuse: Fuse,
        *,
        half: bool = False,
        hash_function: HashFunction = murmur3,
    ) -> None:
        super().__init__(server_id, lambda key: hash_function(key.encode(), 0, False))
        self._fuse = fuse
        self._half = half

    def apply_many(self, entries: Sequence[Entry]) -> int:
        self._burn("apply_many", lambda: super(FailingServer, self).apply_many(entries[::2]))
        return super().apply_many(entries)

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        self._burn("scan")
        return super().scan(low, high, limit)

    def discard(self, low: int, high: int) -> int:
        middle = (low + high) // 2
        self._burn("discard", lambda: super(FailingServer, self).discard(low, middle))
        return super().discard(low, high)

    def _burn(self, call: str, half: Callable[[], object] | None = None) -> None:
        try:
            self._fuse.burn(self.server_id, call)
        except ServerFailedError:
            if self._half and half is not None:
                half()
            raise


def check_ring_order(keys: Sequence[str]) -> None:
    """Assert that keys are in order of position, then key."""
    places = [(position_of(key), key) for key in keys]
    assert places == sorted(places)
