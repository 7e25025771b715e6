"""The frozen values that panels draw, each for one panel."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.cluster.snapshot import ServerState, Storage
from core.ring.ring_view import RingView
from tui.view_model.marks import Mark
from tui.view_model.moving import Displaced, MembershipChange
from tui.view_model.rates import Sample, Throughput


class Tone(StrEnum):
    """How something is to be taken; always said in words or by a sign as well."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class StateSign:
    """A server's state in one character, in words, and in how it is to be taken."""

    sign: str
    words: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class MigrationLine:
    """The migration under way, for the status line.

    Attributes:
        server_id: the server that joins or leaves.
        fraction: how much has moved, 0 to 1; falls while it is being undone.
        paused: whether it stands still.
        headline: who does what, and how far it is.
        details: how fast it goes and for how long, or why it stands still.
        tone: how it is to be taken.
    """

    server_id: str
    fraction: float
    paused: bool
    headline: str
    details: str
    tone: Tone

    @property
    def sentence(self) -> str:
        """All of it in words."""
        return f"{self.headline}, {self.details}"


@dataclass(frozen=True, slots=True)
class StatusLine:
    """The store in one line.

    Attributes:
        servers_up: how many servers neither join nor leave, nor are down or behind.
        servers_down: how many do not answer.
        servers: how many there are.
        replication_factor: on how many servers each key is to lie.
        consistency: what operations that name no level promise, in a word.
        under_replicated_keys: how many keys have fewer current copies than they should.
        recovery: who catches up and how far, or how many do; None when nobody does.
        total_keys: how many keys there are.
        operations_per_second: what all servers serve; None until two moments are known.
        p99: seconds within which 99 of 100 operations of the load end; None without a load.
        peak_to_average: the keys of the fullest server over the mean.
        placement: how the points of servers are placed, in a word; None for at random.
        epoch: the number of the ring's state.
        migration: what moves; None when nothing does.
        disk: whose disk can't be written, and what to do about it; None when all can.
    """

    servers_up: int
    servers_down: int
    servers: int
    replication_factor: int
    consistency: str
    under_replicated_keys: int
    recovery: StateSign | None
    total_keys: int
    operations_per_second: float | None
    p99: float | None
    peak_to_average: float
    placement: str | None
    epoch: int
    migration: MigrationLine | None
    disk: StateSign | None = None


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server in the table.

    Attributes:
        server_id: names the row, whatever the order.
        mark: its letter and colour.
        state: what it is doing.
        status: the state as it is shown.
        weight: its weight.
        vnodes: how many points it has on the ring.
        share: the fraction (0 to 1) of the ring that it will own once nothing moves.
        keys: how many keys it owns now; None while it is down and answers for none.
        keys_delta: how many more that is than ten seconds ago; None while that is unknown.
        operations_per_second: what it serves; None while that is unknown, and while it is down.
        target_keys: how many keys it will own after the migration; None without one.
        hints: how many records wait for it.
        faults: what is wrong with it on purpose, in words; empty when nothing is.
    """

    server_id: str
    mark: Mark
    state: ServerState
    status: StateSign
    weight: float
    vnodes: int
    share: float
    keys: int | None
    keys_delta: int | None
    operations_per_second: float | None
    target_keys: int | None
    hints: int = 0
    faults: str = ""


@dataclass(frozen=True, slots=True)
class KeyBar:
    """How full one server is, beside the others.

    Attributes:
        server_id: whose keys.
        mark: its letter and colour.
        keys: how many it owns.
        fraction: that over the longest bar of all, 0 to 1.
        deviation: by which part it is above (or below 0: under) the mean for its weight; None for
            a server that leaves, and without keys.
        target_keys: how many it will own after the migration; None if that does not change.
        target_fraction: those over the longest bar of all; None without a target.
        trouble: what keeps the server from answering as it should; None when nothing does.
        down: whether it does not answer at all: then its bar is what it would hold.
    """

    server_id: str
    mark: Mark
    keys: int
    fraction: float
    deviation: float | None
    target_keys: int | None
    target_fraction: float | None
    trouble: StateSign | None = None
    down: bool = False


@dataclass(frozen=True, slots=True)
class RingPicture:
    """What there is to see of the ring.

    Attributes:
        view: the ring as it is, or as it will be once nothing moves.
        marks: the letter and colour of every server.
        displaced: where the view is ahead of what has moved, sorted by position.
        down: the servers that do not answer.
    """

    view: RingView = field(repr=False)
    marks: Mapping[str, Mark]
    displaced: tuple[Displaced, ...] = ()
    down: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EventLine:
    """Something that happened, in a sentence.

    Attributes:
        sequence: names the line.
        time: the time of day.
        sentence: what happened, in safe characters.
        tone: how it is to be taken.
    """

    sequence: int
    time: str
    sentence: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class LoadView:
    """The load on the store, as far as the screen shows it.

    Attributes:
        running: whether it runs now.
        workload: the YCSB letter, A to F.
        description: what the workload does.
        threads: how many threads carry it.
        distribution: which keys are popular, in a word.
        keys: how many keys it chooses from.
        rate_per_thread: operations a second that a thread keeps to; None for as fast as it can.
        operations_per_second: what is achieved.
        p50: seconds within which half of the operations end; None before the first, as below.
        p99: the same for 99 of 100.
        p999: the same for 999 of 1,000.
        maximum: seconds that the slowest took.
        preparing: which part of its keys, 0 to 1, is known to be there while they are written; None
            once they are.
        misses: how many reads found no value.
        errors: how many errors there were of each type.
        last_error: the latest of them in a sentence, not yet safe to show; None without one.
    """

    running: bool
    workload: str
    description: str
    threads: int
    distribution: str
    keys: int
    rate_per_thread: float | None
    operations_per_second: float
    p50: float | None = None
    p99: float | None = None
    p999: float | None = None
    maximum: float | None = None
    preparing: float | None = None
    misses: int = 0
    errors: tuple[tuple[str, int], ...] = ()
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What one view hands on to the fold of the next; panels do not look at it.

    Attributes:
        samples: the counters of the last seconds, oldest first.
        throughput: the history of all operations.
        change: the membership change under way, when it could be followed.
    """

    samples: tuple[Sample, ...]
    throughput: Throughput
    change: MembershipChange | None


@dataclass(frozen=True, slots=True)
class DashboardView:
    """One moment of the store, as all panels show it.

    Attributes:
        taken_at_ms: wall-clock milliseconds since 1970-01-01 UTC.
        status: the store in one line.
        servers: the table's rows, in the natural order of their ids.
        bars: how full each server is, in the same order.
        ring: the ring.
        events: what happened, oldest first.
        throughput: operations per second in steps of `GRAPH_SECONDS`, oldest first.
        load: the load; None when the store has none.
        memory: what the next fold needs.
        storage: where the store keeps its data; None in memory.
    """

    taken_at_ms: int
    status: StatusLine
    servers: tuple[ServerRow, ...]
    bars: tuple[KeyBar, ...]
    ring: RingPicture
    events: tuple[EventLine, ...]
    throughput: tuple[float, ...]
    load: LoadView | None
    memory: Memory = field(repr=False)
    storage: Storage | None = None
