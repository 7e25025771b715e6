"""One thread of a load: carries out operations at its pace, whatever the store answers.

Knows nothing of the other threads, nor of whoever watches.
"""

import threading
from collections.abc import Callable
from random import Random

from core.clock import Clock
from core.errors import StoreError
from core.workload.operations import LoadTarget, Orders, Tally, TimedOperations
from core.workload.pacing import Pacer
from core.workload.right_of_way import right_of_way
from core.workload.switch_interval import finer_switching

# After an error a thread waits, and twice as long after each further one in a row: a store that
# fails at once, such as a ring without a server, must not keep the processor busy.
FIRST_BACKOFF_SECONDS = 0.001
LONGEST_BACKOFF_SECONDS = 0.1


class LoadWorker:
    """A thread that follows orders until it is told to end.

    After a `StoreError` it waits a little and goes on. Any other exception is a bug of the store or
    of this program, and ends the thread.

    Thread safety: any thread may call the public methods. `_orders` is replaced by one reference
    assignment, after which `_wake` is set; the thread clears `_wake` before it reads `_orders`, and
    so misses none. All other fields belong to the thread once it is started.

    Args:
        target: the store.
        clock: the time that paces it.
        index: the thread's place among those of its load, from 0.
        random: its random source, which nobody else draws from.
        orders: its first orders; None to end at once.
        tally: what it counts into, and nobody else.
        on_error: called on the thread with each `StoreError`.
        on_failure: called on the thread with any other exception, as the last that it does.
    """

    def __init__(
        self,
        target: LoadTarget,
        *,
        clock: Clock,
        index: int,
        random: Random,
        orders: Orders | None,
        tally: Tally,
        on_error: Callable[[StoreError], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._target = target
        self._clock = clock
        self._random = random
        self._orders = orders
        self._tally = tally
        self._on_error = on_error
        self._on_failure = on_failure
        self._wake = threading.Event()
        self._pacer = Pacer(clock, self._wake, index)
        # A daemon, so that a program that dies without stopping its load can end.
        self._thread = threading.Thread(target=self._run, name=f"ringtop-load-{index}", daemon=True)

    def start(self) -> None:
        """Start the thread; once only."""
        self._thread.start()

    def follow(self, orders: Orders | None) -> None:
        """Give the thread other orders; None tells it to end. Returns at once."""
        self._orders = orders
        self._wake.set()

    def join(self) -> None:
        """Wait until the thread has ended. Told to end, it only completes its operation."""
        self._thread.join()

    def _run(self) -> None:
        try:
            with finer_switching:
                while (orders := self._next_orders()) is not None:
                    self._carry_out(orders)
        except BaseException as error:
            # Nothing is above a thread to pass it on to, not even a SystemExit.
            self._on_failure(error)

    def _next_orders(self) -> Orders | None:
        self._wake.clear()
        return self._orders

    def _carry_out(self, orders: Orders) -> None:
        """Carry out operations until there are other orders."""
        rate = orders.settings.operations_per_second
        self._pacer.set_interval(None if rate is None else 1.0 / rate)
        carry_out_one = TimedOperations(
            self._target, orders, self._random, self._tally
        ).carry_out_one
        backoff = FIRST_BACKOFF_SECONDS
        while self._orders is orders:
            if right_of_way.taken:
                right_of_way.wait()
            if rate is not None and not self._pacer.wait():
                continue
            try:
                carry_out_one()
                backoff = FIRST_BACKOFF_SECONDS
            except StoreError as error:
                self._on_error(error)
                self._clock.wait(self._wake, backoff)
                backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)
