"""The simulation on servers on disk: what is there is left and opened again, in any state."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.simulation import Simulation


class DurableSimulation(Simulation):
    """A simulation in which the store is closed, or its process killed, and opened again.

    A crash of a server loses nothing, so no server is removed that holds the last copy of a key.

    Args:
        seed: of everything that happens.
        directory: the data directory.
        steps: how many steps to take.
    """

    def __init__(self, seed: int, directory: Path, steps: int) -> None:
        self.directory = directory
        super().__init__(seed, steps=steps)
        self.may_force = False

    def _open_store(self, **options: object) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            # A data directory takes no other.
            patch.setattr(self.core.store, "murmur3", self.hash_function)
            return super()._open_store(data_dir=self.directory, **options)

    def _steps(self) -> tuple[list[Callable[[], None]], list[float]]:
        steps, weights = super()._steps()
        return [*steps, self._close_and_open, self._kill_and_open], [*weights, 3, 3]

    def _close_and_open(self) -> None:
        self.store.close()
        self._open_again()

    def _kill_and_open(self) -> None:
        leave(self.store)
        self._open_again()

    def _open_again(self) -> None:
        # What time it is was noted a second ago at most: a clock that was set back since is told.
        self.clock.jump(max(0, self._steady_time() - self.clock.now_ms()) / 1_000)
        self.faults = self.core.FaultInjector(self.clock)
        self.store = self._open_store()
        self.shards = self.store._shards
        self._began = self.store._time.now_ms() - round(self.clock.monotonic() * 1_000)
        self.now = self._steady_time()
        self.store.check_invariants()
        self._note(f"-> {self.store.get_servers()}")

    def _crash(self) -> None:
        server_id = self._some_server()
        replica = self.shards.replicas.get(server_id)
        up = replica is not None and not replica.down
        assert self.store.crash_server(server_id) == up

    def _begin_recovery(self) -> None:
        try:
            super()._begin_recovery()
        except self.core.ServerFailedError as error:
            self._note(f"-> {error}")
            assert not self._all_well(), "every server is well, and one can't be brought back"


def leave(store: Any) -> None:
    """Let go of a store's files as the end of its process would."""
    if store.migration is not None:
        store.migration.stop()
    store._maintenance.stop = lambda: None
    store._membership._closed = True
    store._membership._persistence.abandon()
    for replica in store._shards.replicas.values():
        server = replica.server._server
        if server._database is not None:
            with suppress(Exception):
                server._database.close()
            server._database = None
            server._closed = True
