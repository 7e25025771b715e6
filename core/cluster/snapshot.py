"""What an observer gets to see: frozen values that hold nothing live."""

from dataclasses import dataclass, field
from enum import StrEnum

from core.cluster.failover import RecoveryProgress
from core.cluster.levels import Consistency
from core.cluster.migration import MigrationProgress
from core.events import Event
from core.record import Value
from core.ring.placement import Placement
from core.ring.ring_view import RingView, Vnode
from core.servers.faults import NO_FAULTS, Faults


class ServerState(StrEnum):
    """What a server is doing in the ring."""

    UP = "up"
    JOINING = "joining"
    LEAVING = "leaving"
    CATCHING_UP = "catching up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """One server at one moment.

    Attributes:
        server_id: its id.
        state: what it is doing.
        weight: its weight.
        vnodes: how many points it has on the ring; of a leaving server, how many it had.
        share: the fraction (0 to 1) of the ring's positions that it will own once no migration
            runs; 0 for a leaving server.
        keys: how many keys it is the owner of now.
        target_keys: how many the running migration's plan leaves it with; None without one.
        reads: read operations it has served since it joined.
        writes: write operations it has served since it joined.
        hints: how many records wait for it.
        stripes_behind: in how many stripes (1,024ths of the ring) it is not current.
        faults: what a fault injector does to it.
        trouble: what keeps its disk from being written, and what to do; None if nothing does.
    """

    server_id: str
    state: ServerState
    weight: float
    vnodes: int
    share: float
    keys: int
    target_keys: int | None
    reads: int
    writes: int
    hints: int = 0
    stripes_behind: int = 0
    faults: Faults = NO_FAULTS
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a durable store keeps its data.

    Attributes:
        path: the data directory, absolute.
        sync: ``everysec`` or ``always``: what a write has survived when it returns. Empty for who
            observes: it writes nothing.
        observing: whether another process may hold it, and this one only looks.
        trouble: what keeps its journal from being written, and what to do; None if nothing does.
    """

    path: str
    sync: str
    observing: bool = False
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """All that the dashboard, ``--once`` and ``--json`` show of a store.

    Attributes:
        taken_at_ms: wall-clock milliseconds since 1970-01-01 UTC.
        monotonic: seconds of the store's clock, for rates between two snapshots.
        epoch: the number of the ring's state; every change counts it up.
        virtual_nodes_per_node: vnodes of a server of weight 1.
        placement: how the vnodes of a server were placed.
        servers: every server, a joining and a leaving one too, sorted by id.
        replication_factor: on how many servers each key is to lie.
        consistency: what operations that name no level promise.
        total_keys: how many keys there are, each counted once.
        under_replicated_keys: how many of them have fewer current copies than they should.
        peak_to_average: the keys of the fullest server over the mean, for equal weights.
        migration: how far the migration is; None when there is none.
        recoveries: how far the servers are that catch up.
        events: the latest events, oldest first.
        view: the ring of this epoch, which is immutable.
        storage: where it keeps its data; None in memory.
    """

    taken_at_ms: int
    monotonic: float
    epoch: int
    virtual_nodes_per_node: int
    placement: Placement
    servers: tuple[ServerSnapshot, ...]
    replication_factor: int
    consistency: Consistency
    total_keys: int
    under_replicated_keys: int
    peak_to_average: float
    migration: MigrationProgress | None
    recoveries: tuple[RecoveryProgress, ...]
    events: tuple[Event, ...] = field(repr=False)
    view: RingView = field(repr=False)
    storage: Storage | None = None


@dataclass(frozen=True, slots=True)
class ReplicaCopy:
    """One replica of a key.

    Attributes:
        server_id: the server.
        answers: whether it does.
        current: whether it counts for reads: it has missed nothing near that key.
        version: the version of its record; None without one.
    """

    server_id: str
    answers: bool
    current: bool
    version: int | None


@dataclass(frozen=True, slots=True)
class KeyPlacement:
    """Where a key lives, and why.

    Attributes:
        key: the key.
        position: its position on the ring.
        vnode: the virtual node that owns the position now: the first at or after it.
        primary: the server that answers for the key now.
        replicas: the servers that hold the key now, primary first.
        copies: what each of them holds, in the same order.
        exists: whether the key has a value.
        value: the value, or None.
        version: the record's version, or None.
        ttl: seconds until it expires; None if it does not.
        moving_to: the server that the key's range is still to be moved to; None if it stays.
        epoch: the epoch of the ring this was said of.
    """

    key: str
    position: int
    vnode: Vnode
    primary: str
    replicas: tuple[str, ...]
    copies: tuple[ReplicaCopy, ...]
    exists: bool
    value: Value | None = field(repr=False)
    version: int | None
    ttl: float | None
    moving_to: str | None
    epoch: int

    @property
    def located_on(self) -> tuple[str, ...]:
        """The servers on which a record of the key was found, primary first."""
        return tuple(copy.server_id for copy in self.copies if copy.version is not None)
