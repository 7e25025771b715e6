"""The store of a data directory that a command is about, and why it can't be had.

Nothing here imports the storage engine: the store does that when a directory is really opened.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import click

from core.cluster.data_directory import DataDirectory
from core.cluster.kept_positions import kept_positions
from core.cluster.levels import Consistency
from core.cluster.topology import Topology
from core.errors import (
    InvalidKeyError,
    InvalidOptionError,
    InvalidValueError,
    MissingExtraError,
    StoreError,
)
from core.ring.hash_ring import HashRing
from core.ring.placement import Placement
from core.safe_text import quoted
from core.servers.faults import FaultInjector
from core.servers.rocksdb_server import SyncMode
from core.store import KeyValueStore
from tui.arguments import ServerSpec, arguments_checked_by_core
from tui.formatting import counted
from tui.progress import shown_if_slow
from tui.server_names import server_names

# Exit statuses, beside those that all commands have: 0, 1 and 2.
DIRECTORY_REFUSED = 3
OPERATION_FAILED = 4

_ENGINE = "rocksdict"
_PATH_CHARACTERS = 120
_SERVERS_NAMED = 5


class UnusableDirectoryError(click.ClickException):
    """A data directory can't be opened: it is in use, refused, damaged, or not there."""

    exit_code = DIRECTORY_REFUSED


class OperationFailedError(click.ClickException):
    """The directory is open, and something in it failed."""

    exit_code = OPERATION_FAILED


@dataclass(frozen=True, slots=True)
class RingWishes:
    """What was asked for on the command line, for a directory that is new.

    Attributes:
        servers: the servers to begin with.
        virtual_nodes: points on the ring of a server of weight 1.
        replicas: on how many servers each key is to lie.
        placement: how the points of servers are to be chosen.
        given: the names of those that were asked for, and are no defaults.
    """

    servers: Sequence[ServerSpec]
    virtual_nodes: int
    replicas: int
    placement: Placement = Placement.RANDOM
    given: Collection[str] = ()


def known_topology(path: str) -> Topology | None:
    """Return what a data directory says of itself; None if it is new or not there.

    Raises:
        UnusableDirectoryError: it is refused, or damaged.
    """
    if not os.path.lexists(path):
        return None
    with _refusals_told(), DataDirectory.open(path, observe=True) as directory:
        return directory.read_topology()


def differences(known: Topology, wishes: RingWishes) -> list[str]:
    """Return what an existing directory keeps although something else was asked for.

    In sentences whose characters are safe.
    """
    kept: list[str] = []
    if "servers" in wishes.given and not _are_meant(known, wishes.servers):
        names = sorted(known.weights)
        shown = ", ".join(names[:_SERVERS_NAMED]) + (", ..." * (len(names) > _SERVERS_NAMED))
        kept.append(f"{counted(len(names), 'server')} ({shown})")
    if "replicas" in wishes.given and wishes.replicas != known.replication_factor:
        kept.append(f"{counted(known.replication_factor, 'replica')} of each key")
    if "virtual_nodes" in wishes.given and wishes.virtual_nodes != known.virtual_nodes_per_node:
        kept.append(f"{counted(known.virtual_nodes_per_node, 'virtual node')} a server")
    if "placement" in wishes.given and wishes.placement is not known.placement:
        kept.append(f"{known.placement} placement")
    options = {
        "servers": "--servers",
        "replicas": "--replicas",
        "virtual_nodes": "--virtual-nodes",
        "placement": "--placement",
    }
    if not kept:
        return []
    given = " and ".join(option for name, option in options.items() if name in wishes.given)
    verb = "is" if " and " not in given else "are"
    return [f"this directory keeps its {', '.join(kept)}: {given} {verb} for a new one"]


@contextmanager
def opened_or_made(
    path: str, sync: SyncMode, consistency: Consistency, wishes: RingWishes
) -> Iterator[KeyValueStore]:
    """Open a data directory, or make one with the servers that are wished for; close it at the end.

    Raises:
        OperationFailedError: an error of the store went through, or it could not be closed.
        UnusableDirectoryError: it can't be opened or made.
    """
    with _refusals_told(), _told_if_slow(path):
        if known_topology(path) is None:
            make_directory(path, wishes)
        store = KeyValueStore(
            data_dir=path, sync=sync, consistency=consistency, faults=FaultInjector()
        )
    with _closed_at_the_end(store):
        yield store


def observed(path: str, consistency: Consistency = Consistency.STRONG) -> KeyValueStore:
    """Open a data directory to look at it, which another process may have open.

    Raises:
        StoreError: it can't be read, or is not there.
    """
    return KeyValueStore(data_dir=path, observe=True, consistency=consistency)


@contextmanager
def opened_to_observe(path: str, consistency: Consistency) -> Iterator[KeyValueStore]:
    """Open a data directory to look at it; close it at the end.

    Raises:
        OperationFailedError: an error of the store went through.
        UnusableDirectoryError: it can't be read, or is not there.
    """
    with _refusals_told(), _told_if_slow(path):
        store = observed(path, consistency)
    with _closed_at_the_end(store):
        yield store


@contextmanager
def opened(path: str, *, observe: bool = False) -> Iterator[KeyValueStore]:
    """Open a data directory that is there; close it at the end.

    Args:
        path: the directory.
        observe: whether to look only, beside another process that may have it open.

    Raises:
        OperationFailedError: an error of the store went through, or it could not be closed.
        UnusableDirectoryError: it can't be opened, or is not there.
    """
    if known_topology(path) is None:
        raise UnusableDirectoryError(
            f"there is no data directory {quoted(path, _PATH_CHARACTERS)}: "
            "ringtop --data DIR --once makes one"
        )
    with _refusals_told(), _told_if_slow(path):
        store = KeyValueStore(data_dir=path, observe=observe)
    with _closed_at_the_end(store):
        yield store


def make_directory(path: str, wishes: RingWishes) -> None:
    """Make a data directory with all of its servers, or nothing of it.

    At once, where each join of a running store notes every range that moves.

    Raises:
        click.UsageError: a weight is out of its range.
        StoreError: the directory can't be made.
    """
    if find_spec(_ENGINE) is None:
        raise MissingExtraError("durable", "a data directory")
    ring = HashRing(wishes.virtual_nodes, placement=wishes.placement)
    with arguments_checked_by_core():
        for server in wishes.servers:
            ring.add_server(*server)
    view = ring.view
    with DataDirectory.open(path) as directory:
        directory.write_topology(
            Topology(
                wishes.virtual_nodes,
                wishes.replicas,
                view.epoch,
                dict(view.weights),
                placement=wishes.placement,
                positions=kept_positions(wishes.placement, view),
            )
        )


@contextmanager
def _closed_at_the_end(store: KeyValueStore) -> Iterator[None]:
    try:
        with store:
            yield
    except (InvalidKeyError, InvalidValueError, InvalidOptionError) as error:
        raise click.UsageError(str(error), click.get_current_context()) from error
    except StoreError as error:
        raise OperationFailedError(str(error)) from error


def _told_if_slow(path: str) -> AbstractContextManager[None]:
    """Show what takes long: after a kill, all records are compared and counted."""
    return shown_if_slow(f"Opening {quoted(path, _PATH_CHARACTERS)}")


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise UnusableDirectoryError(str(error)) from error


def _are_meant(known: Topology, servers: Sequence[ServerSpec]) -> bool:
    """Return whether a directory has these servers, or as many, if only their number was given."""
    if dict(servers) == dict(known.weights):
        return True
    unnamed = tuple(ServerSpec(name) for name in server_names(len(servers)))
    return tuple(servers) == unnamed and len(servers) == len(known.weights)
