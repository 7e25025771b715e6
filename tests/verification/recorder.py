"""Records what real threads call and are answered, and disturbs them as little as it can.

A thread appends to a list of its own and takes two stamps from one counter: `next()` on an
`itertools.count` is one step under the interpreter's lock, so stamps agree with real time and no
lock of the recorder's own brings threads into an order that hides a race. Knows no store; the error
types that mean "unknown" and "refused" are given to it.
"""

import itertools
import threading
from collections.abc import Callable
from typing import TypeVar

from tests.verification.history import Argument, Kind, Operation, Result

Answer = TypeVar("Answer", bound=Result)


class ThreadLog:
    """The operations of one thread. Only that thread may call it, until it has ended."""

    def __init__(self, recorder: "Recorder", thread: int) -> None:
        self._stamp = recorder.stamp
        self._unknown = recorder.unknown
        self._refused = recorder.refused
        self._thread = thread
        self.operations: list[Operation] = []

    def perform(
        self, key: str, kind: Kind, argument: Argument, call: Callable[[], Answer]
    ) -> Answer | None:
        """Call and record; return the answer, or None where there was none.

        Args:
            key: what the operation is about.
            kind: what it does.
            argument: as its kind says.
            call: does it.

        Raises:
            Exception: what `call` raised, if it is neither unknown nor refused. It is recorded as
                unknown: whatever went wrong, the write may have happened.
        """
        invoked = self._stamp()
        try:
            answer = call()
        except self._refused:
            return None
        except self._unknown:
            self._record(key, kind, argument, None, invoked, None)
            return None
        except BaseException:
            self._record(key, kind, argument, None, invoked, None)
            raise
        self._record(key, kind, argument, answer, invoked, self._stamp())
        return answer

    def _record(
        self,
        key: str,
        kind: Kind,
        argument: Argument,
        result: Result,
        invoked: int,
        returned: int | None,
    ) -> None:
        self.operations.append(
            Operation(self._thread, key, kind, argument, result, invoked, returned)
        )


class Recorder:
    """Hands a log to each thread, and puts what they hold together. Any thread may call it.

    Args:
        unknown: errors after which a write may have taken effect, or may yet, or never will.
        refused: errors after which it certainly has not and won't; nothing is recorded. They are
            looked at first, so they may be subclasses of the unknown ones.
    """

    def __init__(
        self,
        unknown: tuple[type[Exception], ...] = (),
        refused: tuple[type[Exception], ...] = (),
    ) -> None:
        self.unknown = unknown
        self.refused = refused
        self._stamps = itertools.count()
        self._lock = threading.Lock()
        self._logs: list[ThreadLog] = []  # guarded by _lock

    def stamp(self) -> int:
        """Return a number greater than any returned before; for transactions, too."""
        return next(self._stamps)

    def new_log(self) -> ThreadLog:
        """Return a log for one more thread."""
        with self._lock:
            log = ThreadLog(self, len(self._logs))
            self._logs.append(log)
            return log

    def merge(self) -> list[Operation]:
        """Return what all logs hold, in order of the calls. Call it when the threads have ended."""
        with self._lock:
            operations = [operation for log in self._logs for operation in log.operations]
        return sorted(operations, key=lambda operation: operation.invoked)
