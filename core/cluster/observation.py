"""Looking at a store without disturbing it: snapshots, explanations, and its invariants."""

from collections import Counter
from contextlib import suppress

from core.clock import Clock
from core.cluster.expiry import SteadyTime
from core.cluster.failover import Failover
from core.cluster.membership import Membership
from core.cluster.migration import MigrationProgress
from core.cluster.plan import ChangeKind, Plan, peak_to_average
from core.cluster.replica import Replica
from core.cluster.route import Owners
from core.cluster.shards import Shards
from core.cluster.snapshot import (
    KeyPlacement,
    ReplicaCopy,
    ServerSnapshot,
    ServerState,
    Storage,
    StoreSnapshot,
)
from core.errors import NoServersError, ServerFailedError
from core.events import EventLog
from core.record import NEVER_EXPIRES
from core.servers.faults import NO_FAULTS, FaultInjector
from core.stripes import LAST_POSITION, STRIPES, stripe_of

# What a screen can show; the log itself keeps more.
_EVENTS_IN_A_SNAPSHOT = 200


def take_snapshot(
    membership: Membership,
    shards: Shards,
    failover: Failover,
    faults: FaultInjector | None,
    clock: Clock,
    events: EventLog,
    storage: Storage | None = None,
) -> StoreSnapshot:
    """Return what there is to see of a store at this moment. O(servers x stripes), not keys."""
    with membership.changed:
        view = membership.ring.view
        migration = membership.migration
        progress = migration.progress if migration is not None else None
        plan = migration.plan if migration is not None else None
        keys = shards.key_counts()
        recoveries = tuple(recovery.progress for recovery in failover.recoveries)
        servers = tuple(
            _server_snapshot(
                shards.replicas[server_id], keys[server_id], membership, faults, plan, progress
            )
            for server_id in sorted(shards.replicas)
        )
    return StoreSnapshot(
        taken_at_ms=clock.now_ms(),
        monotonic=clock.monotonic(),
        epoch=view.epoch,
        virtual_nodes_per_node=membership.ring.virtual_nodes_per_node,
        placement=membership.ring.placement,
        servers=servers,
        replication_factor=shards.replication_factor,
        consistency=shards.consistency,
        total_keys=sum(keys.values()),
        under_replicated_keys=_under_replicated_keys(shards),
        peak_to_average=peak_to_average(keys, view),
        migration=progress,
        recoveries=recoveries,
        events=events.latest(_EVENTS_IN_A_SNAPSHOT),
        view=view,
        storage=storage,
    )


def explain_key(key: str, membership: Membership, shards: Shards, time: SteadyTime) -> KeyPlacement:
    """Return where `key` lives and why.

    Raises:
        NoServersError: the ring has no server.
    """
    position = shards.position_of(key)
    stripe = stripe_of(position)
    with membership.changed:
        view = membership.ring.view
        migration = membership.migration
        with shards.locks[stripe]:
            route = shards.routing.at(position)
            if not route.owners:
                raise NoServersError
            moving_to = migration.target_of(position) if migration is not None else None
            # A range that has not moved yet is still owned by the vnode of the ring before.
            owning_view = view
            if migration is not None and moving_to is not None:
                plan = migration.plan
                owning_view = plan.after if migration.progress.cancelling else plan.before
            copies = tuple(_copy_on(replica, position, key) for replica in route.replicas)
            record = None
            if route.reader is not None:
                with suppress(ServerFailedError):
                    record = route.reader.server.get(position, key)
    if record is not None and time.expired(record):
        record = None
    expires_at = record.expires_at if record is not None else NEVER_EXPIRES
    return KeyPlacement(
        key=key,
        position=position,
        vnode=owning_view.vnode_at(position),
        primary=route.owners[0],
        replicas=route.owners,
        copies=copies,
        exists=record is not None,
        value=record.value if record is not None else None,
        version=record.version if record is not None else None,
        ttl=None if expires_at == NEVER_EXPIRES else (expires_at - time.now_ms()) / 1_000,
        moving_to=moving_to,
        epoch=view.epoch,
    )


def _copy_on(replica: Replica, position: int, key: str) -> ReplicaCopy:
    answers, record = not replica.down, None
    if answers:
        try:
            record = replica.server.get(position, key)
        except ServerFailedError:
            answers = False
    return ReplicaCopy(
        server_id=replica.server_id,
        answers=answers,
        current=answers and replica.current(stripe_of(position)),
        version=record.version if record is not None else None,
    )


def _under_replicated_keys(shards: Shards) -> int:
    """Return how many keys have fewer current copies than they should."""
    # Where all is well, which is nearly always, no server has to be asked about a stripe.
    replicas = list(shards.replicas.items())
    ailing = {server_id for server_id, replica in replicas if not replica.well}
    return sum(
        tally.keys
        for stripe, owners, tally in shards.routing.all_tallies()
        if tally.keys
        and (
            len(owners) < shards.replication_factor
            or (not ailing.isdisjoint(owners) and len(shards.current(owners, stripe)) < len(owners))
        )
    )


def check_invariants(membership: Membership, shards: Shards) -> None:
    """Assert what is always true of a store; stops every write meanwhile. O(keys).

    Raises:
        AssertionError: names what is broken, and where.
    """
    with membership.changed, shards.moving, shards.stripes():
        membership.ring.check_invariants()
        _check_routing(membership, shards)
        # Where no server holds anything and nothing is counted, there is nothing to compare.
        occupied = {stripe for stripe, _, tally in shards.routing.all_tallies() if tally.keys}
        for server_id, replica in shards.replicas.items():
            replica.check_invariants()
            if not replica.down:
                occupied |= _check_records(server_id, shards)
        for stripe in sorted(occupied):
            _check_copies(shards, stripe)


def _server_snapshot(
    replica: Replica,
    keys: int,
    membership: Membership,
    faults: FaultInjector | None,
    plan: Plan | None,
    progress: MigrationProgress | None,
) -> ServerSnapshot:
    server_id, view = replica.server_id, membership.ring.view
    state = ServerState.UP
    target: int | None = None
    if plan is not None and progress is not None:
        after = plan.keys_before if progress.cancelling else plan.keys_after
        target = after.get(server_id, 0)
        if server_id == plan.server_id and plan.kind is not ChangeKind.REWEIGH:
            joins = (plan.kind is ChangeKind.ADD) is not progress.cancelling
            state = ServerState.JOINING if joins else ServerState.LEAVING
    if replica.down:
        state = ServerState.DOWN
    elif replica.catching_up:
        state = ServerState.CATCHING_UP
    # A leaving server is no longer in the ring's view, but it was in the one before.
    known = view
    if plan is not None and server_id not in view.weights:
        known = plan.before if server_id in plan.before.weights else plan.after
    return ServerSnapshot(
        server_id=server_id,
        state=state,
        weight=known.weights[server_id],
        vnodes=known.vnode_counts()[server_id],
        share=view.shares().get(server_id, 0.0),
        keys=keys,
        target_keys=target,
        reads=replica.counters.reads,
        writes=replica.counters.writes,
        hints=replica.hints,
        stripes_behind=len(replica.behind),
        faults=faults.faults_of(server_id) if faults is not None else NO_FAULTS,
        trouble=replica.trouble,
    )


def _check_routing(membership: Membership, shards: Shards) -> None:
    view, migration = membership.ring.view, membership.migration
    expected_low = 0
    for segment in shards.routing.segments():
        assert segment.low == expected_low, f"no route for position {expected_low}"
        expected_low = segment.high + 1
        for server_id in segment.owners:
            assert server_id in shards.replicas, (
                f"{segment} is routed to a server that is not there"
            )
        route = shards.routing.at(segment.low)
        stripe = stripe_of(segment.low)
        current = shards.current(segment.owners, stripe)
        assert route.reader is next(iter(current), None), f"{segment} is read from {route.reader}"
        assert not route.direct or len(current) == len(segment.owners), f"{segment} is direct"
        if migration is None:
            for position in (segment.low, segment.high):
                belongs = view.replicas(position, shards.replication_factor)
                assert segment.owners == belongs, f"{segment} belongs to {belongs}"
    assert expected_low == LAST_POSITION + 1, f"no route from position {expected_low}"
    if migration is None:
        assert set(shards.replicas) == set(view.weights), "the servers are not those of the ring"
        assert not shards.leftovers, f"leftovers without a migration: {shards.leftovers}"


def _check_copies(shards: Shards, stripe: int) -> None:
    """Assert that current replicas hold the same, and that the keys are counted right."""
    counts: Counter[Owners] = Counter()
    silent: set[Owners] = set()
    for segment in shards.segments_of(stripe):
        contents = []
        for replica in shards.current(segment.owners, stripe):
            with suppress(ServerFailedError):
                contents.append((replica.server_id, replica.server.scan(*segment[:2])))
        if not contents:
            silent.add(segment.owners)
            continue
        first, expected = contents[0]
        counts[segment.owners] += len(expected)
        for server_id, found in contents[1:]:
            assert found == expected, f"{server_id} and {first} differ in {segment}"
    for owners, keys in counts.items():
        if owners in silent:
            continue  # a part of what they hold could not be counted
        counted = shards.routing.tally(stripe, owners).keys
        assert counted == keys, f"stripe {stripe} has {keys} keys of {owners}, and counts {counted}"


def _check_records(server_id: str, shards: Shards) -> set[int]:
    """Assert that what a server holds is in order, and its own; return the stripes it lies in."""
    server = shards.replicas[server_id].server
    try:
        entries, count = server.scan(0, LAST_POSITION), server.count()
    except ServerFailedError:
        return set()
    assert entries == sorted(entries), f"{server_id} does not list its entries in order"
    assert count == len(entries), f"{server_id} counts {count} keys and lists {len(entries)}"
    spans = [(low, high) for name, low, high in shards.leftovers if name == server_id]
    for entry in entries:
        position, key, record = entry.position, entry.key, entry.record
        assert position == shards.position_of(key), f"{key!r} on {server_id} has a wrong position"
        assert 0 <= stripe_of(position) < STRIPES, f"{key!r} on {server_id} is in no stripe"
        if any(low <= position <= high for low, high in spans):
            continue
        owners = shards.routing.at(position).owners
        assert server_id in owners, f"{key!r} is on {server_id}, and routed to {owners}"
        assert record.version > 0, f"{key!r} on {server_id} has version {record.version}"
    return {stripe_of(entry.position) for entry in entries}
