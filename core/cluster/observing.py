"""Looking at a data directory that another process holds, without a part in it.

Everything is seen as it was at one moment, more or less: the topology first, then the servers, and
while a membership change is under way the moves of the journal last. Servers that give are opened
before those that take, and each looks on all (see `observed_server`), so that no key is missing
because it moved in between. A transaction that is being applied may be seen by half.
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NoReturn

from core.cluster.catching_up import CatchingUp
from core.cluster.data_directory import DataDirectory
from core.cluster.journal import moves_in
from core.cluster.membership import Membership, after_of
from core.cluster.plan import ChangeKind, Plan
from core.cluster.replica import Replica
from core.cluster.shards import Shards
from core.cluster.topology import Topology
from core.cluster.versions import Versions
from core.errors import DataDirectoryError, ObservingError, StorageError
from core.record import Entry
from core.ring.ring_view import RingView
from core.servers.observed_server import ObservedServer
from core.servers.rocksdb_files import is_made
from core.servers.server import Server
from core.stripes import STRIPES

# While it is opened, whoever holds it may remove a file that was just listed.
_ATTEMPTS = 5


class Observed:
    """The persistence of a store that only looks: it writes nothing down, and refuses every change.

    Args:
        directory: opened to be read alone.
    """

    def __init__(self, directory: DataDirectory) -> None:
        self.directory = directory

    def create_server(self, server_id: str) -> Server:
        """Open a server to be read; when files of it go in that moment, again."""
        path = self.directory.server_path(server_id)
        for _ in range(_ATTEMPTS - 1):
            try:
                return ObservedServer(server_id, path)
            except StorageError:
                continue
        return ObservedServer(server_id, path)

    def change_begins(self, plan: Plan, *, force: bool, keys_per_second: float | None) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def change_turns_back(self) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def change_ended(self, view: RingView) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def range_moves(
        self,
        shards: Shards,
        targets: Sequence[Replica],
        low: int,
        high: int,
        *,
        back: bool,
        empty: bool = False,
    ) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def commit(self, shards: Shards, entries: Sequence[Entry]) -> AbstractContextManager[None]:
        """Refuse."""
        raise ObservingError

    def secure(self, shards: Shards, stripe: int) -> None:
        """Nothing: nobody catches up."""

    def old_may_return(self, shards: Shards, stripe: int) -> bool:
        """Return False: nothing is removed."""
        return False

    def close(self, shards: Shards) -> None:
        """Close the servers and the directory."""
        try:
            shards.close()
        finally:
            self.directory.close()


class RefusedVersions(Versions):
    """The versions of a store that only looks: each write asks for one, and is refused."""

    def take(self) -> NoReturn:
        """Refuse.

        Raises:
            ObservingError: always.
        """
        raise ObservingError


def open_to_observe(path: str | os.PathLike[str]) -> tuple[Observed, Topology]:
    """Open a data directory that somebody else may be using.

    Raises:
        CorruptTopologyError: what it says about its servers is damaged.
        DataDirectoryError: it can't be read, or there is nothing in it.
    """
    directory = DataDirectory.open(path, observe=True)
    try:
        topology = directory.read_topology()
        if topology is None:
            raise DataDirectoryError(
                f"data directory {directory.path}", "is empty", "there is nothing to observe yet"
            )
    except BaseException:
        directory.close()
        raise
    return Observed(directory), topology


def look(
    observed: Observed,
    topology: Topology,
    membership: Membership,
    shards: Shards,
    catching_up: CatchingUp,
) -> None:
    """Open the servers, and make routes and counts as they are. O(records).

    Raises:
        ServerFailedError: a server can't be read.
        CorruptJournalError: the journal is damaged.
    """
    topology, moved = _open_servers(observed, topology, shards)
    ring, change = membership.ring, topology.change
    for server_id in topology.weights:
        # It would say that there are no such keys.
        path = observed.directory.server_path(server_id)
        shards.replicas[server_id].down = not is_made(path)
    ring.restore(topology.weights, topology.epoch, topology.positions)
    before, replicas = ring.view, shards.replication_factor
    with shards.stripes():
        shards.routing.follow(before, replicas)
        if change is not None:
            after = after_of(ring, change)
            if not (before.weights and after.weights):  # this takes one step
                shards.routing.follow(after, replicas)
            for low, high in moved:
                shards.routing.follow(after, replicas, low, high)
        for stripe in range(STRIPES):
            catching_up.recount_locked(stripe)
    membership.reopen(change, moved)


def _open_servers(
    observed: Observed, topology: Topology, shards: Shards
) -> tuple[Topology, list[tuple[int, int]]]:
    """Open the servers; return the topology that holds for them, and the spans that have moved.

    What was opened before a membership change began, and what after it, do not go together: then
    all of them are opened again.
    """
    for attempt in range(_ATTEMPTS):
        for server_id in _givers_first(topology):
            shards.open_server(server_id)
        moved: list[tuple[int, int]] = []
        if topology.change is not None:
            moved = moves_in(observed.directory.journal_path)
        latest = observed.directory.read_topology() or topology
        if latest == topology or attempt == _ATTEMPTS - 1:
            break
        topology = latest
        for server_id in list(shards.replicas):
            shards.replicas.pop(server_id).server.close()
    if topology.change is not None:
        servers = [replica.server for replica in shards.replicas.values()]
        everywhere = [server for server in servers if isinstance(server, ObservedServer)]
        for server in everywhere:
            server.look_beside(everywhere)
    return topology, moved


def _givers_first(topology: Topology) -> list[str]:
    change = topology.change
    server_ids = sorted(topology.weights)
    if change is None:
        return server_ids
    others = [server_id for server_id in server_ids if server_id != change.server_id]
    takes = (change.kind is not ChangeKind.REMOVE) is not change.cancelling
    return [*others, change.server_id] if takes else [change.server_id, *others]
