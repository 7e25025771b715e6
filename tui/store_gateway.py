"""`StoreGateway`, the only bridge from the screen to the store and its load.

It looks at the store on a thread of its own and hands over frozen frames; it carries commands out
on two further threads. The screen's own thread never touches the store, so that neither a lock nor
a large plan can hold it up.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import ParamSpec, TypeVar

from core.clock import Clock, SystemClock
from core.cluster.failover import CrashPreview
from core.cluster.migration import MigrationState
from core.cluster.plan import Plan
from core.cluster.snapshot import KeyPlacement, ServerState, StoreSnapshot
from core.errors import NoServersError, ObservingError, StoreError, UnknownServerError
from core.servers.faults import FaultInjector
from core.store import KeyValueStore
from core.workload.key_space import KEY_PREFIX, is_load_key
from core.workload.load_generator import LoadGenerator
from core.workload.load_settings import MAX_THREADS
from core.workload.load_snapshot import LoadSnapshot
from core.workload.right_of_way import right_of_way
from core.workload.ycsb import Workload
from tui.view_model import (
    DashboardView,
    LoadView,
    PositionPlacement,
    explain_position,
    fold,
    load_view,
)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# A key as text, or a position of the ring.
Question = str | int
Answer = KeyPlacement | PositionPlacement | StoreError

# Over how long rates and percentiles of the load are taken: less would jump about.
_LOAD_SECONDS = 1.0
# How often a store that is observed is opened anew, and how much longer than that took.
_LOOK_SECONDS = 1.0
_LOOK_SHARE = 10
# One command may wait for a load that is being prepared while another ends it, and plans wait for
# servers that were made slow while another command heals them.
_COMMANDS_AT_ONCE = 6


class ReadOnlyError(StoreError):
    """A change was asked for, and the dashboard was started to look only."""

    def __init__(self) -> None:
        super().__init__("read only: start without --readonly to change anything")


class NothingToRecoverError(StoreError):
    """A server was to be recovered that is well."""

    def __init__(self, server_id: str) -> None:
        super().__init__(f"{server_id} is well: there is nothing to recover")


class AlreadyDownError(StoreError):
    """A server was to crash that is down."""

    def __init__(self, server_id: str) -> None:
        super().__init__(f"{server_id} is down already: recover it first")


class NoFaultInjectorError(StoreError):
    """A server was to misbehave, and nothing can make it."""

    def __init__(self) -> None:
        super().__init__(
            "this store can't simulate faults: make it with KeyValueStore(faults=FaultInjector())"
        )


class NoMigrationError(StoreError):
    """A migration was to be paused or cancelled, and there is none."""

    def __init__(self) -> None:
        super().__init__("nothing is moving: no migration is under way")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question and its answer.

    Attributes:
        question: the key that was asked for, or the position.
        answer: where it lives and why, or why that can't be said.
    """

    question: Question
    answer: Answer


@dataclass(frozen=True, slots=True)
class Frame:
    """What one picture is drawn from.

    Attributes:
        view: the store and its load at one moment.
        lookup: what was asked for, right after it; None if nothing was.
        made_at: when it was handed over, in seconds of the gateway's clock.
    """

    view: DashboardView
    lookup: Lookup | None
    made_at: float


class StoreGateway:
    """Takes frames of a store and carries out commands on it.

    Frames: `request` asks for one; a thread takes it and passes it to `on_frame`; only after
    `frame_shown` the next one is taken. What is requested meanwhile is skipped, not queued, so that
    a slow screen gets fewer pictures and not older ones.

    Commands block, and raise `StoreError`: `run` carries them out beside the event loop.

    Thread safety: any thread may call any method. `_wake` guards `_wanted`, `_busy`, `_question`
    and `_closed`; `_folding` is held while a frame is made and guards `_view` and `_loads`;
    `_load_switch` guards `_preparing` and `_load_wrote` and is held while the load starts or stops,
    and not while its keys are written.

    Args:
        store: the store.
        load: the load on it.
        on_frame: called with each frame, on the gateway's thread.
        on_error: called with an error that no frame can be taken after, on the gateway's thread.
        readonly: whether to refuse whatever changes the store or the load.
        keys_per_second: how fast a migration moves at most; None for no limit.
        zone: whose time of day is shown; None for this machine's.
        clock: when frames are handed over.
        look_again: opens the store anew, which is done every now and then; None for a store that
            need not be, because it is not only observed. The last one is closed by `close`.
    """

    def __init__(
        self,
        store: KeyValueStore,
        load: LoadGenerator,
        *,
        on_frame: Callable[[Frame], object],
        on_error: Callable[[Exception], object],
        readonly: bool = False,
        keys_per_second: float | None = None,
        zone: tzinfo | None = None,
        clock: Clock | None = None,
        look_again: Callable[[], KeyValueStore] | None = None,
    ) -> None:
        self._store = store
        self._load = load
        self._on_frame = on_frame
        self._on_error = on_error
        self.readonly = readonly or look_again is not None
        self._look_again = look_again
        self._keys_per_second = keys_per_second
        self._zone = zone
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._wake = threading.Condition()
        self._wanted = False
        self._busy = False
        self._closed = False
        self._question: Question | None = None
        self._thread: threading.Thread | None = None
        self._commands: ThreadPoolExecutor | None = None
        self._look_at = self._clock.monotonic() + _LOOK_SECONDS
        self._outdated: str | None = None
        self._folding = threading.Lock()
        self._view: DashboardView | None = None
        self._loads: deque[LoadSnapshot] = deque()
        self._load_switch = threading.Lock()
        self._preparing = False
        self._load_wrote = load.running

    # Frames

    def start(self) -> None:
        """Start the threads. Until then frames are taken by `frame` alone."""
        self._commands = ThreadPoolExecutor(_COMMANDS_AT_ONCE, "ringtop-command")
        self._thread = threading.Thread(target=self._run, name="ringtop-frames", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the threads, and return when none is left; the store and the load go on.

        The preparation of a load is cut short, and slow servers are slow no more: what is under
        way would wait for them.
        """
        if self._store.faults is not None:
            self._store.faults.heal_all()
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        with self._load_switch:
            if self._preparing:
                self._preparing = False
                self._load.stop()
        if self._thread is not None:
            self._thread.join()
        if self._commands is not None:
            self._commands.shutdown(wait=True, cancel_futures=True)
        if self._look_again is not None:
            self._store.close()

    def request(self) -> bool:
        """Ask for a frame; False if one is on its way still, and this one is skipped."""
        with self._wake:
            if self._busy or self._closed:
                return False
            self._wanted = self._busy = True
            self._wake.notify_all()
        return True

    def frame_shown(self) -> None:
        """Tell that the last frame is on the screen, and the next one may be taken."""
        with self._wake:
            self._busy = False

    def ask(self, question: Question | None) -> None:
        """Have every frame from now on answer a question; None for no more."""
        with self._wake:
            self._question = question

    def frame(self) -> Frame:
        """Take a frame now. O(servers x stripes), and more when the ring changes."""
        with self._folding:
            self._renew()
            with right_of_way:
                load = self._load_now()
                self._view = fold(self._snapshot(), load, self._view, zone=self._zone)
            question = self._question
            # A server that is slow keeps this thread waiting, and must not keep the load.
            lookup = None
            if question is not None and (answer := self._answer(question)) is not None:
                lookup = Lookup(question, answer)
            return Frame(self._view, lookup, self._clock.monotonic())

    # Commands

    async def run(
        self,
        command: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Carry out one of the commands below beside the event loop.

        Without threads, before `start`, it is carried out at once.

        Raises:
            StoreError: the command's.
        """
        if self._commands is None:
            return command(*args, **kwargs)
        future = self._commands.submit(command, *args, **kwargs)
        return await asyncio.wrap_future(future)

    def plan_add(self, server_id: str, weight: float) -> Plan:
        """Return what adding a server would move."""
        self._refuse_if_readonly()
        return self._store.plan_add_server(server_id, weight)

    def plan_remove(self, server_id: str) -> Plan:
        """Return what removing a server would move."""
        self._refuse_if_readonly()
        return self._store.plan_remove_server(server_id)

    def commit(self, plan: Plan, *, force: bool = False) -> None:
        """Begin to carry out a plan; with `force` also one that gives up keys for good."""
        self._refuse_if_readonly()
        self._store.commit(plan, keys_per_second=self._keys_per_second, force=force)

    def plan_crash(self, server_id: str) -> CrashPreview:
        """Return what the crash of a server would lose."""
        self._refuse_if_readonly()
        if self._is_down(server_id):
            raise AlreadyDownError(server_id)
        return self._store.plan_crash(server_id)

    def crash_server(self, server_id: str) -> None:
        """Let a server crash."""
        self._refuse_if_readonly()
        if not self._store.crash_server(server_id):
            raise AlreadyDownError(server_id)

    def recover_server(self, server_id: str) -> None:
        """Bring a server back; it catches up in the background."""
        self._refuse_if_readonly()
        if self._store.begin_recovery(server_id) is None:
            raise NothingToRecoverError(server_id)

    def slow_down(self, server_id: str, seconds: float) -> None:
        """Let each call of a server take longer."""
        self._faults_of(server_id).slow(server_id, seconds)

    def fail_next(self, server_id: str, calls: int) -> None:
        """Let the next calls of a server fail."""
        self._faults_of(server_id).fail_next(server_id, calls)

    def partition(self, server_id: str) -> None:
        """Let a server be out of reach."""
        self._faults_of(server_id).partition(server_id)

    def heal(self, server_id: str) -> None:
        """End every fault of a server."""
        self._faults_of(server_id).heal(server_id)

    def toggle_migration(self) -> None:
        """Pause the migration that runs, or resume the one that is paused."""
        self._refuse_if_readonly()
        migration = self._store.migration
        if migration is None:
            raise NoMigrationError
        if migration.progress.state is MigrationState.PAUSED:
            migration.resume()
        else:
            migration.pause()

    def cancel_migration(self) -> None:
        """Have the migration move back what it has moved."""
        self._refuse_if_readonly()
        migration = self._store.migration
        if migration is None:
            raise NoMigrationError
        migration.cancel()

    def toggle_load(self) -> None:
        """Stop the load if it runs or is prepared; else write its missing keys and start it."""
        self._refuse_if_readonly()
        with self._load_switch:
            if self._load.running or self._preparing:
                self._preparing = False
                self._load.stop()
                return
            self._preparing = self._load_wrote = True
        try:
            self._load.load()
            with self._load_switch:
                if self._preparing:
                    self._load.start()
        finally:
            self._preparing = False

    @property
    def load_left_keys(self) -> bool:
        """Whether the load has written into a data directory since what it wrote was removed."""
        # Not asked of the store: the screen must not wait for it.
        return self._load_wrote and self._view is not None and self._view.storage is not None

    def count_load_keys(self) -> int:
        """Return how many keys loads have left in the store. O(keys)."""
        return sum(1 for _ in self._load_keys())

    def remove_load_keys(self) -> int:
        """Stop the load and remove the keys that loads have left; return how many. O(keys).

        Ends early when the gateway is closed.
        """
        self._refuse_if_readonly()
        with self._load_switch:
            self._preparing = False
            self._load.stop()
        removed = 0
        for key in self._load_keys():
            if self._closed:
                return removed
            removed += self._store.remove(key)
        self._load_wrote = False
        return removed

    def next_workload(self) -> Workload:
        """Go on to the next workload, after the last to the first; return it."""
        self._refuse_if_readonly()
        workloads = list(Workload)
        following = workloads[(workloads.index(self._load.settings.workload) + 1) % len(workloads)]
        self._load.change(workload=following)
        return following

    def change_threads(self, by: int) -> int:
        """Have the load use more threads, or fewer; return how many, 1 to 64."""
        self._refuse_if_readonly()
        threads = min(max(1, self._load.settings.threads + by), MAX_THREADS)
        self._load.change(threads=threads)
        return threads

    def server_ids(self) -> tuple[str, ...]:
        """Return the ids of the servers in the ring, sorted."""
        return tuple(self._store.get_servers())

    # What the threads do

    def _run(self) -> None:
        try:
            while self._next_request():
                self._on_frame(self.frame())
        except Exception as error:
            # Nothing is above a thread: whoever shows frames has to end with it.
            self._on_error(error)

    def _next_request(self) -> bool:
        with self._wake:
            self._wake.wait_for(lambda: self._wanted or self._closed)
            self._wanted = False
            return not self._closed

    def _answer(self, question: Question) -> Answer | None:
        try:
            if isinstance(question, str):
                return self._store.explain(question)
            placement = None
            if self._view is not None:
                placement = explain_position(self._view.ring, question)
            return placement if placement is not None else NoServersError()
        except StoreError as error:
            return error

    def _load_now(self) -> LoadView:
        """Return the load over the last second."""
        now = self._load.snapshot()
        loads = self._loads
        # Of those that are old enough the youngest stays.
        while len(loads) > 1 and now.monotonic - loads[1].monotonic >= _LOAD_SECONDS:
            loads.popleft()
        before = loads[0] if loads else None
        loads.append(now)
        return load_view(now, before)

    def _load_keys(self) -> Iterator[str]:
        found = (item.key for item in self._store.items(KEY_PREFIX))
        return (key for key in found if is_load_key(key))

    def _renew(self) -> None:
        """Look at a store that is only observed anew, when that is due.

        What takes long is done less often.
        """
        began = self._clock.monotonic()
        if self._look_again is None or began < self._look_at:
            return
        try:
            before, self._store = self._store, self._look_again()
        except StoreError as error:
            # Whoever holds it may be about to leave, or to come back.
            self._outdated = f"out of date: {error}"
        else:
            self._outdated = None
            before.close()
        now = self._clock.monotonic()
        self._look_at = now + max(_LOOK_SECONDS, (now - began) * _LOOK_SHARE)

    def _snapshot(self) -> StoreSnapshot:
        snapshot = self._store.snapshot()
        if self._outdated is None or snapshot.storage is None:
            return snapshot
        return replace(snapshot, storage=replace(snapshot.storage, trouble=self._outdated))

    def _is_down(self, server_id: str) -> bool:
        return any(
            server.server_id == server_id and server.state is ServerState.DOWN
            for server in self._store.snapshot().servers
        )

    def _faults_of(self, server_id: str) -> FaultInjector:
        """Return what makes a server misbehave."""
        self._refuse_if_readonly()
        faults = self._store.faults
        if faults is None:
            raise NoFaultInjectorError
        if server_id not in self._store.get_servers():
            raise UnknownServerError(server_id)
        return faults

    def refusal(self) -> StoreError:
        """Return why changes are refused."""
        return ReadOnlyError() if self._look_again is None else ObservingError()

    def _refuse_if_readonly(self) -> None:
        if self.readonly:
            raise self.refusal()
