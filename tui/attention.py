"""An event loop that goes before a load's threads while it has work, and while the user waits.

A key press is several short bursts of work: it is read, handled, drawn at the next tick of the
screen (60 a second), and written. Were the load let in between them, it would delay each of them
by some milliseconds; so it is not, for a moment after a key. What the screen draws by itself goes
first only while it is drawn.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine

from core.workload.right_of_way import right_of_way

# From a key to the changed screen, and to the answer from the store that may follow.
ATTENTION_SECONDS = 0.06


class Attention:
    """Until when the user waits for something to be seen.

    Only the event loop's thread may use it.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def renew(self) -> None:
        """Note that the user has just done something."""
        self._until = time.monotonic() + ATTENTION_SECONDS

    @property
    def seconds_left(self) -> float:
        """For how long it lasts still; 0 or less when it is over."""
        return self._until - time.monotonic()

    def run(self, main: Coroutine[object, object, object]) -> None:
        """Run a coroutine to its end, before the load's threads.

        Raises:
            BaseException: what the coroutine raises.
        """

        def loop() -> asyncio.AbstractEventLoop:
            return asyncio.SelectorEventLoop(_AttentiveSelector(self))

        with right_of_way, asyncio.Runner(loop_factory=loop) as runner:
            runner.run(main)


class _AttentiveSelector(selectors.DefaultSelector):
    """Waits for what happens next, and lets the load's threads go on only meanwhile.

    Used while its thread has the right of way.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self._attention = attention

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        held = self._attention.seconds_left
        if held > 0:
            # When this is shorter than it was to be, the loop asks again.
            return super().select(held if timeout is None else min(held, timeout))
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        right_of_way.__exit__(None, None, None)
        try:
            return super().select(timeout)
        finally:
            right_of_way.__enter__()
