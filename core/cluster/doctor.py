"""Looking for records that are not where they should be, and putting them there."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from core.cluster.catching_up import CatchingUp
from core.cluster.shards import Shards
from core.errors import ServerFailedError
from core.record import Entry, Record
from core.stripes import LAST_POSITION, STRIPE_SHIFT, STRIPES, last_position_of, stripe_of

# Findings that a report lists; the rest is counted.
FINDINGS_LISTED = 1_000


class Fault(StrEnum):
    """What can be wrong with a record."""

    MISPLACED = "misplaced"
    UNDER_REPLICATED = "under-replicated"
    DIVERGED = "diverged"
    ORPHANED = "orphaned"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Finding:
    """One record that is not as it should be.

    Attributes:
        fault: what is wrong: *misplaced*, on a server that does not own it while an owner lacks it;
            *orphaned*, on such a server while all owners have it; *under-replicated*, lacking on an
            owner; *diverged*, of different versions on its owners; *corrupt*, on a disk, and not
            what was written there.
        key: its key.
        servers: the servers it was found on, sorted; of a corrupt one, where it is corrupt.
        owners: the servers it belongs on, primary first.
    """

    fault: Fault
    key: str
    servers: tuple[str, ...]
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What was found.

    Attributes:
        keys: how many keys were looked at.
        findings: the first 1,000 findings.
        counts: how many findings of each fault.
        repaired: how many keys were put right.
        unrepaired: how many keys with findings were not: nobody was asked to, a server failed, or
            no other replica has what is corrupt.
        unreachable: the servers that did not answer, or are catching up; nothing is said of them,
            or not of all of what they hold.
        reasons: why each of those could not be looked at.
    """

    keys: int
    findings: tuple[Finding, ...]
    counts: dict[Fault, int]
    repaired: int
    unreachable: tuple[str, ...]
    unrepaired: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not any(self.counts.values())


def examine(
    shards: Shards,
    catching_up: CatchingUp,
    *,
    repair: bool,
    advance: Callable[[int], None] | None = None,
) -> DoctorReport:
    """Compare every server's records with what the ring says; with `repair`, put them right.

    A stripe at a time, with its lock held; the servers that move data meanwhile are waited for a
    chunk long. O(records).

    `advance` is called with the number of stripes that were looked at, of 1,024.
    """
    doctor = _Doctor(shards, catching_up, repair=repair)
    for stripe in range(STRIPES):
        with shards.moving, shards.locks[stripe]:
            doctor.examine_locked(stripe)
        if advance is not None:
            advance(stripe + 1)
    return doctor.report()


def count_corrupt(shards: Shards) -> int:
    """Return how many records on disks are corrupt; of servers that don't answer, none. O(records).

    A damaged copy counts, also where other replicas are sound.
    """
    found = 0
    for replica in list(shards.replicas.values()):
        if replica.durable is not None and not replica.down:
            with suppress(ServerFailedError):
                found += len(replica.durable.corrupt_keys(0, LAST_POSITION))
    return found


class _Doctor:
    """One examination."""

    def __init__(self, shards: Shards, catching_up: CatchingUp, *, repair: bool) -> None:
        self._shards = shards
        self._catching_up = catching_up
        self._repair = repair
        self._keys = self._repaired = self._unrepaired = 0
        self._findings: list[Finding] = []
        self._counts = dict.fromkeys(Fault, 0)
        self._unreachable: dict[str, str] = {}  # and why

    def report(self) -> DoctorReport:
        return DoctorReport(
            keys=self._keys,
            findings=tuple(self._findings),
            counts=self._counts,
            repaired=self._repaired,
            unreachable=tuple(sorted(self._unreachable)),
            unrepaired=self._unrepaired,
            reasons=self._unreachable,
        )

    def examine_locked(self, stripe: int) -> None:
        copies: dict[tuple[int, str], dict[str, Record]] = {}
        corrupt: dict[tuple[int, str], set[str]] = {}
        low, high = stripe << STRIPE_SHIFT, last_position_of(stripe)
        current = set()
        for server_id, replica in self._shards.replicas.items():
            if not replica.current(stripe):
                reason = "it is down" if replica.down else "it is catching up"
                self._unreachable.setdefault(server_id, reason)
                continue
            try:
                entries = replica.server.scan(low, high)
                damaged = replica.durable.corrupt_keys(low, high) if replica.durable else []
            except ServerFailedError as error:
                self._unreachable.setdefault(server_id, str(error))
                continue
            current.add(server_id)
            for entry in entries:
                position, key, record = entry.position, entry.key, entry.record
                if not self._is_leftover(server_id, position):
                    copies.setdefault((position, key), {})[server_id] = record
            for position, key in damaged:
                if not self._is_leftover(server_id, position):
                    corrupt.setdefault((position, key), set()).add(server_id)
        mended = False
        for position, key in sorted({*copies, *corrupt}):
            found, damaged_on = copies.get((position, key), {}), corrupt.get((position, key), set())
            self._keys += 1
            owners = self._shards.routing.at(position).owners
            # Where it is corrupt, it is not lacking.
            sound = [owner for owner in owners if owner in current and owner not in damaged_on]
            faults = _faults(found, sound) if found else []
            for fault in faults:
                self._note(fault, key, tuple(sorted(found)), owners)
            if damaged_on:
                self._note(Fault.CORRUPT, key, tuple(sorted(damaged_on)), owners)
            if not faults and not damaged_on:
                continue
            repaired = False
            if self._repair and found:
                mended = True
                repaired = self._mend_locked(
                    Entry(position, key, newest_of(found)), found, damaged_on, owners, current
                )
            self._repaired += repaired
            self._unrepaired += not repaired
        if mended:
            self._catching_up.recount_locked(stripe)

    def _note(
        self, fault: Fault, key: str, servers: tuple[str, ...], owners: tuple[str, ...]
    ) -> None:
        self._counts[fault] += 1
        if len(self._findings) < FINDINGS_LISTED:
            self._findings.append(Finding(fault, key, servers, owners))

    def _is_leftover(self, server_id: str, position: int) -> bool:
        return any(
            name == server_id and low <= position <= high
            for name, low, high in self._shards.leftovers
        )

    def _mend_locked(
        self,
        entry: Entry,
        found: dict[str, Record],
        corrupt: set[str],
        owners: tuple[str, ...],
        current: set[str],
    ) -> bool:
        """Give every owner the newest record, then take it from everybody else.

        Returns False if a server failed: what it has is left for the next time.
        """
        for owner in set(owners) - current:
            self._shards.replicas[owner].others_mended(stripe_of(entry.position), entry)
        differing = [owner for owner in owners if owner in current]
        differing = [owner for owner in differing if found.get(owner) != entry.record]
        others = [server_id for server_id in {*found, *corrupt} if server_id not in owners]
        for server_id in (*differing, *others):
            server = self._shards.replicas[server_id].server
            try:
                if server_id in others:
                    server.drop(entry.position, entry.key)
                elif server.apply(entry) is None:  # the same version, of other content
                    server.drop(entry.position, entry.key)
                    server.apply(entry)
            except ServerFailedError as error:
                self._unreachable.setdefault(server_id, str(error))
                return False
        return True


def newest_of(found: dict[str, Record]) -> Record:
    """Return the record of the greatest version."""
    return max(found.values(), key=lambda record: record.version)


def _faults(found: dict[str, Record], owners: list[str]) -> list[Fault]:
    """Return what is wrong with a record, given where it was found and where it belongs."""
    faults: list[Fault] = []
    lacking = [owner for owner in owners if owner not in found]
    if any(server_id not in owners for server_id in found):
        faults.append(Fault.MISPLACED if lacking else Fault.ORPHANED)
    elif lacking:
        faults.append(Fault.UNDER_REPLICATED)
    versions = {found[owner].version for owner in owners if owner in found}
    if len(versions) > 1:
        faults.append(Fault.DIVERGED)
    return faults
