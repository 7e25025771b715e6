"""One range move: the whole protocol by which records change their server.

Under the stripe's lock: remove what an earlier attempt may have left on the servers that gain the
range; copy; verify; flip the owners in the routing table; discard from the servers that lost it.

Before the flip the old owners are the truth and the copies are garbage; after it the new owners
are, and what is left on the old ones is garbage. So a failure at any point loses nothing: it only
ever leaves garbage, which is remembered as a leftover and removed before the next attempt.

No write is doubled or forwarded. A writer waits for its stripe, at most one chunk long. A reader
takes no lock: a hit through a route fetched before the flip was the truth when the read began, and
after a miss it looks again under the lock.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from core.cluster.routing import Owners
from core.cluster.shards import Shards, YieldPoint
from core.errors import ServerFailedError
from core.record import Entry
from core.stripes import last_position_of, stripe_of

# A foreground operation may wait for one chunk: at about 2 microseconds a key that is 1 ms.
KEYS_PER_CHUNK = 500


class MovedChunk(NamedTuple):
    """What one range move did.

    Attributes:
        high: the highest position that was moved.
        keys: how many keys were moved.
        error: why a server that lost the range could not discard it; None when all did. The move
            itself is done nevertheless.
    """

    high: int
    keys: int
    error: Exception | None


class RangeMover:
    """Moves chunks of ranges between servers.

    Thread safety: one thread at a time calls `move_chunk` and `clear_leftovers`.

    Args:
        shards: what to move in.
        yield_point: called with the name of each step after it was done.
    """

    def __init__(self, shards: Shards, yield_point: YieldPoint) -> None:
        self._shards = shards
        self._yield_point = yield_point

    def move_chunk(
        self, low: int, high: int, old: Owners, new: Owners, limit: int = KEYS_PER_CHUNK
    ) -> MovedChunk:
        """Move the first part of a span from its old owners to its new ones.

        The part ends where the stripe ends, or earlier after about `limit` keys, but never between
        two keys at one position.

        Args:
            low: the lowest position of the span.
            high: its highest position.
            old: who owns the span now, primary first.
            new: who is to own it.
            limit: how many keys to move at most, but for keys at one position.

        Raises:
            ServerFailedError: a server failed, or a copy was not what was copied. Everything is
                still where it was.
        """
        stripe = stripe_of(low)
        high = min(high, last_position_of(stripe))
        gaining = [server_id for server_id in new if server_id not in old]
        losing = [server_id for server_id in old if server_id not in new]
        with self._shards.moving, self._held(stripe):
            high, entries = self._read(old[0], low, high, limit)
            self._yield_point("move.read")
            for target in gaining:
                self._copy(target, low, high, entries)
            self._shards.routing.assign(low, high, new)
            self._yield_point("move.flipped")
            error = None
            for server_id in losing:
                error = self._discard(server_id, low, high) or error
            self._yield_point("move.discarded")
        return MovedChunk(high, len(entries), error)

    def clear_leftovers(self) -> None:
        """Remove the garbage of failed moves.

        Raises:
            ServerFailedError: a server failed again.
        """
        for leftover in sorted(self._shards.leftovers):
            server_id, low, high = leftover
            with self._shards.moving, self._held(stripe_of(low)):
                self._shards.servers[server_id].discard(low, high)
                self._shards.leftovers.discard(leftover)

    def _held(self, stripe: int) -> AbstractContextManager[object]:
        return self._shards.locks[stripe]

    def _read(self, source: str, low: int, high: int, limit: int) -> tuple[int, list[Entry]]:
        """Return the end of the chunk that starts at `low`, and its entries."""
        server = self._shards.servers[source]
        entries = server.scan(low, high, limit)
        if len(entries) < limit:
            return high, entries
        last = entries[-1].position
        whole = [entry for entry in entries if entry.position < last]
        if whole:
            # There may be more keys at the last position than were read: leave it for next time.
            return last - 1, whole
        return last, server.scan(last, last)

    def _copy(self, target: str, low: int, high: int, entries: list[Entry]) -> None:
        server = self._shards.servers[target]
        with self._leftover_if_failed(target, low, high):
            server.discard(low, high)
            server.apply_many(entries)
            self._yield_point("move.copied")
            if server.scan(low, high) != entries:
                raise ServerFailedError(target, "the copy of a range differs from its source")
        self._yield_point("move.verified")

    def _discard(self, server_id: str, low: int, high: int) -> Exception | None:
        """Remove the garbage that the flip made; return the error rather than raise it.

        The range has moved, and whoever moves it again would copy from where nothing is left.
        """
        try:
            with self._leftover_if_failed(server_id, low, high):
                self._shards.servers[server_id].discard(low, high)
        except Exception as error:
            return error
        return None

    @contextmanager
    def _leftover_if_failed(self, server_id: str, low: int, high: int) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._shards.leftovers.add((server_id, low, high))
            raise
