"""Working out a plan: what moves, from whom to whom, and how even the ring is afterwards."""

from collections import Counter

from core.cluster.plan import ChangeKind, Plan, Transfer, peak_to_average
from core.cluster.replica import Replica
from core.cluster.shards import Shards
from core.errors import LastServerError, ServerFailedError
from core.ring.ownership_diff import OwnershipChange, ownership_diff
from core.ring.placement import Placement
from core.ring.ring_view import RingView
from core.stripes import STRIPE_SHIFT, last_position_of, stripe_of

# Above this, one server is so much fuller than the mean that it should be said.
_UNEVEN = 1.25
# From here on its order of magnitude is: no weight gives a server less than one virtual node.
_LONG_RATIO = 10_000
# What can be done about it.
_REMEDIES = {
    Placement.RANDOM: "more virtual nodes even that out",
    Placement.BALANCED: "the next server that joins evens that out",
}


def make_plan(
    shards: Shards,
    kind: ChangeKind,
    server_id: str,
    weight: float,
    before: RingView,
    after: RingView,
    placement: Placement,
) -> Plan:
    """Return the plan that leads from one view to the other. O(keys in the stripes that change).

    Keys are counted as they are found; writes that go on meanwhile are counted or not.

    Args:
        shards: the servers, and who holds what.
        kind: whether a server joins, leaves or gets another weight.
        server_id: that server.
        weight: its weight, the new one.
        before: the ring as it is.
        after: the ring as it would be.
        placement: how its points are chosen, on which it depends what can be advised.

    Raises:
        LastServerError: `after` has no server, and there are keys.
    """
    changes = ownership_diff(before, after, shards.replication_factor)
    keys_before = shards.key_counts()
    total = sum(keys_before.values())
    if total and not after.weights:
        raise LastServerError(server_id, total)
    moved = _Moved()
    for change in changes:
        moved.count(shards, change)
    # Keys that go while they are counted were counted once and may be missing the second time.
    keys_after = {
        name: max(0, keys_before.get(name, 0) + moved.primaries[name]) for name in after.servers
    }
    lost = keys_lost(shards, server_id) if kind is ChangeKind.REMOVE else 0
    return Plan(
        kind=kind,
        server_id=server_id,
        weight=weight,
        epoch=before.epoch,
        changes=changes,
        transfers=moved.transfers(),
        keys_before=keys_before,
        keys_after=keys_after,
        keys_lost=lost,
        ideal_fraction=_ideal_fraction(shards, server_id, before, after),
        warnings=(
            *_warnings(shards, kind, after, keys_after, lost, placement),
            *(f"{name} does not answer, and was not asked" for name in sorted(moved.silent)),
        ),
        before=before,
        after=after,
    )


def keys_lost(shards: Shards, server_id: str) -> int:
    """Return how many keys would go with `server_id`: nobody who answers holds them all.

    Those that were lost when it crashed, and those that its disk alone holds while it is down.
    """
    down = server_id in shards.replicas and shards.replicas[server_id].down
    lost = 0
    for stripe, owners, tally in shards.routing.all_tallies():
        if server_id not in owners:
            continue
        if not shards.survives(owners, stripe):
            lost += tally.lost
        if down and not shards.survives(owners, stripe, without=server_id):
            lost += tally.keys
    return lost


class _Moved:
    """What changes of ownership move, added up."""

    def __init__(self) -> None:
        self._keys: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()
        # How many keys more each server is the primary of.
        self.primaries: Counter[str] = Counter()
        # The servers that could not be asked.
        self.silent: set[str] = set()

    def count(self, shards: Shards, change: OwnershipChange) -> None:
        """Add what one change moves, as far as somebody is there to ask."""
        old, new = change.old_replicas, change.new_replicas
        if not old or not new:
            return
        gaining = [server_id for server_id in new if server_id not in old]
        for low, high in change.range.spans():
            for stripe in range(stripe_of(low), stripe_of(high) + 1):
                part = max(low, stripe << STRIPE_SHIFT), min(high, last_position_of(stripe))
                empty = shards.routing.holds_nothing(stripe)
                source, keys, size = self._measured(shards.current(old, stripe), part, empty)
                if source is None:
                    continue
                self.primaries[old[0]] -= keys
                self.primaries[new[0]] += keys
                for target in gaining:
                    self._keys[source, target] += keys
                    self._bytes[source, target] += size

    def _measured(
        self, replicas: list[Replica], part: tuple[int, int], empty: bool
    ) -> tuple[str | None, int, int]:
        """Return how much lies in a part of a stripe, and which of `replicas` said so.

        Where it is known to be `empty`, nobody is asked.
        """
        for replica in replicas:
            if empty:
                return replica.server_id, 0, 0
            try:
                return replica.server_id, *replica.server.measure(*part)
            except ServerFailedError:
                self.silent.add(replica.server_id)
        return None, 0, 0

    def transfers(self) -> tuple[Transfer, ...]:
        """Return what goes from whom to whom, largest first."""
        transfers = [Transfer(*pair, self._keys[pair], self._bytes[pair]) for pair in self._keys]
        return tuple(sorted(transfers, key=lambda transfer: (-transfer.keys, transfer)))


def _ideal_fraction(shards: Shards, server_id: str, before: RingView, after: RingView) -> float:
    """Return by how much the server's part of all weight changes, times its replicas."""
    if not before.weights or not after.weights:
        return 0.0
    parts = [
        view.weights.get(server_id, 0.0) / sum(view.weights.values()) for view in (before, after)
    ]
    return abs(parts[1] - parts[0]) * min(shards.replication_factor, len(after.weights))


def _warnings(
    shards: Shards,
    kind: ChangeKind,
    after: RingView,
    keys_after: dict[str, int],
    lost: int,
    placement: Placement,
) -> tuple[str, ...]:
    warnings: list[str] = []
    if lost:
        keys = "1 key has" if lost == 1 else f"{lost:,} keys have"
        warnings.append(f"{keys} no other replica and will be lost")
    if kind is ChangeKind.REMOVE and len(after.weights) == 1:
        warnings.append(f"only {after.servers[0]} remains: it takes every key and all the load")
    if kind is ChangeKind.REMOVE and not after.weights:
        warnings.append("no server remains: nothing can be written until one is added")
    if 0 < len(after.weights) < shards.replication_factor:
        left = "1 server" if len(after.weights) == 1 else f"{len(after.weights)} servers"
        warnings.append(
            f"{left} can't hold {shards.replication_factor} replicas of a key: add more"
        )
    peak = peak_to_average(keys_after, after)
    if len(after.weights) > 1 and peak > _UNEVEN:
        times = f"{peak:.2f}" if peak < _LONG_RATIO else f"{peak:.1e}"
        warnings.append(
            f"the fullest server will hold {times} times the mean for its weight: "
            f"{_REMEDIES[placement]}"
        )
    return tuple(warnings)
