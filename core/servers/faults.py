"""Servers that misbehave on demand: for tests, for the dashboard, and for people who want to learn.

A fault is something that a real server does: it is slow, it fails now and then, it can't be
reached. A crash is more than that: what the server held is gone. The store itself carries it out.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.clock import Clock, SystemClock
from core.errors import InvalidOptionError, ServerUnavailableError
from core.options import checked_count
from core.record import Entry, Record
from core.servers.record_table import RecordTable
from core.servers.server import DurableServer, RangeSize, Server

MAX_SLOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a server.

    Attributes:
        slow_seconds: how much longer each of its answers takes.
        failing_calls: how many of the next calls fail.
        partitioned: whether it can't be reached.
    """

    slow_seconds: float = 0.0
    failing_calls: int = 0
    partitioned: bool = False

    @property
    def none(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.slow_seconds or self.failing_calls or self.partitioned)


NO_FAULTS = Faults()


class FaultInjector:
    """Makes servers slow, failing or unreachable, or crash, while a store uses them.

    Thread safety: any thread may call any method. `_lock` guards `_faults`.

    Give it to a store: ``KeyValueStore(faults=FaultInjector())``. A server without a fault costs
    nothing more than one without an injector.

    Args:
        clock: what a slow server waits with.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._lock = threading.Lock()
        self._faults: dict[str, Faults] = {}
        self._on_change: list[Callable[[str], None]] = []
        self._on_crash: list[Callable[[str], bool]] = []

    def crash(self, server_id: str) -> bool:
        """Let the server crash, as `KeyValueStore.crash_server` does.

        It is no fault that could be healed: `KeyValueStore.recover_server` brings the server back.

        Returns:
            False if no store that has this injector knows the server, or it is down already.
        """
        crashed = [crash(server_id) for crash in self._on_crash]
        return any(crashed)

    def slow(self, server_id: str, seconds: float) -> None:
        """Let each call of the server take `seconds` longer; 0 ends that.

        Raises:
            InvalidOptionError: `seconds` is negative or above 60.
        """
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SLOW_SECONDS:
            raise InvalidOptionError(f"seconds must be 0 to {MAX_SLOW_SECONDS:g}")
        self._change(server_id, lambda faults: replace(faults, slow_seconds=seconds))

    def fail_next(self, server_id: str, calls: int) -> None:
        """Let the next `calls` calls of the server fail.

        Raises:
            InvalidOptionError: `calls` is negative.
        """
        calls = checked_count("calls", calls)
        self._change(server_id, lambda faults: replace(faults, failing_calls=calls))

    def partition(self, server_id: str) -> None:
        """Cut the server off: it keeps what it holds, and every call of it fails."""
        self._change(server_id, lambda faults: replace(faults, partitioned=True))

    def heal(self, server_id: str) -> None:
        """End every fault of the server."""
        self._change(server_id, lambda _: NO_FAULTS)

    def heal_all(self) -> None:
        """End every fault."""
        for server_id in self.faulty():
            self.heal(server_id)

    def faults_of(self, server_id: str) -> Faults:
        """Return what is wrong with the server."""
        return self._faults.get(server_id, NO_FAULTS)

    def faulty(self) -> tuple[str, ...]:
        """Return the servers with a fault, sorted."""
        return tuple(sorted(self._faults))

    def on_change(self, tell: Callable[[str], None]) -> None:
        """Have `tell` called with a server's id whenever its faults change."""
        self._on_change.append(tell)

    def on_crash(self, crash: Callable[[str], bool]) -> None:
        """Have `crash` called with the id of a server that is to crash."""
        self._on_crash.append(crash)

    def before_call(self, server_id: str) -> None:
        """Be slow, or fail, as the server's faults say.

        Raises:
            ServerUnavailableError: the call fails.
        """
        with self._lock:
            faults = self._faults.get(server_id, NO_FAULTS)
            last = faults.failing_calls == 1
            if faults.failing_calls:
                self._set_locked(server_id, replace(faults, failing_calls=faults.failing_calls - 1))
        if faults.slow_seconds:
            self._clock.wait(threading.Event(), faults.slow_seconds)
        if faults.partitioned:
            raise ServerUnavailableError([server_id], "can't be reached")
        if faults.failing_calls:
            reason = "failed, for the last time" if last else "failed"
            raise ServerUnavailableError([server_id], reason)

    def _change(self, server_id: str, change: Callable[[Faults], Faults]) -> None:
        with self._lock:
            self._set_locked(server_id, change(self._faults.get(server_id, NO_FAULTS)))
        for tell in self._on_change:
            tell(server_id)

    def _set_locked(self, server_id: str, faults: Faults) -> None:
        if faults.none:
            self._faults.pop(server_id, None)
        else:
            self._faults[server_id] = faults


class FaultyServer:
    """A server behind a fault injector.

    Thread safety: as that of the server behind it.
    """

    def __init__(self, server: Server, injector: FaultInjector) -> None:
        self._server = server
        self._injector = injector

    @property
    def server_id(self) -> str:
        """The id that the ring knows this server by."""
        return self._server.server_id

    @property
    def records(self) -> RecordTable | None:
        """The live records; None while a call may fail."""
        return self._server.records if self._injector.faults_of(self.server_id).none else None

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, or None."""
        self._before()
        return self._server.get(position, key)

    def apply(self, entry: Entry) -> int | None:
        """Store a record unless one as new is there; return the change in keys."""
        self._before()
        return self._server.apply(entry)

    def apply_many(self, entries: Sequence[Entry]) -> int:
        """Store each record unless one as new is there."""
        self._before()
        return self._server.apply_many(entries)

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the entries at positions `low` to `high`."""
        self._before()
        return self._server.scan(low, high, limit)

    def removals(self, low: int, high: int) -> list[Entry]:
        """Return the tombstones that are remembered at positions `low` to `high`."""
        self._before()
        return self._server.removals(low, high)

    def drop(self, position: int, key: str) -> bool:
        """Forget the record of `key`, and that it was removed."""
        self._before()
        return self._server.drop(position, key)

    def forget_tombstones(self, stripe: int) -> int:
        """Forget the tombstones of a stripe."""
        self._before()
        return self._server.forget_tombstones(stripe)

    def digest(self, low: int, high: int) -> int:
        """Return a digest of a range."""
        self._before()
        return self._server.digest(low, high)

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys and bytes lie in a range."""
        self._before()
        return self._server.measure(low, high)

    def discard(self, low: int, high: int) -> int:
        """Forget all records in a range."""
        self._before()
        return self._server.discard(low, high)

    def count(self) -> int:
        """Return how many keys the server holds."""
        self._before()
        return self._server.count()

    def close(self) -> None:
        """Give back what the server holds open."""
        self._server.close()

    def _before(self) -> None:
        self._injector.before_call(self.server_id)


class FaultyDurableServer(FaultyServer):
    """A server on disk behind a fault injector."""

    def __init__(self, server: DurableServer, injector: FaultInjector) -> None:
        super().__init__(server, injector)
        self._durable = server

    @property
    def trouble(self) -> str | None:
        """What keeps its disk from being written."""
        return self._durable.trouble

    @property
    def is_new(self) -> bool:
        """Whether there was nothing on the disk when the server was opened."""
        return self._durable.is_new

    def put(self, position: int, key: str, record: Record) -> int:
        """Store a record that is newer than any before; return the change in keys."""
        self._before()
        return self._durable.put(position, key, record)

    def due(self, now_ms: int, limit: int) -> list[Entry]:
        """Return entries whose expiry has passed."""
        self._before()
        return self._durable.due(now_ms, limit)

    def keep_note(self, name: bytes, content: bytes) -> None:
        """Keep something for who uses the server."""
        self._before()
        self._durable.keep_note(name, content)

    def forget_note(self, name: bytes) -> None:
        """Forget a note."""
        self._before()
        self._durable.forget_note(name)

    def notes(self) -> list[tuple[bytes, bytes]]:
        """Return names and contents of all notes."""
        self._before()
        return self._durable.notes()

    def sync(self) -> None:
        """Return once everything that was applied before is on the disk."""
        self._before()
        self._durable.sync()

    def sound_scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the entries at positions `low` to `high`, none left out."""
        self._before()
        return self._durable.sound_scan(low, high, limit)

    def corrupt_keys(self, low: int, high: int) -> list[tuple[int, str]]:
        """Return position and key of each corrupt record in a range."""
        self._before()
        return self._durable.corrupt_keys(low, high)

    def destroy(self) -> None:
        """Close the server and remove its files from the disk."""
        self._durable.destroy()


def behind_faults(server: Server, injector: FaultInjector) -> FaultyServer:
    """Return a server that misbehaves as `injector` says."""
    if isinstance(server, DurableServer):
        return FaultyDurableServer(server, injector)
    return FaultyServer(server, injector)
