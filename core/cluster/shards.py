"""The servers and what leads to them: the part of a store that operations pass through.

Everything that carries out a membership change works on one `Shards`; nothing here decides who
belongs where.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from core.cluster.levels import Consistency
from core.cluster.replica import HINTS_KEPT, Replica
from core.cluster.route import Owners, Segment
from core.cluster.routing import RoutingTable
from core.errors import ServerFailedError
from core.ring.hashing import HashFunction, position_by
from core.servers.record_table import RecordTable, Span
from core.servers.server import ServerFactory
from core.stripe_lock import Lock
from core.stripes import (
    POSITIONS_PER_STRIPE,
    STRIPE_SHIFT,
    STRIPES,
    last_position_of,
    stripe_of,
)

YieldPoint = Callable[[str], None]

# How many keys are read or compared under a stripe's lock by who goes through all of them.
KEYS_AT_ONCE: Final = 512


class HeldLocks:
    """Holds locks, taken in order, while a ``with`` is being executed.

    Not a generator with an `ExitStack`, which are interpreted: see `range_mover`.

    Args:
        locks: what to hold.
    """

    __slots__ = ("_held", "_locks")

    def __init__(self, locks: Sequence[Lock]) -> None:
        self._locks = locks
        self._held: list[Lock] = []

    def __enter__(self) -> None:
        try:
            for lock in self._locks:
                lock.acquire()
                self._held.append(lock)
        except BaseException:
            self._release()
            raise

    def __exit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        while self._held:
            self._held.pop().release()


class Shards:
    """Servers, routes and stripe locks.

    Thread safety: any thread may call any method. `locks[stripe]` guards the records and the routes
    of that stripe: a writer holds it, and whoever needs several takes them in ascending order.
    `moving` is held from the moment a copy of a range exists until it is either the truth or gone,
    so that whoever holds it counts nothing twice; it is taken before any stripe. `replicas` is
    changed only by the membership, by single dict operations.

    Args:
        hash_function: gives a key its position.
        create_server: makes the storage of a server that joins.
        replication_factor: on how many servers a record is to lie.
        consistency: what operations that name no level are to promise.
        hints_kept: how many hints are kept for a server before its stripes are compared instead.
    """

    def __init__(
        self,
        hash_function: HashFunction,
        create_server: ServerFactory,
        replication_factor: int = 1,
        consistency: Consistency = Consistency.STRONG,
        hints_kept: int = HINTS_KEPT,
    ) -> None:
        # The position of a key that was checked.
        self.position_of: Final = position_by(hash_function)
        self._create_server = create_server
        self._hints_kept = hints_kept
        self.replication_factor = replication_factor
        self.consistency = consistency
        self.replicas: dict[str, Replica] = {}
        self.locks: tuple[Lock, ...] = tuple(Lock() for _ in range(STRIPES))
        self.moving = threading.Lock()
        # Copies that a failed move left behind, and could not remove: no truth, and not counted.
        self.leftovers: set[tuple[str, int, int]] = set()
        self.routing = RoutingTable(self.replicas.__getitem__, replication_factor)

    def open_server(self, server_id: str) -> None:
        """Make the storage of a server that joins."""
        self.replicas[server_id] = Replica(self._create_server(server_id), self._hints_kept)

    def replace_server(self, server_id: str) -> None:
        """Open the storage of a server that crashed: empty in memory, as it was on disk."""
        self.replicas[server_id].store_in(self._create_server(server_id))

    def discard_foreign(self, replica: Replica) -> None:
        """Discard what lies on a server and is not its own: it left while that was down. O(keys).

        Raises:
            ServerFailedError: the server failed.
        """
        for stripe in range(STRIPES):
            with self.locks[stripe]:
                for segment in list(self.segments_of(stripe)):
                    if replica.server_id not in segment.owners:
                        replica.server.discard(segment.low, segment.high)
        server_id = replica.server_id
        self.leftovers -= {leftover for leftover in self.leftovers if leftover[0] == server_id}

    def close_server(self, server_id: str) -> None:
        """Drop a server that has left, with all that it holds; nothing if that was done before."""
        replica = self._forget_server(server_id)
        if replica is not None:
            _destroy(replica)

    def _forget_server(self, server_id: str) -> Replica | None:
        """Return a server that is not one of these any more; None if it was none."""
        replica = self.replicas.get(server_id)
        if replica is None:
            return None
        self.routing.forget(server_id)
        del self.replicas[server_id]
        self.leftovers -= {leftover for leftover in self.leftovers if leftover[0] == server_id}
        replica.down = True
        return replica

    def stripes(self, first: int = 0, last: int = STRIPES - 1) -> "HeldLocks":
        """Hold the stripes from `first` to `last`: nothing is written there meanwhile.

        To be used in a ``with``.
        """
        return HeldLocks(self.locks[first : last + 1])

    def split_buckets(self, position: int) -> None:
        """Split the buckets of `position` that have become too full. O(replicas) without one.

        Called without a stripe's lock held, by whoever has written a new key there.
        """
        for replica in self.routing.at(position).replicas:
            self._split_bucket(replica.server.records, position)

    def split_buckets_between(self, low: int, high: int) -> None:
        """As `split_buckets`, for positions `low` to `high`, which lie in one stripe."""
        with self.locks[stripe_of(low)]:
            segments = list(self.routing.segments(low, high))
        for segment in segments:
            for server_id in segment.owners:
                replica = self.replicas.get(server_id)
                records = None if replica is None else replica.server.records
                if records is not None:
                    for (first, _), _ in records.between(segment.low, segment.high):
                        self._split_bucket(records, first)

    def _split_bucket(self, records: RecordTable | None, position: int) -> None:
        while records is not None and (span := records.overfull(position)) is not None:
            with self.stripes(stripe_of(span[0]), stripe_of(span[1])):
                records.split(position)

    def key_counts(self) -> dict[str, int]:
        """Return how many keys each server is the primary of, sorted by id. O(segments)."""
        with self.moving:
            # A server without keys may be coming or going.
            counts = dict.fromkeys(list(self.replicas), 0) | self.routing.keys_by_primary()
        return dict(sorted(counts.items()))

    def segments_of(self, stripe: int) -> Iterator[Segment]:
        """Yield the parts of a stripe that have the same owners. With its lock held."""
        return self.routing.segments(stripe << STRIPE_SHIFT, last_position_of(stripe))

    def parts_of(self, stripe: int) -> list[Span]:
        """Return the spans in which all of a stripe is read or compared, in order. O(servers).

        Each has about 500 keys at most, so that a large store holds up nobody for longer.
        """
        keys = sum(tally.keys + tally.lost for _, tally in self.routing.tallies(stripe))
        parts = 1
        while parts * KEYS_AT_ONCE < keys and parts < POSITIONS_PER_STRIPE:
            parts *= 2
        size, first = POSITIONS_PER_STRIPE // parts, stripe << STRIPE_SHIFT
        return [(first + part * size, first + (part + 1) * size - 1) for part in range(parts)]

    def current(self, owners: Owners, stripe: int) -> list[Replica]:
        """Return those of `owners` that answer and hold all of `stripe`, primary first."""
        replicas = map(self.replicas.__getitem__, owners)
        return [replica for replica in replicas if replica.current(stripe)]

    def survives(self, owners: Owners, stripe: int, without: str | None = None) -> bool:
        """Return whether one of `owners`, but for `without`, holds all of `stripe` or will."""
        return any(
            self.replicas[server_id].complete(stripe)
            for server_id in owners
            if server_id != without
        )

    def clear(self, emptied: Callable[[], None]) -> int:
        """Close every server and leave every position without an owner; return how many keys.

        Args:
            emptied: called when no key is left, before anybody can write again.

        Raises:
            ServerFailedError: the disk of one could not be given up; all others are.
        """
        failure: ServerFailedError | None = None
        with self.moving, self.stripes():
            keys = self.routing.total_keys()
            self.routing.reset()
            forgotten = [self._forget_server(server_id) for server_id in list(self.replicas)]
            emptied()
        for replica in forgotten:
            try:
                if replica is not None:
                    _destroy(replica)
            except ServerFailedError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return keys

    def close(self, before: Callable[[], None] | None = None) -> None:
        """Close every server; operations raise `StoreClosedError` from then on.

        Args:
            before: called when nothing is written any more, and everything is still there.

        Raises:
            ServerFailedError: one could not write down all that it had; the others are closed.
        """
        failure: ServerFailedError | None = None
        with self.moving, self.stripes():
            if before is not None:
                before()
            self.routing.close()
            for replica in self.replicas.values():
                try:
                    replica.server.close()
                except ServerFailedError as error:
                    failure = failure or error
        if failure is not None:
            raise failure


def _destroy(replica: Replica) -> None:
    """Give up all that a server holds. O(keys)."""
    if replica.durable is not None:
        replica.durable.destroy()
    else:
        replica.server.close()
