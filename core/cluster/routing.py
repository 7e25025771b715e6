"""Where every position's records are at this moment.

A `RingView` says where keys *belong* in an epoch. While a migration runs, part of the ring is
already there and part is not yet, and this table says which: it is changed in place, a slot at a
time, in proportion to what moves. When no migration runs, it agrees with the ring's view.

The table has 65,536 slots over the top bits of a position. A slot holds one `Route`, which is never
changed after it was made: a reader that fetched one keeps a consistent answer. A slot that several
ranges share holds a split route, which looks further by position. The alternative, publishing a new
immutable table for every move, lost: copying it costs more than the move.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple

from core.errors import NoServersError, StoreClosedError
from core.record import Record
from core.ring.hashing import SEED, HashFunction
from core.servers.server import Records, Server
from core.stripes import (
    LAST_POSITION,
    POSITION_BITS,
    STRIPE_SHIFT,
    last_position_of,
    stripe_of,
)

_SLOT_BITS = 16
SLOT_SHIFT = POSITION_BITS - _SLOT_BITS
_SLOTS = 1 << _SLOT_BITS
STRIPE_OF_SLOT_SHIFT = STRIPE_SHIFT - SLOT_SHIFT

Owners = tuple[str, ...]
ServerOf = Callable[[str], Server]


class OperationCounters:
    """How many operations a server has served.

    Counted with a plain ``+=`` and no lock: under CPython's global lock no thread switch falls
    inside one; without it, a count may be lost now and then, which a rate on a screen can bear.
    """

    __slots__ = ("reads", "writes")

    def __init__(self) -> None:
        self.reads = 0
        self.writes = 0


class Segment(NamedTuple):
    """Neighbouring positions, `low` to `high` inclusive, with the same owners."""

    low: int
    high: int
    owners: Owners


class Route:
    """Where the keys of one slot are.

    Attributes:
        owners: the ids of the servers that hold them, primary first; empty without a server.
        records: what to read and write them through.
        keys: the keys of the stripe, for a writer to keep up to date; None if that is not its job.
        counters: the primary's counters.
        segments: in a split route, the highest position of each part and its route; else None.
    """

    __slots__ = ("counters", "keys", "owners", "records", "segments")

    def __init__(
        self,
        owners: Owners,
        records: Records,
        counters: OperationCounters,
        *,
        keys: dict[str, None] | None = None,
        segments: "tuple[tuple[int, Route], ...] | None" = None,
    ) -> None:
        self.owners = owners
        self.records = records
        self.keys = keys
        self.counters = counters
        self.segments = segments

    def at(self, position: int) -> "Route":
        """Return the route of `position`, which lies in this route's slot: never a split one."""
        if self.segments is None:
            return self
        return self.segments[bisect_left(self.segments, (position,))][1]


class _SplitRecords:
    """The records of a slot that several ranges share: asks the part that the key lies in."""

    __slots__ = ("_hash", "route")

    def __init__(self, hash_function: HashFunction) -> None:
        self._hash = hash_function
        self.route: Route

    def _route_of(self, key: str) -> Route:
        return self.route.at(self._hash(key.encode(), SEED, False))

    def __contains__(self, key: object, /) -> bool:
        return isinstance(key, str) and key in self._route_of(key).records

    def get(self, key: str, /) -> Record | None:
        route = self._route_of(key)
        route.counters.reads += 1
        return route.records.get(key)

    def __setitem__(self, key: str, record: Record, /) -> None:
        self._route_of(key).records[key] = record

    def pop(self, key: str, default: None, /) -> Record | None:
        return self._route_of(key).records.pop(key, default)


class _NoRecords:
    """Where there is no server: nothing is found, nothing can be put."""

    def __contains__(self, key: object, /) -> bool:
        return False

    def get(self, key: str, /) -> Record | None:
        return None

    def __setitem__(self, key: str, record: Record, /) -> None:
        raise NoServersError

    def pop(self, key: str, default: None, /) -> Record | None:
        return default


class _ClosedRecords:
    """Where a closed store's operations end."""

    def __contains__(self, key: object, /) -> bool:
        raise StoreClosedError

    def get(self, key: str, /) -> Record | None:
        raise StoreClosedError

    def __setitem__(self, key: str, record: Record, /) -> None:
        raise StoreClosedError

    def pop(self, key: str, default: None, /) -> Record | None:
        raise StoreClosedError


class RoutingTable:
    """The routes of all positions.

    Thread safety: any thread may read `slots` and call the reading methods without a lock.
    `assign` is called with the stripe locks of the span held, so that a writer that holds a
    stripe's lock sees routes that stand still. `slots` is one list for ever, changed item by item.

    Always true: the routes of the slots, in order, cover every position exactly once.

    Args:
        server_of: returns a server by its id.
        counters_of: returns the counters of a server (by id).
        hash_function: gives a key its position.
    """

    def __init__(
        self,
        server_of: ServerOf,
        counters_of: Callable[[str], OperationCounters],
        hash_function: HashFunction,
    ) -> None:
        self._server_of = server_of
        self._counters_of = counters_of
        self._hash = hash_function
        self._unowned = Route((), _NoRecords(), OperationCounters())
        # One route for each pair of owners and stripe, so that equal neighbours are one object.
        self._routes: dict[tuple[Owners, int], Route] = {}
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
            previous = route if route.segments is None else None
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

    def forget(self, server_id: str) -> None:
        """Drop the cached routes of a server that has left; none of them is in a slot."""
        for owners, stripe in list(self._routes):
            if server_id in owners:
                del self._routes[owners, stripe]

    def reset(self) -> None:
        """Leave every position without an owner. Called with all stripe locks held."""
        self._routes.clear()
        self.slots[:] = [self._unowned] * _SLOTS

    def close(self) -> None:
        """Make every operation raise `StoreClosedError`. Called with all stripe locks held."""
        closed = Route((), _ClosedRecords(), OperationCounters())
        self._routes.clear()
        self.slots[:] = [closed] * _SLOTS

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
            self.slots[first : last + 1] = [self._route(part.owners, part.low)] * whole

    def _route(self, owners: Owners, position: int) -> Route:
        if not owners:
            return self._unowned
        stripe = position >> STRIPE_SHIFT
        route = self._routes.get((owners, stripe))
        if route is None:
            server = self._server_of(owners[0])
            route = Route(
                owners,
                server.records(stripe),
                self._counters_of(owners[0]),
                keys=server.keys(stripe),
            )
            self._routes[owners, stripe] = route
        return route

    def _slot_segments(self, slot: int) -> Iterator[Segment]:
        route = self.slots[slot]
        low = slot << SLOT_SHIFT
        if route.segments is None:
            yield Segment(low, (slot + 1 << SLOT_SHIFT) - 1, route.owners)
            return
        for high, part in route.segments:
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
        parts = tuple((piece.high, self._route(piece.owners, piece.low)) for piece in merged)
        if len(parts) == 1:
            return parts[0][1]
        records = _SplitRecords(self._hash)
        records.route = Route((), records, OperationCounters(), segments=parts)
        return records.route
