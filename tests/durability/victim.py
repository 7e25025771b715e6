"""A process that works with a store until it is killed, and tells what it does.

It opens the data directory, sends what is there, and goes on writing: each writer has keys of its
own, and says before and after each write what it is about. Meanwhile servers join, leave, get other
weights, crash and recover, and what was written is put into files and merged.
"""

import random
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import core
from tests.durability.ledger import Change, Found, Window
from tests.simulation.coarse import COARSE

SERVERS = ("alpha", "bravo", "charlie", "delta", "echo")
WRITERS = 2
KEYS = 12
GROUPS = 3
GROUP_SIZE = 4
_LONG_SECONDS = 1_000.0
_SHORT_SECONDS = 0.1
# So many bytes fill a write buffer after a while.
_LARGE_VALUE = 20_000


@dataclass(frozen=True, slots=True)
class Life:
    """How a process is to work.

    Attributes:
        directory: the data directory.
        seed: of what it does.
        replicas: on how many servers a key lies.
        sync: as `KeyValueStore` has it.
        coarse: whether the ring is cut into 16 stripes rather than 1,024.
        closes_after: after how many seconds it closes the store and ends; None for never.
    """

    directory: str
    seed: int
    replicas: int
    sync: str
    coarse: bool = True
    closes_after: float | None = None


def live(life: Life, pipe: Connection) -> None:
    """Work until killed."""
    reports = _Reports(pipe)
    try:
        _Victim(life, reports).run()
    except BaseException:
        reports.send("broken", traceback.format_exc())
        raise
    finally:
        pipe.close()


class _Reports:
    """The pipe, for several threads."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, *message: object) -> None:
        with self._lock:
            self._pipe.send(message)


class _Victim:
    def __init__(self, life: Life, reports: _Reports) -> None:
        self.life = life
        self.reports = reports
        self.core: Any = core_of(life)
        self.store = self.core.KeyValueStore(
            4, data_dir=life.directory, replication_factor=life.replicas, sync=life.sync
        )
        self.over = threading.Event()

    def run(self) -> None:
        self.store.check_invariants()
        content, read = content_of(self.store)
        self.reports.send("opened", content, read, self.store.get_servers())
        random_source = random.Random(self.life.seed)
        while len(self.store.get_servers()) < self.life.replicas or not self.store.get_servers():
            self.store.add_server(SERVERS[len(self.store.get_servers())])
        writers = [
            _Writer(number, random_source.randrange(1 << 30), self, content)
            for number in range(WRITERS)
        ]
        works: list[Callable[[], None]] = [writer.step for writer in writers]
        works.append(_Disturber(random_source.randrange(1 << 30), self).step)
        threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        if self.life.closes_after is not None:
            time.sleep(self.life.closes_after)
            self.over.set()
            self.store.close()
            self.reports.send("closed")
        for thread in threads:
            thread.join()

    def _repeat(self, work: Callable[[], None]) -> None:
        try:
            while not self.over.is_set():
                work()
        except BaseException as error:
            if not (self.over.is_set() and isinstance(error, self.core.StoreError)):
                self.reports.send("broken", traceback.format_exc())


class _Writer:
    """Writes keys that nobody else writes."""

    def __init__(self, number: int, seed: int, victim: _Victim, content: dict[str, Found]) -> None:
        self.number = number
        self.random = random.Random(seed)
        self.store = victim.store
        self.reports = victim.reports
        self.run_id = f"{victim.life.seed}"
        # What it may expect to read; of keys that expire, nothing.
        self.values = {key: found.value for key, found in content.items() if found.ttl is None}
        self.count = 0

    def step(self) -> None:
        source = self.random
        key = f"{self.number}:{source.randrange(KEYS)}"
        roll = source.random()
        if roll < 0.45:
            value = self._value()
            version = None
            self._write({key: (value, None)}, lambda: self.store.set(key, value))
            if source.random() < 0.3:
                found = self.store.get_with_version(key)
                assert found is not None
                assert found[0] == value, f"{key} was just set to {value!r:.50} and is {found}"
                version = found[1]
                self.reports.send("issued", key, version)
        elif roll < 0.6:
            self._write({key: (None, None)}, lambda: self.store.remove(key))
        elif roll < 0.7:
            ttl = source.choice((_LONG_SECONDS, _SHORT_SECONDS))
            value = self._value()
            self._write({key: (value, ttl)}, lambda: self.store.set(key, value, ttl=ttl))
        elif roll < 0.9:
            self._commit(source.randrange(GROUPS))
        else:
            self._read(key)

    def _value(self) -> str:
        self.count += 1
        value = f"{self.run_id}.{self.number}.{self.count}"
        return value + "-" * (_LARGE_VALUE if self.random.random() < 0.05 else 0)

    def _write(self, changes: dict[str, Change], write: Callable[[], object]) -> None:
        self.reports.send("tried", self.number, changes, time.time())
        write()
        self.reports.send("succeeded", self.number, changes, time.time())
        for key, (value, ttl) in changes.items():
            self.values[key] = value
            if ttl is not None:
                self.values.pop(key)  # it may expire at any time

    def _commit(self, group: int) -> None:
        """Write a few keys together; some are removed."""
        keys = [f"{self.number}:group {group}:{index}" for index in range(GROUP_SIZE)]
        changes: dict[str, Change] = {
            key: (None if self.random.random() < 0.2 else self._value(), None) for key in keys
        }

        def commit() -> None:
            with self.store.transaction() as tx:
                for key, (value, _) in changes.items():
                    tx.remove(key) if value is None else tx.set(key, value)

        self._write(changes, commit)

    def _read(self, key: str) -> None:
        if key in self.values:
            found = self.store.get(key)
            assert found == self.values[key], (
                f"{key} is {found!r:.50}, not {self.values[key]!r:.50}"
            )


class _Disturber:
    """Changes the members of the ring, and makes RocksDB write its files."""

    def __init__(self, seed: int, victim: _Victim) -> None:
        self.random = random.Random(seed)
        self.store = victim.store
        self.core = victim.core
        self.least = victim.life.replicas

    def step(self) -> None:
        time.sleep(self.random.random() * 0.01)
        steps = [self._change, self._change, self._cancel, self._flush, self._compact]
        if self.least > 1:
            steps.append(self._crash_and_recover)
        self.random.choice(steps)()

    def _change(self) -> None:
        if self.store.migration is not None:
            return
        servers = self.store.get_servers()
        free = [server_id for server_id in SERVERS if server_id not in servers]
        kind = self.random.choice(("add", "remove", "weight"))
        try:
            if kind == "add" and free:
                plan = self.store.plan_add_server(self.random.choice(free))
            elif kind == "remove" and len(servers) > self.least:
                plan = self.store.plan_remove_server(self.random.choice(servers))
            else:
                weight = self.random.choice((0.5, 1.0, 2.0))
                plan = self.store.plan_set_weight(self.random.choice(servers), weight)
            self.store.commit(plan)
        except self.core.MigrationInProgressError:
            return

    def _cancel(self) -> None:
        migration = self.store.migration
        if migration is not None:
            migration.cancel()

    def _crash_and_recover(self) -> None:
        # With one missing, there has to be a quorum that holds everything.
        short = any(len(part.owners) < self.least for part in self.store._shards.routing.segments())
        if short or any(replica.catching_up for replica in self._replicas()):
            return
        server_id = self.random.choice(self.store.get_servers())
        self.store.crash_server(server_id)
        time.sleep(self.random.random() * 0.02)
        self.store.begin_recovery(server_id)

    def _replicas(self) -> list[Any]:
        return list(self.store._shards.replicas.values())

    def _flush(self) -> None:
        self._in_database(lambda database: database.flush_tables())

    def _compact(self) -> None:
        self._in_database(lambda database: database._root.compact_range(None, None))

    def _in_database(self, call: Callable[[Any], None]) -> None:
        """Reach past a server into its RocksDB; it may leave or crash meanwhile."""
        server = self.random.choice(self._replicas()).server
        with suppress(self.core.ServerUnavailableError), server._reading() as database:
            call(database)


def core_of(life: Life) -> ModuleType:
    """Return the core that a life works with."""
    return COARSE if life.coarse else core


def content_of(store: Any) -> tuple[dict[str, Found], Window]:
    """Return all keys of a store, and when they were read."""
    earliest = time.time()
    content: dict[str, Found] = {}
    for key in store.keys():
        ttl, found = store.ttl(key), store.get_with_version(key)
        if found is not None:
            content[key] = Found(found[0], found[1], ttl)
    return content, Window(earliest, time.time())
