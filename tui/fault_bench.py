"""Losing a server under load and bringing it back, and proving that no promise was broken.

Every writer remembers what it wrote and what was acknowledged, on its own; at the end all keys are
read back and compared with what the writers remember together.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, TypeVar

from core.cluster.doctor import DoctorReport, Fault
from core.cluster.failover import RecoveryProgress
from core.errors import StoreError
from core.record import Value
from core.store import KeyValueStore
from core.workload.load_generator import LoadGenerator
from core.workload.load_settings import LoadSettings
from core.workload.load_snapshot import LoadInterval, LoadSnapshot
from tui.bench import stop_load
from tui.formatting import rate
from tui.progress import shown_progress

Result = TypeVar("Result")

# With fewer replicas a quorum is gone with one server.
FEWEST_REPLICAS = 3
# A third of the time before the crash, a third with the server down, a third once it is back.
_PHASES = 3
_LOOK_SECONDS = 0.05
# Of a recovery that takes longer it is said that it did not end.
_LONGEST_RECOVERY_SECONDS = 120.0
_FOREVER = float("inf")


class _Write(NamedTuple):
    """One write, between two ticks of a counter that all writers share.

    Attributes:
        began: names the write; it is in its value.
        ended: when it was acknowledged; `_FOREVER` for one that failed and may happen still.
    """

    began: int
    ended: float


class _Memory:
    """What one writer remembers of each key. Belongs to one thread until the load has ended."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, _Write] = {}
        self.unknown: dict[str, list[_Write]] = {}
        self.count = 0


class RememberingStore:
    """A store as a load sees it, which remembers writes and counts failures.

    Thread safety: any thread may call any method. Each writes into a memory of its own; `_lock`
    guards the list of those and the failures.

    Args:
        store: the store.
    """

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._tick = itertools.count(1).__next__
        self._lock = threading.Lock()
        self._own = threading.local()
        self._memories: list[_Memory] = []
        self._detected_at: int | None = None
        self.failed_before = 0
        self.failed_after = 0

    def crash_detected(self) -> None:
        """Tell that the store knows of the crash: operations that begin from now on must work."""
        self._detected_at = self._tick()

    def get(self, key: str) -> Value | None:
        """Return the value of `key`."""
        return self._counted(lambda: self._store.get(key))

    def scan(self, start_key: str, count: int) -> Sequence[tuple[str, Value]]:
        """Return keys and values in ring order."""
        return self._counted(lambda: self._store.scan(start_key, count))

    def set(self, key: str, value: Value) -> bool:
        """Store a value that names this write, and remember whether it was acknowledged."""
        memory = self._memory()
        began = self._tick()
        name = f"{began} "
        filler = value if isinstance(value, str) else ""
        named = name + filler[len(name) :]
        try:
            self._store.set(key, named)
        except BaseException as error:
            memory.unknown.setdefault(key, []).append(_Write(began, _FOREVER))
            if isinstance(error, StoreError):
                self._count_failure(began)
            raise
        # Of one writer's own writes of a key, the last is the one that may be there.
        memory.acknowledged[key] = _Write(began, self._tick())
        memory.count += 1
        return True

    @property
    def acknowledged_writes(self) -> int:
        """How many writes were acknowledged."""
        return sum(memory.count for memory in self._memories)

    def lost_writes(self) -> list[str]:
        """Return the keys whose last acknowledged write is not there. Reads every key written.

        A key may hold any write that no other one followed: that neither failed nor ended before
        another one began that was acknowledged.
        """
        keys = sorted({key for memory in self._memories for key in memory.acknowledged})
        return [key for key in keys if not self._is_there(key)]

    def _is_there(self, key: str) -> bool:
        acknowledged = [
            memory.acknowledged[key] for memory in self._memories if key in memory.acknowledged
        ]
        unknown = [write for memory in self._memories for write in memory.unknown.get(key, ())]
        last_began = max(write.began for write in acknowledged)
        allowed = {write.began for write in (*acknowledged, *unknown) if write.ended > last_began}
        try:
            value = self._store.get(key)
        except StoreError:
            return False
        return isinstance(value, str) and int(value.partition(" ")[0]) in allowed

    def _memory(self) -> _Memory:
        memory: _Memory | None = getattr(self._own, "memory", None)
        if memory is None:
            memory = self._own.memory = _Memory()
            with self._lock:
                self._memories.append(memory)
        return memory

    def _counted(self, operation: Callable[[], Result]) -> Result:
        began = self._tick()
        try:
            return operation()
        except StoreError:
            self._count_failure(began)
            raise

    def _count_failure(self, began: int) -> None:
        with self._lock:
            if self._detected_at is not None and began > self._detected_at:
                self.failed_after += 1
            else:
                self.failed_before += 1


@dataclass(frozen=True, slots=True)
class FaultBenchResult:
    """What happened.

    Attributes:
        settings: of the load.
        crashed: the server that was lost.
        phases: what the load did before the crash, while the server was down, while it caught up,
            and after that.
        failed_before_detection: operations that failed and had begun before the crash was detected.
        failed_after_detection: those that had begun after it; must be 0.
        acknowledged_writes: how many writes were acknowledged.
        lost_writes: how many keys do not hold their last acknowledged write; must be 0.
        recovery: how the recovery went.
        recovered: whether it came to its end.
        doctor: what a comparison of all replicas found.
        under_replicated_keys: how many keys had too few current copies at the end.
        last_error: the last error of an operation, in words; None without one.
        failure: what ended the load, if a bug did.
    """

    settings: LoadSettings
    crashed: str
    phases: Mapping[str, LoadInterval]
    failed_before_detection: int
    failed_after_detection: int
    acknowledged_writes: int
    lost_writes: int
    recovery: RecoveryProgress
    recovered: bool
    doctor: DoctorReport
    under_replicated_keys: int
    last_error: str | None
    failure: str | None

    @property
    def replicas_equal(self) -> bool:
        """Whether every key is, in one version, on all the servers that should have it."""
        return self.recovered and self.doctor.healthy and not self.doctor.unreachable

    @property
    def diverged_keys(self) -> int:
        """How many keys have different versions on their servers."""
        return self.doctor.counts[Fault.DIVERGED]

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that were broken, in words."""
        promises = {
            "operations failed after the crash was detected": self.failed_after_detection,
            "acknowledged writes were lost": self.lost_writes,
            "the server did not recover": not self.recovered,
            "replicas differ": not self.replicas_equal,
            "keys are under-replicated": self.under_replicated_keys,
            "a bug ended the load": self.failure is not None,
        }
        return tuple(words for words, broken in promises.items() if broken)


def run_fault_bench(
    store: KeyValueStore, settings: LoadSettings, seconds: float
) -> FaultBenchResult:
    """Run a load, crash one server, bring it back, and check what was promised.

    Args:
        store: the store, with servers and without keys.
        settings: of the load; which server crashes is drawn with its seed.
        seconds: for how long to run, the recovery not counted.
    """
    target = RememberingStore(store)
    load = LoadGenerator(target, settings)
    load.load()
    crashed = Random(settings.seed).choice(store.get_servers())
    run = _Run(load, seconds / _PHASES)
    load.start()
    try:
        with shown_progress("Running", 1.0) as advance:
            run.advance = advance
            run.phase("before")
            store.crash_server(crashed)
            target.crash_detected()
            run.phase("down")
            recovery = store.begin_recovery(crashed)
            assert recovery is not None
            began = time.monotonic()
            while not recovery.wait(_LOOK_SECONDS):
                if time.monotonic() - began > _LONGEST_RECOVERY_SECONDS:
                    break
            progress = recovery.progress
            run.end("catching up")
            run.phase("after")
    finally:
        stop_load(load)
    ended = load.snapshot()
    return FaultBenchResult(
        settings=settings,
        crashed=crashed,
        phases=run.phases,
        failed_before_detection=target.failed_before,
        failed_after_detection=target.failed_after,
        acknowledged_writes=target.acknowledged_writes,
        lost_writes=len(target.lost_writes()),
        recovery=progress,
        recovered=recovery.wait(0),
        doctor=store.doctor(),
        under_replicated_keys=store.snapshot().under_replicated_keys,
        last_error=ended.last_error,
        failure=ended.failure,
    )


class _Run:
    """The load, phase by phase."""

    def __init__(self, load: LoadGenerator, seconds: float) -> None:
        self._load = load
        self._seconds = seconds
        self._since: LoadSnapshot = load.snapshot()
        self._done = 0.0
        self.advance: Callable[[float, str], None] = lambda done, words: None
        self.phases: dict[str, LoadInterval] = {}

    def phase(self, name: str) -> None:
        """Let the load run for a phase's time."""
        ends_at = time.monotonic() + self._seconds
        while (left := ends_at - time.monotonic()) > 0 and self._load.running:
            interval = self._load.snapshot().since(self._since)
            over = (self._done + 1 - left / self._seconds) / _PHASES
            self.advance(min(1.0, over), f"{name}, {rate(interval.operations_per_second)}")
            time.sleep(min(_LOOK_SECONDS, left))
        self._done += 1
        self.end(name)

    def end(self, name: str) -> None:
        """Note what the load did since the last phase, and begin the next."""
        now = self._load.snapshot()
        self.phases[name] = now.since(self._since)
        self._since = now
