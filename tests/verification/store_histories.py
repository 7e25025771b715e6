"""Histories of a real store: threads meet on few keys, while servers come, go, crash and return.

A session is one store and a row of histories, each on keys of its own, so that each stays short
enough to check. All threads begin a history together; what disturbs the cluster goes on throughout.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core import KeyValueStore, QuorumError, ServerFailedError
from tests.verification.disturbed_cluster import DisturbedCluster
from tests.verification.history import Kind, Operation
from tests.verification.recorder import Answer, Recorder, ThreadLog

THREADS = 5
KEYS = 2
OPERATIONS = 9
HISTORIES_A_CHANGE = 4


class RefusedError(Exception):
    """The operation certainly did nothing."""


@dataclass
class Session:
    """One store and its histories.

    Attributes:
        histories: what was recorded.
    """

    seed: int
    factor: int
    count: int
    disturbed: bool
    yield_chance: float = 0.25
    data_dir: Path | None = None
    histories: list[list[Operation]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._cluster = DisturbedCluster(self.seed, self.factor, self._yield, self.data_dir)
        self.store = self._cluster.store
        self._begun = 0
        self._over = threading.Event()
        self._errors: list[BaseException] = []

    def run(self) -> "Session":
        """Record the histories; raise what went wrong."""
        recorders = [
            Recorder(unknown=(QuorumError,), refused=(RefusedError,)) for _ in range(self.count)
        ]
        barrier = threading.Barrier(THREADS, action=self._begin_history)
        threads = [
            threading.Thread(target=self._guarded, args=(self._work, number, recorders, barrier))
            for number in range(THREADS)
        ]
        disturber = threading.Thread(target=self._guarded, args=(self._cluster.disturb, self._over))
        for thread in threads:
            thread.start()
        if self.disturbed:
            disturber.start()
        for thread in threads:
            thread.join()
        self._over.set()
        if self.disturbed:
            disturber.join()
        if self._errors:
            raise self._errors[0]
        self.histories = [recorder.merge() for recorder in recorders]
        self._cluster.check_and_close()
        return self

    @property
    def changes(self) -> int:
        """How many joins, leaves, crashes, recoveries and partitions were begun."""
        return self._cluster.changes

    def _begin_history(self) -> None:
        """Keep the threads from being through before enough has happened to the servers."""
        self._begun += 1
        while self.disturbed and self._cluster.changes < self._begun / HISTORIES_A_CHANGE:
            if self._errors:
                raise threading.BrokenBarrierError
            time.sleep(0.000_5)

    def _yield(self, step: str) -> None:
        """Let another thread come in between, now and then."""
        if self._random.random() < self.yield_chance:
            time.sleep(0)

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except threading.BrokenBarrierError:
            return
        except BaseException as error:
            self._errors.append(error)
            for argument in arguments:
                if isinstance(argument, threading.Barrier):
                    argument.abort()

    def _work(self, number: int, recorders: list[Recorder], barrier: threading.Barrier) -> None:
        source = random.Random(self.seed * 100 + number)
        for history, recorder in enumerate(recorders):
            log = recorder.new_log()
            versions: dict[str, int] = {}
            barrier.wait(60)
            for step in range(OPERATIONS):
                key = f"{self.seed}:{history}:{source.randrange(KEYS)}"
                self._operate(log, source, key, f"{number}.{step}", versions)

    def _operate(
        self,
        log: ThreadLog,
        source: random.Random,
        key: str,
        value: str,
        versions: dict[str, int],
    ) -> None:
        store, roll = self.store, source.random()
        if roll < 0.35:
            log.perform(key, Kind.GET, None, _sure(lambda: store.get(key)))
        elif roll < 0.60:
            log.perform(key, Kind.SET, value, _sure(lambda: _nothing(store.set(key, value))))
        elif roll < 0.75:
            log.perform(key, Kind.REMOVE, None, _sure(lambda: store.remove(key)))
        elif roll < 0.85:
            log.perform(
                key,
                Kind.SET_IF_ABSENT,
                value,
                _sure(lambda: store.set(key, value, only_if_absent=True)),
            )
        elif roll < 0.93 or key not in versions:
            found = log.perform(
                key,
                Kind.GET_WITH_VERSION,
                None,
                _sure(lambda: _with_version(store, key)),
            )
            if found is not None and found[1] is not None:
                versions[key] = found[1]
        else:
            version = versions.pop(key)
            log.perform(
                key,
                Kind.SET_EXPECTED_VERSION,
                (value, version),
                _sure(lambda: store.set(key, value, expected_version=version)),
            )


def _with_version(store: KeyValueStore, key: str) -> tuple[str | bytes | None, int | None]:
    return store.get_with_version(key) or (None, None)


def _nothing(_: bool) -> None:
    """A plain write answers nothing that could be wrong."""


def _sure(call: Callable[[], Answer]) -> Callable[[], Answer]:
    """Return `call`, telling a write that did nothing from one that may have happened."""

    def run() -> Answer:
        try:
            return call()
        except QuorumError as error:
            if error.unknown:
                raise
            raise RefusedError from error
        except ServerFailedError as error:
            raise RefusedError from error

    return run
