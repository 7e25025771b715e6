"""A program that works with a store whose files may not grow, and says what it found.

``python -m tests.durability.full_disk DIRECTORY REPLICAS SYNC SEED``, and then, in a process of its
own, ``python -m tests.durability.full_disk DIRECTORY``.
"""

import json
import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from core import (
    DiskFullError,
    KeyValueStore,
    ManualClock,
    MigrationFailedError,
    QuorumError,
    ServerFailedError,
)

CYCLES = 3
OPERATIONS = 60
KEYS = 40
_INFINITY = resource.RLIM_INFINITY

Allowed = dict[str, set[str | None]]


def let_files_grow_to(size: int) -> None:
    """Have every write beyond so many bytes of a file fail, as if the disk were full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, _INFINITY))


class Writer:
    """Writes, and knows what each key may be."""

    def __init__(self, store: KeyValueStore, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.allowed: Allowed = {}
        self.count = self.refused = self.acknowledged = 0
        self.error: Exception | None = None

    def operate(self) -> None:
        roll = self.random.random()
        keys = [f"key {self.random.randrange(KEYS)}"]
        if roll < 0.3:
            keys = [f"group {index}" for index in range(4)]
            self._write(keys, lambda values: self._commit(values))
        elif roll < 0.45:
            self._write(keys, lambda values: self.store.remove(keys[0]), removes=True)
        else:
            self._write(keys, lambda values: self.store.set(keys[0], values[keys[0]]))

    def _commit(self, values: dict[str, str]) -> None:
        with self.store.transaction() as tx:
            for key, value in values.items():
                tx.set(key, value)

    def _write(
        self,
        keys: list[str],
        write: Callable[[dict[str, str]], object],
        *,
        removes: bool = False,
    ) -> None:
        self.count += 1
        value = f"{self.count} " + "-" * self.random.choice((10, 2_000))
        wanted = None if removes else value
        try:
            write(dict.fromkeys(keys, value))
        except (QuorumError, ServerFailedError) as error:
            self.refused += 1
            if not isinstance(error, DiskFullError | QuorumError):
                raise
            self.error = error
            for key in keys:
                self.allowed.setdefault(key, {None}).add(wanted)
        else:
            self.acknowledged += 1
            for key in keys:
                self.allowed[key] = {wanted}

    def check(self) -> None:
        """Read all: nothing but what was written, and transactions whole."""
        for key, allowed in self.allowed.items():
            found = self.store.get(key)
            assert found in allowed, f"{key} is {found!r:.30}, of {[str(a)[:30] for a in allowed]}"
        group = {self.store.get(f"group {index}") for index in range(4)}
        assert len(group) == 1, f"a transaction is there by half: {[str(g)[:30] for g in group]}"


def main(directory: str, replicas: int, sync: str, seed: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    clock = ManualClock()

    def open_it() -> KeyValueStore:
        return KeyValueStore(
            4,
            data_dir=directory,
            replication_factor=replicas,
            sync="always" if sync == "always" else "everysec",
            clock=clock,
            background=False,
        )

    store = open_it()
    for server_id in ("alpha", "bravo", "charlie", "delta"):
        store.add_server(server_id)
    writer = Writer(store, seed)
    for _ in range(OPERATIONS):
        writer.operate()
    assert not writer.refused
    paused = 0
    for cycle in range(CYCLES):
        largest = max(path.stat().st_size for path in Path(directory).rglob("*.log"))
        migration = store.migration or store.commit(
            store.plan_set_weight("bravo", 1.5 + cycle), start=False
        )
        let_files_grow_to(writer.random.choice((1, largest // 2, largest + 2_000)))
        refused = writer.refused
        while writer.refused < refused + 20:
            writer.operate()
            clock.advance(writer.random.choice((0, 0, 0.4, 1.1)))
            writer.check()
            if writer.random.random() < 0.3:
                store.maintain()
        try:
            for _ in range(20):
                migration.step()
        except MigrationFailedError as error:
            if not isinstance(error.__cause__, ServerFailedError):
                raise
            paused += bool(migration.progress.error)
        writer.check()
        let_files_grow_to(_INFINITY)
        for _ in range(100):
            clock.advance(2)
            store.maintain()
        refused = writer.refused
        for _ in range(OPERATIONS):
            writer.operate()
        assert writer.refused == refused, f"there is space, and: {writer.error!r}"
        writer.check()
        migration.resume()
        for _ in range(100):
            clock.advance(2)
            store.maintain()
        assert migration.wait()
        store.check_invariants()
        writer.check()
    assert paused
    if seed % 2:  # the process ends while nothing can be written
        let_files_grow_to(1)
        for _ in range(20):
            writer.operate()
    else:
        store.close()
    let_files_grow_to(_INFINITY)
    Path(f"{directory}.json").write_text(
        json.dumps({key: list(values) for key, values in writer.allowed.items()})
    )
    print(f"ended after {writer.acknowledged} writes, and {writer.refused} refused", flush=True)
    os._exit(0)


def check_again(directory: str) -> None:
    """Open what the first program left."""
    store = KeyValueStore(data_dir=directory)
    store.check_invariants()
    writer = Writer(store, 0)
    writer.allowed = {
        key: set(values)
        for key, values in json.loads(Path(f"{directory}.json").read_text()).items()
    }
    writer.check()
    store.close()
    print("all is there")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        check_again(sys.argv[1])
    else:
        main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
