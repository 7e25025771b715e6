"""When the next operation of a paced thread is due."""

import threading

from core.clock import Clock

# What a thread is behind its schedule by more than this is let go: after a stall it makes up for a
# tenth of a second of operations, and does not fall upon the store with all that it missed.
MAX_BACKLOG_SECONDS = 0.1

# Multiples of the golden ratio, modulo 1, lie evenly for any number of threads, also when threads
# are added later; index / threads would have to move those that run.
_GOLDEN_RATIO = 0.6180339887498949


class Pacer:
    """The schedule of one thread: an operation every so many seconds.

    An operation is due an interval after the one before was *due*, not after it was done, so that
    slow operations don't slow the pace. The first is due at a part of the interval that differs
    from thread to thread: operations of threads of one pace come evenly, not all at once.

    Thread safety: belongs to one thread; another ends a wait by setting `wake`.

    Args:
        clock: the time.
        wake: when set, nothing is waited for.
        index: of the thread among those of its load, from 0.
    """

    __slots__ = ("_clock", "_due", "_interval", "_phase", "_wake")

    def __init__(self, clock: Clock, wake: threading.Event, index: int) -> None:
        self._clock = clock
        self._wake = wake
        self._phase = index * _GOLDEN_RATIO % 1.0
        self._interval: float | None = None
        self._due = 0.0

    def set_interval(self, seconds: float | None) -> None:
        """Begin a schedule of one operation every `seconds`; None for no pace.

        A schedule of the same interval goes on as it is.
        """
        if seconds == self._interval:
            return
        self._interval = seconds
        if seconds is not None:
            self._due = self._clock.monotonic() + self._phase * seconds

    def wait(self) -> bool:
        """Wait until an operation is due; return False if woken before.

        When it returns True, the operation counts as begun.
        """
        if self._interval is None:
            return True
        now = self._clock.monotonic()
        if now < self._due:
            if self._clock.wait(self._wake, self._due - now):
                return False
        else:
            self._due = max(self._due, now - MAX_BACKLOG_SECONDS)
        self._due += self._interval
        return True
