"""The fold: a snapshot, and what the view before remembers, make the next view."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo

from core.cluster.migration import MigrationProgress
from core.cluster.snapshot import ServerSnapshot, ServerState, StoreSnapshot
from tui.view_model.display import (
    DashboardView,
    KeyBar,
    LoadView,
    Memory,
    RingPicture,
    ServerRow,
    StatusLine,
)
from tui.view_model.marks import Mark, assign_marks
from tui.view_model.moving import MembershipChange, follow
from tui.view_model.rates import (
    DELTA_SECONDS,
    RATE_SECONDS,
    Sample,
    Throughput,
    earlier,
    kept,
    operations_per_second,
    sample_of,
)
from tui.view_model.sentences import event_line, migration_line, state_sign
from tui.view_model.sorting import natural


def fold(
    snapshot: StoreSnapshot,
    load: LoadView | None = None,
    previous: DashboardView | None = None,
    *,
    zone: tzinfo | None = None,
) -> DashboardView:
    """Return the next view of a store. Pure; O(servers + events), and more when the ring changes.

    Args:
        snapshot: the store now.
        load: its load; None without one.
        previous: the view before this one, of the same store; None for the first.
        zone: whose time of day events show; None for this machine's.
    """
    now = sample_of(snapshot)
    if previous is None:
        samples: tuple[Sample, ...] = (now,)
        throughput = Throughput((), now.at, now)
        change = follow(None, None, snapshot)
        known_marks: Mapping[str, Mark] = {}
    else:
        samples = kept(previous.memory.samples, now)
        throughput = previous.memory.throughput.followed_by(now)
        change = follow(previous.memory.change, previous.ring.view, snapshot)
        known_marks = previous.ring.marks
    servers = sorted(snapshot.servers, key=lambda server: natural(server.server_id))
    marks = assign_marks(known_marks, [server.server_id for server in servers])
    rates = _rates(samples)
    return DashboardView(
        taken_at_ms=snapshot.taken_at_ms,
        status=_status(snapshot, load, rates),
        servers=_rows(servers, marks, samples, rates, snapshot.migration),
        bars=_bars(servers, marks, snapshot.total_keys),
        ring=_ring(snapshot, marks, change),
        events=tuple(event_line(event, zone) for event in snapshot.events),
        throughput=throughput.steps,
        load=load,
        memory=Memory(samples, throughput, change),
    )


def _rates(samples: tuple[Sample, ...]) -> dict[str, float] | None:
    before = earlier(samples, RATE_SECONDS)
    return operations_per_second(before, samples[-1]) if before is not None else None


def _status(
    snapshot: StoreSnapshot, load: LoadView | None, rates: dict[str, float] | None
) -> StatusLine:
    migration = snapshot.migration
    return StatusLine(
        servers_up=sum(server.state is ServerState.UP for server in snapshot.servers),
        servers=len(snapshot.servers),
        total_keys=snapshot.total_keys,
        operations_per_second=sum(rates.values()) if rates is not None else None,
        p99=load.p99 if load is not None else None,
        peak_to_average=snapshot.peak_to_average,
        epoch=snapshot.epoch,
        migration=migration_line(migration) if migration is not None else None,
    )


def _rows(
    servers: Sequence[ServerSnapshot],
    marks: Mapping[str, Mark],
    samples: tuple[Sample, ...],
    rates: dict[str, float] | None,
    migration: MigrationProgress | None,
) -> tuple[ServerRow, ...]:
    before = earlier(samples, DELTA_SECONDS)
    return tuple(
        ServerRow(
            server_id=server.server_id,
            mark=marks[server.server_id],
            state=server.state,
            status=state_sign(server.state, migration),
            weight=server.weight,
            vnodes=server.vnodes,
            share=server.share,
            keys=server.keys,
            keys_delta=server.keys - before.keys.get(server.server_id, 0) if before else None,
            operations_per_second=rates[server.server_id] if rates is not None else None,
            target_keys=server.target_keys,
        )
        for server in servers
    )


def _bars(
    servers: Sequence[ServerSnapshot], marks: Mapping[str, Mark], total_keys: int
) -> tuple[KeyBar, ...]:
    longest = max((max(server.keys, server.target_keys or 0) for server in servers), default=0)
    weight = sum(server.weight for server in servers if server.state is not ServerState.LEAVING)
    bars: list[KeyBar] = []
    for server in servers:
        target = server.target_keys if server.target_keys != server.keys else None
        stays = server.state is not ServerState.LEAVING
        mean = total_keys * server.weight / weight if stays else 0.0
        bars.append(
            KeyBar(
                server_id=server.server_id,
                mark=marks[server.server_id],
                keys=server.keys,
                fraction=server.keys / longest if longest else 0.0,
                deviation=server.keys / mean - 1 if mean else None,
                target_keys=target,
                target_fraction=target / longest if target is not None else None,
            )
        )
    return tuple(bars)


def _ring(
    snapshot: StoreSnapshot, marks: Mapping[str, Mark], change: MembershipChange | None
) -> RingPicture:
    if change is None or snapshot.migration is None:
        return RingPicture(snapshot.view, marks)
    return RingPicture(snapshot.view, marks, change.displaced(snapshot.migration))
