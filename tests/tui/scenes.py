"""Stores, loads and moments that the screen is looked at in: the same ones in every run.

The clock is moved by hand, the keys are seeded, and no thread runs but those of the app itself,
which a still app has none of.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from random import Random
from tempfile import mkdtemp
from types import MappingProxyType

from core import (
    FaultInjector,
    KeyValueStore,
    LatencyHistogram,
    LoadGenerator,
    LoadSettings,
    LoadSnapshot,
    ManualClock,
    Migration,
    MigrationState,
    OperationKind,
    Plan,
    QuorumError,
    RocksDBServer,
    ServerUnavailableError,
    Storage,
    Workload,
)
from core.metrics import LatencyRecorder
from core.servers.faults import FaultyDurableServer
from tests.support import SERVERS
from tui.app import RingtopApp
from tui.arguments import ServerSpec
from tui.data_store import RingWishes, make_directory

KEYS = 12_000
VNODES = 150
FRAME_SECONDS = 0.5
SHOWN_PATH = "/srv/ringtop/session-store"
_FEWEST_READS, _MOST_READS = 1_500, 2_600


class ScriptedLoad(LoadGenerator):
    """A load that seems to run: what it is said to have done is counted, and no thread is there."""

    def __init__(self, store: KeyValueStore, clock: ManualClock) -> None:
        super().__init__(store, LoadSettings(workload=Workload.B, threads=8), clock=clock)
        self._time = clock
        self._random = Random(3)
        self._recorder = LatencyRecorder()

    def count(self, operations: int) -> None:
        """Count operations, of a few microseconds each."""
        for _ in range(operations):
            self._recorder.record(round(self._random.lognormvariate(8.1, 0.45)))

    def snapshot(self) -> LoadSnapshot:
        """Return what was counted until now."""
        histograms: Mapping[OperationKind, LatencyHistogram] = {
            kind: LatencyHistogram() for kind in OperationKind
        } | {OperationKind.READ: self._recorder.histogram()}
        return LoadSnapshot(
            running=True,
            settings=self.settings,
            monotonic=self._time.monotonic(),
            keys=10_000,
            checked_keys=None,
            histograms=MappingProxyType(histograms),
            misses=0,
            errors=MappingProxyType({}),
            last_error=None,
            failure=None,
        )


class Scene:
    """A store and its load, and the time that passes for them.

    Args:
        servers: the ids of the servers.
        keys: how many keys there are.
        vnodes: of each server.
        loaded: whether a load seems to run.
        replicas: on how many servers each key lies.
        background: whether servers catch up by themselves, and not by `catch_up` alone.
        on_disk: whether it lies in a data directory, which goes with `close`.
    """

    def __init__(
        self,
        servers: tuple[str, ...] = SERVERS,
        keys: int = KEYS,
        vnodes: int = VNODES,
        *,
        loaded: bool = True,
        replicas: int = 1,
        background: bool = False,
        on_disk: bool = False,
    ) -> None:
        self.clock = ManualClock()
        self.faults = FaultInjector(self.clock)
        self.data: str | None = None
        if on_disk:
            self.data = os.path.join(mkdtemp(prefix="ringtop-scene-"), "data")
            specs = [ServerSpec(server_id) for server_id in servers]
            make_directory(self.data, RingWishes(specs, vnodes, replicas))
        self.store = KeyValueStore(
            vnodes,
            data_dir=self.data,
            clock=self.clock,
            replication_factor=replicas,
            faults=self.faults,
            background=background,
        )
        if on_disk:
            # The same in every run, wherever it lies.
            self.store._storage = Storage(SHOWN_PATH, "everysec")
        for server_id in servers:
            self.store.add_server(server_id)
        self.names = [f"user:{number}" for number in range(keys)]
        if servers:
            self.store.set_many({name: f"value of {name}" for name in self.names})
        self.load: LoadGenerator = (
            ScriptedLoad(self.store, self.clock)
            if loaded
            else LoadGenerator(self.store, clock=self.clock)
        )
        self._random = Random(11)

    def close(self) -> None:
        """Close the store, and remove its data directory."""
        self.store.close()
        if self.data is not None:
            shutil.rmtree(os.path.dirname(self.data))

    def fill_disk(self, server_id: str) -> None:
        """Have a server find no space on its disk."""
        server = self.store._shards.replicas[server_id].durable
        assert isinstance(server, FaultyDurableServer)
        assert isinstance(server._durable, RocksDBServer)
        server._durable._failure = "IO error: No space left on device"
        self.store._failover.tend()

    def app(self, *, live: bool = False, **options: object) -> RingtopApp:
        """Return the dashboard of this scene; a still one unless it is to be live."""
        return RingtopApp(
            self.store,
            self.load,
            **{"zone": UTC, "clock": self.clock, "live": live, **options},  # type: ignore[arg-type]
        )

    def pass_time(self, app: RingtopApp, frames: int = 24) -> None:
        """Let some frames go by, with reads in them."""
        for _ in range(frames):
            reads = self._random.randrange(_FEWEST_READS, _MOST_READS) if self.names else 0
            for _ in range(reads):
                with suppress(ServerUnavailableError):  # it lay on a server that is down
                    self.store.get(self._random.choice(self.names))
            if isinstance(self.load, ScriptedLoad):
                self.load.count(reads)
            self.clock.advance(FRAME_SECONDS)
            app.request_frame()

    def begin_to_add(self, server_id: str, chunks: int) -> None:
        """Commit to add a server, and move some chunks of keys to it; then it is held."""
        self._begin(self.store.plan_add_server(server_id), chunks)

    def be_adding(self, server_id: str, chunks: int) -> None:
        """Be in the middle of adding a server; some of its keys have moved already."""
        self._be_moving(self.store.plan_add_server(server_id), chunks)

    def be_removing(self, server_id: str, chunks: int) -> None:
        """Be in the middle of removing a server; some of its keys have moved already."""
        self._be_moving(self.store.plan_remove_server(server_id), chunks)

    def lose(self, server_id: str, writes: int = 0) -> None:
        """Let a server crash, and write to some keys while it is away."""
        self.store.crash_server(server_id)
        for name in self.names[:writes]:
            with suppress(QuorumError):  # of a key that lay there alone
                self.store.set(name, f"new value of {name}")

    def catch_up(self, server_id: str, steps: int) -> None:
        """Bring a server back, and let it catch up in some parts of the ring."""
        recovery = self.store.begin_recovery(server_id)
        assert recovery is not None
        for _ in range(steps):
            recovery.step()

    def _begin(self, plan: Plan, chunks: int) -> Migration:
        migration = self.store.commit(plan, start=False)
        for _ in range(chunks):
            migration.step()
        return migration

    def _be_moving(self, plan: Plan, chunks: int) -> None:
        migration = self._begin(plan, chunks)
        # It seems to run, as the load does: one that runs has a thread, and is never twice alike.
        migration._state = MigrationState.RUNNING
