"""What happened, as frozen values: the store tells, and whoever shows it makes the sentence."""

import threading
from collections import deque
from dataclasses import dataclass, replace
from itertools import islice

# Enough for a screen full of history; older events are dropped.
EVENTS_KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the store.

    Attributes:
        sequence: counts up from 1 without gaps in the order in which events were logged.
        at_ms: wall-clock milliseconds since 1970-01-01 UTC.
    """

    sequence: int = 0
    at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent(Event):
    """An event about one server."""

    server_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStarted(ServerEvent):
    """A committed plan begins.

    Attributes:
        change: ``add`` (it joins), ``remove`` (it leaves) or ``reweigh`` (it gets another weight).
        keys: how many copies of keys the plan moves; with one replica, how many keys.
        fraction: those as a fraction of all keys, 0 to `replicas`.
        ideal_fraction: the least that any placement would have to move, 0 to `replicas`.
        peers: how many servers give when it joins, take when it leaves, or do either.
        replicas: on how many servers a key lies afterwards.
    """

    change: str
    keys: int
    fraction: float
    ideal_fraction: float
    peers: int
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationPaused(ServerEvent):
    """The migration stands still; `error` says why when nobody asked for it."""

    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationResumed(ServerEvent):
    """The migration goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationCancelling(ServerEvent):
    """The ranges that were moved go back to where they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFinished(ServerEvent):
    """The migration is over.

    Attributes:
        change: ``add``, ``remove`` or ``reweigh``.
        cancelled: True when it was rolled back.
        keys: how many copies of keys were moved; with one replica, how many keys.
        seconds: how long it took, pauses included.
        replicas: on how many servers a key lies afterwards.
    """

    change: str
    cancelled: bool
    keys: int
    seconds: float
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCrashed(ServerEvent):
    """The server stopped answering. In memory it lost what it held; a disk keeps it.

    Attributes:
        keys_lost: how many keys no other server holds, if it lost them.
        keys_left: how many of its keys others hold.
        keys_waiting: how many keys only its disk holds: they can't be read until it is back.
        on_disk: whether it keeps what it held.
    """

    keys_lost: int
    keys_left: int
    keys_waiting: int = 0
    on_disk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFellBehind(ServerEvent):
    """A write did not reach the server: it answers no read for those keys until it caught up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryStarted(ServerEvent):
    """The server answers again, and begins to catch up.

    Attributes:
        stripes: in how many stripes (1,024ths of the ring) it has missed something.
    """

    stripes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPaused(ServerEvent):
    """The server could not catch up for now; `error` says why."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFinished(ServerEvent):
    """The server holds all that it should, and answers reads again.

    Attributes:
        hints: how many hints were delivered.
        copied: how many records were copied because ranges differed.
        seconds: how long it took.
        keys: how many keys it has, most of which its disk had kept; None without a disk.
    """

    hints: int
    copied: int
    seconds: float
    keys: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskTroubled(ServerEvent):
    """The server's disk can't be written any more.

    Attributes:
        trouble: why, and what to do about it.
    """

    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRecovered(ServerEvent):
    """The server's disk can be written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCleared(Event):
    """All keys and servers were removed."""

    keys: int
    servers: int


class EventLog:
    """The latest events, oldest first, bounded.

    Thread safety: any thread may call any method. `_lock` guards both fields; readers get a tuple.
    """

    def __init__(self, capacity: int = EVENTS_KEPT) -> None:
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=capacity)
        self._last_sequence = 0

    def append(self, event: Event, at_ms: int) -> None:
        """Log `event`, stamped with the next sequence number and the time. O(1)."""
        with self._lock:
            self._last_sequence += 1
            stamped = replace(event, sequence=self._last_sequence, at_ms=at_ms)
            self._events.append(stamped)

    def latest(self, count: int = EVENTS_KEPT) -> tuple[Event, ...]:
        """Return the latest `count` events, oldest first."""
        with self._lock:
            skipped = max(0, len(self._events) - count)
            return tuple(islice(self._events, skipped, None))
