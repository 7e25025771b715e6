"""Working out a plan: what moves, from whom to whom, and how even the ring is afterwards."""

from collections import Counter

from core.cluster.plan import ChangeKind, Plan, Transfer, peak_to_average
from core.cluster.shards import Shards
from core.errors import LastServerError
from core.ring.ownership_diff import OwnershipChange, ownership_diff
from core.ring.ring_view import RingView

# Above this, one server is so much fuller than the mean that it should be said.
_UNEVEN = 1.25


def make_plan(
    shards: Shards,
    kind: ChangeKind,
    server_id: str,
    weight: float,
    before: RingView,
    after: RingView,
) -> Plan:
    """Return the plan that leads from one view to the other. O(keys in the stripes that change).

    Keys are counted as they are found; writes that go on meanwhile are counted or not.

    Raises:
        LastServerError: `after` has no server, and there are keys.
    """
    changes = ownership_diff(before, after)
    keys_before = shards.key_counts()
    total = sum(keys_before.values())
    if total and not after.weights:
        raise LastServerError(server_id, total)
    transfers = _transfers(shards, changes)
    keys_after = {
        name: keys_before.get(name, 0)
        + sum(transfer.keys for transfer in transfers if transfer.target == name)
        - sum(transfer.keys for transfer in transfers if transfer.source == name)
        for name in after.servers
    }
    return Plan(
        kind=kind,
        server_id=server_id,
        weight=weight,
        epoch=before.epoch,
        changes=changes,
        transfers=transfers,
        keys_before=keys_before,
        keys_after=keys_after,
        ideal_fraction=_ideal_fraction(server_id, before, after),
        warnings=_warnings(kind, after, keys_after),
        before=before,
        after=after,
    )


def _transfers(shards: Shards, changes: tuple[OwnershipChange, ...]) -> tuple[Transfer, ...]:
    keys: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for change in changes:
        for source in change.old_replicas[:1]:
            for target in change.new_replicas[:1]:
                for low, high in change.range.spans():
                    measured = shards.servers[source].measure(low, high)
                    keys[source, target] += measured.keys
                    sizes[source, target] += measured.bytes
    transfers = [Transfer(*pair, keys[pair], sizes[pair]) for pair in keys]
    return tuple(sorted(transfers, key=lambda transfer: (-transfer.keys, transfer)))


def _ideal_fraction(server_id: str, before: RingView, after: RingView) -> float:
    """Return the server's part of all weight, in whichever view has it."""
    if not before.weights or not after.weights:
        return 0.0
    weights = after.weights if server_id in after.weights else before.weights
    return weights[server_id] / sum(weights.values())


def _warnings(kind: ChangeKind, after: RingView, keys_after: dict[str, int]) -> tuple[str, ...]:
    warnings: list[str] = []
    if kind is ChangeKind.REMOVE and len(after.weights) == 1:
        warnings.append(f"only {after.servers[0]} remains: it takes every key and all the load")
    if kind is ChangeKind.REMOVE and not after.weights:
        warnings.append("no server remains: nothing can be written until one is added")
    peak = peak_to_average(keys_after, after)
    if len(after.weights) > 1 and peak > _UNEVEN:
        warnings.append(
            f"the fullest server will hold {peak:.2f} times the mean for its weight: "
            "more virtual nodes even that out"
        )
    return tuple(warnings)
