"""The fold: a snapshot, and what the view before remembers, make the next view."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo

from core.cluster.failover import RecoveryProgress
from core.cluster.snapshot import ServerSnapshot, ServerState, StoreSnapshot
from core.ring.placement import Placement
from tui.formatting import progress
from tui.view_model.display import (
    DashboardView,
    KeyBar,
    LoadView,
    Memory,
    RingPicture,
    ServerRow,
    StateSign,
    StatusLine,
)
from tui.view_model.marks import Mark, assign_marks
from tui.view_model.moving import Displaced, MembershipChange, follow
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
from tui.view_model.sentences import (
    disk_sign,
    event_lines,
    fault_words,
    migration_line,
    recovery_sign,
    state_sign,
)
from tui.view_model.sorting import natural

# In these a server does not answer as it should.
_TROUBLED = (ServerState.CATCHING_UP, ServerState.DOWN)


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
        servers=_rows(servers, marks, samples, rates, snapshot),
        bars=_bars(servers, marks, snapshot),
        ring=_ring(snapshot, marks, change),
        events=event_lines(snapshot.events, zone),
        throughput=throughput.steps,
        load=load,
        memory=Memory(samples, throughput, change),
        storage=snapshot.storage,
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
        servers_down=sum(server.state is ServerState.DOWN for server in snapshot.servers),
        servers=len(snapshot.servers),
        replication_factor=snapshot.replication_factor,
        consistency=snapshot.consistency.value,
        under_replicated_keys=snapshot.under_replicated_keys,
        recovery=recovery_sign(snapshot.recoveries),
        total_keys=snapshot.total_keys,
        operations_per_second=sum(rates.values()) if rates is not None else None,
        p99=load.p99 if load is not None else None,
        peak_to_average=snapshot.peak_to_average,
        placement=None if snapshot.placement is Placement.RANDOM else snapshot.placement.value,
        epoch=snapshot.epoch,
        migration=migration_line(migration) if migration is not None else None,
        disk=disk_sign(_troubles(snapshot)),
    )


def _troubles(snapshot: StoreSnapshot) -> dict[str, str]:
    """Return what is wrong with disks, by whose they are."""
    troubles = {
        server.server_id: server.trouble
        for server in snapshot.servers
        if server.trouble is not None
    }
    storage = snapshot.storage
    if storage is not None and storage.trouble is not None:
        troubles.setdefault("this view" if storage.observing else "journal", storage.trouble)
    return troubles


def _rows(
    servers: Sequence[ServerSnapshot],
    marks: Mapping[str, Mark],
    samples: tuple[Sample, ...],
    rates: dict[str, float] | None,
    snapshot: StoreSnapshot,
) -> tuple[ServerRow, ...]:
    before = earlier(samples, DELTA_SECONDS)
    rows: list[ServerRow] = []
    for server in servers:
        up = server.state is not ServerState.DOWN
        was = before.keys.get(server.server_id, 0) if before is not None and up else None
        rows.append(
            ServerRow(
                server_id=server.server_id,
                mark=marks[server.server_id],
                state=server.state,
                status=_status_of(server, snapshot),
                weight=server.weight,
                vnodes=server.vnodes,
                share=server.share,
                keys=server.keys if up else None,
                keys_delta=server.keys - was if was is not None else None,
                operations_per_second=rates[server.server_id] if rates and up else None,
                target_keys=server.target_keys,
                hints=server.hints,
                faults=fault_words(server.faults),
            )
        )
    return tuple(rows)


def _status_of(server: ServerSnapshot, snapshot: StoreSnapshot) -> StateSign:
    recovery = _recovery_of(server, snapshot)
    return state_sign(server.state, snapshot.migration, recovery, server.faults, server.trouble)


def _trouble_of(server: ServerSnapshot, snapshot: StoreSnapshot) -> StateSign | None:
    """Return what keeps a server from answering as it should, in as few words as can be."""
    recovery = _recovery_of(server, snapshot)
    if server.trouble is not None:
        return _status_of(server, snapshot)
    if server.state is ServerState.CATCHING_UP and recovery is not None:
        status = _status_of(server, snapshot)
        return StateSign(status.sign, progress(recovery.fraction), status.tone)
    if server.state is ServerState.DOWN or server.faults.none:
        return _status_of(server, snapshot) if server.state in _TROUBLED else None
    return state_sign(ServerState.UP, None, faults=server.faults)


def _recovery_of(server: ServerSnapshot, snapshot: StoreSnapshot) -> RecoveryProgress | None:
    recoveries = (some for some in snapshot.recoveries if some.server_id == server.server_id)
    return next(recoveries, None)


def _bars(
    servers: Sequence[ServerSnapshot], marks: Mapping[str, Mark], snapshot: StoreSnapshot
) -> tuple[KeyBar, ...]:
    longest = max((max(server.keys, server.target_keys or 0) for server in servers), default=0)
    weight = sum(server.weight for server in servers if server.state is not ServerState.LEAVING)
    bars: list[KeyBar] = []
    for server in servers:
        target = server.target_keys if server.target_keys != server.keys else None
        stays = server.state is not ServerState.LEAVING
        mean = snapshot.total_keys * server.weight / weight if stays else 0.0
        bars.append(
            KeyBar(
                server_id=server.server_id,
                mark=marks[server.server_id],
                keys=server.keys,
                fraction=server.keys / longest if longest else 0.0,
                deviation=server.keys / mean - 1 if mean else None,
                target_keys=target,
                target_fraction=target / longest if target is not None else None,
                trouble=_trouble_of(server, snapshot),
                down=server.state is ServerState.DOWN,
            )
        )
    return tuple(bars)


def _ring(
    snapshot: StoreSnapshot, marks: Mapping[str, Mark], change: MembershipChange | None
) -> RingPicture:
    displaced: tuple[Displaced, ...] = ()
    if change is not None and snapshot.migration is not None:
        displaced = change.displaced(snapshot.migration)
    down = (some.server_id for some in snapshot.servers if some.state is ServerState.DOWN)
    return RingPicture(snapshot.view, marks, displaced, frozenset(down))
