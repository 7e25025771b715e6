"""Group commit: many writers wait for one of them who syncs for all.

Prior art: PostgreSQL and RocksDB do the same inside their logs. Knows no log: it is told how to
sync one.
"""

import threading
from collections.abc import Callable


class GroupSync:
    """Writers with numbers, and how far the log is on the disk.

    Thread safety: any thread may call any method. `_turn` guards both fields; it is not held while
    the log is synced.

    Always true: what has a number up to `_synced` is on the disk; `_syncing` means that one thread
    is in `sync`, and no other.

    Args:
        sync: puts the log on the disk, and returns the highest number that is there by that. It is
            called by one thread at a time. What it raises, the one who called `through` gets; who
            waited for it tries for itself.
    """

    def __init__(self, sync: Callable[[], int]) -> None:
        self._sync = sync
        self._turn = threading.Condition()
        self._synced = 0
        self._syncing = False

    def through(self, number: int) -> None:
        """Return once all writes up to `number` are on the disk. O(1), and at most two syncs.

        A sync that was under way when the write was made does not count for it: it waits for the
        next, which all take part in who came meanwhile.
        """
        with self._turn:
            while self._syncing and self._synced < number:
                self._turn.wait()
            if self._synced >= number:
                return
            self._syncing = True
        reached = 0
        try:
            reached = self._sync()
        finally:
            with self._turn:
                self._syncing = False
                self._synced = max(self._synced, reached)
                self._turn.notify_all()
