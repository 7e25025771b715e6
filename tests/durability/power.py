"""What the files of a store may be after a loss of power: what was synced, and some of the rest.

RocksDB syncs its tables, its manifest and its names by itself; what is written and not synced is
the end of its logs. So the length of each log at each sync is noted, and in an image each log is
cut or spoiled somewhere behind that, each on its own: a disk writes what it wants first.
"""

import os
import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.servers.rocksdb_database import Database
from tests.durability.steps import copy_of

_BLOCK_BYTES = 4_096


class SyncedLogs:
    """How far each log is on the disk.

    Args:
        tell: called before and after each sync of a log.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lengths: dict[Path, int] = {}
        self._paths: dict[int, Path] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note every sync."""
        make, flush_log = Database.__init__, Database.flush_log
        logs = self

        def make_known(database: Database, path: Path) -> None:
            make(database, path)
            logs._paths[id(database)] = path
            logs._lengths.update(dict.fromkeys(path.glob("*.log"), 0))

        def flush(database: Database) -> None:
            logs._tell("about to sync")
            lengths = {log: log.stat().st_size for log in logs._paths[id(database)].glob("*.log")}
            flush_log(database)
            logs._lengths.update(lengths)
            logs._tell("synced")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Database, "__init__", make_known)
            patch.setattr(Database, "flush_log", flush)
            yield

    def image(self, directory: Path, place: Path, source: random.Random) -> Path:
        """Return a copy of a data directory as a loss of power might leave it now."""
        copy_of(directory, place)
        for log in sorted(place.rglob("*.log")):
            _spoil(log, self._synced(directory / log.relative_to(place)), source)
        return place

    def image_without(self, server_id: str, directory: Path, place: Path) -> Path:
        """Return a copy in which one server has lost what was not synced, and nobody else."""
        copy_of(directory, place)
        for log in (place / "servers" / server_id).glob("*.log"):
            os.truncate(log, self._synced(directory / log.relative_to(place)))
        return place

    def image_of(self, server_id: str, directory: Path, place: Path) -> Path:
        """Return a copy in which one server has all that it wrote, and nobody else has."""
        copy_of(directory, place)
        kept = place / "servers" / server_id
        for log in place.rglob("*.log"):
            if log.parent != kept:
                os.truncate(log, self._synced(directory / log.relative_to(place)))
        return place

    def _synced(self, log: Path) -> int:
        return self._lengths.get(log, 0)


def _spoil(log: Path, synced: int, source: random.Random) -> None:
    """Do one of several things to what was not synced."""
    length = log.stat().st_size
    if length <= synced:
        return
    place = source.randrange(synced, length + 1)
    kind = source.choice(("kept", "lost", "cut", "cut", "block", "zeros", "garbage"))
    if kind == "kept":
        return
    if kind == "lost":
        place = synced
    if kind == "block":
        place = max(synced, (length - 1) // _BLOCK_BYTES * _BLOCK_BYTES)
    os.truncate(log, place)
    if kind in ("zeros", "garbage"):
        rest = bytes(length - place) if kind == "zeros" else source.randbytes(length - place)
        with log.open("ab") as file:
            file.write(rest)


class Histories:
    """What was written to each key, and how much of that must be there.

    Attributes:
        written: every value of each key, in order; None where it was removed or not there yet.
    """

    def __init__(self) -> None:
        self.written: dict[str, list[str | None]] = {}
        self._floor: dict[str, int] = {}
        self._trying: dict[str, str | None] = {}

    def try_to(self, changes: dict[str, str | None], write: Callable[[], Any]) -> None:
        """Write; meanwhile all of it may be there, or nothing."""
        self._trying = changes
        write()
        self._trying = {}
        for key, value in changes.items():
            self.written.setdefault(key, [None]).append(value)

    def lengths(self) -> dict[str, int]:
        """Return how many values each key has had."""
        return {key: len(values) for key, values in self.written.items()}

    def must_have(self, lengths: dict[str, int]) -> None:
        """Note that nothing may be lost any more of what had been written at some moment."""
        self._floor = lengths

    def copy(self) -> "Histories":
        """Return what is known at this moment."""
        copy = Histories()
        copy.written = {key: list(values) for key, values in self.written.items()}
        copy._floor, copy._trying = dict(self._floor), dict(self._trying)
        return copy

    def check(self, content: dict[str, str], together: Collection[str]) -> None:
        """Assert that nothing is there that may not be.

        Args:
            content: all keys of the store.
            together: keys that were only written by transactions on all of them.
        """
        for key in sorted({*content, *self.written, *self._trying}):
            values = self.written.get(key, [None])
            allowed = values[max(0, self._floor.get(key, 1) - 1) :]
            if key in self._trying:
                allowed = [*allowed, self._trying[key]]
            assert content.get(key) in allowed, (
                f"{key} is {content.get(key)}, and may be one of {allowed} of {values}"
            )
        found = tuple(content.get(key) for key in together)
        whole = set(zip(*(self.written.get(key, [None]) for key in together), strict=True))
        if set(together) <= self._trying.keys():
            whole.add(tuple(self._trying[key] for key in together))
        assert found in whole, f"{found} of no one transaction: {whole}"
