"""The servers and what leads to them: the part of a store that operations pass through.

Everything that carries out a membership change works on one `Shards`; nothing here decides who
belongs where.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from core.cluster.routing import OperationCounters, RoutingTable
from core.record import Entry
from core.ring.hashing import SEED, HashFunction
from core.servers.server import Server, ServerFactory
from core.stripes import STRIPE_SHIFT, STRIPES, last_position_of

YieldPoint = Callable[[str], None]


class Shards:
    """Servers, routes and stripe locks.

    Thread safety: any thread may call any method. `locks[stripe]` guards the records and the routes
    of that stripe: a writer holds it, and whoever needs several takes them in ascending order.
    `moving` is held from the moment a copy of a range exists until it is either the truth or gone,
    so that whoever holds it counts nothing twice; it is taken before any stripe. `servers` is
    changed only by the membership, by single dict operations.

    Args:
        hash_function: gives a key its position.
        create_server: makes the storage of a server that joins.
    """

    def __init__(self, hash_function: HashFunction, create_server: ServerFactory) -> None:
        self._hash = hash_function
        self._create_server = create_server
        self.servers: dict[str, Server] = {}
        self.counters: dict[str, OperationCounters] = {}
        self.locks: tuple[threading.Lock, ...] = tuple(threading.Lock() for _ in range(STRIPES))
        self.moving = threading.Lock()
        # Copies that a failed move left behind, and could not remove: no truth, and not counted.
        self.leftovers: set[tuple[str, int, int]] = set()
        self.routing = RoutingTable(
            self.servers.__getitem__, self.counters.__getitem__, hash_function
        )

    def position_of(self, key: str) -> int:
        """Return the position of `key`."""
        return self._hash(key.encode(), SEED, False)

    def open_server(self, server_id: str) -> None:
        """Make the storage of a server that joins."""
        self.servers[server_id] = self._create_server(server_id)
        self.counters[server_id] = OperationCounters()

    def close_server(self, server_id: str) -> None:
        """Close a server that has left, with all that it holds; nothing if it was closed before."""
        server = self.servers.pop(server_id, None)
        if server is None:
            return
        self.routing.forget(server_id)
        del self.counters[server_id]
        self.leftovers -= {leftover for leftover in self.leftovers if leftover[0] == server_id}
        server.close()

    @contextmanager
    def all_stripes(self) -> Iterator[None]:
        """Hold every stripe: nothing is written meanwhile. About 0.2 ms when nobody else does."""
        with ExitStack() as stack:
            for lock in self.locks:
                stack.enter_context(lock)
            yield

    def key_counts(self) -> dict[str, int]:
        """Return how many keys each server is the owner of, sorted by id. O(servers x stripes)."""
        with self.moving:
            counts = {server_id: server.count() for server_id, server in self._sorted_servers()}
            for server_id, low, high in self.leftovers:
                counts[server_id] -= self.servers[server_id].measure(low, high).keys
        return counts

    def entries_of_stripe(self, stripe: int, server_id: str | None = None) -> list[Entry]:
        """Return the entries of one stripe in ring order, read at one moment.

        O(k log k) for its k entries; O(servers) if it has none.

        Args:
            stripe: 0 to 1,023.
            server_id: only those whose primary is this server.
        """
        low, high = stripe << STRIPE_SHIFT, last_position_of(stripe)
        found: list[Entry] = []
        with self.locks[stripe]:
            if not self._may_hold(stripe, server_id):
                return found
            for segment in self.routing.segments(low, high):
                if segment.owners and server_id in (None, segment.owners[0]):
                    found += self.servers[segment.owners[0]].scan(segment.low, segment.high)
        return found

    def clear(self) -> int:
        """Close every server and leave every position without an owner; return how many keys."""
        with self.moving, self.all_stripes():
            keys = sum(server.count() for server in self.servers.values())
            self.routing.reset()
            for server_id in list(self.servers):
                self.close_server(server_id)
        return keys

    def close(self) -> None:
        """Close every server; operations raise `StoreClosedError` from then on."""
        with self.moving, self.all_stripes():
            self.routing.close()
            for server in self.servers.values():
                server.close()

    def _may_hold(self, stripe: int, server_id: str | None) -> bool:
        """Return False if nothing lies in a stripe, or nothing on that server.

        Called with the stripe's lock held, so that nothing moves from a server that was not asked
        yet to one that was. It spares a sparse store the way through 65,536 slots for each listing.
        """
        if server_id is None:
            return any(server.may_hold(stripe) for server in list(self.servers.values()))
        server = self.servers.get(server_id)
        return server is not None and server.may_hold(stripe)

    def _sorted_servers(self) -> list[tuple[str, Server]]:
        return sorted(self.servers.items())
