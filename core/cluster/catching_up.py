"""Bringing a replica up to date in a stripe, so that it is current there again.

A replica that missed some writes gets them as hints. One that missed more, or came back empty, is
compared with those that are current, and gets what differs. In either case it counts as current
only once it has all of it, and the removals that were remembered for its sake are then forgotten.

Prior art: hinted handoff and anti-entropy of Dynamo (SOSP 2007).
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from core.cluster.replica import Replica
from core.cluster.route import Owners, Segment
from core.cluster.shards import Shards, YieldPoint
from core.errors import CorruptRecordError, ServerFailedError, ServerUnavailableError
from core.record import NEVER_EXPIRES, Entry
from core.servers.record_table import Span
from core.stripes import STRIPE_SHIFT, STRIPES, last_position_of, stripe_of


class CaughtUp(NamedTuple):
    """What it took to bring a server up to date in one stripe.

    Attributes:
        hints: how many hints were delivered.
        compared: how many ranges were compared.
        copied: how many records were copied or dropped because they differed.
    """

    hints: int
    compared: int
    copied: int


class CatchingUp:
    """Brings replicas up to date, stripe by stripe.

    Thread safety: methods that end in `_locked` are called with the lock of the stripe held.

    Args:
        shards: the servers and what leads to them.
        yield_point: called with the name of each step.
        watch: called with a key and when it expires, when a record of it comes late.
        old_may_return: tells whether something beside the replicas of a stripe may bring back an
            old record: then a removal has to be remembered even if all of them know it.
        secure: called with a stripe before a server there gets what it missed: it may be a part of
            a transaction that a loss of power could tear.
    """

    def __init__(
        self,
        shards: Shards,
        yield_point: YieldPoint,
        watch: Callable[[str, int], None],
        old_may_return: Callable[[int], bool],
        secure: Callable[[int], None],
    ) -> None:
        self._shards = shards
        self._yield_point = yield_point
        self._watch = watch
        self._old_may_return = old_may_return
        self._secure = secure

    def catch_up(self, server_id: str, stripe: int) -> CaughtUp:
        """Bring one server up to date in one stripe, so that it is current there.

        Where it has to be compared, a part of the stripe at a time, and others write in between;
        only the keys are counted all at once. So it may be current only the next time: if it missed
        too much meanwhile. O(keys of the stripe) where it has to be compared, O(hints) else.

        Raises:
            ServerFailedError: it does not answer, or nobody who holds what it lacks does.
        """
        with self._shards.locks[stripe]:
            replica = self._shards.replicas.get(server_id)
            if replica is None:
                return CaughtUp(0, 0, 0)
            parts = self._shards.parts_of(stripe)
            if len(parts) == 1 or replica.complete(stripe):
                caught_up = self.catch_up_locked(replica, stripe)
                late = None
            else:
                late = replica.begin_comparing(stripe)
        if late is not None:
            caught_up = self._catch_up_in_parts(replica, stripe, parts, late)
        if not self._shards.routing.holds_nothing(stripe):
            self._shards.split_buckets_between(stripe << STRIPE_SHIFT, last_position_of(stripe))
        return caught_up

    def catch_up_locked(self, replica: Replica, stripe: int) -> CaughtUp:
        """As `catch_up`, with the stripe's lock held."""
        self._prepare_locked(replica, stripe)
        hints = compared = copied = 0
        if replica.complete(stripe):
            hints = self._deliver_locked(replica, replica.hints_of(stripe))
        else:
            low, high = stripe << STRIPE_SHIFT, last_position_of(stripe)
            compared, copied = self._compare_locked(replica, low, high)
        self._caught_up_locked(replica, stripe)
        return CaughtUp(hints, compared, copied)

    def _catch_up_in_parts(
        self, replica: Replica, stripe: int, parts: list[Span], late: dict[str, Entry]
    ) -> CaughtUp:
        """As `catch_up`, for one that has to be compared.

        Whoever writes reaches it as well, though it is not current. So a part that was compared
        stays equal, but for what is noted in `late`.
        """
        copied = 0
        try:
            for low, high in parts:
                found = self._compare_part(replica, stripe, low, high, late)
                if found is None:
                    return CaughtUp(0, 0, copied)
                copied += found
                self._yield_point("recovery.part")
            with self._shards.locks[stripe]:
                if not replica.comparing(stripe, late):
                    return CaughtUp(0, 0, copied)
                self._prepare_locked(replica, stripe)
                hints = self._deliver_locked(replica, list(late.values()))
                compared = len(self._own_segments(replica, stripe))
                self._caught_up_locked(replica, stripe)
                return CaughtUp(hints, compared, copied)
        except ServerFailedError:
            if not copied:
                raise
            # What was copied counts; the next time it fails at once, or goes on.
            return CaughtUp(0, 0, copied)
        finally:
            with self._shards.locks[stripe]:
                replica.end_comparing(stripe, late)

    def _compare_part(
        self, replica: Replica, stripe: int, low: int, high: int, late: dict[str, Entry]
    ) -> int | None:
        """Compare a part of a stripe; return how many records differed, None where it is over."""
        with self._shards.locks[stripe]:
            if not replica.comparing(stripe, late):
                return None
            self._prepare_locked(replica, stripe)
            return self._compare_locked(replica, low, high)[1]

    def _prepare_locked(self, replica: Replica, stripe: int) -> None:
        """See to it that a server may get what it missed."""
        if replica.down:
            raise ServerUnavailableError([replica.server_id])
        self._secure(stripe)

    def _deliver_locked(self, replica: Replica, hints: list[Entry]) -> int:
        """Give a server what it missed; return how many records."""
        for entry in hints:
            replica.server.apply(entry)
            self._watch_locked(entry)
        return len(hints)

    def _compare_locked(self, replica: Replica, low: int, high: int) -> tuple[int, int]:
        """Make a server's part of a span what it should be; return how many segments and records.

        Those that were compared, and those that differed.
        """
        compared = copied = 0
        for segment in list(self._shards.routing.segments(low, high)):
            if replica.server_id in segment.owners:
                compared += 1
                copied += self._equalize_locked(replica, segment)
        return compared, copied

    def _own_segments(self, replica: Replica, stripe: int) -> list[Segment]:
        """Return the parts of a stripe that a server is to hold."""
        segments = self._shards.segments_of(stripe)
        return [segment for segment in segments if replica.server_id in segment.owners]

    def _caught_up_locked(self, replica: Replica, stripe: int) -> None:
        """Let a server that holds all of the stripe be current there."""
        self.recount_locked(stripe, replica)
        replica.caught_up(stripe)
        self._shards.routing.refresh(stripe)
        self._forget_tombstones_locked(stripe)
        self._yield_point("recovery.stripe")

    def recount_locked(self, stripe: int, returning: Replica | None = None) -> None:
        """Count the keys of a stripe by their owners, where there is somebody to ask.

        Args:
            stripe: the stripe.
            returning: a server that is about to be current there as well.

        Raises:
            ServerFailedError: `returning` does not answer, and nobody else has what it holds.
        """
        counts: dict[Owners, int | None] = {}
        for segment in self._shards.segments_of(stripe):
            replicas = self._shards.current(segment.owners, stripe)
            if returning is not None and returning.server_id in segment.owners:
                replicas.append(returning)
            found = self._counted(replicas, segment)
            if found is None and returning in replicas:
                raise ServerUnavailableError(segment.owners)
            before = counts.get(segment.owners, 0)
            counts[segment.owners] = None if found is None or before is None else before + found
        for owners, keys in counts.items():
            if keys is not None:
                tally = self._shards.routing.tally(stripe, owners)
                tally.keys, tally.lost = keys, 0

    @staticmethod
    def _counted(replicas: Iterable[Replica], segment: Segment) -> int | None:
        """Return how many keys the first that answers has in `segment`; None if none does."""
        for replica in replicas:
            try:
                return replica.server.measure(segment.low, segment.high).keys
            except ServerFailedError:
                continue
        return None

    def settle_locked(self, stripe: int, owners: Iterable[str]) -> None:
        """Try to make a replica current that lacks no more than its hints."""
        for server_id in owners:
            replica = self._shards.replicas[server_id]
            if not replica.down and replica.complete(stripe) and not replica.current(stripe):
                try:
                    self.catch_up_locked(replica, stripe)
                except ServerFailedError:
                    continue

    def _equalize_locked(self, replica: Replica, segment: Segment) -> int:
        """Make a replica's part of a stripe what it should be; return how many records differed."""
        stripe = stripe_of(segment.low)
        others = tuple(owner for owner in segment.owners if owner != replica.server_id)
        if not self._shards.current(others, stripe):
            self.settle_locked(stripe, others)
        server = replica.server
        corrupt: CorruptRecordError | None = None
        for source in self._shards.current(others, stripe):
            try:
                removals = source.server.removals(segment.low, segment.high)
                expected = source.server.digest(segment.low, segment.high)
                if server.digest(segment.low, segment.high) == expected:
                    server.apply_many(removals)
                    return 0
                entries = source.sound_scan(segment.low, segment.high)
            except CorruptRecordError as error:
                # What that record was, the returning server can't tell: its own may be older.
                corrupt = error
                continue
            except ServerUnavailableError:
                continue
            return self._make_equal_locked(replica, segment, entries, removals)
        if self._shards.survives(others, stripe):
            raise corrupt or ServerUnavailableError(others)
        # Nobody holds all of it: what is left of it anywhere is all there is, the newest of each
        # key. What was removed is part of that, or an older record would come back.
        rest: list[Entry] = []
        for owner in others:
            other = self._shards.replicas[owner]
            if not other.down:
                rest += other.server.removals(segment.low, segment.high)
                rest += other.server.scan(segment.low, segment.high)
        copied = server.apply_many(rest)
        for entry in server.scan(segment.low, segment.high):
            self._watch_locked(entry)
        return copied

    def _watch_locked(self, entry: Entry) -> None:
        """Have a record swept that comes late: the sweeper may have looked for it in vain."""
        if entry.record.expires_at != NEVER_EXPIRES:
            self._watch(entry.key, entry.record.expires_at)

    @staticmethod
    def _make_equal_locked(
        replica: Replica, segment: Segment, entries: list[Entry], removals: list[Entry]
    ) -> int:
        server = replica.server
        expected = {entry.key: entry for entry in entries}
        found = {entry.key: entry for entry in server.scan(segment.low, segment.high)}
        differing = [key for key in found if found[key] != expected.get(key)]
        for key in differing:
            server.drop(found[key].position, key)
        missing = [entry for key, entry in expected.items() if found.get(key) != entry]
        for entry in missing:
            server.drop(entry.position, entry.key)  # if it was removed here, it is there again
        server.apply_many([*missing, *removals])
        return len(missing) + sum(key not in expected for key in differing)

    def forget_tombstones(self, stripes: Iterable[int] = range(STRIPES)) -> None:
        """Forget the removals that everybody knows. O(stripes)."""
        for stripe in stripes:
            with self._shards.locks[stripe]:
                self._forget_tombstones_locked(stripe)

    def _forget_tombstones_locked(self, stripe: int) -> None:
        """Forget the removals of a stripe once every replica of it knows them, on its disk too."""
        replicas = [
            self._shards.replicas[owner]
            for owner in {
                owner for part in self._shards.segments_of(stripe) for owner in part.owners
            }
        ]
        if not all(replica.current(stripe) for replica in replicas):
            return
        if self._old_may_return(stripe):
            return
        low, high = stripe << STRIPE_SHIFT, last_position_of(stripe)
        with suppress(ServerFailedError):
            if not any(replica.server.removals(low, high) for replica in replicas):
                return
            # After a loss of power one may have what was removed, and the others no word of it.
            for replica in replicas:
                if replica.durable is not None:
                    replica.durable.sync()
            for replica in replicas:
                replica.server.forget_tombstones(stripe)
