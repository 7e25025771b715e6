"""A committed plan being carried out: progress, pause, resume, cancel.

A migration is a sequence of range moves (see `range_mover`). Between two of them it may be paused,
or cancelled, which moves the ranges that were flipped back; after one that failed it pauses itself.
"""

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.clock import Clock
from core.cluster.plan import ChangeKind, Plan
from core.cluster.range_mover import KEYS_PER_CHUNK, RangeMover
from core.cluster.route import Owners
from core.errors import InvalidOptionError, MigrationFailedError
from core.events import (
    Event,
    MigrationCancelling,
    MigrationFinished,
    MigrationPaused,
    MigrationResumed,
    MigrationStarted,
)
from core.safe_text import visible

# With a limit in keys per second, chunks are this part of a second's keys, so that it moves evenly.
_CHUNKS_PER_SECOND = 4


class MigrationState(StrEnum):
    """What a migration is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far a migration is.

    Attributes:
        kind: whether a server joins, leaves or gets another weight.
        server_id: that server.
        state: what the migration is doing.
        cancelling: True once it was cancelled and ranges move back.
        keys_moved: how many keys were moved so far, forward or back.
        keys_total: how many there are to move: the plan's number, or more as writes come in.
        fraction: the part of the ring's positions to move that was moved, 0 to 1; when cancelling,
            it falls back to 0.
        keys_per_second: the rate since it last began to run.
        eta_seconds: how long the rest will take at this rate; None when that can't be said.
        error: why it paused by itself, in one line; else None.
    """

    kind: ChangeKind
    server_id: str
    state: MigrationState
    cancelling: bool
    keys_moved: int
    keys_total: int
    fraction: float
    keys_per_second: float
    eta_seconds: float | None
    error: str | None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in (MigrationState.FINISHED, MigrationState.CANCELLED)


@dataclass(slots=True)
class _Move:
    """A span to be moved, from its first position that was not moved yet."""

    low: int
    high: int
    old: Owners
    new: Owners

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    def directed(self, *, back: bool) -> tuple[Owners, Owners]:
        """Return who gives and who takes, forward or back."""
        return (self.new, self.old) if back else (self.old, self.new)

    def goes_on_in(self, other: "_Move") -> bool:
        """Whether `other` is the same change of the positions right behind these."""
        return (self.high + 1, self.old, self.new) == (other.low, other.old, other.new)


class Migration:
    """A membership change on its way.

    Thread safety: any thread may call any public method. `_changed`, which is shared with the
    membership, guards the state and is notified whenever it changes; `_stepping` is held while a
    chunk moves and is taken before `_changed`. One background thread works, from `start` until the
    migration is over or `stop` is called; without a background, whoever calls `work` or `wait`.

    Always true: the ranges in `_moved` are at their new owners, those in `_to_move` at their old
    ones, and together they are the ranges of the plan.

    Made by `KeyValueStore.commit`.
    """

    def __init__(
        self,
        plan: Plan,
        mover: RangeMover,
        *,
        changed: threading.Condition,
        clock: Clock,
        log: Callable[[Event], None],
        turn_back: Callable[[], None],
        finish: Callable[["Migration"], None],
        keys_per_second: float | None = None,
        background: bool = True,
    ) -> None:
        if keys_per_second is not None and (
            not isinstance(keys_per_second, int | float) or not 0 < keys_per_second < math.inf
        ):
            raise InvalidOptionError("keys_per_second must be above 0, or None for no limit")
        self.plan = plan
        self._mover = mover
        self._changed = changed
        self._clock = clock
        self._log = log
        self._turn_back = turn_back
        self._finish = finish
        self._limit = keys_per_second
        self._background = background
        self._chunk = KEYS_PER_CHUNK
        if keys_per_second is not None:
            self._chunk = min(KEYS_PER_CHUNK, max(1, int(keys_per_second / _CHUNKS_PER_SECOND)))

        self._stepping = threading.Lock()
        self._interrupted = threading.Event()
        self._thread: threading.Thread | None = None
        self._state = MigrationState.PAUSED
        self._cancelling = False
        self._stopped = False
        self._error: Exception | None = None

        self._to_move = [
            _Move(low, high, change.old_replicas, change.new_replicas)
            for change in reversed(plan.changes)
            for low, high in reversed(change.range.spans())
            if change.old_replicas and change.new_replicas
        ]
        self._moved: list[_Move] = []
        self._positions_to_move = sum(move.size for move in self._to_move)
        self._positions_moved = 0
        self._keys_moved = 0
        self._began_at = self._clock.monotonic()
        self._running_since = self._began_at
        self._keys_before_running = 0
        self._positions_before_running = 0

    @property
    def server_id(self) -> str:
        """The server that joins, leaves or gets another weight."""
        return self.plan.server_id

    @property
    def moves_nothing(self) -> bool:
        """Whether no range goes from one server to another."""
        return self._positions_to_move == 0

    @property
    def error(self) -> Exception | None:
        """What made it pause by itself; None when nothing did."""
        with self._changed:
            return self._error

    @property
    def progress(self) -> MigrationProgress:
        """How far it is, at this moment. O(1)."""
        with self._changed:
            total = self._positions_to_move
            fraction = self._positions_moved / total if total else 1.0
            seconds = self._clock.monotonic() - self._running_since
            running = self._state is MigrationState.RUNNING and seconds > 0
            keys = self._keys_moved - self._keys_before_running
            return MigrationProgress(
                kind=self.plan.kind,
                server_id=self.plan.server_id,
                state=self._state,
                cancelling=self._cancelling,
                keys_moved=self._keys_moved,
                keys_total=max(self.plan.keys_moved, self._keys_moved),
                fraction=fraction,
                keys_per_second=keys / seconds if running else 0.0,
                eta_seconds=self._eta_locked(seconds) if running else None,
                error=visible(str(self._error), 200) if self._error is not None else None,
            )

    @property
    def over(self) -> bool:
        """Whether it was finished or cancelled, so that nothing more will happen."""
        return self._state in (MigrationState.FINISHED, MigrationState.CANCELLED)

    @property
    def paused(self) -> bool:
        """Whether it stands still, by request or by an error."""
        return self._state is MigrationState.PAUSED

    def restore(self, moved: Sequence[tuple[int, int]], *, cancelling: bool) -> None:
        """Go on from where another process stopped. O(moves + spans).

        Args:
            moved: the spans that are at their new owners, in order.
            cancelling: whether they are to move back.
        """
        to_move: list[_Move] = []
        for move in reversed(self._to_move):
            for low, high, was_moved in _cut(move.low, move.high, moved):
                part = _Move(low, high, move.old, move.new)
                (self._moved if was_moved else to_move).append(part)
        self._to_move = to_move[::-1]
        self._positions_moved = sum(part.size for part in self._moved)
        self._cancelling = cancelling
        self._measure_anew_locked()

    def announce(self) -> None:
        """Log that it begins, and with what."""
        plan = self.plan
        self._log(
            MigrationStarted(
                server_id=plan.server_id,
                change=plan.kind.value,
                keys=plan.keys_moved,
                fraction=plan.fraction_moved,
                ideal_fraction=plan.ideal_fraction,
                peers=len(plan.peers),
                replicas=plan.replicas,
            )
        )

    def target_of(self, position: int) -> str | None:
        """Return the server that `position` is still to be moved to; None if it stays. O(moves)."""
        with self._changed:
            for move in self._to_move if not self._cancelling else self._moved:
                if move.low <= position <= move.high:
                    old, new = move.directed(back=self._cancelling)
                    return next((name for name in new if name not in old), new[0])
        return None

    def pause(self) -> bool:
        """Stand still after the chunk that is being moved; False if it was not running."""
        with self._changed:
            if self._state is not MigrationState.RUNNING:
                return False
            self._state = MigrationState.PAUSED
            self._interrupted.set()
            self._log(MigrationPaused(server_id=self.server_id))
            self._changed.notify_all()
        return True

    def resume(self) -> bool:
        """Go on after a pause or an error; False if it was not paused."""
        with self._changed:
            if self._state is not MigrationState.PAUSED or self._stopped:
                return False
            self._log(MigrationResumed(server_id=self.server_id))
        self.start()
        return True

    def start(self) -> None:
        """Run until it is over, paused or failed: in a background thread, if there may be one."""
        with self._changed:
            if self._state is not MigrationState.PAUSED or self._stopped:
                return
            self._error = None
            self._state = MigrationState.RUNNING
            self._interrupted.clear()
            self._measure_anew_locked()
            self._changed.notify_all()
            if self._thread is None and self._background:
                self._thread = threading.Thread(
                    target=self._run, name=f"ringtop-migration-{self.server_id}", daemon=True
                )
                self._thread.start()

    def cancel(self) -> bool:
        """Move every range that was moved back, and leave the ring as it was before the plan.

        Returns at once; `wait` says when it is done. A paused or failed migration runs again for
        this. Returns False if it is over, or was cancelled already.
        """
        with self._stepping, self._changed:
            if self.over or self._cancelling or self._stopped:
                return False
            self._turn_back()
            self._cancelling = True
            self._measure_anew_locked()
            self._log(MigrationCancelling(server_id=self.server_id))
            self._interrupted.set()
            self._changed.notify_all()
        self.start()
        return True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over; return whether it is.

        A migration that somebody paused is waited for: somebody may resume it. In a store without a
        background this moves what is to be moved, and returns when it is paused.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.

        Raises:
            MigrationFailedError: it is paused by an error.
        """
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        while not self._background and self.work():
            if deadline is not None and self._clock.monotonic() >= deadline:
                break
        with self._changed:
            if self._background:
                self._changed.wait_for(lambda: self.over or self._stopped or self._error, timeout)
            if self._error is not None:
                raise MigrationFailedError(self.server_id, str(self._error)) from self._error
            return self.over

    def work(self) -> bool:
        """Move one chunk if it runs without a thread of its own; return whether there may be more.

        A move that fails pauses it, as it does in the background.
        """
        if self._background or self._state is not MigrationState.RUNNING or self._stopped:
            return False
        try:
            more = self.step()
        except MigrationFailedError:
            return False  # it is paused, and `progress`, `wait` and the events say why
        self._keep_to_the_limit()
        return more

    def step(self) -> bool:
        """Move one chunk in the calling thread; return False when there is nothing left to move.

        For simulations and debuggers that drive a migration themselves (``commit(plan,
        start=False)``); a running one goes on in its own thread as well.

        Raises:
            MigrationFailedError: the move failed; the migration is paused.
        """
        with self._stepping:
            if self.over or self._stopped:
                return False
            try:
                more = self._move_one_chunk()
                if not more:
                    self._end()
            # Whatever a server raises, the migration must survive and say so.
            except Exception as error:
                self._pause_with(error)
                raise MigrationFailedError(self.server_id, str(error)) from error
            return more

    def stop(self) -> None:
        """Stop working for good, wherever it is: the store is being cleared or closed."""
        with self._changed:
            self._stopped = True
            self._interrupted.set()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _measure_anew_locked(self) -> None:
        """Count speed from now on: what was done the other way, or before a pause, is no part."""
        self._running_since = self._clock.monotonic()
        self._keys_before_running = self._keys_moved
        self._positions_before_running = self._positions_moved

    def _eta_locked(self, seconds: float) -> float | None:
        done = abs(self._positions_moved - self._positions_before_running)
        if not done:
            return None
        left = self._positions_moved
        if not self._cancelling:
            left = self._positions_to_move - self._positions_moved
        return seconds * left / done

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._state is not MigrationState.PAUSED or self._stopped
                )
                if self.over or self._stopped:
                    return
            try:
                self.step()
            except MigrationFailedError:
                continue  # it is paused, and `progress`, `wait` and the events say why
            self._keep_to_the_limit()

    def _move_one_chunk(self) -> bool:
        """Move one chunk; return False when nothing was left to move."""
        self._mover.clear_leftovers()
        moves = self._moved if self._cancelling else self._to_move
        if not moves:
            return False
        move = moves[-1]
        old, new = move.directed(back=self._cancelling)
        chunk = self._mover.move_chunk(
            move.low, move.high, old, new, self._chunk, back=self._cancelling
        )
        with self._changed:
            self._keys_moved += chunk.keys
            self._note_moved_locked(move, chunk.high)
        if chunk.error is not None:
            raise chunk.error
        return True

    def _note_moved_locked(self, move: _Move, end: int) -> None:
        """Take the part of `move` up to `end` from the list it was moved from."""
        size = end - move.low + 1
        if self._cancelling:
            self._positions_moved -= size
            moves = self._moved
        else:
            self._positions_moved += size
            moves = self._to_move
            last = self._moved[-1] if self._moved else None
            if last is not None and last.goes_on_in(move):
                last.high = end
            else:
                self._moved.append(_Move(move.low, end, move.old, move.new))
        if end == move.high:
            moves.pop()
        else:
            move.low = end + 1

    def _pause_with(self, error: Exception) -> None:
        with self._changed:
            self._error = error
            self._state = MigrationState.PAUSED
            self._log(MigrationPaused(server_id=self.server_id, error=visible(str(error), 200)))
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            cancelled = self._cancelling
            self._finish(self)
            self._state = MigrationState.CANCELLED if cancelled else MigrationState.FINISHED
            self._log(
                MigrationFinished(
                    server_id=self.server_id,
                    change=self.plan.kind.value,
                    cancelled=cancelled,
                    keys=self._keys_moved,
                    seconds=self._clock.monotonic() - self._began_at,
                    replicas=self.plan.replicas,
                )
            )
            self._changed.notify_all()

    def _keep_to_the_limit(self) -> None:
        """Wait until the keys moved so far are no more than the limit allows."""
        if self._limit is None or self.over:
            return
        keys = self._keys_moved - self._keys_before_running
        early = keys / self._limit - (self._clock.monotonic() - self._running_since)
        if early > 0 and self._clock.wait(self._interrupted, early):
            with self._changed:
                if self._state is MigrationState.RUNNING and not self._stopped:
                    self._interrupted.clear()


def _cut(low: int, high: int, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, bool]]:
    """Yield a span in parts, each with whether it lies in one of `spans`, which are in order."""
    index = max(0, bisect_left(spans, (low,)) - 1)
    for first, last in spans[index:]:
        if last < low:
            continue
        if first > high:
            break
        if low < first:
            yield low, first - 1, False
        yield max(low, first), min(high, last), True
        low = last + 1
    if low <= high:
        yield low, high, False
