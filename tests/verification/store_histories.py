"""Histories of a real store: threads meet on few keys, while servers come, go, crash and return.

A session is one store and a row of histories, each on keys of its own, so that each stays short
enough to check. All threads begin a history together; what disturbs the cluster goes on throughout.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core import (
    FaultInjector,
    KeyValueStore,
    MigrationFailedError,
    QuorumError,
    ServerFailedError,
)
from core.ring.hashing import murmur3
from tests.verification.history import Kind, Operation
from tests.verification.recorder import Answer, Recorder, ThreadLog

THREADS = 5
KEYS = 2
OPERATIONS = 9
HISTORIES_A_CHANGE = 4
SERVERS = ("alpha", "bravo", "charlie", "delta")
JOINERS = ("echo", "foxtrot")
_SPREAD = 6  # all keys lie in the first 16 stripes, so that they meet every move and recovery


def few_stripes(text: bytes, seed: int, signed: bool) -> int:
    """Put everything into the first 16 stripes."""
    return murmur3(text, seed, signed) >> _SPREAD


class RefusedError(Exception):
    """The operation certainly did nothing."""


@dataclass
class Session:
    """One store and its histories.

    Attributes:
        histories: what was recorded.
        changes: how many joins, leaves, crashes, recoveries and partitions were begun.
    """

    seed: int
    factor: int
    count: int
    disturbed: bool
    yield_chance: float = 0.25
    histories: list[list[Operation]] = field(default_factory=list)
    changes: int = 0

    def __post_init__(self) -> None:
        self._faults = FaultInjector()
        self._random = random.Random(self.seed)
        self.store = KeyValueStore(
            6,
            replication_factor=self.factor,
            hash_function=few_stripes,
            faults=self._faults,
            yield_point=self._yield,
        )
        self._begun = 0
        self._over = threading.Event()
        self._errors: list[BaseException] = []

    def run(self) -> "Session":
        """Record the histories; raise what went wrong."""
        for server_id in SERVERS:
            self.store.add_server(server_id)
        recorders = [
            Recorder(unknown=(QuorumError,), refused=(RefusedError,)) for _ in range(self.count)
        ]
        barrier = threading.Barrier(THREADS, action=self._begin_history)
        threads = [
            threading.Thread(target=self._guarded, args=(self._work, number, recorders, barrier))
            for number in range(THREADS)
        ]
        disturber = threading.Thread(target=self._guarded, args=(self._disturb,))
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
        self._calm_down()
        self.store.check_invariants()
        self.store.close()
        return self

    def _begin_history(self) -> None:
        """Keep the threads from being through before enough has happened to the servers."""
        self._begun += 1
        while self.disturbed and self.changes < self._begun / HISTORIES_A_CHANGE:
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

    def _disturb(self) -> None:
        source = random.Random(self.seed + 1)
        while not self._over.is_set():
            choices = [self._join_or_leave, self._partition, self._fail_some]
            if self.factor > 1:
                choices += [self._crash_and_recover, self._crash_and_recover]
            self.changes += 1
            source.choice(choices)(source)

    def _join_or_leave(self, source: random.Random) -> None:
        name = source.choice(JOINERS)
        try:
            if not self.store.add_server(name):
                self.store.remove_server(name)
        except MigrationFailedError:
            self._finish_the_migration()

    def _crash_and_recover(self, source: random.Random) -> None:
        """One at a time: what is promised is that nothing is lost while a replica survives."""
        name = source.choice(self.store.get_servers())
        self.store.crash_server(name)
        time.sleep(source.choice((0, 0.001)))
        if source.random() < 0.3:
            self._join_or_leave(source)
        self.store.recover_server(name)

    def _partition(self, source: random.Random) -> None:
        name = source.choice(self.store.get_servers())
        self._faults.partition(name)
        time.sleep(source.choice((0, 0.002)))
        self._faults.heal(name)
        self._catch_up()

    def _fail_some(self, source: random.Random) -> None:
        name = source.choice(self.store.get_servers())
        self._faults.fail_next(name, source.randrange(1, 5))
        time.sleep(0.001)
        self._faults.heal(name)
        self._catch_up()

    def _catch_up(self) -> None:
        """Wait until every server is current: the next failure may be another one's."""
        for server_id in self.store.get_servers():
            self.store.recover_server(server_id)

    def _finish_the_migration(self) -> None:
        self._faults.heal_all()
        self._catch_up()
        migration = self.store.migration
        if migration is not None:
            migration.resume()
            migration.wait(60)

    def _calm_down(self) -> None:
        self._finish_the_migration()
        self._catch_up()


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
