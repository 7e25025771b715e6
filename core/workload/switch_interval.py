"""A finer grain of switching between threads, for as long as a load runs.

CPython lets a thread that computes go on for `sys.getswitchinterval()`, 5 ms by default, while
others wait. With 8 unpaced load threads, the thread that reads the keyboard and draws the screen
gets its turn after up to 8 x 5 ms, and queues up again after each lock, read or write: a terminal
stands still for 100 to 500 ms. At 0.5 ms it answers, for about a tenth of the load's operations.
"""

import sys
import threading
from types import TracebackType

LOAD_SWITCH_INTERVAL_SECONDS = 0.0005

# CPython cuts an interval to whole microseconds, and 99 read and set again would become 98.
_HALF_A_MICROSECOND = 0.000_000_5


class _FinerSwitching:
    """Sets the switch interval when the first user enters, and restores it when the last leaves.

    An interval that is shorter already stays, and one that somebody else sets meanwhile is theirs
    and is not touched.

    Thread safety: any thread may enter and leave. `_lock` guards all fields, and the interval as
    far as this class changes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0.0
        self._during = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = sys.getswitchinterval()
                _set_interval(min(self._before, LOAD_SWITCH_INTERVAL_SECONDS))
                self._during = sys.getswitchinterval()
            self._users += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and sys.getswitchinterval() == self._during:
                _set_interval(self._before)


def _set_interval(seconds: float) -> None:
    sys.setswitchinterval(seconds + _HALF_A_MICROSECOND)


# One for the process, as the interval is.
finer_switching = _FinerSwitching()
