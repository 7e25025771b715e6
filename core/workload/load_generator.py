"""`LoadGenerator`: YCSB's workloads on worker threads, against any store.

The threads share nothing on their way through an operation but the store itself: each counts into
a tally of its own, and whoever wants to see takes a snapshot that adds the tallies up. An insert
alone takes the lock of the key numbers, and an error that of the generator.
"""

import threading
from dataclasses import replace
from itertools import count
from random import Random
from types import MappingProxyType, TracebackType
from typing import Self, TypedDict, Unpack

from core.clock import Clock, SystemClock
from core.metrics import LatencyHistogram
from core.safe_text import visible
from core.workload.distributions import Distribution
from core.workload.key_space import KeySpace, load_key
from core.workload.load_settings import LoadSettings
from core.workload.load_snapshot import LoadSnapshot
from core.workload.load_worker import LoadWorker
from core.workload.operations import LoadTarget, Orders, Tally, value_text
from core.workload.switch_interval import finer_switching
from core.workload.ycsb import OperationKind, Workload

# `load` looks after so many keys whether it is to stop: well below a second on a remote store too.
_KEYS_BETWEEN_CHECKS = 100
_ERROR_TEXT_LIMIT = 200


class LoadChanges(TypedDict, total=False):
    """What `LoadGenerator.change` takes: any of the fields of `LoadSettings`."""

    workload: Workload
    threads: int
    operations_per_second: float | None
    key_count: int
    value_size: int
    distribution: Distribution | None
    seed: int


class LoadGenerator:
    """A load on a store: threads that read and write keys, all of them under the prefix ``load:``.

    `load` makes the keys, `start` begins, `change` changes whatever you like meanwhile, `snapshot`
    shows, `stop` ends. Counts go on over changes and later starts.

    A `StoreError` in a thread is counted, the last one is kept to be shown, and the thread goes on
    after 1 to 100 ms. Any other exception is a bug: it ends the whole load, is shown too, and is
    raised by `stop`.

    While it runs, the interpreter switches threads every 0.5 ms; `core.workload.switch_interval`
    says why.

    Thread safety: any thread may call any method, except the threads of the load themselves.
    `_control` is held by `start`, `stop` and `change` from beginning to end; `_loading` by `load`,
    and guards `_checked_keys`. `_lock` guards every other field that changes, is taken after those,
    and is not held while something is waited for; a single reference is read without it. Each of
    `_tallies` is counted into by the worker of its index alone.

    Always true: while `_running`, every one of `_workers` follows `_orders`; otherwise all of them
    have been told to end.

    Args:
        target: the store.
        settings: what the load is like at first; None for the defaults of `LoadSettings`.
        clock: the time that the threads keep pace by.

    >>> from core import KeyValueStore, LoadGenerator, LoadSettings, Workload
    >>> store = KeyValueStore()
    >>> _ = store.add_server("alpha")
    >>> with LoadGenerator(store, LoadSettings(workload=Workload.A, key_count=100)) as generator:
    ...     written = generator.load()
    ...     generator.start()
    ...     generator.change(threads=8, operations_per_second=500)
    >>> written, generator.running, generator.snapshot().failed_operations
    (100, False, 0)
    """

    def __init__(
        self,
        target: LoadTarget,
        settings: LoadSettings | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._target = target
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._control = threading.Lock()
        self._lock = threading.Lock()
        self._orders = _orders_for(settings if settings is not None else LoadSettings())
        self._running = False
        self._workers: list[LoadWorker] = []
        self._tallies: list[Tally] = []
        self._next_serial = count().__next__
        self._errors: dict[str, int] = {}
        self._last_error: str | None = None
        self._failure: BaseException | None = None
        self._unraised_failure: BaseException | None = None
        self._loading = threading.Lock()
        self._stop_loading = threading.Event()
        self._checked_keys: int | None = None

    # What it does

    def load(self) -> int:
        """Write those of the first `key_count` keys that are missing; return how many these were.

        Every key is read, and no key that has a value is written: to load twice costs only the
        reads (about 0.1 s for 100,000 keys in memory), and leaves what a load has changed. To look
        for the last key alone would be cheaper, and wrong after a server has been lost.

        Runs on the thread of the caller; `stop` makes it return early. O(key_count).

        Raises:
            StoreError: the store refused; the keys before are written.
        """
        with self._loading, finer_switching:
            self._stop_loading.clear()
            orders = self._orders
            try:
                return self._write_missing_keys(orders)
            finally:
                self._checked_keys = None

    def start(self) -> None:
        """Start the threads; nothing if they run. Forgets an earlier failure.

        Raises:
            RuntimeError: the system has no more threads; the load does not run then.
        """
        with self._control:
            if self._running:
                return
            # After a failure its threads are ended, but still here.
            self._match_workers()
            with self._lock:
                self._running = True
                self._failure = None
                self._unraised_failure = None
            self._match_workers()

    def stop(self) -> None:
        """Stop the threads, and `load` if it runs; return when none of its threads is left.

        Waits for the operations under way, and for nothing else: a thread that waits for its turn
        is woken. Does nothing if the load does not run.

        Raises:
            BaseException: the failure that ended the load, at the first call after it.
        """
        with self._control:
            self._stop_loading.set()
            with self._lock:
                self._tell_to_end_locked()
            self._match_workers()
            with self._lock:
                failure, self._unraised_failure = self._unraised_failure, None
        if failure is not None:
            raise failure

    def change(self, **changes: Unpack[LoadChanges]) -> None:
        """Change some of the settings, also while the load runs.

        Threads take the change up between two operations, and keep their counts. Threads that are
        too many end, after their operation, before this returns; others that are wanted start. A
        seed is for threads that start later. A greater key count asks for another `load`: until
        then the new keys are missing.

        Args:
            **changes: any fields of `LoadSettings`.

        Raises:
            InvalidOptionError: one is out of its range; nothing has changed.
            RuntimeError: the system has no more threads; the load does not run any more.
        """
        with self._control:
            orders = _orders_for(replace(self._orders.settings, **changes), self._orders)
            with self._lock:
                self._orders = orders
            self._match_workers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # What it shows

    @property
    def running(self) -> bool:
        """Whether the threads are at work: from `start` on, until `stop` or a failure."""
        return self._running

    @property
    def settings(self) -> LoadSettings:
        """The settings in force."""
        return self._orders.settings

    @property
    def failure(self) -> BaseException | None:
        """The exception, none of the store's own, that ended the load; None without one."""
        return self._failure

    def snapshot(self) -> LoadSnapshot:
        """Return all that there is to show, frozen. O(threads x buckets), 0.05 ms a thread.

        Delays no thread of the load: the figures of each are read while it goes on, and those of
        an operation under way come with the next snapshot.
        """
        with self._lock:
            orders = self._orders
            running = self._running
            tallies = tuple(self._tallies)
            errors = dict(self._errors)
            last_error = self._last_error
            failure = self._failure
        histograms = {
            kind: LatencyHistogram.merged(
                recorder.histogram()
                for tally in tallies
                if (recorder := tally.recorders.get(kind)) is not None
            )
            for kind in OperationKind
        }
        return LoadSnapshot(
            running=running,
            settings=orders.settings,
            monotonic=self._clock.monotonic(),
            keys=orders.keys.count,
            checked_keys=self._checked_keys,
            histograms=MappingProxyType(histograms),
            misses=sum(tally.misses for tally in tallies),
            errors=MappingProxyType(errors),
            last_error=last_error,
            failure=None if failure is None else _described(failure),
        )

    # What the threads call

    def _count_error(self, error: BaseException) -> None:
        with self._lock:
            kind = _type_name(error)
            self._errors[kind] = self._errors.get(kind, 0) + 1
            self._last_error = _described(error)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._tell_to_end_locked()
            if self._failure is None:
                self._failure = self._unraised_failure = error
        self._count_error(error)

    # The threads

    def _tell_to_end_locked(self) -> None:
        self._running = False
        for worker in self._workers:
            worker.follow(None)

    def _match_workers(self) -> None:
        """Have as many threads at work as there should be, all with the present orders.

        Called with `_control` held, so that nobody else adds or removes threads.
        """
        with self._lock:
            wanted = self._orders.settings.threads if self._running else 0
            surplus = self._workers[wanted:]
            for worker in self._workers[:wanted]:
                worker.follow(self._orders)
            for worker in surplus:
                worker.follow(None)
        for worker in surplus:
            worker.join()
        with self._lock:
            del self._workers[wanted:]
            # Looked at again: a thread may have failed, and ended all of them.
            while self._running and len(self._workers) < wanted:
                self._add_worker_locked()

    def _add_worker_locked(self) -> None:
        index = len(self._workers)
        if index == len(self._tallies):
            self._tallies.append(Tally())
        worker = LoadWorker(
            self._target,
            clock=self._clock,
            index=index,
            # By serial, so that a thread that is started again does not repeat itself.
            random=Random(f"{self._orders.settings.seed}/{self._next_serial()}"),
            orders=self._orders,
            tally=self._tallies[index],
            on_error=self._count_error,
            on_failure=self._fail,
        )
        try:
            worker.start()
        except RuntimeError:
            self._tell_to_end_locked()
            raise
        self._workers.append(worker)

    def _write_missing_keys(self, orders: Orders) -> int:
        key_count = orders.settings.key_count
        written = 0
        for first in range(0, key_count, _KEYS_BETWEEN_CHECKS):
            if self._stop_loading.is_set():
                break
            self._checked_keys = first
            for number in range(first, min(first + _KEYS_BETWEEN_CHECKS, key_count)):
                key = load_key(number)
                if self._target.get(key) is None:
                    self._target.set(key, orders.value(number))
                    written += 1
        return written


def _type_name(error: BaseException) -> str:
    return visible(type(error).__name__)


def _described(error: BaseException) -> str:
    return visible(f"{_type_name(error)}: {error}", _ERROR_TEXT_LIMIT)


def _orders_for(settings: LoadSettings, before: Orders | None = None) -> Orders:
    """Return orders for these settings, with what the orders before have of them."""
    if before is not None and before.settings.key_count == settings.key_count:
        keys = before.keys
    else:
        keys = KeySpace(settings.key_count)
    if before is not None and (before.settings.value_size, before.settings.seed) == (
        settings.value_size,
        settings.seed,
    ):
        text = before.text
    else:
        text = value_text(settings.value_size, settings.seed)
    return Orders(settings, keys, text)
