"""A server that stops answering, and one that comes back."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from core.clock import Clock
from core.cluster.catching_up import CatchingUp, CaughtUp
from core.cluster.replica import Replica
from core.cluster.shards import Shards
from core.errors import ServerFailedError, UnknownServerError
from core.events import (
    DiskRecovered,
    DiskTroubled,
    Event,
    RecoveryFinished,
    RecoveryPaused,
    RecoveryStarted,
    ServerCrashed,
    ServerFellBehind,
)
from core.safe_text import visible
from core.stripes import STRIPES


@dataclass(frozen=True, slots=True)
class CrashPreview:
    """What the crash of a server would mean, counted when it was asked for.

    Attributes:
        server_id: that server.
        keys_lost: how many keys no other server holds: they would be lost.
        keys_left: how many of its keys others hold: they would have a replica less.
        keys_refused: how many of those could not be written at the store's own level until the
            server is back.
        keys_waiting: how many keys only its disk holds: they could be neither read nor written
            until it is back, and would not be lost.
        on_disk: whether its records survive the crash.
    """

    server_id: str
    keys_lost: int
    keys_left: int
    keys_refused: int
    keys_waiting: int = 0
    on_disk: bool = False


class RecoveryState(StrEnum):
    """What a recovery is doing."""

    RUNNING = "running"
    WAITING = "waiting"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class RecoveryProgress:
    """How far a server has caught up.

    Attributes:
        server_id: that server.
        state: running; waiting for a server that does not answer; or finished.
        stripes_total: in how many stripes (1,024ths of the ring) it had missed something.
        stripes_left: in how many it still has.
        hints: how many hints were delivered.
        compared: how many ranges were compared.
        copied: how many records were copied because ranges differed.
        seconds: for how long it has been at it.
        error: why it waits; None when it does not.
    """

    server_id: str
    state: RecoveryState
    stripes_total: int
    stripes_left: int
    hints: int
    compared: int
    copied: int
    seconds: float
    error: str | None

    @property
    def fraction(self) -> float:
        """The part that is done, 0 to 1."""
        return 1 - self.stripes_left / self.stripes_total if self.stripes_total else 1.0


class Recovery:
    """A server that catches up, a stripe at a time.

    Thread safety: any thread may call any method. `_stepping` is held while a stripe catches up and
    guards the fields.

    Made by `Failover`.
    """

    def __init__(
        self,
        replica: Replica,
        catching_up: CatchingUp,
        clock: Clock,
        log: Callable[[Event], None],
        finish: Callable[["Recovery"], None],
    ) -> None:
        self._replica = replica
        self._catching_up = catching_up
        self._clock = clock
        self._log = log
        self._finish = finish
        self._stepping = threading.Lock()
        self._over = threading.Event()
        self._began_at = clock.monotonic()
        self._total = len(replica.behind)
        # Where it had missed something when that was last looked up, in order, the next one last.
        self._to_do: list[int] = []
        self._hints = self._compared = self._copied = 0
        self._error: Exception | None = None
        log(RecoveryStarted(server_id=self.server_id, stripes=self._total))

    @property
    def server_id(self) -> str:
        """The server that catches up."""
        return self._replica.server_id

    @property
    def error(self) -> Exception | None:
        """Why it waits; None when it does not."""
        return self._error

    @property
    def progress(self) -> RecoveryProgress:
        """How far it is."""
        left = len(self._replica.behind)
        state = RecoveryState.RUNNING if self._error is None else RecoveryState.WAITING
        return RecoveryProgress(
            server_id=self.server_id,
            state=RecoveryState.FINISHED if self._over.is_set() else state,
            stripes_total=max(self._total, left),
            stripes_left=left,
            hints=self._hints,
            compared=self._compared,
            copied=self._copied,
            seconds=self._clock.monotonic() - self._began_at,
            error=visible(str(self._error), 200) if self._error is not None else None,
        )

    def step(self) -> bool:
        """Catch up in one stripe; return False when nothing is left to do.

        Raises:
            ServerFailedError: somebody does not answer; what was done stays done.
        """
        with self._stepping:
            if self._over.is_set():
                return False
            down = self._replica.down
            stripe = None if down else self._next_stripe()
            if stripe is None:
                self._end_locked(crashed=down or self._over.is_set())
                return False
            try:
                done = self._catch_up_in(stripe)
            except ServerFailedError as error:
                if self._over.is_set():
                    return False  # it was stopped meanwhile
                if self._error is None:
                    self._log(
                        RecoveryPaused(server_id=self.server_id, error=visible(str(error), 200))
                    )
                self._error = error
                raise
            self._error = None
            self._hints += done.hints
            self._compared += done.compared
            self._copied += done.copied
            return True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over, at most `timeout` seconds; return whether it is.

        It is over too when its server crashes again, or the store is closed.
        """
        return self._over.wait(timeout)

    def stop(self) -> None:
        """Do no more, wherever it is: the server has crashed, or the store is being closed."""
        self._over.set()

    def _next_stripe(self) -> int | None:
        """Return a stripe in which it has missed something; None if there is none."""
        while self._to_do and self._replica.current(self._to_do[-1]):
            self._to_do.pop()
        if not self._to_do:
            self._to_do = self._replica.behind[::-1]
        return self._to_do[-1] if self._to_do else None

    def _catch_up_in(self, stripe: int) -> CaughtUp:
        """Catch up in `stripe`, or in the first one where it is possible now."""
        try:
            return self._catching_up.catch_up(self.server_id, stripe)
        except ServerFailedError as error:
            failure = error
        for other in self._replica.behind:
            if other != stripe:
                with suppress(ServerFailedError):
                    return self._catching_up.catch_up(self.server_id, other)
        raise failure

    def _end_locked(self, *, crashed: bool) -> None:
        self._over.set()
        self._finish(self)
        if not crashed:
            self._log(
                RecoveryFinished(
                    server_id=self.server_id,
                    hints=self._hints,
                    copied=self._copied,
                    seconds=self._clock.monotonic() - self._began_at,
                    keys=self._keys_on_disk(),
                )
            )

    def _keys_on_disk(self) -> int | None:
        if self._replica.durable is None:
            return None
        with suppress(ServerFailedError):  # it has gone again
            return self._replica.durable.count()
        return None


class Failover:
    """Takes servers out of service when they crash, and brings them back.

    Thread safety: any thread may call any method. `changed`, shared with the membership, guards
    `_recoveries`, `_troubled`, `_closed` and who is down.

    Args:
        shards: the servers.
        catching_up: brings their replicas up to date.
        changed: guards membership and failures.
        clock: the time.
        log: where to tell what happens.
        wake: called when there is something to catch up with.
    """

    def __init__(
        self,
        shards: Shards,
        catching_up: CatchingUp,
        changed: threading.Condition,
        clock: Clock,
        log: Callable[[Event], None],
        wake: Callable[[], None],
    ) -> None:
        self._shards = shards
        self._catching_up = catching_up
        self._changed = changed
        self._clock = clock
        self._log = log
        self._wake = wake
        self._recoveries: dict[str, Recovery] = {}
        self._troubled: set[str] = set()
        self._closed = False

    @property
    def recoveries(self) -> tuple[Recovery, ...]:
        """The recoveries under way."""
        return tuple(self._recoveries.values())

    def preview(self, server_id: str) -> CrashPreview:
        """Return what a crash of the server would mean. O(segments).

        Raises:
            UnknownServerError: there is no such server.
        """
        with self._changed:
            return self._preview_locked(server_id)

    def _preview_locked(self, server_id: str) -> CrashPreview:
        if server_id not in self._shards.replicas:
            raise UnknownServerError(server_id)
        lost = left = refused = 0
        level = self._shards.consistency.level
        for stripe, owners, tally in self._shards.routing.all_tallies():
            if server_id not in owners:
                continue
            if not self._shards.survives(owners, stripe, without=server_id):
                lost += tally.keys
                continue
            left += tally.keys
            others = [self._shards.replicas[owner] for owner in owners if owner != server_id]
            live = sum(not other.down for other in others)
            refused += tally.keys if live < level.needed(len(owners)) else 0
        if self._shards.replicas[server_id].durable is not None:
            return CrashPreview(server_id, 0, left, refused, keys_waiting=lost, on_disk=True)
        return CrashPreview(server_id, lost, left, refused)

    def crash(self, server_id: str) -> bool:
        """Take a server out of service; False if it is unknown or down.

        One in memory loses what it held; one on disk keeps it, and lacks what it misses from now.
        """
        with self._changed:
            replica = self._shards.replicas.get(server_id)
            if replica is None or replica.down:
                return False
            replica.down = True
            interrupted = self._recoveries.pop(server_id, None)
            if interrupted is not None:
                interrupted.stop()
            lost = left = 0
            keeps = replica.durable is not None
            for stripe in range(STRIPES):
                with self._shards.locks[stripe]:
                    of_stripe = self._crash_locked(replica, stripe, keeps=keeps)
                lost += of_stripe[0]
                left += of_stripe[1]
            # What it could not write is in its log; that it is gone has to be told all the same.
            with suppress(ServerFailedError):
                replica.server.close()
            self._log(
                ServerCrashed(
                    server_id=server_id,
                    keys_lost=0 if keeps else lost,
                    keys_left=left,
                    keys_waiting=lost if keeps else 0,
                    on_disk=keeps,
                )
            )
            self._changed.notify_all()
        return True

    def begin_recovery(self, server_id: str) -> Recovery | None:
        """Bring a server back; None if it is unknown, or neither down nor behind.

        One in memory is empty. It takes writes at once, and answers reads for a stripe as soon as
        it caught up in it, which is done in the background or by the recovery's `step`.
        """
        with self._changed:
            replica = self._shards.replicas.get(server_id)
            if replica is None or not (replica.down or replica.catching_up):
                return None
            if replica.down:
                self._bring_back_locked(replica)
                self._changed.notify_all()
            recovery = self._recovery_of_locked(replica)
        self._wake()
        return recovery

    def _bring_back_locked(self, replica: Replica) -> None:
        """Open a server again that was down.

        Raises:
            ServerFailedError: it can't be opened. It is down as before.
        """
        self._shards.replace_server(replica.server_id)
        if replica.durable is not None:
            try:
                self._shards.discard_foreign(replica)
            except ServerFailedError:
                replica.server.close()  # else nobody could open it the next time
                raise
        if replica.durable is not None and replica.durable.is_new:
            # Somebody has removed its files.
            for stripe in range(STRIPES):
                with self._shards.locks[stripe]:
                    replica.miss_all(stripe)
        replica.down = False
        if replica.durable is not None:
            for stripe in range(STRIPES):
                with self._shards.locks[stripe]:
                    self._shards.routing.refresh(stripe)

    def close(self) -> None:
        """Stop every recovery under way, and any that is begun from now on."""
        with self._changed:
            self._closed = True
            for recovery in self.recoveries:
                recovery.stop()

    def tend(self) -> bool:
        """Begin to catch up for every server that fell behind; return whether there is one."""
        with self._changed:
            self._tell_of_disks_locked()
            for replica in list(self._shards.replicas.values()):
                behind = replica.catching_up and not replica.down
                if behind and replica.server_id not in self._recoveries:
                    self._log(ServerFellBehind(server_id=replica.server_id))
                    self._recovery_of_locked(replica)
            return bool(self._recoveries)

    def _tell_of_disks_locked(self) -> None:
        """Log whose disk can't be written any more, and whose can again."""
        troubles = {
            server_id: replica.trouble
            for server_id, replica in self._shards.replicas.items()
            if replica.durable is not None
        }
        for server_id, trouble in troubles.items():
            if trouble is not None and server_id not in self._troubled:
                self._troubled.add(server_id)
                self._log(DiskTroubled(server_id=server_id, trouble=visible(trouble, 200)))
        for server_id in sorted(self._troubled):
            if troubles.get(server_id) is None:
                self._troubled.discard(server_id)
                if server_id in troubles:
                    self._log(DiskRecovered(server_id=server_id))

    def _recovery_of_locked(self, replica: Replica) -> Recovery:
        recovery = self._recoveries.get(replica.server_id)
        if recovery is None:
            recovery = Recovery(
                replica, self._catching_up, self._clock, self._log, self._forget_recovery
            )
            self._recoveries[replica.server_id] = recovery
            if self._closed:
                recovery.stop()
        return recovery

    def _forget_recovery(self, recovery: Recovery) -> None:
        with self._changed:
            if self._recoveries.get(recovery.server_id) is recovery:
                del self._recoveries[recovery.server_id]
        self._catching_up.forget_tombstones()  # those that were kept because it was away

    def _crash_locked(self, replica: Replica, stripe: int, *, keeps: bool) -> tuple[int, int]:
        """Let the server be gone in one stripe.

        Returns how many keys no other server holds, and how many others do. Those that a disk
        keeps still count.
        """
        if not keeps:
            replica.miss_all(stripe)
        lost = left = 0
        for owners, tally in self._shards.routing.tallies(stripe):
            if replica.server_id not in owners:
                continue
            if self._shards.survives(owners, stripe, without=replica.server_id):
                left += tally.keys
                continue
            if keeps:
                lost += tally.keys
                continue
            tally.lost += tally.keys
            lost += tally.keys
            tally.keys = 0
        self._shards.routing.refresh(stripe)
        return lost, left
