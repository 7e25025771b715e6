"""Where every position's records are at this moment.

A `RingView` says where keys *belong* in an epoch. While a migration runs, part of the ring is
already there and part is not yet, and this table says which: it is changed stripe by stripe, in
proportion to what moves. When no migration runs, it agrees with the ring's view.

Each stripe has an immutable table of its ranges and their routes, which is exchanged as a whole: a
reader that fetched one keeps a consistent answer. Ranges that have the same owners share one route,
so that the routes of a thousand servers stay in the processor's cache. The alternative, publishing
a new table of the whole ring for every move, lost: copying it costs more than the move.
"""

import threading
from collections.abc import Callable, Iterator

from core.cluster.replica import Put, Replica
from core.cluster.route import Owners, Route, Segment
from core.cluster.stripe_routes import StripeRoutes
from core.errors import NoServersError, StoreClosedError
from core.native import i64
from core.ring.ring_view import RingView
from core.servers.record_table import RecordTable
from core.stripes import (
    LAST_POSITION,
    POSITIONS_PER_STRIPE,
    STRIPE_SHIFT,
    STRIPES,
    last_position_of,
    stripe_of,
)


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


class RoutingTable:
    """The routes of all positions.

    Thread safety: any thread may read `stripes` and call the reading methods without a lock. What
    changes a stripe is called with its lock held, so that a writer that holds it sees routes that
    stand still. `stripes` is one list for ever, and each of its items is exchanged by one reference
    assignment.

    Args:
        replica_of: returns a server by its id.
        replicas: how many owners a position should have.

    Attributes:
        stripes: the routes of each stripe.
    """

    def __init__(self, replica_of: Callable[[str], Replica], replicas: int = 1) -> None:
        self._replica_of = replica_of
        self._replicas = replicas
        self._unowned = Route(refusal=NoServersError)
        # The routes of owners that are all current, by their numbers, and the one to nobody, with
        # which every stripe begins. A number leads to the same owners for ever: one that was given
        # again could mislead who has just read it.
        self._unowned.number = 0
        self._listed: list[Route] = [self._unowned]
        # Guards `_well` and `_listed`, which all stripes share.
        self._listing = threading.Lock()
        # The routes of owners that are all current, and of those of a stripe of which one is not.
        self._well: dict[Owners, Route] = {}
        self._behind: list[dict[Owners, Route]] = [{} for _ in range(STRIPES)]
        self._tallies: list[dict[Owners, KeyTally]] = [{} for _ in range(STRIPES)]
        self.stripes: list[StripeRoutes] = [
            self._whole(stripe, self._unowned) for stripe in range(STRIPES)
        ]

    def at(self, position: i64) -> Route:
        """Return the route of `position`. As `StripeRoutes.at`."""
        return self.stripes[position >> STRIPE_SHIFT].at(position)

    def segments(self, low: int = 0, high: int = LAST_POSITION) -> Iterator[Segment]:
        """Yield the span in order, cut where the owners change. O(ranges of its stripes)."""
        owners: Owners | None = None
        start = low
        for stripe in range(stripe_of(low), stripe_of(high) + 1):
            for part in self.stripes[stripe].segments():
                if part.high < low or part.low > high or part.owners == owners:
                    continue
                if owners is not None:
                    yield Segment(start, part.low - 1, owners)
                start, owners = max(low, part.low), part.owners
        if owners is not None:
            yield Segment(start, high, owners)

    def assign(self, low: int, high: int, owners: Owners) -> None:
        """Make `owners` the owners of positions `low` to `high`. O(ranges of their stripes).

        Called with the stripe locks of the span held.
        """
        route: Route | None = None
        for stripe in range(stripe_of(low), stripe_of(high) + 1):
            first = max(low, stripe << STRIPE_SHIFT)
            last = min(high, last_position_of(stripe))
            # Owners that are all current have the same route in every stripe.
            if route is None or not (route.well and _all_current(route.replicas, stripe)):
                route = self._route(owners, stripe)
            if last - first == POSITIONS_PER_STRIPE - 1:
                self.stripes[stripe] = self._whole(stripe, route)
            else:
                self.stripes[stripe] = self.stripes[stripe].with_range(first, last, route)

    def follow(
        self, view: RingView, replicas: int, low: int = 0, high: int = LAST_POSITION
    ) -> None:
        """Make the owners of positions `low` to `high` those of `view`. O(vnodes + stripes there).

        Called with the stripe locks of the span held.
        """
        for stripe in range(stripe_of(low), stripe_of(high) + 1):
            first = max(low, stripe << STRIPE_SHIFT)
            last = min(high, last_position_of(stripe))
            inner, behind = view.replicas_between(first, last, replicas)
            start = first
            for position, owners in inner:
                self.assign(start, position, owners)
                start = position + 1
            if start <= last:
                self.assign(start, last, behind)

    def refresh(self, stripe: int) -> None:
        """Make the routes of `stripe` anew: a server of its has changed. O(its ranges).

        Called with the lock of the stripe held.
        """
        self._behind[stripe].clear()
        before = self.stripes[stripe]
        routes = [
            self._route(route.owners, stripe) if route.owners else route for route in before.routes
        ]
        self.stripes[stripe] = before.with_routes(routes)

    def tally(self, stripe: int, owners: Owners) -> KeyTally:
        """Return the count of the keys in `stripe` that have these owners. O(1)."""
        tallies = self._tallies[stripe]
        tally = tallies.get(owners)
        return tally if tally is not None else tallies.setdefault(owners, KeyTally())

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
        """Drop what is kept about a server that has left; no route leads to it."""
        with self._listing:
            for owners in [owners for owners in self._well if server_id in owners]:
                self._listed[self._well.pop(owners).number] = self._unowned
        for routes in self._behind:
            for owners in [owners for owners in routes if server_id in owners]:
                del routes[owners]
        for tallies in self._tallies:
            for owners in [owners for owners in tallies if server_id in owners]:
                del tallies[owners]

    def reset(self) -> None:
        """Leave every position without an owner. Called with all stripe locks held."""
        self._fill(self._unowned)

    def close(self) -> None:
        """Make every operation raise `StoreClosedError`. Called with all stripe locks held."""
        self._fill(Route(refusal=StoreClosedError))

    def _fill(self, route: Route) -> None:
        self._well.clear()
        for routes, tallies in zip(self._behind, self._tallies, strict=True):
            routes.clear()
            tallies.clear()
        for stripe in range(STRIPES):
            self.stripes[stripe] = self._whole(stripe, route)
        self._listed[:] = [self._unowned] * len(self._listed)

    def _whole(self, stripe: int, route: Route) -> StripeRoutes:
        """Return the table of a stripe that has one route."""
        return StripeRoutes.of(stripe, [POSITIONS_PER_STRIPE - 1], [route], self._listed)

    def _route(self, owners: Owners, stripe: int) -> Route:
        """Return the route to `owners` in `stripe`. O(owners)."""
        if not owners:
            return self._unowned
        replicas = tuple([self._replica_of(server_id) for server_id in owners])
        current = [replica for replica in replicas if replica.current(stripe)]
        reader = current[0] if current else None
        well = len(current) == len(replicas)
        durable = reader.durable if reader is not None else None
        enough = well and len(replicas) >= self._replicas
        route = Route(
            reader.server.records if reader is not None else None,
            fetch=durable.get if durable is not None else None,
            well=well,
            owners=owners,
            replicas=replicas,
            reader=reader,
            copies=_copies(replicas) if enough else (),
            puts=_puts(replicas) if enough else (),
        )
        if well:
            with self._listing:
                return self._listed_locked(route)
        routes = self._behind[stripe]
        known = routes.get(owners)
        if known is not None and known.equals(route):
            return known
        routes[owners] = route
        return route

    def _listed_locked(self, route: Route) -> Route:
        """Return the listed route to the same records, or list this one."""
        known = self._well.get(route.owners)
        if known is not None and known.equals(route):
            return known
        self._well[route.owners] = route
        if known is not None:
            route.number = known.number
            self._listed[route.number] = route
        else:
            route.number = len(self._listed)
            self._listed.append(route)
        return route


def _all_current(replicas: tuple[Replica, ...], stripe: int) -> bool:
    """Return whether all of `replicas` answer and hold all of `stripe`."""
    return all(replica.current(stripe) for replica in replicas)


def _copies(replicas: tuple[Replica, ...]) -> tuple[RecordTable, ...]:
    """Return what to write every copy through; nothing when one of them might miss the write."""
    copies: list[RecordTable] = []
    for replica in replicas:
        records = replica.server.records
        if records is None:
            return ()
        copies.append(records)
    return tuple(copies)


def _puts(replicas: tuple[Replica, ...]) -> tuple[Put, ...]:
    """Return what to write every copy to disk through; nothing when one might miss the write."""
    if len(replicas) == 1:
        return replicas[0].puts  # one object for all routes of the server: it stays in the cache
    puts = [put for replica in replicas for put in replica.puts]
    return tuple(puts) if len(puts) == len(replicas) else ()
