"""The work in the background: catching up and sweeping what has expired, a little at a time."""

import threading
from collections.abc import Callable
from contextlib import suppress

from core.clock import Clock
from core.cluster.expiry import Expiry, SteadyTime
from core.cluster.failover import Failover
from core.errors import ServerFailedError, StoreError

# How long a server that does not answer is left alone.
RETRY_SECONDS = 0.25
# How often the sweeper looks when keys are to expire: memory is freed this much late at most.
_SWEEP_SECONDS = 1.0
# How much a loss of power takes of what was written with sync="everysec".
_SYNC_SECONDS = 1.0


class Maintenance:
    """One thread for all that a store does by itself; there is none until there is work.

    Thread safety: any thread may call any method. `_lock` guards the thread's beginning and end.

    Args:
        failover: knows who is behind.
        expiry: knows what expires.
        time: the time that keys expire by.
        clock: what to wait with.
        sync: puts what was written on the disk; called every second. None without a disk.
        background: False starts no thread: `run_once` is then called by whoever wants the work.
    """

    def __init__(
        self,
        failover: Failover,
        expiry: Expiry,
        time: SteadyTime,
        clock: Clock,
        *,
        sync: Callable[[], None] | None,
        background: bool,
    ) -> None:
        self._sync = sync
        self._sync_at = 0.0
        self._failover = failover
        self._expiry = expiry
        self._time = time
        self._clock = clock
        self._background = background
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def wake(self) -> None:
        """Say that there is work."""
        self._work.set()
        if not self._background or self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(
                    target=self._run, name="ringtop-maintenance", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Stop for good, wait until the thread has ended, and put everything on the disk."""
        with self._lock:
            self._stopped = True
            thread = self._thread
        self._work.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        if self._sync is not None:
            with suppress(StoreError):  # closing the servers tells what could not be written
                self._sync()

    def run_once(self) -> bool:
        """Do one small piece of each work; return whether more could be done at once."""
        more = False
        if self._failover.tend():
            for recovery in self._failover.recoveries:
                try:
                    more = recovery.step() or more
                except ServerFailedError:
                    continue  # it waits, and its progress says so
        self._sync_disks()
        return self._expiry.sweep() or more

    def _sync_disks(self) -> None:
        """Put on the disk what was written in the last second."""
        if self._sync is None or self._clock.monotonic() < self._sync_at:
            return
        self._sync_at = self._clock.monotonic() + _SYNC_SECONDS
        with suppress(StoreError):  # whoever writes next is told
            self._sync()

    def _run(self) -> None:
        while not self._stopped:
            self._work.clear()
            try:
                more = self.run_once()
            except StoreError:
                more = False  # the store is being cleared or closed
            if more or self._stopped:
                continue
            self._clock.wait(self._work, self._idle_seconds())

    def _idle_seconds(self) -> float:
        """Return how long there is nothing to do unless somebody says otherwise."""
        if self._failover.recoveries:
            return RETRY_SECONDS
        longest = 3_600.0 if self._sync is None else _SYNC_SECONDS
        due = self._expiry.next_ms()
        if due is None:
            return longest
        return min(longest, max(0.0, (due - self._time.now_ms()) / 1_000) + _SWEEP_SECONDS)
