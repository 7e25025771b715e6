"""Lets threads that have to answer quickly go before the threads of a load.

CPython shares the interpreter out evenly among the threads that want it, and knows no priorities:
beside 8 unpaced load threads a screen gets a ninth, and what takes it 10 ms alone takes 90. So a
load's threads wait between two operations while a thread that goes first has something to do.
Fewer load threads, or a pause after each operation, would help the screen too, but would change
what is measured all the time, and not for the few milliseconds in which somebody looks.
"""

import threading
from types import TracebackType

# A load goes on slowly rather than stand still, should a thread that goes first never rest.
LONGEST_WAIT_SECONDS = 0.05


class RightOfWay:
    """Says whether a thread that goes first is at work; such a thread works inside ``with``.

    Thread safety: any thread may call any method. `_lock` guards `_users` and every change of the
    other two; `taken` is read without it.

    Attributes:
        taken: whether a thread that goes first is at work.
    """

    __slots__ = ("_free", "_lock", "_users", "taken")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._free = threading.Event()
        self._free.set()
        self.taken = False

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            self._free.clear()
            self.taken = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self.taken = False
                self._free.set()

    def wait(self) -> None:
        """Wait until nobody goes first any more, 50 ms at most."""
        self._free.wait(LONGEST_WAIT_SECONDS)


# One for the process, as the interpreter is.
right_of_way = RightOfWay()
