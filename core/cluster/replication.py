"""Writing to every replica of a key, and reading from those that are current.

Everything happens with the lock of the key's stripe held, so that all replicas see the writes of a
key in one order. A write that does not reach a replica becomes a hint for it, and from then until
the hint was delivered that replica is not current in the stripe and answers no read. So a read need
not ask a quorum: a current replica holds whatever a quorum would answer.

When every owner is current and none can fail (servers in memory), a writer needs nothing of this:
it writes straight through the route, and this module comes in when something is wrong. So it does
while a key has fewer owners than it should: somebody has to be told, once.

Prior art: Dynamo (SOSP 2007) for hints and anti-entropy. It asks a quorum and compares versions,
because its coordinators do not know what a replica has missed; here one coordinator does.
"""

from collections.abc import Callable, Container
from contextlib import suppress

from core.cluster.catching_up import CatchingUp
from core.cluster.few_servers import warn_of_few_servers
from core.cluster.levels import Level
from core.cluster.replica import Replica
from core.cluster.route import Route, Segment
from core.cluster.shards import Shards, YieldPoint
from core.errors import (
    CorruptRecordError,
    NoServersError,
    QuorumError,
    ServerFailedError,
    ServerUnavailableError,
    StorageError,
)
from core.record import NEVER_EXPIRES, Entry, Record
from core.stripes import stripe_of


class Replication:
    """The replicas of every key.

    Thread safety: methods that end in `_locked` are called with the lock of the stripe held.

    Args:
        shards: the servers and what leads to them.
        catching_up: brings a replica up to date that a reader needs.
        yield_point: called with the name of each step.
        wake: called when a server has missed something.
        old_may_return: tells whether something beside the replicas of a stripe may bring back an
            old record: then a removal has to be remembered even if all of them know it.
        secure: called with a stripe before a server there gets what it missed: it may be a part of
            a transaction that a loss of power could tear.
    """

    def __init__(
        self,
        shards: Shards,
        catching_up: CatchingUp,
        yield_point: YieldPoint,
        wake: Callable[[], None],
        old_may_return: Callable[[int], bool],
        secure: Callable[[int], None],
    ) -> None:
        self._shards = shards
        self._catching_up = catching_up
        self._yield_point = yield_point
        self._wake = wake
        self._old_may_return = old_may_return
        self._secure = secure
        # Changed without a lock: at worst two threads warn of the same.
        self._fewest_unwarned = shards.replication_factor

    # Writing

    def write_locked(self, entry: Entry, level: Level | None = None, *, owed: bool = False) -> None:
        """Write a record, or a tombstone, to the replicas of its key.

        Args:
            entry: the record.
            level: how many replicas must acknowledge it; None for the store's own level.
            owed: whether it must be carried out some day, even if no replica takes it now.

        Raises:
            NoServersError: the ring has no server.
            QuorumError: fewer replicas acknowledged it than `level` asks for.
            StorageError: no disk takes it. Nothing was written.
            StoreClosedError: the store is closed.
            TooFewServersWarning: if warnings were made errors. Nothing was written.
        """
        route = self._shards.routing.at(entry.position)
        if route.refusal is not None:
            raise route.refusal()
        if len(route.replicas) < self._fewest_unwarned and not owed:
            self._warn_if_few_servers(entry)
        level = level or self._shards.consistency.level
        if route.direct:
            self._write_directly_locked(route, entry)
        elif route.well and entry.record.value is not None:
            self._write_to_all_locked(route, entry, level, owed=owed)
        else:
            self._write_to_each_locked(route, entry, level, {}, {}, owed=owed)
        route.counters.writes += 1

    def _warn_if_few_servers(self, entry: Entry) -> None:
        """Warn when a value is stored on fewer servers than were ever warned of.

        Not when the servers join, for every ring begins with one; and not for a range that gets
        its last owner in a moment.
        """
        servers = len(self._shards.replicas)
        if entry.record.value is not None and servers < self._fewest_unwarned:
            self._fewest_unwarned = servers
            warn_of_few_servers(servers, self._shards.replication_factor)

    def write_new_locked(
        self,
        route: Route,
        position: int,
        key: str,
        record: Record,
    ) -> None:
        """Write a value that is newer than any before, through the route of its position.

        As `write_locked`, in half of its own time where every owner is current and on disk.
        """
        if not route.puts:
            self.write_locked(Entry(position, key, record))
            return
        first = 0
        for reached, put in enumerate(route.puts):
            if reached:
                self._yield_point("write.copied")
            try:
                change = put(position, key, record)
            except ServerFailedError as failure:
                replicas, entry = route.replicas, Entry(position, key, record)
                changes = {replica.server_id: first for replica in replicas[:reached]}
                failures = {replicas[reached].server_id: failure}
                level = self._shards.consistency.level
                self._write_to_each_locked(route, entry, level, changes, failures, owed=False)
                break
            if not reached:
                first = change
        else:
            if first:
                self._count_locked(route, position, first)
        route.counters.writes += 1

    def remove_expired_locked(self, entry: Entry, version: int) -> None:
        """Take an expired record from every replica that is current and answers.

        The others get a hint that it was removed, at a version of its own: it takes the place of
        one that would bring the record back, and a replica that kept it would differ. And the
        removal is remembered then: a hint ends with the process, and the older record that is there
        may be one that does not expire.
        """
        stripe = stripe_of(entry.position)
        route = self._shards.routing.at(entry.position)
        gone = entry.with_record(Record(None, version, NEVER_EXPIRES))
        current = [replica for replica in route.replicas if replica.current(stripe)]
        drops = self._drops(gone, len(current) == len(route.replicas))
        changes: dict[str, int] = {}
        for replica in current:
            try:
                changes[replica.server_id] = self._change_at(replica, gone, drops=drops)
            except ServerFailedError:
                continue
        if len(changes) < len(route.replicas):
            self._leave_hints_locked(route, gone, changes, dropped=drops)
        self._count_locked(route, entry.position, min(changes.values(), default=0))
        if len(changes) < len(current):
            self._shards.routing.refresh(stripe)
            self._wake()

    def _write_directly_locked(self, route: Route, entry: Entry) -> None:
        """Write through a route whose owners are all current: no tombstone is needed."""
        position, key, record = entry.position, entry.key, entry.record
        change = 0
        for number, records in enumerate((route.records, *route.others)):
            bucket = records.bucket(position)
            # By the key and not by the number of keys: others write to the rest of the bucket.
            if record.value is None:
                here = -1 if bucket.pop(key, None) is not None else 0
            else:
                here = 0 if key in bucket else 1
                bucket[key] = record
            if not number:
                change = here
        if change:
            self._count_locked(route, position, change)

    def _count_locked(self, route: Route, position: int, change: int) -> None:
        """Count keys that came or went at a position of this route."""
        self._shards.routing.tally(stripe_of(position), route.owners).keys += change

    def _write_to_all_locked(self, route: Route, entry: Entry, level: Level, *, owed: bool) -> None:
        """Write a value where all owners are current: a third of the time of looking at each."""
        reached = first = 0
        failure: ServerFailedError | None = None
        for replica in route.replicas:
            try:
                change = replica.server.apply(entry) or 0
            except ServerFailedError as error:
                failure = error
                break
            if not reached:
                first = change
            reached += 1
            self._yield_point("write.copied")
        if failure is None:
            if first:
                self._count_locked(route, entry.position, first)
            return
        changes = {replica.server_id: first for replica in route.replicas[:reached]}
        failures = {route.replicas[reached].server_id: failure}
        self._write_to_each_locked(route, entry, level, changes, failures, owed=owed)

    def _write_to_each_locked(
        self,
        route: Route,
        entry: Entry,
        level: Level,
        changes: dict[str, int],
        failures: dict[str, ServerFailedError],
        *,
        owed: bool,
    ) -> None:
        """Write where somebody is not current or fails, or a key is removed.

        Args:
            route: where to.
            entry: the record.
            level: how many replicas must acknowledge it.
            changes: by how much the keys changed of those that were reached; filled here.
            failures: why others were not; filled here.
            owed: whether it must be carried out some day, even if no replica takes it now.
        """
        stripe = stripe_of(entry.position)
        needed = level.needed(len(route.replicas))
        live = sum(not replica.down for replica in route.replicas)
        if live < needed and not owed:
            raise QuorumError(live, needed, unknown=False)
        current = {replica.server_id for replica in route.replicas if replica.current(stripe)}
        drops = self._drops(entry, len(current) == len(route.replicas))
        for replica in route.replicas:
            server_id = replica.server_id
            if replica.down or server_id in changes or server_id in failures:
                continue
            try:
                changes[server_id] = self._change_at(replica, entry, drops=drops)
            except ServerFailedError as error:
                failures[server_id] = error
            self._yield_point("write.copied")
        if not changes and not owed:
            for failure in failures.values():
                if isinstance(failure, StorageError):
                    raise failure  # nothing was written anywhere
        if len(changes) < len(route.replicas):
            self._leave_hints_locked(route, entry, changes, dropped=drops)
        # Only one that was current knows what was there before. Too low a count could let a stripe
        # be taken for empty.
        known = [change for server_id, change in changes.items() if server_id in current]
        change = known[0] if known else int(entry.record.value is not None)
        self._count_locked(route, entry.position, change)
        missed = len(self._shards.current(route.owners, stripe)) < len(current)
        # One that crashes at this moment has its routes made anew stripe by stripe.
        crashing = route.reader is not None and not route.reader.current(stripe)
        if missed or crashing:
            self._shards.routing.refresh(stripe)
            self._wake()
        if len(changes) < needed:
            raise QuorumError(len(changes), needed, unknown=True)

    def _drops(self, entry: Entry, all_current: bool) -> bool:
        """Return whether whoever holds the key just forgets it: nobody has to be told later."""
        if entry.record.value is not None or not all_current:
            return False
        return not self._old_may_return(stripe_of(entry.position))

    @staticmethod
    def _change_at(replica: Replica, entry: Entry, *, drops: bool) -> int:
        """Write to one replica; return by how much the number of its keys changed."""
        if drops:
            return -1 if replica.server.drop(entry.position, entry.key) else 0
        return replica.server.apply(entry) or 0  # as new a record is there: nothing changed

    def _leave_hints_locked(
        self, route: Route, entry: Entry, done: Container[str], *, dropped: bool
    ) -> None:
        """Note for each replica that was not reached what it has missed.

        Who forgot the key has to remember now that it was removed: somebody still has it.
        """
        for replica in route.replicas:
            reached = replica.server_id in done
            if reached and dropped:
                reached = self._apply_locked(replica, entry) is not None
            if not reached:
                self._miss_locked(replica, entry)

    def _miss_locked(self, replica: Replica, entry: Entry) -> None:
        """Note that a replica has missed a record.

        Hints may overflow where the stripe can be compared with somebody who holds it. Else they
        are kept: one of them may be the last copy of a record that a server took before it crashed.
        """
        stripe = stripe_of(entry.position)
        keep = replica.full and not all(
            len(owners) == 1 or any(other is not replica for other in current)
            for _, _, owners in self._shards.segments_of(stripe)
            if replica.server_id in owners
            for current in [self._shards.current(owners, stripe)]
        )
        replica.miss(stripe, entry, keep=keep)

    @staticmethod
    def _apply_locked(replica: Replica, entry: Entry) -> int | None:
        """Return by how much the number of the replica's keys changed; None if it failed."""
        if replica.down:
            return None
        try:
            return replica.server.apply(entry) or 0  # as new a record is there: nothing changed
        except ServerFailedError:
            return None

    # Reading

    def read(self, position: int, key: str, level: Level | None = None) -> Record | None:
        """Return the record of `key`, expired or not; None without one.

        Raises:
            QuorumError: fewer replicas answered than `level` asks for.
            ServerUnavailableError: no replica answered that is known to be current.
        """
        with self._shards.locks[stripe_of(position)]:
            self._shards.routing.at(position).counters.reads += 1
            return self.read_locked(position, key, level)

    def entries_between(
        self,
        low: int,
        high: int,
        server_id: str | None = None,
        corrupt: list[CorruptRecordError] | None = None,
    ) -> list[Entry]:
        """Return the entries at positions `low` to `high` in ring order, read at one moment.

        O(k log k) for the k entries there; O(servers) if the stripe has none.

        Args:
            low: the first position.
            high: the last position, in the same stripe.
            server_id: only those whose primary is this server.
            corrupt: takes an error for each part of the span with a record that no current
                replica has sound; the others are returned all the same. None has them raised.

        Raises:
            CorruptRecordError: no current replica has a record sound.
            ServerUnavailableError: no current replica of a part of the span answers.
        """
        found: list[Entry] = []
        stripe = stripe_of(low)
        with self._shards.locks[stripe]:
            # Most stripes of a small store hold nothing, and cutting one into segments takes 20 us.
            if self._shards.routing.holds_nothing(stripe):
                return found
            for segment in list(self._shards.routing.segments(low, high)):
                if segment.owners and server_id in (None, segment.owners[0]):
                    found += self._entries_of_locked(segment, corrupt)
        return found

    def read_locked(self, position: int, key: str, level: Level | None = None) -> Record | None:
        """As `read`, with the stripe's lock held."""
        route = self._shards.routing.at(position)
        if route.refusal is NoServersError:
            return None
        if route.refusal is not None:
            raise route.refusal()
        if route.reader is not None and level is None:
            try:
                return route.reader.server.get(position, key)
            except ServerFailedError:
                pass
        return self._ask_locked(position, key, level)

    def _ask_locked(self, position: int, key: str, level: Level | None) -> Record | None:
        """Ask as many replicas as `level` says, the current ones first, and mend what differs.

        Without a level, a current one answers for all.
        """
        route = self._shards.routing.at(position)
        needed = 1 if level is None else level.needed(len(route.replicas))
        answers, truth, failure = self._answers_locked(position, key, needed)
        if not truth:
            # One that is behind by a few hints may answer once it has them.
            self._catching_up.settle_locked(stripe_of(position), route.owners)
            answers, truth, failure = self._answers_locked(position, key, needed, hinted=True)
        content_with_one = (level or self._shards.consistency.level) is Level.ONE
        if not answers or not (truth or content_with_one):
            raise failure or ServerUnavailableError(route.owners)
        if len(answers) < needed:
            raise QuorumError(len(answers), needed, unknown=False)
        newest = max(truth or answers.values(), key=lambda record: record.version if record else 0)
        if newest is not None:
            self._mend_locked(Entry(position, key, newest), answers)
        return newest

    def _answers_locked(
        self, position: int, key: str, needed: int, *, hinted: bool = False
    ) -> tuple[dict[str, Record | None], list[Record | None], ServerFailedError | None]:
        """Ask up to `needed` replicas; return all answers, and those of the current ones.

        And what is wrong with the disk of one that is there and can't answer: that says more than
        that nobody does. With `hinted`, one that lacks no more than its hints answers with them: it
        may be that it can't take them, because its disk is full.
        """
        stripe = stripe_of(position)
        answers: dict[str, Record | None] = {}
        truth: list[Record | None] = []
        failure: ServerFailedError | None = None
        replicas = self._shards.routing.at(position).replicas
        for replica in sorted(replicas, key=lambda replica: not replica.current(stripe)):
            if replica.down or len(answers) >= needed:
                continue
            try:
                record = replica.server.get(position, key)
            except ServerFailedError as error:
                if isinstance(error, CorruptRecordError | StorageError):
                    failure = failure or error
                continue
            if hinted and replica.complete(stripe):
                record = self._with_hints(replica, stripe, key, record)
                truth.append(record)
            elif replica.current(stripe):
                truth.append(record)
            answers[replica.server_id] = record
        return answers, truth, failure

    @staticmethod
    def _with_hints(
        replica: Replica, stripe: int, key: str, record: Record | None
    ) -> Record | None:
        """Return the record that a replica will have of a key once its hints were delivered."""
        for entry in replica.hints_of(stripe):
            if entry.key == key and (record is None or record.version < entry.record.version):
                record = entry.record
        return None if record is None or record.value is None else record

    def _entries_of_locked(
        self, segment: Segment, corrupt: list[CorruptRecordError] | None
    ) -> list[Entry]:
        """Return the entries of a part of a stripe, from a current replica or with hints."""
        stripe = stripe_of(segment.low)
        for attempt in (1, 2):
            damaged = False
            for replica in self._shards.current(segment.owners, stripe):
                try:
                    return replica.sound_scan(segment.low, segment.high)
                except CorruptRecordError:
                    damaged = True
                except ServerFailedError:
                    continue
            if damaged:
                return self._sound_entries_locked(segment, corrupt)
            if attempt == 1:
                self._catching_up.settle_locked(stripe, segment.owners)
        failure: CorruptRecordError | None = None
        for replica in map(self._shards.replicas.__getitem__, segment.owners):
            if replica.down or not replica.complete(stripe):
                continue
            try:
                return self._entries_with_hints(replica, segment)
            except CorruptRecordError as error:
                failure = error
            except ServerFailedError:
                continue
        raise failure or ServerUnavailableError(segment.owners)

    def _sound_entries_locked(
        self, segment: Segment, corrupt: list[CorruptRecordError] | None
    ) -> list[Entry]:
        """Return what is sound on any current replica, where none has all of it."""
        low, high, owners = segment
        sound: dict[tuple[int, str], Entry] = {}
        damaged: dict[tuple[int, str], Replica] = {}
        for replica in self._shards.current(owners, stripe_of(low)):
            with suppress(ServerFailedError):
                sound.update((entry.place, entry) for entry in replica.server.scan(low, high))
                if replica.durable is not None:
                    found = replica.durable.corrupt_keys(low, high)
                    damaged.update(dict.fromkeys(found, replica))
        for place in sorted(damaged.keys() - sound.keys()):
            try:
                damaged[place].server.get(*place)  # None of a removal: nothing is missing
            except CorruptRecordError as error:
                if corrupt is None:
                    raise
                corrupt.append(error)
        return [sound[place] for place in sorted(sound)]

    def _entries_with_hints(self, replica: Replica, segment: Segment) -> list[Entry]:
        """Return the entries that a replica will have once its hints were delivered."""
        low, high, _ = segment
        stripe = stripe_of(low)
        entries = {entry.key: entry for entry in replica.sound_scan(low, high)}
        for hint in replica.hints_of(stripe):
            if low <= hint.position <= high:
                known = entries.get(hint.key)
                if known is None or known.record.version < hint.record.version:
                    entries[hint.key] = hint
        return sorted(entry for entry in entries.values() if entry.record.value is not None)

    def _mend_locked(self, entry: Entry, answers: dict[str, Record | None]) -> None:
        """Read repair: give the newest record to who answered with an older one, or none."""
        differing = [
            server_id
            for server_id, record in answers.items()
            if record is None or record.version < entry.record.version
        ]
        if not differing:
            return
        stripe = stripe_of(entry.position)
        for replica in self._shards.routing.at(entry.position).replicas:
            if replica.server_id not in answers and not replica.current(stripe):
                replica.others_mended(stripe, entry)
        for server_id in differing:
            try:
                self._secure(stripe)
            except ServerFailedError:
                return  # it gets the record when it catches up
            replica = self._shards.replicas[server_id]
            if self._apply_locked(replica, entry) is None:
                self._miss_locked(replica, entry)
                self._shards.routing.refresh(stripe)
