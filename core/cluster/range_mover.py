"""One range move: the whole protocol by which records change their server.

Under the stripe's lock: remove what an earlier attempt may have left on the servers that gain the
range; copy; verify; flip the owners in the routing table; discard from the servers that lost it.

Before the flip the old owners are the truth and the copies are garbage; after it the new owners
are, and what is left on the old ones is garbage. So a failure at any point loses nothing: it only
ever leaves garbage, which is remembered as a leftover and removed before the next attempt.

No write is doubled or forwarded. A writer waits for its stripe, at most one chunk long, or until a
few stripes in which nothing lies have been flipped. A reader takes no lock: a hit through a route
fetched before the flip was the truth when the read began, and after a miss it looks again under the
lock.

CPython takes the interpreter from a thread between two bytecodes, wherever it is when its time is
over. Compiled, with servers in memory, a chunk is moved without a bytecode, and so in one go.
Interpreted, a mover under load is interrupted nearly always while it holds a stripe, and whoever
writes there waits until all others had their turn: 1 write in 1,000, for 3 ms. So what is done
under the lock calls neither generators of `contextlib` nor anything else that is not compiled.
"""

from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from core.cluster.catching_up import CatchingUp
from core.cluster.persistence import Persistence
from core.cluster.replica import Replica
from core.cluster.route import Owners
from core.cluster.shards import Shards, YieldPoint
from core.errors import CorruptRecordError, ServerFailedError, ServerUnavailableError
from core.record import Entry
from core.stripes import last_position_of, stripe_of

# A foreground operation may wait for one chunk, at 1.5 to 3 microseconds a key. Of 500 keys a key
# takes a tenth less, and the load's p99.9 is higher by a fifth.
KEYS_PER_CHUNK: Final = 200
# Stripes without a key that change their owners in one step. Nobody writes there for 0.1 to 0.5 ms,
# and on a disk that syncs every write for as long as it takes to note the move.
_EMPTY_AT_ONCE: Final = 32


class MovedChunk(NamedTuple):
    """What one range move did.

    Attributes:
        high: the highest position that was moved.
        keys: how many copies of keys were made.
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
        catching_up: brings a server up to date that has what is to be moved.
        persistence: where it is written down what has moved.
        yield_point: called with the name of each step after it was done.
    """

    def __init__(
        self,
        shards: Shards,
        catching_up: CatchingUp,
        persistence: Persistence,
        yield_point: YieldPoint | None,
    ) -> None:
        self._shards = shards
        self._catching_up = catching_up
        self._persistence = persistence
        self._yield_point = yield_point

    def move_chunk(
        self,
        low: int,
        high: int,
        old: Owners,
        new: Owners,
        limit: int = KEYS_PER_CHUNK,
        *,
        back: bool = False,
    ) -> MovedChunk:
        """Move the first part of a span from its old owners to its new ones.

        The part ends where the stripe ends, or earlier after about `limit` keys, but never between
        two keys at one position. Where nothing lies in the stripe, the part goes on through the
        next ones as long as nothing lies there.

        Args:
            low: the lowest position of the span.
            high: its highest position.
            old: who owns the span now, primary first.
            new: who is to own it.
            limit: how many keys to move at most, but for keys at one position.
            back: whether this undoes an earlier move.

        Raises:
            ServerFailedError: a server failed, or a copy was not what was copied. Everything is
                still where it was.
        """
        with self._shards.moving:
            end = self._move_empty(low, high, old, new, back=back)
            if end is not None:
                return MovedChunk(end, 0, None)
            stripe = stripe_of(low)
            high = min(high, last_position_of(stripe))
            with self._held(stripe):
                high, keys, error = self._move_locked(low, high, old, new, limit, back=back)
        if keys:
            self._shards.split_buckets_between(low, high)
        return MovedChunk(high, keys, error)

    def _move_locked(
        self, low: int, high: int, old: Owners, new: Owners, limit: int, *, back: bool
    ) -> tuple[int, int, Exception | None]:
        """Move a chunk; return the items of a `MovedChunk`."""
        stripe = stripe_of(low)
        source = self._source(old, stripe)
        entries: list[Entry] = []
        removals: list[Entry] = []
        if source is not None:
            source, high, entries = self._read(source, low, high, old, limit)
            removals = source.server.removals(low, high)
        self._yield("move.read")
        targets = self._targets(old, new, stripe, source)
        for target in targets:
            self._copy(target, low, high, entries, removals)
        self._note(targets, low, high, back=back)
        self._flip(low, high, old, new, len(entries))
        self._yield("move.flipped")
        error = self._discard([name for name in old if name not in new], low, high)
        self._yield("move.discarded")
        return high, len(entries) * len(targets), error

    def _move_empty(
        self, low: int, high: int, old: Owners, new: Owners, *, back: bool
    ) -> int | None:
        """Flip what lies in stripes without a key; return its end, None if the first has one.

        A few stripes at a time, so that a ring that is built before it holds keys takes half the
        time, and one note in the journal where it took one for each stripe.
        """
        routing, first = self._shards.routing, stripe_of(low)
        last = min(stripe_of(high), first + _EMPTY_AT_ONCE - 1)
        end = first
        while end <= last and routing.holds_nothing(end):
            end += 1
        if end == first:
            return None
        with self._shards.stripes(first, end - 1):
            # Somebody may have written there before it was locked.
            empty = first
            while empty < end and self._is_empty(old, new, empty):
                empty += 1
            if empty == first:
                return None
            high = min(high, last_position_of(empty - 1))
            self._persistence.range_moves(self._shards, (), low, high, back=back, empty=True)
            routing.assign(low, high, new)
        return high

    def _is_empty(self, old: Owners, new: Owners, stripe: int) -> bool:
        """Return whether nothing lies in the stripe, on servers that are all well."""
        if not self._shards.routing.holds_nothing(stripe):
            return False
        involved = [self._shards.replicas[server_id] for server_id in {*old, *new}]
        return all(replica.current(stripe) for replica in involved) and not self._shards.leftovers

    def clear_leftovers(self) -> None:
        """Remove the garbage of failed moves.

        Raises:
            ServerFailedError: a server failed again.
        """
        for leftover in sorted(self._shards.leftovers):
            server_id, low, high = leftover
            with self._shards.moving, self._held(stripe_of(low)):
                replica = self._shards.replicas[server_id]
                # What a server in memory held went with it; one on disk is swept when it is back.
                if not replica.down:
                    replica.server.discard(low, high)
                    if replica.durable is not None:
                        replica.durable.sync()  # the removals of what lay there can be forgotten
                self._shards.leftovers.discard(leftover)
            self._catching_up.forget_tombstones([stripe_of(low)])

    def _held(self, stripe: int) -> AbstractContextManager[object]:
        return self._shards.locks[stripe]

    def _source(self, owners: Owners, stripe: int) -> Replica | None:
        """Return who to copy from; None where all that was there is lost.

        Raises:
            ServerFailedError: somebody holds it, and does not answer.
        """
        replicas = [self._shards.replicas[server_id] for server_id in owners]
        if not self._shards.current(owners, stripe):
            for replica in replicas:
                self._become_current(replica, stripe)
        current = self._shards.current(owners, stripe)
        if current:
            return current[0]
        # One that is not down may hold what no other has, even if it has missed something since.
        # One that is down holds it on its disk, unless that was given up.
        gone = [replica.down and (replica.given_up or not replica.durable) for replica in replicas]
        if not all(gone):
            raise ServerUnavailableError(owners)
        return None

    def _targets(
        self, old: Owners, new: Owners, stripe: int, source: Replica | None
    ) -> list[Replica]:
        """Return who to copy to: the servers that gain the range, but for those that are down.

        What is down is compared with the others when it is back. One that is up must be current: it
        would otherwise hold the range without counting for it, and be taken for complete as soon as
        its hints for other ranges of the stripe were delivered.

        Raises:
            ServerUnavailableError: one of them can't catch up now, or nobody would hold what is
                held now.
        """
        if source is None:
            return []
        replicas = {server_id: self._shards.replicas[server_id] for server_id in new}
        for server_id in new:
            if server_id not in old and replicas[server_id].down:
                replicas[server_id].miss_all(stripe)
        targets = [
            replicas[server_id]
            for server_id in new
            if server_id not in old and not replicas[server_id].down
        ]
        for replica in targets:
            if not self._become_current(replica, stripe):
                raise ServerUnavailableError([replica.server_id])
        staying = [replicas[server_id] for server_id in new if server_id in old]
        if targets or any(replica.current(stripe) for replica in staying):
            return targets
        if any(self._become_current(replica, stripe) for replica in staying):
            return targets
        raise ServerUnavailableError(new)

    def _become_current(self, replica: Replica, stripe: int) -> bool:
        """Try to let a server catch up in the stripe; return whether it is current."""
        if not replica.down and not replica.current(stripe):
            try:
                self._catching_up.catch_up_locked(replica, stripe)
            except ServerFailedError:
                return replica.current(stripe)
        return replica.current(stripe)

    def _flip(self, low: int, high: int, old: Owners, new: Owners, keys: int) -> None:
        """Make positions `low` to `high` the new owners'; they hold so many keys."""
        stripe, routing = stripe_of(low), self._shards.routing
        for server_id in old:
            if server_id not in new:
                replica = self._shards.replicas[server_id]
                behind = not replica.current(stripe)
                replica.forget_hints(stripe, low, high)
                if behind and replica.current(stripe):
                    routing.refresh(stripe)  # it answers again for what it keeps of the stripe
        routing.tally(stripe, old).keys -= keys
        routing.tally(stripe, new).keys += keys
        routing.assign(low, high, new)

    def _read(
        self, source: Replica, low: int, high: int, owners: Owners, limit: int
    ) -> tuple[Replica, int, list[Entry]]:
        """Return who has a chunk from `low` on, its end, and its entries.

        Raises:
            CorruptRecordError: no current server has all of it sound. What is corrupt does not
                move, and would be discarded where it is.
        """
        corrupt: CorruptRecordError | None = None
        current = self._shards.current(owners, stripe_of(low))
        for replica in [source, *[other for other in current if other is not source]]:
            try:
                end, entries = self._chunk(replica, low, high, limit)
            except CorruptRecordError as error:
                corrupt = error
            else:
                return replica, end, entries
        assert corrupt is not None
        raise corrupt

    @staticmethod
    def _chunk(source: Replica, low: int, high: int, limit: int) -> tuple[int, list[Entry]]:
        """Return the end of the chunk that starts at `low`, and its entries."""
        entries = source.sound_scan(low, high, limit)
        if len(entries) < limit:
            return high, entries
        last = entries[-1].position
        whole = [entry for entry in entries if entry.position < last]
        if whole:
            # There may be more keys at the last position than were read: leave it for next time.
            return last - 1, whole
        return last, source.sound_scan(last, last)

    def _copy(
        self, target: Replica, low: int, high: int, entries: list[Entry], removals: list[Entry]
    ) -> None:
        server = target.server
        try:
            server.discard(low, high)
            server.apply_many([*entries, *removals] if removals else entries)
            self._yield("move.copied")
            if server.scan(low, high) != entries:
                raise ServerFailedError(
                    target.server_id, "the copy of a range differs from its source"
                )
        except Exception:
            self._shards.leftovers.add((target.server_id, low, high))
            raise
        self._yield("move.verified")

    def _note(self, targets: list[Replica], low: int, high: int, *, back: bool) -> None:
        """Write down that the range is at the targets."""
        try:
            self._persistence.range_moves(self._shards, targets, low, high, back=back)
        except Exception:
            self._shards.leftovers.update([(target.server_id, low, high) for target in targets])
            raise

    def _discard(self, server_ids: list[str], low: int, high: int) -> Exception | None:
        """Remove the garbage that the flip made; return the last error rather than raise it.

        The range has moved, and whoever moves it again would copy from where nothing is left.
        """
        failure: Exception | None = None
        for server_id in server_ids:
            replica = self._shards.replicas[server_id]
            if replica.down:
                continue
            try:
                replica.server.discard(low, high)
            except Exception as error:
                self._shards.leftovers.add((server_id, low, high))
                failure = error
        return failure

    def _yield(self, step: str) -> None:
        if self._yield_point is not None:
            self._yield_point(step)
