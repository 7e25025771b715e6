"""Where every position's records are at this moment.

A `RingView` says where keys *belong* in an epoch. While a migration runs, part of the ring is
already there and part is not yet, and this table says which: it is changed in place, a slot at a
time, in proportion to what moves. When no migration runs, it agrees with the ring's view.

The table has 65,536 slots over the top bits of a position. A slot holds one `Route`, which is never
changed after it was made: a reader that fetched one keeps a consistent answer. A slot that several
ranges share holds a split route, which looks further by position. The alternative, publishing a new
immutable table for every move, lost: copying it costs more than the move.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from core.cluster.replica import OperationCounters, Put, Replica
from core.errors import NoServersError, StoreClosedError, StoreError
from core.native import i64
from core.record import Record
from core.ring.ring_view import RingView
from core.stripes import (
    LAST_POSITION,
    POSITIONS,
    STRIPE_SHIFT,
    STRIPES,
    last_position_of,
    stripe_of,
)

# Written out, because the compiler folds only what is: else each shift fetches its number.
SLOT_SHIFT: Final = 16
STRIPE_OF_SLOT_SHIFT: Final = 6
_SLOTS: Final = POSITIONS >> SLOT_SHIFT
_END_BYTES: Final = 4

Owners = tuple[str, ...]


class KeyTally:
    """How many keys lie in those parts of a stripe that have the same owners.

    Changed with the stripe's lock held.

    Attributes:
        keys: how many there are.
        lost: how many were lost with the last server that held them, until that is made good.
    """

    __slots__ = ("keys", "lost")

    def __init__(self) -> None:
        self.keys = 0
        self.lost = 0


class Segment(NamedTuple):
    """Neighbouring positions, `low` to `high` inclusive, with the same owners."""

    low: int
    high: int
    owners: Owners


class Route:
    """Where the keys of one slot are.

    Attributes:
        owners: the ids of the servers that hold them, primary first; empty without a server.
        replicas: those servers.
        reader: the first of them that is current; None when none is.
        records: the reader's records, to be read without a lock. Empty where that can't be, and in
            a split route: what is not found is looked for again under the lock.
        fetch: reads a record from the reader without a lock where there are no `records`; None
            where that can't be done.
        direct: whether a write may go straight into `records` and `others`, because there are as
            many owners as there should be, and every one is current and can't fail.
        others: the records of the owners beside the primary, for a direct writer.
        puts: store a new record on each owner, primary first, where every one is current and on
            disk; else empty.
        well: whether every owner is current.
        tally: how many keys there are in the parts of the stripe with these owners.
        counters: the counters of the reader, or of the primary.
        parts: in a split route, the routes of its parts in order; else None.
        ends: in a split route, the last position of each part, in 4 bytes; else empty.
        refusal: what an operation raises here; None where there are owners.
    """

    __slots__ = (
        "counters",
        "direct",
        "ends",
        "fetch",
        "others",
        "owners",
        "parts",
        "puts",
        "reader",
        "records",
        "refusal",
        "replicas",
        "tally",
        "well",
    )

    def __init__(
        self,
        records: dict[str, Record] | None = None,
        *,
        fetch: Callable[[int, str], Record | None] | None = None,
        owners: Owners = (),
        replicas: tuple[Replica, ...] = (),
        reader: Replica | None = None,
        copies: tuple[dict[str, Record], ...] = (),
        puts: tuple[Put, ...] = (),
        tally: KeyTally | None = None,
        parts: "tuple[Route, ...] | None" = None,
        ends: bytes = b"",
        refusal: type[StoreError] | None = None,
        well: bool = False,
    ) -> None:
        # In this order, because compiled they lie in it: what every read and write looks at comes
        # first, in one line of the processor's cache.
        self.parts = parts
        self.records = records if records is not None else {}
        self.fetch = fetch
        self.counters = (reader or replicas[0]).counters if replicas else OperationCounters()
        self.direct = bool(copies)
        self.tally = tally or KeyTally()
        self.others = copies[1:]
        self.well = well
        self.owners = owners
        self.replicas = replicas
        self.reader = reader
        self.puts = puts
        self.refusal = refusal
        self.ends = ends

    def at(self, position: i64) -> "Route":
        """Return the route of `position`, which lies in this route's slot: never a split one."""
        if self.parts is None:
            return self
        # A slot has two or three parts, or with 1,000 servers a few more. Their ends are bytes, so
        # that they lie in one place: a `get` of 1,000 servers takes 0.9 us, where bisecting pairs
        # of a number and a route took 1.5.
        ends = self.ends
        part: i64 = 0
        at: i64 = 0
        while position > (
            i64(ends[at]) << 24
            | i64(ends[at + 1]) << 16
            | i64(ends[at + 2]) << 8
            | i64(ends[at + 3])
        ):
            part += 1
            at += _END_BYTES
        return self.parts[part]


class RoutingTable:
    """The routes of all positions.

    Thread safety: any thread may read `slots` and call the reading methods without a lock.
    `assign` is called with the stripe locks of the span held, so that a writer that holds a
    stripe's lock sees routes that stand still. `slots` is one list for ever, changed item by item.

    Always true: the routes of the slots, in order, cover every position exactly once.

    Args:
        replica_of: returns a server by its id.
        replicas: how many owners a position should have.
    """

    def __init__(self, replica_of: Callable[[str], Replica], replicas: int = 1) -> None:
        self._replica_of = replica_of
        self._replicas = replicas
        self._unowned = Route(refusal=NoServersError)
        # One route for each stripe and its owners, so that equal neighbours are one object.
        self._routes: list[dict[Owners, Route]] = [{} for _ in range(STRIPES)]
        self._tallies: list[dict[Owners, KeyTally]] = [{} for _ in range(STRIPES)]
        self.slots: list[Route] = [self._unowned] * _SLOTS

    def at(self, position: int) -> Route:
        """Return the route of `position`. O(1), or O(log parts) in a split slot."""
        return self.slots[position >> SLOT_SHIFT].at(position)

    def segments(self, low: int = 0, high: int = LAST_POSITION) -> Iterator[Segment]:
        """Yield the span in order, cut where the owners change. O(slots of the span)."""
        owners: Owners | None = None
        start = low
        previous: Route | None = None
        for slot in range(low >> SLOT_SHIFT, (high >> SLOT_SHIFT) + 1):
            route = self.slots[slot]
            if route is previous:
                continue
            previous = route if route.parts is None else None
            for part in self._slot_segments(slot):
                if part.high < low or part.low > high or part.owners == owners:
                    continue
                if owners is not None:
                    yield Segment(start, part.low - 1, owners)
                start, owners = max(low, part.low), part.owners
        if owners is not None:
            yield Segment(start, high, owners)

    def assign(self, low: int, high: int, owners: Owners) -> None:
        """Make `owners` the owners of positions `low` to `high`. O(slots of the span).

        Called with the stripe locks of the span held.
        """
        for stripe in range(stripe_of(low), stripe_of(high) + 1):
            part_low = max(low, stripe << STRIPE_SHIFT)
            part_high = min(high, last_position_of(stripe))
            self._assign_within_stripe(Segment(part_low, part_high, owners))

    def follow(
        self, view: RingView, replicas: int, low: int = 0, high: int = LAST_POSITION
    ) -> None:
        """Make the owners of positions `low` to `high` those of `view`. O(its vnodes + slots).

        Called with the stripe locks of the span held.
        """
        inner, behind = view.replicas_between(low, high, replicas)
        start = low
        for position, owners in inner:
            self.assign(start, position, owners)
            start = position + 1
        if start <= high:
            self.assign(start, high, behind)

    def refresh(self, stripe: int) -> None:
        """Make the routes of `stripe` anew: a server of its has changed. O(slots of a stripe).

        Called with the lock of the stripe held.
        """
        self._routes[stripe].clear()
        first = stripe << STRIPE_OF_SLOT_SHIFT
        for slot in range(first, first + (1 << STRIPE_OF_SLOT_SHIFT)):
            old = self.slots[slot]
            if old.parts is not None:
                self.slots[slot] = self._joined(list(self._slot_segments(slot)))
            elif old.owners:
                self.slots[slot] = self._route(old.owners, stripe)

    def tally(self, stripe: int, owners: Owners) -> KeyTally:
        """Return the count of the keys in `stripe` that have these owners. O(1)."""
        return self._tallies[stripe].setdefault(owners, KeyTally())

    def tallies(self, stripe: int) -> list[tuple[Owners, KeyTally]]:
        """Return the counts of the keys in `stripe` by their owners."""
        return list(self._tallies[stripe].items())

    def all_tallies(self) -> Iterator[tuple[int, Owners, KeyTally]]:
        """Yield the counts of every stripe, with the stripe and the owners. O(segments)."""
        for stripe in range(STRIPES):
            for owners, tally in self.tallies(stripe):
                yield stripe, owners, tally

    def keys_by_primary(self) -> dict[str, int]:
        """Return how many keys each server that has any is the primary of. O(segments)."""
        counts: dict[str, int] = {}
        for stripe in range(STRIPES):
            for owners, tally in self.tallies(stripe):
                keys = tally.keys
                if keys:
                    primary = owners[0]
                    counts[primary] = counts.get(primary, 0) + keys
        return counts

    def total_keys(self) -> int:
        """Return how many keys there are, each counted once. O(segments)."""
        return sum(tally.keys for _, _, tally in self.all_tallies())

    def holds_nothing(self, stripe: int) -> bool:
        """Return whether no key lies in `stripe`, nor was lost there."""
        return not any(tally.keys or tally.lost for _, tally in self.tallies(stripe))

    def forget(self, server_id: str) -> None:
        """Drop what is kept about a server that has left; no slot leads to it."""
        for routes, tallies in zip(self._routes, self._tallies, strict=True):
            for owners in [owners for owners in tallies if server_id in owners]:
                del tallies[owners]
                routes.pop(owners, None)

    def reset(self) -> None:
        """Leave every position without an owner. Called with all stripe locks held."""
        self._fill(self._unowned)

    def close(self) -> None:
        """Make every operation raise `StoreClosedError`. Called with all stripe locks held."""
        self._fill(Route(refusal=StoreClosedError))

    def _fill(self, route: Route) -> None:
        for routes, tallies in zip(self._routes, self._tallies, strict=True):
            routes.clear()
            tallies.clear()
        self.slots[:] = [route] * _SLOTS

    def _assign_within_stripe(self, part: Segment) -> None:
        first, last = part.low >> SLOT_SHIFT, part.high >> SLOT_SHIFT
        starts_inside = part.low != first << SLOT_SHIFT
        ends_inside = part.high != (last + 1 << SLOT_SHIFT) - 1
        if starts_inside or (ends_inside and first == last):
            self.slots[first] = self._split(first, part)
            first += 1
        if ends_inside and first <= last:
            self.slots[last] = self._split(last, part)
            last -= 1
        if first <= last:
            whole = last - first + 1
            self.slots[first : last + 1] = [self._route(part.owners, stripe_of(part.low))] * whole

    def _route(self, owners: Owners, stripe: int) -> Route:
        if not owners:
            return self._unowned
        route = self._routes[stripe].get(owners)
        if route is None:
            replicas = tuple(self._replica_of(server_id) for server_id in owners)
            reader = next((replica for replica in replicas if replica.current(stripe)), None)
            durable = reader.durable if reader is not None else None
            enough = len(replicas) >= self._replicas
            route = Route(
                reader.server.records(stripe) if reader is not None else None,
                fetch=durable.get if durable is not None else None,
                well=all(replica.current(stripe) for replica in replicas),
                owners=owners,
                replicas=replicas,
                reader=reader,
                copies=_copies(replicas, stripe) if enough else (),
                puts=_puts(replicas, stripe) if enough else (),
                tally=self.tally(stripe, owners),
            )
            self._routes[stripe][owners] = route
        return route

    def _slot_segments(self, slot: int) -> Iterator[Segment]:
        route = self.slots[slot]
        low = slot << SLOT_SHIFT
        if route.parts is None:
            yield Segment(low, (slot + 1 << SLOT_SHIFT) - 1, route.owners)
            return
        for number, part in enumerate(route.parts):
            at = number * _END_BYTES
            high = int.from_bytes(route.ends[at : at + _END_BYTES], "big")
            yield Segment(low, high, part.owners)
            low = high + 1

    def _split(self, slot: int, new: Segment) -> Route:
        """Return the route of `slot` with `new`, cut to the slot, laid over what is there."""
        slot_low, slot_high = slot << SLOT_SHIFT, (slot + 1 << SLOT_SHIFT) - 1
        new = Segment(max(new.low, slot_low), min(new.high, slot_high), new.owners)
        pieces: list[Segment] = []
        for old in self._slot_segments(slot):
            if old.low < new.low:
                pieces.append(old._replace(high=min(old.high, new.low - 1)))
            if old.low <= new.low <= old.high:
                pieces.append(new)
            if old.high > new.high:
                pieces.append(old._replace(low=max(old.low, new.high + 1)))
        merged: list[Segment] = []
        for piece in pieces:
            if merged and merged[-1].owners == piece.owners:
                merged[-1] = merged[-1]._replace(high=piece.high)
            else:
                merged.append(piece)
        return self._joined(merged)

    def _joined(self, pieces: list[Segment]) -> Route:
        """Return one route for the pieces of a slot."""
        stripe = stripe_of(pieces[0].low)
        if len(pieces) == 1:
            return self._route(pieces[0].owners, stripe)
        return Route(
            parts=tuple(self._route(piece.owners, stripe) for piece in pieces),
            ends=b"".join(piece.high.to_bytes(_END_BYTES, "big") for piece in pieces),
        )


def _copies(replicas: tuple[Replica, ...], stripe: int) -> tuple[dict[str, Record], ...]:
    """Return what to write every copy through; nothing when one of them might miss the write."""
    copies: list[dict[str, Record]] = []
    for replica in replicas:
        records = replica.server.records(stripe) if replica.current(stripe) else None
        if records is None:
            return ()
        copies.append(records)
    return tuple(copies)


def _puts(replicas: tuple[Replica, ...], stripe: int) -> tuple[Put, ...]:
    """Return what to write every copy to disk through; nothing when one might miss the write."""
    if not all(replica.current(stripe) for replica in replicas):
        return ()
    if len(replicas) == 1:
        return replicas[0].puts  # one object for all routes of the server: it stays in the cache
    puts = [put for replica in replicas for put in replica.puts]
    return tuple(puts) if len(puts) == len(replicas) else ()
