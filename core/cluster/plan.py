"""What a membership change would do, worked out exactly before anything moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from core.ring.ownership_diff import OwnershipChange
from core.ring.ring_view import RingView
from core.stripes import POSITIONS


class ChangeKind(StrEnum):
    """What happens to the ring."""

    ADD = "add"
    REMOVE = "remove"
    REWEIGH = "reweigh"


class Transfer(NamedTuple):
    """What one server gives to another.

    Attributes:
        source: the id of the server that gives.
        target: the id of the server that takes.
        keys: how many keys.
        bytes: how many bytes of keys and values, in UTF-8.
    """

    source: str
    target: str
    keys: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The exact difference that one membership change makes, counted when it was made.

    Attributes:
        kind: whether a server joins, leaves or gets another weight.
        server_id: that server.
        weight: its weight (the new one); its vnodes are the weight times those of a server of
            weight 1.
        epoch: the epoch of the ring that the plan was made for.
        changes: the ranges that get other owners.
        transfers: keys and bytes from each source to each target, largest first.
        keys_before: keys whose primary each server is before the change.
        keys_after: keys whose primary it is after it.
        keys_lost: how many keys nobody could give, because no server that holds them is left.
        ideal_fraction: the part of all keys that a perfectly even placement would have to move,
            counted as `fraction_moved` is.
        warnings: what should be considered first, a sentence each.
        before: the ring as it is.
        after: the ring as it would be.
    """

    kind: ChangeKind
    server_id: str
    weight: float
    epoch: int
    changes: tuple[OwnershipChange, ...] = field(repr=False)
    transfers: tuple[Transfer, ...]
    keys_before: Mapping[str, int]
    keys_after: Mapping[str, int]
    keys_lost: int
    ideal_fraction: float
    warnings: tuple[str, ...]
    before: RingView = field(repr=False)
    after: RingView = field(repr=False)

    @property
    def keys_moved(self) -> int:
        """How many copies of keys move; with one replica, how many keys."""
        return sum(transfer.keys for transfer in self.transfers)

    @property
    def replicas(self) -> int:
        """On how many servers a key that moves lies afterwards; at least 1."""
        return max((len(change.new_replicas) for change in self.changes), default=1) or 1

    @property
    def peers(self) -> frozenset[str]:
        """The servers that give, when one joins; that take, when one leaves; else both.

        Not the one that changes, nor, where keys move, who gives or takes none of them.
        """
        moving = [transfer for transfer in self.transfers if transfer.keys] or self.transfers
        givers = {transfer.source for transfer in moving if self.kind is not ChangeKind.REMOVE}
        takers = {transfer.target for transfer in moving if self.kind is not ChangeKind.ADD}
        return frozenset((givers | takers) - {self.server_id})

    @property
    def bytes_moved(self) -> int:
        """How many bytes of keys and values move."""
        return sum(transfer.bytes for transfer in self.transfers)

    @property
    def total_keys(self) -> int:
        """How many keys the store held."""
        return sum(self.keys_before.values())

    @property
    def fraction_moved(self) -> float:
        """The moved copies as a fraction of all keys; of the ring's positions without a key.

        With several replicas a key may move more than once, so this may be above 1.
        """
        if self.total_keys:
            return self.keys_moved / self.total_keys
        moved = sum(
            change.range.size * len(set(change.new_replicas) - set(change.old_replicas))
            for change in self.changes
            if change.old_replicas
        )
        return moved / POSITIONS

    @property
    def peak_to_average_before(self) -> float:
        """How far the fullest server is above the mean before the change; 1.0 is even."""
        return peak_to_average(self.keys_before, self.before)

    @property
    def peak_to_average_after(self) -> float:
        """How far the fullest server is above the mean after the change; 1.0 is even."""
        return peak_to_average(self.keys_after, self.after)


def peak_to_average(keys: Mapping[str, int], view: RingView) -> float:
    """Return the load of the fullest server over the mean load, each divided by its weight.

    Counted in keys; in shares of the ring when there is no key. 1.0 is even, and so is no server.
    """
    loads: Mapping[str, float] = keys if any(keys.values()) else view.shares()
    if not view.weights:
        return 1.0
    mean = sum(loads.values()) / sum(view.weights.values())
    fullest = max(loads.get(server_id, 0) / weight for server_id, weight in view.weights.items())
    return fullest / mean
