"""Writing to every replica of a key, reading from those that are current, and catching up.

Everything happens with the lock of the key's stripe held, so that all replicas see the writes of a
key in one order. A write that does not reach a replica becomes a hint for it, and from then until
the hint was delivered that replica is not current in the stripe and answers no read. So a read need
not ask a quorum: a current replica holds whatever a quorum would answer.

When every owner is current and none can fail (servers in memory), a writer needs nothing of this:
it writes straight through the route, and this module comes in when something is wrong.

Prior art: Dynamo (SOSP 2007) for hints and anti-entropy. It asks a quorum and compares versions,
because its coordinators do not know what a replica has missed; here one coordinator does.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from core.cluster.levels import Level
from core.cluster.replica import Replica
from core.cluster.routing import Owners, Route, Segment
from core.cluster.shards import Shards, YieldPoint
from core.errors import NoServersError, QuorumError, ServerFailedError, ServerUnavailableError
from core.record import VALUE, VERSION, Entry, Record
from core.stripes import stripe_of


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


class Replication:
    """The replicas of every key.

    Thread safety: methods that end in `_locked` are called with the lock of the stripe held.

    Args:
        shards: the servers and what leads to them.
        yield_point: called with the name of each step.
        wake: called when a server has missed something.
    """

    def __init__(self, shards: Shards, yield_point: YieldPoint, wake: Callable[[], None]) -> None:
        self._shards = shards
        self._yield_point = yield_point
        self._wake = wake

    # Writing

    def write_locked(self, entry: Entry, level: Level | None = None) -> None:
        """Write a record, or a tombstone, to the replicas of its key.

        Raises:
            NoServersError: the ring has no server.
            QuorumError: fewer replicas acknowledged it than `level` asks for.
            StoreClosedError: the store is closed.
        """
        route = self._shards.routing.at(entry.position)
        if route.refusal is not None:
            raise route.refusal()
        if route.direct:
            self._write_directly_locked(route, entry)
        else:
            self._write_to_each_locked(route, entry, level or self._shards.consistency.level)
        route.counters.writes += 1

    def remove_expired_locked(self, entry: Entry) -> None:
        """Take an expired record from every replica that answers.

        Nobody needs to be told who does not answer: it will see by itself that the time is over.
        """
        route = self._shards.routing.at(entry.position)
        removed = False
        for replica in route.replicas:
            try:
                removed |= not replica.down and replica.server.drop(entry.position, entry.key)
            except ServerFailedError:
                replica.miss_all(stripe_of(entry.position))
                self._shards.routing.refresh(stripe_of(entry.position))
        route.tally.keys -= removed

    def _write_directly_locked(self, route: Route, entry: Entry) -> None:
        """Write through a route whose owners are all current: no tombstone is needed."""
        key, record = entry.key, entry.record
        copies = ((route.records, route.keys), *route.others)
        if record[VALUE] is None:
            found = None
            for records, keys in copies:
                found = records.pop(key, None)
                keys.pop(key, None)
            route.tally.keys -= found is not None
            return
        route.tally.keys += key not in route.records
        for records, keys in copies:
            keys[key] = None
            records[key] = record

    def _write_to_each_locked(self, route: Route, entry: Entry, level: Level) -> None:
        stripe = stripe_of(entry.position)
        needed = level.needed(len(route.replicas))
        live = sum(not replica.down for replica in route.replicas)
        if live < needed:
            raise QuorumError(live, needed, unknown=False)
        known = self._tally_change_locked(route, entry)
        reached = 0
        well = True
        for replica in route.replicas:
            if self._reaches_locked(replica, entry):
                reached += 1
            else:
                well = well and not replica.current(stripe)
                replica.miss(stripe, entry)
            self._yield_point("write.copied")
        route.tally.keys += known
        if not well:
            self._shards.routing.refresh(stripe)
            self._wake()
        if reached < needed:
            raise QuorumError(reached, needed, unknown=True)

    @staticmethod
    def _reaches_locked(replica: Replica, entry: Entry) -> bool:
        if replica.down:
            return False
        try:
            replica.server.apply(entry)
        except ServerFailedError:
            return False
        return True

    @staticmethod
    def _tally_change_locked(route: Route, entry: Entry) -> int:
        """Return by how much a write changes the number of keys.

        Where nobody can say whether the key is there, it is counted as new: a stripe whose keys
        are counted too low could be taken for empty. It is counted again when somebody can.
        """
        is_there = entry.record[VALUE] is not None
        for replica in route.replicas:
            if replica.current(stripe_of(entry.position)):
                try:
                    return is_there - (replica.server.get(entry.position, entry.key) is not None)
                except ServerFailedError:
                    continue
        return is_there

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
        answers, truth = self._answers_locked(position, key, needed)
        if not truth:
            # One that is behind by a few hints may answer once it has them.
            self._settle_locked(stripe_of(position), route.owners)
            answers, truth = self._answers_locked(position, key, needed)
        content_with_one = (level or self._shards.consistency.level) is Level.ONE
        if not answers or not (truth or content_with_one):
            raise ServerUnavailableError(route.owners)
        if len(answers) < needed:
            raise QuorumError(len(answers), needed, unknown=False)
        newest = max(truth or answers.values(), key=lambda record: record[VERSION] if record else 0)
        if newest is not None:
            self._mend_locked(Entry(position, key, newest), answers)
        return newest

    def _answers_locked(
        self, position: int, key: str, needed: int
    ) -> tuple[dict[str, Record | None], list[Record | None]]:
        """Ask up to `needed` replicas; return all answers, and those of the current ones."""
        stripe = stripe_of(position)
        answers: dict[str, Record | None] = {}
        truth: list[Record | None] = []
        replicas = self._shards.routing.at(position).replicas
        for replica in sorted(replicas, key=lambda replica: not replica.current(stripe)):
            if replica.down or len(answers) >= needed:
                continue
            try:
                record = replica.server.get(position, key)
            except ServerFailedError:
                continue
            answers[replica.server_id] = record
            if replica.current(stripe):
                truth.append(record)
        return answers, truth

    def _mend_locked(self, entry: Entry, answers: dict[str, Record | None]) -> None:
        """Read repair: give the newest record to who answered with an older one, or none."""
        for server_id, record in answers.items():
            if record is None or record[VERSION] < entry.record[VERSION]:
                replica = self._shards.replicas[server_id]
                if not self._reaches_locked(replica, entry):
                    replica.miss(stripe_of(entry.position), entry)
                    self._shards.routing.refresh(stripe_of(entry.position))

    # Catching up

    def catch_up(self, server_id: str, stripe: int) -> CaughtUp:
        """Bring one server up to date in one stripe, so that it is current there.

        O(keys of the stripe) where it has to be compared, O(hints) else.

        Raises:
            ServerFailedError: it does not answer, or nobody who holds what it lacks does.
        """
        with self._shards.locks[stripe]:
            replica = self._shards.replicas.get(server_id)
            if replica is None:
                return CaughtUp(0, 0, 0)
            return self.catch_up_locked(replica, stripe)

    def catch_up_locked(self, replica: Replica, stripe: int) -> CaughtUp:
        """As `catch_up`, with the stripe's lock held."""
        if replica.down:
            raise ServerUnavailableError([replica.server_id])
        hints = compared = copied = 0
        if replica.complete(stripe):
            for entry in replica.hints_of(stripe):
                replica.server.apply(entry)
                hints += 1
        else:
            for segment in self._shards.segments_of(stripe):
                if replica.server_id in segment.owners:
                    compared += 1
                    copied += self._equalize_locked(replica, segment)
        replica.caught_up(stripe)
        self._shards.routing.refresh(stripe)
        self.recount_locked(stripe)
        self._forget_tombstones_locked(stripe)
        self._yield_point("recovery.stripe")
        return CaughtUp(hints, compared, copied)

    def recount_locked(self, stripe: int) -> None:
        """Count the keys of a stripe by their owners, where there is somebody to ask."""
        counts: dict[Owners, int] = {}
        for segment in self._shards.segments_of(stripe):
            for replica in self._shards.current(segment.owners, stripe)[:1]:
                try:
                    found = replica.server.measure(segment.low, segment.high).keys
                except ServerFailedError:
                    continue
                counts[segment.owners] = counts.get(segment.owners, 0) + found
        for owners, keys in counts.items():
            tally = self._shards.routing.tally(stripe, owners)
            tally.keys, tally.lost = keys, 0

    def _settle_locked(self, stripe: int, owners: Iterable[str]) -> None:
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
            self._settle_locked(stripe, others)
        server = replica.server
        for source in self._shards.current(others, stripe):
            try:
                expected = source.server.digest(segment.low, segment.high)
                if server.digest(segment.low, segment.high) == expected:
                    return 0
                entries = source.server.scan(segment.low, segment.high)
            except ServerUnavailableError:
                continue
            return self._make_equal_locked(replica, segment, entries)
        if self._shards.survives(others, stripe):
            raise ServerUnavailableError(others)
        # Whoever held all of it is gone for good: what is left of it anywhere is all there is.
        rest = [
            self._shards.replicas[owner].server.scan(segment.low, segment.high)
            for owner in others
            if not self._shards.replicas[owner].down
        ]
        return sum(server.apply(entry) for entries in rest for entry in entries)

    @staticmethod
    def _make_equal_locked(replica: Replica, segment: Segment, entries: list[Entry]) -> int:
        server = replica.server
        expected = {entry.key: entry for entry in entries}
        found = {entry.key: entry for entry in server.scan(segment.low, segment.high)}
        differing = [key for key in found if found[key] != expected.get(key)]
        for key in differing:
            server.drop(found[key].position, key)
        missing = [entry for key, entry in expected.items() if found.get(key) != entry]
        server.apply_many(missing)
        return len(missing) + sum(key not in expected for key in differing)

    def _forget_tombstones_locked(self, stripe: int) -> None:
        """Forget the removals of a stripe once every replica of it knows them."""
        replicas = [
            self._shards.replicas[owner]
            for owner in {
                owner for part in self._shards.segments_of(stripe) for owner in part.owners
            }
        ]
        if all(replica.current(stripe) for replica in replicas):
            for replica in replicas:
                try:
                    replica.server.forget_tombstones(stripe)
                except ServerFailedError:
                    continue
