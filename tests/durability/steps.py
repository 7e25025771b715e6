"""Every step of what a store does to its disk, and what a process that is killed there leaves.

The store is the coarse one, of which 2 of 16 stripes hold everything, so that a membership change
is a few range moves and each of its steps can be looked at.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.ring.hashing import murmur3
from tests.simulation.coarse import COARSE

# Vnodes and keys lie in the first eighth of the ring.
_SPREAD = 3
# What changes the disk, beside the yield points: module, class and methods.
_CALLS = (
    ("data_directory", "DataDirectory", ("write_topology", "remove_server")),
    ("journal", "Journal", ("note_move", "forget_moves")),
    (
        "rocksdb_server",
        "RocksDBServer",
        ("apply_many", "discard", "keep_note", "forget_note", "sync", "destroy"),
    ),
)
# RocksDB's text about itself is nothing that it reads.
_NOT_COPIED = shutil.ignore_patterns("LOG*")


def crowded(text: bytes, seed: int, signed: bool) -> int:
    """Put everything into the first two stripes."""
    return murmur3(text, seed, signed) >> _SPREAD


def opened(directory: Path, replicas: int | None = None, **options: Any) -> Any:
    """Open a coarse store without threads of its own; made with one vnode for each server."""
    made_with: dict[str, Any] = {} if directory.exists() else {"virtual_nodes_per_node": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(COARSE.store, "murmur3", crowded)  # a data directory takes no other
        return COARSE.KeyValueStore(
            **{**made_with, "background": False, **options},
            data_dir=directory,
            replication_factor=replicas,
            hash_function=crowded,
        )


@contextmanager
def steps_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` after everything that changes a disk, with its name."""
    with pytest.MonkeyPatch.context() as patch:
        for module, class_name, methods in _CALLS:
            package = COARSE.servers if module == "rocksdb_server" else COARSE.cluster
            owner = getattr(getattr(package, module), class_name)
            for name in methods:
                patch.setattr(owner, name, _telling(getattr(owner, name), name, tell))
        yield


def _telling(method: Callable[..., Any], name: str, tell: Callable[[str], None]) -> Any:
    def call(self: object, *arguments: Any, **options: Any) -> Any:
        try:
            return method(self, *arguments, **options)
        finally:
            tell(name)

    return call


def copy_of(directory: Path, place: Path) -> Path:
    """Return a copy of a data directory as a process that is killed now would leave it."""
    shutil.copytree(directory, place, ignore=_NOT_COPIED)
    return place


def abandon(store: Any) -> None:
    """Let go of a store as the end of its process would, and of its files."""
    store._maintenance.stop()
    if store.migration is not None:
        store.migration.stop()
    store._membership._closed = True
    store._membership._persistence.abandon()
    for replica in store._shards.replicas.values():
        if not replica.down:
            replica.server._database.close()
            replica.server._database = None
            replica.server._closed = True
