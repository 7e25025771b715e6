"""A store whose servers join, leave, crash, come back and fail, while others work with it.

Of the servers in memory no more than one at a time loses what it held: what is promised is that
nothing is lost while a replica survives. With one replica none does.
"""

import random
import threading
import time
from pathlib import Path

import pytest

from core import FaultInjector, KeyValueStore, MigrationFailedError
from core.cluster.shards import YieldPoint
from core.ring.hashing import murmur3

SERVERS = ("alpha", "bravo", "charlie", "delta")
JOINERS = ("echo", "foxtrot")
_SPREAD = 6  # all keys lie in the first 16 stripes, so that they meet every move and recovery


def few_stripes(text: bytes, seed: int, signed: bool) -> int:
    """Put everything into the first 16 stripes."""
    return murmur3(text, seed, signed) >> _SPREAD


class DisturbedCluster:
    """The store, and what happens to it.

    Attributes:
        store: the store.
        changes: how many joins, leaves, crashes, recoveries and partitions were begun.
    """

    def __init__(
        self, seed: int, factor: int, yield_point: YieldPoint, data_dir: Path | None = None
    ) -> None:
        self.seed = seed
        self.factor = factor
        self._faults = FaultInjector()
        self.changes = 0
        with pytest.MonkeyPatch.context() as patch:
            if data_dir is not None:  # it takes no other
                patch.setattr("core.store.murmur3", few_stripes)
            self.store = KeyValueStore(
                6,
                data_dir=data_dir,
                replication_factor=factor,
                hash_function=few_stripes,
                faults=self._faults,
                yield_point=yield_point,
            )
        for server_id in SERVERS:
            self.store.add_server(server_id)

    def disturb(self, over: threading.Event) -> None:
        """Let things happen to the servers, until it is over."""
        source = random.Random(self.seed + 1)
        while not over.is_set():
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

    def check_and_close(self) -> None:
        """Mend what is broken, and assert that the store is as it always should be."""
        self._finish_the_migration()
        self._catch_up()
        self.store.check_invariants()
        self.store.close()
