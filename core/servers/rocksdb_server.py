"""A server that keeps its records on disk, in a RocksDB of its own.

**What is on the disk.** Four column families: ``records`` (disk key -> record, both as
`record_codec` says), ``tombstones`` (the same, for keys that were removed), ``expiries`` (8 bytes
of milliseconds + disk key -> nothing, for each record that expires) and ``meta``, where the notes
of who uses the server are as well. A key is in
``records`` or in ``tombstones``, never in both. What belongs together is written in one atomic
batch, so a crash leaves all of a write or nothing.

**What an acknowledged write has survived.** The log is handed to the operating system before any
write returns, so all of them survive the end of the process. With ``sync="always"`` the log is on
the disk as well when a write returns, and survives the loss of power; with ``"everysec"`` somebody
calls `sync` every second, and a loss of power takes what came after the last.

**Group commit.** rocksdict keeps the interpreter's lock while a synced `put` waits for the disk, so
RocksDB never sees two writers to join. So writes are put into the log one by one, which takes
microseconds, and the writers then wait for one of them who syncs the log for all
(`GroupSync`). With 8 writers that takes a fraction of the syncs.

**The count of keys** is kept in memory. A clean close writes it down; the first write after an open
takes that mark away first. Without it the keys are counted at the open, at about 3,000,000 a
second.

**Trouble with the disk.** A write that fails leaves the server refusing writes while reads go on.
Every second, the next write or `sync` tries again: RocksDB recovers from a full disk by itself;
from anything else it does not, so it is closed and opened once a probe of the disk succeeds.

**Corrupt records.** See `DurableServer.corrupt_keys`. They are not remembered: whoever wants to
know has the range read, because what decays tells nobody.
"""

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count as numbers
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from core.clock import Clock, SystemClock
from core.errors import (
    CorruptRecordError,
    DiskFullError,
    InvalidOptionError,
    MissingExtraError,
    ServerFailedError,
    ServerUnavailableError,
    StorageError,
)
from core.native import mypyc_attr
from core.record import (
    DIGEST_MASK,
    NEVER_EXPIRES,
    Entry,
    Record,
    digest_of,
)
from core.safe_text import visible
from core.servers.group_sync import GroupSync
from core.servers.record_codec import (
    POSITION_BYTES,
    RECORD_OVERHEAD,
    decode_record,
    disk_key_of,
    encode_record,
    fault_of,
    split_disk_key,
    stamp_of,
)
from core.servers.server import RangeSize
from core.stripe_lock import Lock
from core.stripes import LAST_POSITION, STRIPE_SHIFT, last_position_of, stripe_of

if TYPE_CHECKING:
    from core.servers.rocksdb_database import Database, Operation

SyncMode = Literal["everysec", "always"]

# What one atomic write may take: beyond it a list of records is written in several. (A single
# record may be larger.)
_BATCH_BYTES: Final = 4 << 20
# How long a server that could not write waits before it tries again.
_RETRY_SECONDS: Final = 1.0
# And how many times as long as the last attempt took: a database with a damaged file takes a second
# to close, during which every write of the ring would wait for it.
_RETRY_SHARE: Final = 20
# How long a write waits for RocksDB to catch up with writing things out, and how often it asks.
_STALL_SECONDS: Final = 60.0
_STALL_STEP_SECONDS: Final = 0.001
# What has to be free, beside the size of the log, before a database is opened again.
_SPARE_BYTES: Final = 4 << 20
# A write has to know whether it takes the place of something. To ask RocksDB costs as much as the
# write itself, or more (1 to 3 us); to remember the keys that were written last, 0.1 us. Of these
# it keeps this many to twice as many, each in about 150 bytes: at most 5 MB.
_KNOWN_KEYS: Final = 16_384
# How many keys are discarded in one atomic write, and so at most without a pause for others.
_KEYS_PER_BATCH: Final = 500
_EXPIRY_BYTES: Final = 8

_COUNT_KEY: Final = b"count"
_FORMAT_KEY: Final = b"format"
_PROBE_KEY: Final = b"probe"
_NOTES: Final = b"note:"
_AFTER_NOTES: Final = b"note;"
# The layout of the families; a newer one is refused.
_FORMAT: Final = b"1"


@mypyc_attr(allow_interpreted_subclasses=True)
class RocksDBServer:
    """Records on disk.

    Thread safety: any thread may call any method; as `Server` says, whoever writes holds the locks
    of the stripes concerned, so that no two write one key. `_lock` guards every field;
    it is held for one write and never while the disk syncs, but for the first write after an open
    or a failure. `get` takes no lock.

    Always true: `_database` is None or open; while `_readers` is above 0 it is not closed; `_count`
    is how many keys its records have; `_writable` means that it is open, has not failed, and bears
    no mark of a clean close; a key in `_known` or `_known_before` has a value that does not expire,
    and it is writable while there is one.

    Args:
        server_id: the id that the ring knows this server by.
        path: its directory, which is its own. Made, with mode 0700, if it is missing.
        sync: what a write waits for, see above.
        clock: tells when to try again after a failure.

    Raises:
        InvalidOptionError: `sync` is something else.
        MissingExtraError: rocksdict is not installed.
        StorageError: the directory can't be opened, or another process has it open.
    """

    def __init__(
        self,
        server_id: str,
        path: str | os.PathLike[str],
        sync: SyncMode = "everysec",
        *,
        clock: Clock | None = None,
    ) -> None:
        if sync not in ("everysec", "always"):
            raise InvalidOptionError('sync must be "everysec" or "always"')
        try:
            from core.servers import rocksdb_database
        except ImportError as error:
            raise MissingExtraError("durable", "a server on disk") from error
        self._engine: Any = rocksdb_database  # a module: compiled code knows no type for it
        self._server_id = server_id
        self._path = Path(path)
        self._always = sync == "always"
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._never = threading.Event()  # what a pause waits for
        self._lock = Lock()
        lock: Any = self._lock  # all that a condition asks of one
        self._idle = threading.Condition(lock)
        self._readers = 0
        self._closed = False
        self._failure: str | None = None
        self._retry_at = 0.0
        self._writable = False
        self._new = False
        self._clean = False
        self._count = 0
        self._written = 0
        # How many tombstones each stripe has; empty while all replicas are well.
        self._tombstones: Counter[int] = Counter()
        # Keys that were written last and have a value that does not expire: see `_KNOWN_KEYS`.
        self._known: set[str] = set()
        self._known_before: set[str] = set()
        self._group = GroupSync(self._sync_log)
        self._database: Database | None = None
        try:
            self._make_directory()
            self._open_locked()
        except OSError as error:
            raise self._engine.failure_of(server_id, error) from error

    @property
    def server_id(self) -> str:
        """The id that the ring knows this server by."""
        return self._server_id

    @property
    def is_new(self) -> bool:
        """Whether there was nothing on the disk when the server was opened."""
        return self._new

    @property
    def path(self) -> Path:
        """The directory that its records are in."""
        return self._path

    @property
    def trouble(self) -> str | None:
        """What keeps the disk from being written, and what to do about it; None if nothing does."""
        failure = self._failure
        if failure is None:
            return None
        return trouble_of(self._engine.failure_of(self._server_id, Exception(failure)))

    @property
    def records(self) -> None:
        """None: a call may fail. Reads go through `get`, writes through `apply`."""
        return

    # Reading

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, or None. O(log keys), from a cache or with one disk read.

        Raises:
            CorruptRecordError: what lies there is not what was written.
            ServerFailedError: the server is closed, or its disk can't be read.
        """
        disk_key = disk_key_of(position, key)
        try:
            raw = self._fetch(disk_key)
        except Exception as error:
            raw = self._fetch_again(disk_key, error)
        if raw is None:
            return None
        record = decode_record(disk_key, raw)
        if record is None:
            raise CorruptRecordError(self._server_id, key, fault_of(disk_key, raw) or "it changed")
        return record

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the first `limit` entries at positions `low` to `high`, in order. O(entries).

        Corrupt records are left out; `corrupt_keys` has them.
        """
        with self._reading() as database:
            found = self._entries(database, self._engine.RECORDS, low, high)
            return list(islice(found, limit))

    def sound_scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """As `scan`, where no record may be left out. O(entries).

        Raises:
            CorruptRecordError: one of those that it came by is corrupt.
        """
        with self._reading() as database:
            found = self._entries(database, self._engine.RECORDS, low, high, sound=True)
            return list(islice(found, limit))

    def removals(self, low: int, high: int) -> list[Entry]:
        """Return the tombstones at positions `low` to `high`. O(tombstones there)."""
        if not self._tombstones and not self._closed:
            return []
        with self._reading() as database:
            return list(self._entries(database, self._engine.TOMBSTONES, low, high))

    def digest(self, low: int, high: int) -> int:
        """Return a digest of keys, versions and expiries. O(keys).

        What is corrupt counts as it is: nobody who has the record has the same digest.
        """
        total = 0
        with self._reading() as database:
            for disk_key, raw in self._items(database, self._engine.RECORDS, low, high):
                stamp, key = stamp_of(disk_key, raw), _text_key_of(disk_key)
                if stamp is not None and key is not None:
                    total += digest_of(key, Record(None, *stamp))
                else:
                    total += digest_of(repr((disk_key, raw)), Record(None, 0, NEVER_EXPIRES))
        return total & DIGEST_MASK

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys and bytes lie at positions `low` to `high`. O(keys)."""
        keys = size = 0
        with self._reading() as database:
            for disk_key, raw in self._items(database, self._engine.RECORDS, low, high):
                keys += 1
                size += len(disk_key) + len(raw)
        return RangeSize(keys, size - keys * (POSITION_BYTES + RECORD_OVERHEAD))

    def count(self) -> int:
        """Return how many keys the server holds. O(1)."""
        if self._closed:
            raise self._unavailable()
        return self._count

    def due(self, now_ms: int, limit: int) -> list[Entry]:
        """Return at most `limit` entries whose expiry is at or before `now_ms`, earliest first.

        O(limit), and as much for each key that a corrupt record left in the index.
        """
        found: list[Entry] = []
        stale: list[bytes] = []
        before = (now_ms + 1).to_bytes(_EXPIRY_BYTES, "big")
        with self._reading() as database:
            for place, _ in database.items(self._engine.EXPIRIES, high=before):
                if len(found) >= limit:
                    break
                entry = self._expiring(database, place)
                if entry is None:
                    stale.append(place)
                else:
                    found.append(entry)
        for place in stale:
            self._forget_expiry(place)
        return found

    def corrupt_keys(self, low: int, high: int) -> list[tuple[int, str]]:
        """Return position and key of each corrupt record or tombstone. O(all there).

        A key that is no text is spelled with escapes, and can only be discarded with its range.
        """
        with self._reading() as database:
            return sorted(
                split_disk_key(disk_key)
                for family in (self._engine.RECORDS, self._engine.TOMBSTONES)
                for disk_key, raw in self._items(database, family, low, high)
                if decode_record(disk_key, raw) is None or _text_key_of(disk_key) is None
            )

    # Writing

    def apply(self, entry: Entry) -> int | None:
        """Store a record unless one as new is there; return the change in keys. O(log keys).

        A corrupt record is older than any other.
        """
        disk_key = disk_key_of(entry.position, entry.key)
        with self._lock:
            if not self._writable:
                self._make_writable_locked()
            try:
                change = self._apply_locked(disk_key, entry)
            except Exception as error:
                raise self._failed_locked(error) from error
            written = self._written
        if self._always:
            self._group.through(written)
        return change

    def put(self, position: int, key: str, record: Record) -> int:
        """Store a record that is newer than any before; return the change in keys. O(log keys).

        What is newer by promise need not be compared: where the key is known as well, this writes
        and reads nothing.
        """
        disk_key = disk_key_of(position, key)
        self._lock.acquire()  # `with` takes twice as long
        try:
            change = 0
            known = key in self._known
            if (
                (known or key in self._known_before)
                and record.value is not None
                and record.expires_at == NEVER_EXPIRES
            ):
                self._put_locked(disk_key, record)
                if not known:
                    self._know_locked(key)
            else:
                if not self._writable:
                    self._make_writable_locked()
                change = self._apply_locked(disk_key, Entry(position, key, record)) or 0
            written = self._written
        except Exception as error:
            raise self._failed_locked(error) from error
        finally:
            self._lock.release()
        if self._always:
            self._group.through(written)
        return change

    def apply_many(self, entries: Sequence[Entry]) -> int:
        """Store each record unless one as new is there; return how many were stored.

        In one atomic write, or one for each 4 MiB. O(entries * log keys).
        """
        stored = 0
        seen: set[bytes] = set()
        with self._writing() as database:
            changes = _Changes()
            for entry in entries:
                disk_key = disk_key_of(entry.position, entry.key)
                if disk_key in seen or changes.size > _BATCH_BYTES:
                    self._write_locked(database, changes)
                    changes = _Changes()
                    seen.clear()
                stored += self._plan_locked(changes, disk_key, entry) is not None
                seen.add(disk_key)
            self._write_locked(database, changes)
        return stored

    def drop(self, position: int, key: str) -> bool:
        """Forget the record of `key`, whatever its version, and that it was removed.

        O(log keys).
        """
        disk_key = disk_key_of(position, key)
        with self._writing() as database:
            changes = _Changes()
            raw = database.get_record(disk_key)
            if raw is not None:
                self._delete(changes, disk_key, raw)
            elif self._tombstone_locked(position, disk_key) is not None:
                self._delete_tombstone(changes, disk_key)
            self._write_locked(database, changes)
        return raw is not None

    def forget_tombstones(self, stripe: int) -> int:
        """Forget the tombstones of a stripe. O(1) without any, else O(tombstones there)."""
        if not self._tombstones[stripe] and not self._closed:
            return 0
        low, high = stripe << STRIPE_SHIFT, last_position_of(stripe)
        return self._discard(self._engine.TOMBSTONES, low, high)

    def discard(self, low: int, high: int) -> int:
        """Forget all records and tombstones at positions `low` to `high`. O(keys there).

        Returns how many records there were. One by one: RocksDB's own deletion of a range would
        tell nobody how many there were, and slows down every later read in it.
        """
        if self._tombstones:
            self._discard(self._engine.TOMBSTONES, low, high)
        return self._discard(self._engine.RECORDS, low, high)

    # Notes

    def keep_note(self, name: bytes, content: bytes) -> None:
        """Keep something for who uses the server. O(bytes).

        Not synced by itself, whatever `sync` says: it is before the next record in the log, and on
        the disk when that is.
        """
        self._write_note((self._engine.META, _NOTES + name, content))

    def forget_note(self, name: bytes) -> None:
        """Forget a note; nothing if there is none. O(1). Not synced by itself."""
        self._write_note((self._engine.META, _NOTES + name, None))

    def notes(self) -> list[tuple[bytes, bytes]]:
        """Return names and contents of all notes, by name. O(bytes)."""
        with self._reading() as database:
            found = list(database.items(self._engine.META, _NOTES, _AFTER_NOTES))
        return [(name[len(_NOTES) :], content) for name, content in found]

    # The disk

    def sync(self) -> None:
        """Return once everything that was applied before is on the disk.

        Also the time when a server that could not write tries again, and when the mode of new files
        is set.

        Raises:
            ServerFailedError: it is closed, or its disk can't be written.
        """
        with self._lock:
            if self._closed or self._failure is not None:
                self._make_writable_locked()
            written = self._written
        self._group.through(written)
        self.restrict()

    def restrict(self) -> None:
        """Let nobody but the owner read its files. RocksDB makes them as the umask says."""
        with suppress(FileNotFoundError), os.scandir(self._path) as files:
            for file in files:
                with suppress(FileNotFoundError):  # RocksDB removes what it has merged
                    if file.stat().st_mode & 0o077:
                        os.chmod(file.path, 0o600)

    def close(self) -> None:
        """Write down the count of keys and close the files. May be called again.

        Waits for those who read a range. Everything but `close`, `restrict` and `destroy` raises
        `ServerUnavailableError` from then on.

        Raises:
            StorageError: not everything could be written. It is closed, and what was acknowledged
                is in the log.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._writable = False
            self._known, self._known_before = set(), set()
            self._idle.wait_for(lambda: self._readers == 0)
            database, self._database = self._database, None
            if database is None:
                return
            try:
                try:
                    if self._failure is None:
                        database.put(self._engine.META, _COUNT_KEY, str(self._count).encode())
                finally:
                    database.close()
            except Exception as error:
                if self._failure is None:
                    raise self._failed_locked(error) from error
        self.restrict()

    def destroy(self) -> None:
        """Close the server and remove its files from the disk; nothing else in its directory."""
        with suppress(StorageError):
            self.close()
        try:
            self._engine.destroy(self._path)
        except Exception as error:
            raise self._engine.failure_of(self._server_id, error) from error

    # Inside: reading

    def _fetch_again(self, disk_key: bytes, failure: Exception) -> bytes | None:
        """Read a record after a first try failed: the database may have been opened anew."""
        if not self._engine.is_engine_error(failure):
            raise failure
        if not self._engine.is_closed(failure):
            raise self._engine.failure_of(self._server_id, failure) from failure
        with self._reading() as database:
            return database.get_record(disk_key)

    @contextmanager
    def _reading(self) -> "Iterator[Database]":
        """Have the database kept open for a while, without keeping writers out."""
        with self._lock:
            if self._closed:
                raise self._unavailable()
            if self._database is None:
                self._recover_locked()
            database = self._open_one()
            self._readers += 1
        try:
            yield database
        except Exception as error:
            if not self._engine.is_engine_error(error):
                raise
            raise self._engine.failure_of(self._server_id, error) from error
        finally:
            with self._lock:
                self._readers -= 1
                self._idle.notify_all()

    @staticmethod
    def _items(
        database: "Database", family: str, low: int, high: int
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return what lies at positions `low` to `high`."""
        after = None if high >= LAST_POSITION else disk_key_of(high + 1, "")
        return database.items(family, disk_key_of(low, ""), after)

    def _entries(
        self, database: "Database", family: str, low: int, high: int, *, sound: bool = False
    ) -> Iterator[Entry]:
        """Yield the entries at positions `low` to `high`; a corrupt one is left out or raised."""
        for disk_key, raw in self._items(database, family, low, high):
            record, key = decode_record(disk_key, raw), _text_key_of(disk_key)
            if record is not None and key is not None:
                yield Entry(int.from_bytes(disk_key[:POSITION_BYTES], "big"), key, record)
            elif sound:
                fault = fault_of(disk_key, raw) or "its key is no text"
                raise CorruptRecordError(self._server_id, split_disk_key(disk_key)[1], fault)

    def _expiring(self, database: "Database", place: bytes) -> Entry | None:
        """Return the entry that a place in the index is for; None if it expires at another time."""
        disk_key = place[_EXPIRY_BYTES:]
        raw = database.get_record(disk_key)
        record = None if raw is None else decode_record(disk_key, raw)
        if record is None or place != _place_of(record.expires_at, disk_key):
            return None
        return Entry(*split_disk_key(disk_key), record)

    def _forget_expiry(self, place: bytes) -> None:
        """Take a place out of the index, unless a record that expires then has come meanwhile."""
        with self._writing() as database:
            if self._expiring(database, place) is None:
                changes = _Changes()
                changes.add(self._engine.EXPIRIES, place, None)
                self._write_locked(database, changes)

    # Inside: writing

    @contextmanager
    def _writing(self) -> "Iterator[Database]":
        """Hold the lock of a database that can be written; then acknowledge what was written."""
        with self._lock:
            if not self._writable:
                self._make_writable_locked()
            try:
                yield self._open_one()
            except Exception as error:
                raise self._failed_locked(error) from error
            written = self._written
        if self._always:
            self._group.through(written)

    def _apply_locked(self, disk_key: bytes, entry: Entry) -> int | None:
        """Store a record in the usual way, one `put`, or as `_plan_locked` says."""
        position, key, record = entry.position, entry.key, entry.record
        value, version, expires_at = record.value, record.version, record.expires_at
        change = 0
        newest: int | None = None
        raw = self._fetch(disk_key)
        if raw is not None:
            stamp = stamp_of(disk_key, raw)
            if stamp is not None and stamp[1] == NEVER_EXPIRES:
                newest = stamp[0]
        elif not self._tombstones or not self._tombstones[stripe_of(position)]:
            newest, change = 0, 1
        if newest is None or value is None or expires_at != NEVER_EXPIRES:
            changes = _Changes()
            planned = self._plan_locked(changes, disk_key, entry)
            self._write_locked(self._open_one(), changes)
            return planned
        if newest >= version:
            return None
        self._put_locked(disk_key, record)
        self._know_locked(key)
        self._count += change
        return change

    def _put_locked(self, disk_key: bytes, record: Record) -> None:
        """Write a value that does not expire, where none that does and no tombstone is."""
        raw = encode_record(disk_key, record)
        try:
            self._put(disk_key, raw)
        except Exception as error:
            if not self._engine.is_stalled(error):
                raise
            self._patiently(partial(self._put, disk_key, raw))
        self._written += 1

    def _know_locked(self, key: str) -> None:
        """Remember that a key has a value that does not expire."""
        self._known.add(key)
        if len(self._known) > _KNOWN_KEYS:
            self._known, self._known_before = set(), self._known

    def _plan_locked(self, changes: "_Changes", disk_key: bytes, entry: Entry) -> int | None:
        """Add what stores a record to `changes`; return the change in keys, None for nothing."""
        record = entry.record
        raw = self._fetch(disk_key)
        removed: int | None = None
        if raw is not None:
            stamp = stamp_of(disk_key, raw)
            newest = 0 if stamp is None else stamp[0]
        else:
            removed = self._tombstone_locked(entry.position, disk_key)
            newest = removed or 0
        if newest >= record.version:
            return None
        if raw is not None:
            self._unindex(changes, disk_key, raw)
        elif removed is not None:
            self._delete_tombstone(changes, disk_key)
        encoded = encode_record(disk_key, record)
        if record.value is None:
            if raw is not None:
                changes.add(self._engine.RECORDS, disk_key, None)
                changes.keys -= 1
            changes.add(self._engine.TOMBSTONES, disk_key, encoded)
            changes.tombstones[stripe_of(entry.position)] += 1
            return 0 if raw is None else -1
        changes.add(self._engine.RECORDS, disk_key, encoded)
        changes.keys += raw is None
        if record.expires_at != NEVER_EXPIRES:
            place = _place_of(record.expires_at, disk_key)
            changes.add(self._engine.EXPIRIES, place, b"")
        return 1 if raw is None else 0

    def _write_note(self, operation: "Operation") -> None:
        with self._lock:
            if not self._writable:
                self._make_writable_locked()
            try:
                self._patiently(partial(self._open_one().write, [operation]))
            except Exception as error:
                raise self._failed_locked(error) from error
            self._written += 1

    def _delete(self, changes: "_Changes", disk_key: bytes, raw: bytes) -> None:
        """Add what takes a record away."""
        changes.add(self._engine.RECORDS, disk_key, None)
        changes.keys -= 1
        self._unindex(changes, disk_key, raw)

    def _unindex(self, changes: "_Changes", disk_key: bytes, raw: bytes) -> None:
        """Add what takes the expiry of a record out of the index."""
        stamp = stamp_of(disk_key, raw)
        if stamp is not None and stamp[1] != NEVER_EXPIRES:
            changes.add(self._engine.EXPIRIES, _place_of(stamp[1], disk_key), None)

    def _delete_tombstone(self, changes: "_Changes", disk_key: bytes) -> None:
        """Add what takes a tombstone away."""
        changes.add(self._engine.TOMBSTONES, disk_key, None)
        changes.tombstones[stripe_of(split_disk_key(disk_key)[0])] -= 1

    def _tombstone_locked(self, position: int, disk_key: bytes) -> int | None:
        """Return the version of a tombstone, 0 for a corrupt one, or None without one."""
        if not self._tombstones[stripe_of(position)]:
            return None
        raw = self._open_one().get(self._engine.TOMBSTONES, disk_key)
        if raw is None:
            return None
        stamp = stamp_of(disk_key, raw)
        return 0 if stamp is None else stamp[0]

    def _discard(self, family: str, low: int, high: int) -> int:
        """Delete all of a family at positions `low` to `high`; return how many there were."""
        discarded = 0
        with self._reading() as reader:
            found = self._items(reader, family, low, high)
            while chunk := list(islice(found, _KEYS_PER_BATCH)):
                with self._writing() as database:
                    changes = _Changes()
                    for disk_key, raw in chunk:
                        if family == self._engine.RECORDS:
                            self._delete(changes, disk_key, raw)
                        else:
                            self._delete_tombstone(changes, disk_key)
                    self._write_locked(database, changes)
                discarded += len(chunk)
        return discarded

    def _write_locked(self, database: "Database", changes: "_Changes") -> None:
        """Do all of the changes or none."""
        if not changes.operations:
            return
        self._patiently(partial(database.write, changes.operations))
        self._written += 1
        self._count += changes.keys
        for family, disk_key, _ in changes.operations:
            if family == self._engine.RECORDS and (key := _text_key_of(disk_key)) is not None:
                self._known.discard(key)
                self._known_before.discard(key)
        for stripe, change in changes.tombstones.items():
            self._tombstones[stripe] += change
            if not self._tombstones[stripe]:
                del self._tombstones[stripe]

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
        with self._reading() as database:
            if self._failure is not None:
                raise self._failed()
            written = self._written
            try:
                database.flush_log()
            except Exception as error:
                with self._lock:
                    raise self._failed_locked(error) from error
        return written

    # Inside: opening, and trouble

    def _make_directory(self) -> None:
        """Make the directory, so that a loss of power leaves it there."""
        made = not self._path.exists()
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.chmod(0o700)
        if made:
            parent = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(parent)
            finally:
                os.close(parent)

    def _open_one(self) -> "Database":
        if self._database is None:
            raise self._unavailable()
        return self._database

    def _open_locked(self) -> None:
        """Open the database, and learn how many keys and tombstones it has."""
        try:
            database = self._engine.Database(self._path)
        except Exception as error:
            if not self._engine.is_engine_error(error):
                raise
            raise self._engine.failure_of(self._server_id, error) from error
        try:
            layout = database.get(self._engine.META, _FORMAT_KEY)
            if layout is None:
                self._new = True
                database.put(self._engine.META, _FORMAT_KEY, _FORMAT)
            elif layout != _FORMAT:
                raise StorageError(
                    self._server_id,
                    f"its files have layout {layout!r}",
                    f"only {_FORMAT!r} is known: use the ringtop that wrote them",
                )
            counted = database.get(self._engine.META, _COUNT_KEY)
            self._clean = counted is not None
            if counted is None:
                self._count = _length(database.keys(self._engine.RECORDS))
            else:
                self._count = int(counted)
            self._tombstones = Counter(
                stripe_of(split_disk_key(disk_key)[0])
                for disk_key in database.keys(self._engine.TOMBSTONES)
            )
        except BaseException as error:
            with suppress(Exception):
                database.close()
            if isinstance(error, Exception) and self._engine.is_engine_error(error):
                raise self._engine.failure_of(self._server_id, error) from error
            raise
        self._database = database
        self._fetch = database.get_record
        self._put = database.put_record
        self._failure = None
        self.restrict()

    def _make_writable_locked(self) -> None:
        """Make sure that the next write can be made, and that it is known to have been."""
        if self._closed:
            raise self._unavailable()
        if self._failure is not None:
            self._recover_locked()
        database = self._open_one()
        try:
            if self._clean:
                database.write([(self._engine.META, _COUNT_KEY, None)])
                database.flush_log()
                self._clean = False
        except Exception as error:
            raise self._failed_locked(error) from error
        self._writable = True

    def _recover_locked(self) -> None:
        """Try to end a failure: it may have passed, or pass when the database is opened again.

        Raises:
            ServerFailedError: not yet.
        """
        began = self._clock.monotonic()
        if began < self._retry_at:
            raise self._failed()
        try:
            self._try_again_locked()
        finally:
            ended = self._clock.monotonic()
            self._retry_at = ended + max(_RETRY_SECONDS, (ended - began) * _RETRY_SHARE)

    def _try_again_locked(self) -> None:
        """Write without the log, or open the database again.

        Raises:
            ServerFailedError: neither is possible.
        """
        if self._database is not None:
            try:
                # Not in the log alone: after a sync that failed, nobody knows what that holds.
                self._database.put(self._engine.META, _PROBE_KEY, b"")
                self._database.flush_tables()
                self._failure = None
            except Exception as error:
                self._failure = str(error)
                if self._readers or not self._has_space():
                    raise self._failed() from error
            else:
                return
            database, self._database = self._database, None
            with suppress(Exception):  # what it could not write is in the log
                database.close()
        self._open_locked()

    def _has_space(self) -> bool:
        """Return whether the disk takes as much as is written when the database is opened."""
        probe = self._path / "space.probe"
        try:
            size = _SPARE_BYTES + sum(log.stat().st_size for log in self._path.glob("*.log"))
            with probe.open("wb") as file:
                for _ in range(0, size, _SPARE_BYTES):
                    file.write(bytes(_SPARE_BYTES))
        except OSError:
            return False
        finally:
            with suppress(OSError):
                probe.unlink()
        return True

    def _failed_locked(self, error: Exception) -> Exception:
        """Note that a write failed, unless it is no fault of the disk; return what to raise."""
        if isinstance(error, ServerFailedError) or not self._engine.is_engine_error(error):
            return error
        if not self._closed:
            self._writable = False
            self._known, self._known_before = set(), set()
            self._failure = str(error)
            self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
        failure: ServerFailedError = self._engine.failure_of(self._server_id, error)
        return failure

    def _failed(self) -> ServerFailedError:
        failure: ServerFailedError
        failure = self._engine.failure_of(self._server_id, Exception(self._failure))
        return failure

    def _unavailable(self) -> ServerUnavailableError:
        return ServerUnavailableError([self._server_id], "closed")


def trouble_of(error: ServerFailedError) -> str:
    """Return what is wrong with a disk in a word or two, a colon, and what to do."""
    if isinstance(error, DiskFullError):
        return f"disk full: {error.advice}"
    if isinstance(error, StorageError):
        return f"disk trouble: {visible(error.fault, 110)}; {error.advice}"
    return f"disk trouble: {error}"


class _Changes:
    """What one atomic write is to change."""

    __slots__ = ("keys", "operations", "size", "tombstones")

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.size = 0
        self.keys = 0
        self.tombstones: Counter[int] = Counter()

    def add(self, family: str, key: bytes, value: bytes | None) -> None:
        self.operations.append((family, key, value))
        self.size += len(key) + len(value or b"")


def _place_of(expires_at: int, disk_key: bytes) -> bytes:
    """Return where a record that expires lies in the index."""
    return expires_at.to_bytes(_EXPIRY_BYTES, "big") + disk_key


def _text_key_of(disk_key: bytes) -> str | None:
    """Return the key, or None if it is no text: nobody stores such a one."""
    try:
        return disk_key[POSITION_BYTES:].decode()
    except UnicodeDecodeError:
        return None


def _length(found: Iterator[bytes]) -> int:
    """Return how many there are, without a step of the interpreter for each."""
    last = deque(zip(found, numbers(1), strict=False), maxlen=1)
    return last[0][1] if last else 0
