"""Where the store takes the time from, so that tests decide what time it is."""

import threading
import time
from typing import Final, Protocol

# Goes on while the machine sleeps, where the system has such a clock: what was to last a minute is
# over after a night. `time.monotonic` stands still meanwhile. (On macOS CLOCK_MONOTONIC goes on.)
_ELAPSED_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """The time, as the store sees it."""

    def now_ms(self) -> int:
        """Return wall-clock milliseconds since 1970-01-01 UTC. May jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment; never runs backwards, and nobody sets it."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, at most `seconds`; return whether it is set."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ms(self) -> int:
        """Return wall-clock milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds since the machine was started, those that it slept among them."""
        return time.clock_gettime(_ELAPSED_CLOCK)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, at most `seconds`; return whether it is set."""
        return event.wait(seconds)


class ManualClock:
    """A clock that stands still until it is told otherwise. For tests and simulations.

    Waiting returns at once and moves the clock by the time that was to be waited.

    >>> clock = ManualClock(now_ms=1_000)
    >>> clock.advance(2.5)
    >>> clock.now_ms(), clock.monotonic()
    (3500, 2.5)
    """

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._lock = threading.Lock()
        self._now_ms = now_ms
        self._monotonic = 0.0

    def now_ms(self) -> int:
        """Return the wall-clock milliseconds that were set."""
        return self._now_ms

    def monotonic(self) -> float:
        """Return the seconds by which the clock was advanced."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both times forward by `seconds`."""
        with self._lock:
            self._now_ms += round(seconds * 1_000)
            self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, forward or back, as an administrator or NTP would."""
        with self._lock:
            self._now_ms += round(seconds * 1_000)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Move the clock by `seconds` unless `event` is set; return whether it is set."""
        if not event.is_set():
            self.advance(seconds)
        return event.is_set()
