"""A server on disk that another process holds, to be read beside it and never written.

It is seen as it was when it was opened: whoever wants to see more opens it anew. Nothing is
written to its directory, not even a lock or a log, and no mode is changed.

**While keys move** one server may have discarded what another, opened before, had not taken yet.
So then `look_beside` has every server look on all of them, and the newest record of a key wins:
what lies on a server that it does not belong to is older or the same. (Servers that give have to be
opened before those that take.)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from core.errors import ObservingError
from core.record import Entry, Record
from core.servers.rocksdb_files import is_made
from core.servers.rocksdb_server import RocksDBServer
from core.servers.server import RangeSize


class ObservedServer(RocksDBServer):
    """Records on a disk that somebody else writes.

    Thread safety: as `RocksDBServer`. `look_beside` is called before anybody reads.

    Args:
        server_id: the id that the ring knows this server by.
        path: its directory. One that is missing is a server without records.

    Raises:
        MissingExtraError: rocksdict is not installed.
        StorageError: the directory can't be read.
    """

    def __init__(self, server_id: str, path: Path) -> None:
        self._others: tuple[ObservedServer, ...] = ()
        super().__init__(server_id, path)

    def look_beside(self, others: Sequence["ObservedServer"]) -> None:
        """Look for each key on `others` as well."""
        self._others = tuple(other for other in others if other is not self)

    # Reading

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, or None."""
        record = self._own(position, key)
        for other in self._others:
            found = other._own(position, key)
            if found is not None and (record is None or found.version > record.version):
                record = found
        return record

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the entries at positions `low` to `high`."""
        entries = self._own_entries(low, high, None if self._others else limit)
        if not self._others:
            return entries
        newest = {entry.place: entry for entry in entries}
        for other in self._others:
            for entry in other._own_entries(low, high, None):
                known = newest.get(entry.place)
                if known is None or known.record.version < entry.record.version:
                    newest[entry.place] = entry
        return sorted(newest.values())[:limit]

    def sound_scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the entries at positions `low` to `high`, none left out."""
        entries = self.scan(low, high, limit)
        if limit is not None and len(entries) >= limit:
            high = entries[-1].position
        found = {entry.place for entry in entries}
        for position, key in self.corrupt_keys(low, high):
            if (position, key) not in found:
                self.get(position, key)  # says what is wrong; not if it is a tombstone
        return entries

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys and bytes lie at positions `low` to `high`."""
        if self._others:
            return RangeSize(len(self.scan(low, high)), 0)
        return super().measure(low, high) if self._database is not None else RangeSize(0, 0)

    def digest(self, low: int, high: int) -> int:
        """Return a digest of what lies here alone."""
        return super().digest(low, high) if self._database is not None else 0

    def corrupt_keys(self, low: int, high: int) -> list[tuple[int, str]]:
        """Return position and key of each corrupt record."""
        return super().corrupt_keys(low, high) if self._database is not None else []

    def due(self, now_ms: int, limit: int) -> list[Entry]:
        """Return nothing: whoever holds the directory takes away what has expired."""
        return []

    def count(self) -> int:
        """Return how many keys lie here. O(keys)."""
        return len(self._own_entries(0, (1 << 32) - 1, None))

    # Writing

    def apply(self, entry: Entry) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def put(self, position: int, key: str, record: Record) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def apply_many(self, entries: Sequence[Entry]) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def drop(self, position: int, key: str) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def keep_note(self, name: bytes, content: bytes) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def forget_note(self, name: bytes) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def forget_tombstones(self, stripe: int) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def discard(self, low: int, high: int) -> NoReturn:
        """Refuse."""
        raise ObservingError

    def destroy(self) -> NoReturn:
        """Refuse."""
        raise ObservingError

    # The disk

    def sync(self) -> None:
        """Do nothing: nothing was written."""

    def restrict(self) -> None:
        """Do nothing: the files are somebody else's."""

    def close(self) -> None:
        """Close the files. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._idle.wait_for(lambda: self._readers == 0)
            database, self._database = self._database, None
            if database is not None:
                database.close()

    # Inside

    def _own(self, position: int, key: str) -> Record | None:
        return None if self._is_missing() else super().get(position, key)

    def _own_entries(self, low: int, high: int, limit: int | None) -> list[Entry]:
        return [] if self._is_missing() else super().scan(low, high, limit)

    def _is_missing(self) -> bool:
        """Return whether there was nothing to open."""
        return self._database is None and not self._closed

    def _make_directory(self) -> None:
        """Make nothing."""

    def _open_locked(self) -> None:
        """Open what is there, as it is now."""
        if not is_made(self._path):
            return
        try:
            self._database = self._engine.Database(self._path, observing=True)
        except Exception as error:
            if not self._engine.is_engine_error(error):
                raise
            raise self._engine.failure_of(self._server_id, error) from error
        self._fetch = self._database.get_record
