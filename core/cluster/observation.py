"""Looking at a store without disturbing it: snapshots, explanations, and its invariants."""

from core.clock import Clock
from core.cluster.membership import Membership
from core.cluster.migration import MigrationProgress
from core.cluster.plan import ChangeKind, Plan, peak_to_average
from core.cluster.shards import Shards
from core.cluster.snapshot import KeyPlacement, ServerSnapshot, ServerState, StoreSnapshot
from core.errors import NoServersError
from core.events import EventLog
from core.record import VALUE, VERSION
from core.stripes import LAST_POSITION, STRIPES, stripe_of

# What a screen can show; the log itself keeps more.
_EVENTS_IN_A_SNAPSHOT = 200


def take_snapshot(
    membership: Membership, shards: Shards, clock: Clock, events: EventLog
) -> StoreSnapshot:
    """Return what there is to see of a store at this moment. O(servers x stripes), not keys."""
    with membership.changed:
        view = membership.ring.view
        migration = membership.migration
        progress = migration.progress if migration is not None else None
        plan = migration.plan if migration is not None else None
        keys = shards.key_counts()
        servers = tuple(
            _server_snapshot(server_id, keys[server_id], shards, membership, plan, progress)
            for server_id in sorted(shards.servers)
        )
    return StoreSnapshot(
        taken_at_ms=clock.now_ms(),
        monotonic=clock.monotonic(),
        epoch=view.epoch,
        virtual_nodes_per_node=membership.ring.virtual_nodes_per_node,
        servers=servers,
        total_keys=sum(keys.values()),
        peak_to_average=peak_to_average(keys, view),
        migration=progress,
        events=events.latest(_EVENTS_IN_A_SNAPSHOT),
        view=view,
    )


def explain_key(key: str, membership: Membership, shards: Shards) -> KeyPlacement:
    """Return where `key` lives and why.

    Raises:
        NoServersError: the ring has no server.
    """
    position = shards.position_of(key)
    with membership.changed:
        view = membership.ring.view
        migration = membership.migration
        with shards.locks[stripe_of(position)]:
            owners = shards.routing.at(position).owners
            if not owners:
                raise NoServersError
            moving_to = migration.target_of(position) if migration is not None else None
            # A range that has not moved yet is still owned by the vnode of the ring before.
            owning_view = view
            if migration is not None and moving_to is not None:
                plan = migration.plan
                owning_view = plan.after if migration.progress.cancelling else plan.before
            found = {name: shards.servers[name].get(position, key) for name in owners}
    record = found[owners[0]]
    return KeyPlacement(
        key=key,
        position=position,
        vnode=owning_view.vnode_at(position),
        primary=owners[0],
        replicas=owners,
        located_on=tuple(name for name, copy in found.items() if copy is not None),
        exists=record is not None and record[VALUE] is not None,
        value=record[VALUE] if record is not None else None,
        version=record[VERSION] if record is not None else None,
        moving_to=moving_to,
        epoch=view.epoch,
    )


def check_invariants(membership: Membership, shards: Shards) -> None:
    """Assert what is always true of a store; stops every write meanwhile. O(keys).

    Raises:
        AssertionError: names what is broken, and where.
    """
    with membership.changed, shards.moving, shards.all_stripes():
        membership.ring.check_invariants()
        _check_routing(membership, shards)
        for server_id in shards.servers:
            _check_records(server_id, shards)


def _server_snapshot(
    server_id: str,
    keys: int,
    shards: Shards,
    membership: Membership,
    plan: Plan | None,
    progress: MigrationProgress | None,
) -> ServerSnapshot:
    view = membership.ring.view
    counters = shards.counters[server_id]
    state = ServerState.UP
    target: int | None = None
    if plan is not None and progress is not None:
        after = plan.keys_before if progress.cancelling else plan.keys_after
        target = after.get(server_id, 0)
        if server_id == plan.server_id:
            joins = (plan.kind is ChangeKind.ADD) is not progress.cancelling
            state = ServerState.JOINING if joins else ServerState.LEAVING
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
        reads=counters.reads,
        writes=counters.writes,
    )


def _check_routing(membership: Membership, shards: Shards) -> None:
    view, migration = membership.ring.view, membership.migration
    expected_low = 0
    for segment in shards.routing.segments():
        assert segment.low == expected_low, f"no route for position {expected_low}"
        expected_low = segment.high + 1
        for server_id in segment.owners:
            assert server_id in shards.servers, f"{segment} is routed to a server that is not there"
        if migration is None:
            for position in (segment.low, segment.high):
                belongs = view.replicas(position, 1)
                assert segment.owners == belongs, f"{segment} belongs to {belongs}"
    assert expected_low == LAST_POSITION + 1, f"no route from position {expected_low}"
    if migration is None:
        assert set(shards.servers) == set(view.weights), "the servers are not those of the ring"
        assert not shards.leftovers, f"leftovers without a migration: {shards.leftovers}"


def _check_records(server_id: str, shards: Shards) -> None:
    server = shards.servers[server_id]
    entries = server.scan(0, LAST_POSITION)
    assert entries == sorted(entries), f"{server_id} does not list its entries in order"
    count = server.count()
    assert count == len(entries), f"{server_id} counts {count} keys and lists {len(entries)}"
    spans = [(low, high) for name, low, high in shards.leftovers if name == server_id]
    for position, key, record in entries:
        assert position == shards.position_of(key), f"{key!r} on {server_id} has a wrong position"
        assert 0 <= stripe_of(position) < STRIPES, f"{key!r} on {server_id} is in no stripe"
        if any(low <= position <= high for low, high in spans):
            continue
        owners = shards.routing.at(position).owners
        assert server_id in owners, f"{key!r} is on {server_id}, and routed to {owners}"
        assert record[VERSION] > 0, f"{key!r} on {server_id} has version {record[VERSION]}"
