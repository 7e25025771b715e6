"""What a durable store has to remember more often than its topology: a RocksDB of its own.

- how far versions are reserved, so that none is ever given out twice;
- which positions the migration under way has moved, so that it goes on where it was;
- whether the store was closed cleanly, and what it had counted then.

Transactions are noted elsewhere, see `commit_notes`.

`journal_codec` says how they lie on the disk.

**What survives what.** Whatever was written is handed to the operating system, and survives the end
of the process. What "durable" methods wrote is also in the log on the disk when they return, and
survives the loss of power; writers that come together share one sync (`GroupSync`).

**What failed is taken back.** A move whose method raised may be on the disk or not. If it is, it is
deleted with the next write that succeeds, which `sync` tries too. Only if the process ends before
that, whoever opens the journal next may find it: a move that nobody made.

**What it can't order.** The journal and each server are files of their own, so their owner has to:

- before `note_move`, sync the servers that took the chunk; after it, discard the chunk elsewhere;
- mark it as clean after the servers are closed, so that they are at least as far as it says.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.clock import Clock, SystemClock
from core.cluster.journal_codec import (
    CLEAN,
    JOURNAL_FORMAT,
    MOVE,
    TALLIES,
    TIME,
    VERSIONS,
    DamagedNoteError,
    LaterFormatError,
    Move,
    decode_move,
    decode_number,
    encode_move,
    encode_number,
    end_of,
    number_of,
    numbered,
    seal,
    unseal,
)
from core.cluster.position_spans import PositionSpans
from core.cluster.private_files import (
    DIRECTORY_MODE,
    FILE_MODE,
    enter,
    make_directory,
    sync_directory,
)
from core.errors import (
    CorruptJournalError,
    InvalidOptionError,
    MissingExtraError,
    StoreClosedError,
    StoreError,
)
from core.record import LAST_NUMBER
from core.servers.group_sync import GroupSync
from core.servers.rocksdb_files import is_made
from core.servers.rocksdb_server import SyncMode, trouble_of
from core.stripes import LAST_POSITION

if TYPE_CHECKING:
    from core.servers.rocksdb_database import Database, Operation

# The first version that a store issues: 0 stands for a key that is absent.
FIRST_VERSION: Final = 1

# What errors call it, where they would name a server.
_NAME: Final = "journal"
_PROBE: Final = b"probe"
# As much as is written when a database is opened: without that, it isn't tried.
_SPARE_BYTES: Final = 4 << 20
# How long a write waits for RocksDB to catch up with writing things out, and how often it asks.
_STALL_SECONDS: Final = 60.0
_STALL_STEP_SECONDS: Final = 0.001
# How long a journal that could not be written waits before it tries again.
_RETRY_SECONDS: Final = 1.0


def moves_in(path: Path) -> list[tuple[int, int]]:
    """Return which spans are flipped according to a journal that another process may have open.

    None without a journal. As `Journal.moved`.

    Raises:
        CorruptJournalError: a note is not what was written.
        StorageError: it can't be read.
    """
    from core.servers import rocksdb_database as engine

    if not is_made(path):
        return []
    spans = PositionSpans()
    try:
        database = engine.Database(path, observing=True)
        try:
            for key, value in list(database.items(engine.RECORDS, MOVE, end_of(MOVE))):
                move = decode_move(unseal(key, value))
                change = spans.remove if move.back else spans.add
                change(move.low, move.high)
        finally:
            database.close()
    except (DamagedNoteError, LaterFormatError) as error:
        raise CorruptJournalError(str(path), f"can't be understood ({error})") from None
    except Exception as error:
        if not engine.is_engine_error(error):
            raise
        raise engine.failure_of(_NAME, error) from error
    return spans.as_list()


class Journal:
    """The notes of a durable store.

    Thread safety: any thread may call any method. `_lock` guards every field; it is held for one
    write or one reading, and not while the log is synced.

    Always true: `_database` is None or open; while `_syncing` is above 0 it is not closed; while
    there is a `_failure`, nothing is acknowledged; while the mark of a clean close is on the disk
    (`_marked`), nothing was written since; `_owed` is what has to be deleted with the next write.

    Attributes:
        clean: whether the last one who had it open closed it cleanly; False for a new one.

    Args:
        path: its directory, which is its own. Made, with mode 0700, if it is missing.
        sync: ``"always"`` makes every move durable; ``"everysec"`` hands those of empty ranges to
            the operating system, and somebody calls `sync` every second.
        clock: tells when to try again after a failure.

    Raises:
        CorruptJournalError: it is not what was written.
        InvalidOptionError: `sync` is something else.
        MissingExtraError: rocksdict is not installed.
        StorageError: it can't be opened, or another process has it open.
    """

    def __init__(self, path: Path, *, sync: SyncMode, clock: Clock | None = None) -> None:
        if sync not in ("everysec", "always"):
            raise InvalidOptionError('sync must be "everysec" or "always"')
        try:
            from core.servers import rocksdb_database
        except ImportError as error:
            raise MissingExtraError("durable", "a store on disk") from error
        self._engine = rocksdb_database
        self._path = path
        self._always = sync == "always"
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._never = threading.Event()  # what a pause waits for
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._syncing = 0
        self._closed = False
        self._failure: Exception | None = None
        self._retry_at = 0.0
        self._written = 0
        self.clean = False
        self._marked = False
        self._versions = self._reserving = FIRST_VERSION
        self._last_move = 0
        self._group = GroupSync(self._sync_log)
        self._owed: list[Operation] = []
        self._database: Database | None = None
        with self._failures_told():
            _make_private(path)
            self._database = self._engine.Database(path)
            try:
                self._learn()
                self._restrict()
            except BaseException:
                with suppress(Exception):
                    self._database.close()
                raise

    @property
    def trouble(self) -> str | None:
        """What keeps its disk from being written, and what to do about it; None if nothing does."""
        failure = self._failure
        return None if failure is None else trouble_of(self._engine.failure_of(_NAME, failure))

    # How it was closed

    def mark_unclean(self) -> None:
        """Take the mark of a clean close away, and the tallies with it: they hold no longer.

        Durable. Every other write does so first, if nobody else has.
        """
        with self._writing():
            pass
        self._make_durable()

    def close(self, *, clean: bool) -> None:
        """Close it. May be called again.

        Args:
            clean: whether all is as it should be, and what was counted holds.

        Raises:
            StorageError: not everything could be written. It is closed, and not marked as clean.
        """
        with self._lock:
            self._idle.wait_for(lambda: self._syncing == 0)
            if self._closed:
                return
            self._closed = True
            database, self._database = self._database, None
            if database is None:
                return
            with self._failures_told():
                try:
                    self._end_locked(database, clean=clean)
                finally:
                    database.close()
                    self._restrict()

    def save_tallies(self, content: bytes) -> None:
        """Keep what was counted, for a clean close that follows: it puts that on the disk."""
        with self._writing() as operations:
            operations.append(self._put(TALLIES, content))

    def tallies(self) -> bytes | None:
        """Return what was counted before the last close; None if nothing was, or it may not hold.

        Raises:
            CorruptJournalError: it is not what was written.
        """
        with self._reading() as database:
            return self._payload_of(database, TALLIES)

    # Versions

    @property
    def versions_reserved(self) -> int:
        """The lowest version that was not reserved: none at or above it was ever issued. O(1)."""
        return self._versions

    def reserve_versions(self, limit: int) -> None:
        """Note that versions below `limit` may be issued. Durable. Takes none back.

        Raises:
            InvalidOptionError: it is no version.
        """
        if not FIRST_VERSION <= limit <= LAST_NUMBER:
            raise InvalidOptionError(f"a version is from {FIRST_VERSION} to {LAST_NUMBER:,}")
        if limit <= self._versions:
            return
        with self._writing() as operations:
            # Another thread may have reserved more, which is not on the disk yet.
            self._reserving = max(limit, self._reserving)
            operations.append(self._put(VERSIONS, encode_number(self._reserving)))
        self._make_durable()
        with self._lock:
            self._versions = max(limit, self._versions)

    # The time

    @property
    def time_noted(self) -> int:
        """The latest time that was noted, in milliseconds since 1970-01-01 UTC; 0 without one.

        Raises:
            CorruptJournalError: it is not what was written.
        """
        with self._reading() as database, self._damage_told(TIME):
            payload = self._payload_of(database, TIME)
            return 0 if payload is None else decode_number(payload)

    def note_time(self, now_ms: int) -> None:
        """Note what time it is, so that no later process takes it for earlier."""
        with self._writing() as operations:
            operations.append(self._put(TIME, encode_number(now_ms)))

    # Moves of a migration

    def note_move(self, low: int, high: int, *, back: bool, empty: bool = False) -> None:
        """Note that the positions `low` to `high` were flipped; or flipped back. Durable.

        Where they are empty, it is durable only if every write is: with what is written there
        later, this too is lost.

        Raises:
            InvalidOptionError: it is no span of the ring.
        """
        if not 0 <= low <= high <= LAST_POSITION:
            raise InvalidOptionError(f"{low:,} to {high:,} is no span of the ring")
        durable = self._always or not empty
        key: bytes | None = None
        try:
            with self._writing() as operations:
                self._last_move += 1
                key = numbered(MOVE, self._last_move)
                operations.append(self._put(key, encode_move(Move(low, high, back))))
            if durable:
                self._make_durable()
        except BaseException:
            if key is not None:  # else it was not tried to write it
                with self._lock:
                    self._owed.append((self._engine.RECORDS, key, None))
            raise

    def moved(self) -> list[tuple[int, int]]:
        """Return first and last position of each span that is flipped; merged and sorted.

        O(notes * log notes), and for each a move of the spans behind it.

        Raises:
            CorruptJournalError: a note is not what was written.
        """
        spans = PositionSpans()
        with self._damage_told(MOVE):
            for move in self._moves():
                change = spans.remove if move.back else spans.add
                change(move.low, move.high)
        return spans.as_list()

    def last_move(self) -> Move | None:
        """Return what was noted last of a migration; None if nothing was. O(notes).

        Raises:
            CorruptJournalError: a note is not what was written.
        """
        with self._damage_told(MOVE):
            moves = self._moves()
            return moves[-1] if moves else None

    def forget_moves(self) -> None:
        """Forget all moves, at once: their migration is over. Durable. O(notes)."""
        with self._writing() as operations:
            found = self._open_one().items(self._engine.RECORDS, MOVE, end_of(MOVE))
            operations.extend((self._engine.RECORDS, key, None) for key, _ in found)
        self._make_durable()

    # The disk

    def sync(self) -> None:
        """Return once everything that was written before is on the disk.

        Also the time when a journal that could not be written tries again, and when the mode of new
        files is set.

        Raises:
            StorageError: its disk can't be written; nobody knows what of it is there.
        """
        self._make_durable()
        self._restrict()

    # Inside: writing

    def _make_durable(self) -> None:
        """Return once everything that was written before, and what is owed, is on the disk."""
        with self._lock:
            self._make_writable_locked()
            if self._owed:
                with self._failures_noted_locked():
                    self._write_locked([])
            written = self._written
        self._group.through(written)

    @contextmanager
    def _writing(self) -> "Iterator[list[Operation]]":
        """Write what is put into the list, all or nothing."""
        with self._lock:
            self._make_writable_locked()
            with self._failures_noted_locked():
                operations: list[Operation] = []
                yield operations
                self._write_locked(operations)

    def _write_locked(self, operations: "list[Operation]") -> None:
        """Write, after what is owed, and after the mark of a clean close is gone."""
        operations = [*self._owed, *self._unmarking(), *operations]
        if operations:
            self._patiently(lambda: self._open_one().write(operations))
            self._written += 1
        self._owed.clear()
        self._marked = False

    def _unmarking(self) -> "list[Operation]":
        """Return what takes the mark of a clean close away, if it is there."""
        return [(self._engine.META, key, None) for key in (CLEAN, TALLIES) if self._marked]

    def _put(self, key: bytes, payload: bytes) -> "Operation":
        family = self._engine.RECORDS if key.startswith(MOVE) else self._engine.META
        return family, key, seal(key, payload)

    def _patiently(self, write: Callable[[], None]) -> None:
        """Write, and wait where RocksDB has to write things out first.

        Waiting inside of RocksDB would keep the interpreter's lock.
        """
        give_up_at = self._clock.monotonic() + _STALL_SECONDS
        while True:
            try:
                return write()
            except Exception as error:
                if not self._engine.is_stalled(error) or self._clock.monotonic() > give_up_at:
                    raise
            self._clock.wait(self._never, _STALL_STEP_SECONDS)

    def _sync_log(self) -> int:
        """Put the log on the disk; return the number of the last write that is there by that."""
        with self._lock:
            self._make_writable_locked()
            database, written = self._open_one(), self._written
            self._syncing += 1
        failure: Exception | None = None
        try:
            database.flush_log()
        except Exception as error:
            failure = error
        finally:
            del database  # a traceback would keep it open
            with self._lock:
                self._syncing -= 1
                self._idle.notify_all()
        if failure is not None:
            with self._lock, self._failures_noted_locked():
                raise failure
        return written

    def _end_locked(self, database: "Database", *, clean: bool) -> None:
        """Write the last things into a database that is about to be closed."""
        if self._failure is not None:
            return  # nothing can be written; what is in the log stays there
        last = [*self._owed, *([] if clean else self._unmarking())]
        if last:
            self._patiently(lambda: database.write(last))
        # In this order: the mark must not outlive what was written before it.
        database.flush_log()
        if clean:
            mark = self._put(CLEAN, b"")
            self._patiently(lambda: database.write([mark]))
            database.flush_log()

    # Inside: reading

    @contextmanager
    def _reading(self) -> "Iterator[Database]":
        with self._lock, self._failures_told():
            yield self._open_one()

    def _open_one(self) -> "Database":
        if self._closed:
            raise StoreClosedError
        if self._database is None:
            raise self._told(self._failure or OSError("not open"))
        return self._database

    def _learn(self) -> None:
        """Read what is kept in memory."""
        database = self._open_one()
        self.clean = self._marked = self._payload_of(database, CLEAN) is not None
        versions = self._payload_of(database, VERSIONS)
        if versions is not None:
            with self._damage_told(VERSIONS):
                self._versions = self._reserving = decode_number(versions)
        moves = list(database.items(self._engine.RECORDS, MOVE, end_of(MOVE)))
        with self._damage_told(MOVE):
            self._last_move = max((number_of(MOVE, key) for key, _ in moves), default=0)

    def _payload_of(self, database: "Database", key: bytes) -> bytes | None:
        value = database.get(self._engine.META, key)
        with self._damage_told(key):
            return None if value is None else unseal(key, value)

    def _moves(self) -> list[Move]:
        """Return the moves in the order in which they were noted."""
        with self._reading() as database:
            owed = {key for _, key, _ in self._owed}
            # A list: an iterator that an error interrupts would keep the database open.
            found = list(database.items(self._engine.RECORDS, MOVE, end_of(MOVE)))
        return [decode_move(unseal(key, value)) for key, value in found if key not in owed]

    # Inside: trouble

    @contextmanager
    def _damage_told(self, kind: bytes) -> Iterator[None]:
        try:
            yield
        except DamagedNoteError as error:
            fault = f"is damaged (a note of kind {kind.decode()}: {error})"
            raise CorruptJournalError(str(self._path), fault) from None
        except LaterFormatError as error:
            raise CorruptJournalError(
                str(self._path),
                f"has format version {error}, and this ringtop knows {JOURNAL_FORMAT}",
                "open it with the ringtop that wrote it, or a newer one",
            ) from None

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        """Turn what RocksDB or the system says into what to do about it."""
        try:
            yield
        except Exception as error:
            if isinstance(error, StoreError) or not self._engine.is_engine_error(error):
                raise
            raise self._told(error) from error

    @contextmanager
    def _failures_noted_locked(self) -> Iterator[None]:
        """The same, where something was written: nothing is acknowledged until it works again."""
        try:
            yield
        except Exception as error:
            if isinstance(error, StoreError) or not self._engine.is_engine_error(error):
                raise
            self._failure = error
            self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
            raise self._told(error) from error

    def _told(self, error: Exception) -> StoreError:
        if "Corruption" in str(error):
            return CorruptJournalError(str(self._path), f"is damaged ({error})")
        return self._engine.failure_of(_NAME, error)

    def _make_writable_locked(self) -> None:
        """Try to end a failure: it may have passed, or pass when the database is opened again.

        Raises:
            StorageError: not yet.
        """
        if self._closed:
            raise StoreClosedError
        if self._failure is None:
            return
        if self._clock.monotonic() < self._retry_at:
            raise self._told(self._failure)
        self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
        with self._failures_noted_locked():
            if not self._works_again():
                self._reopen_locked()
        self._failure = None

    def _works_again(self) -> bool:
        """Return whether all that was written can be put on the disk without the log.

        After a sync that failed, nobody knows what the log holds.
        """
        if self._database is None:
            return False
        try:
            self._database.put(self._engine.META, _PROBE, b"")
            self._database.flush_tables()
        except Exception as error:
            if not self._engine.is_engine_error(error):
                raise
            return False
        return True

    def _reopen_locked(self) -> None:
        """Close the database and open it again, if the disk has space for that."""
        self._idle.wait_for(lambda: self._syncing == 0)
        if self._closed:
            raise StoreClosedError
        probe = self._path / "space.probe"
        try:
            probe.write_bytes(bytes(_SPARE_BYTES))
        finally:
            with suppress(OSError):
                probe.unlink()
        database, self._database = self._database, None
        if database is not None:
            with suppress(Exception):  # what it could not write is in the log
                database.close()
        self._database = self._engine.Database(self._path)

    def _restrict(self) -> None:
        """Let nobody but the owner read its files. RocksDB makes them as the umask says."""
        with os.scandir(self._path) as files:
            for file in files:
                with suppress(FileNotFoundError):  # RocksDB removes what it has merged
                    if file.stat(follow_symlinks=False).st_mode & 0o077:
                        os.chmod(file.path, FILE_MODE)


def _make_private(path: Path) -> None:
    """Make a directory, if it is missing, and make it its owner's alone."""
    if not path.exists():
        make_directory(path)
        sync_directory(path.parent)
    directory = enter(path)
    try:
        os.fchmod(directory, DIRECTORY_MODE)
    finally:
        os.close(directory)
