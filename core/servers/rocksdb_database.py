"""One RocksDB as a server on disk uses it: its families, its options, its iterators, its errors.

The only module that imports rocksdict, which is an extra: it is imported when the first
`RocksDBServer` is made. Always in raw mode: in its other mode rocksdict unpickles what it reads.

What rocksdict does, as measured with 0.3.29; the server is built around it:

- `get`, `put`, `write` and iterators keep the interpreter's lock, also while a `put` waits for the
  disk. So RocksDB's own group commit never sees two writers (`rocksdb.write.other` stays 0), and a
  stalled write would stop the whole process. `flush_wal`, `flush` and `close` release it.
- A database is closed when all that hangs on it is gone: each family, handle and iterator. What is
  used after `close` raises `DbClosedError`, and `RuntimeError` while another thread closes it.
- `items()` and `keys()` end at a damaged block as if there were nothing more; `iter()` can be asked
  for its status. Iterators of a `Snapshot` do not keep to the snapshot.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import rocksdict

from core.errors import DiskFullError, ServerFailedError, ServerUnavailableError, StorageError
from core.servers.rocksdb_files import refuse_without_beginning
from core.servers.rocksdb_logs import cut_logs, link_log

# Blocks, with indexes and filters, of all servers of the process. 10 servers with 1,000,000 keys of
# 100 bytes answer as fast with 32 MiB as with 256 while the system's own cache holds the files.
_CACHE_BYTES: Final = 32 << 20
# What was written and is not in a table file yet, of all servers of the process: beyond it the
# largest is written out. RocksDB's own default is 64 MiB a family, with no bound on their sum.
_WRITE_BUFFERS_BYTES: Final = 64 << 20
# Of one server. Writes and reads go through a list that lies all over the buffer, so each costs as
# many misses of the processor's cache as the buffers of all servers are larger than that: with four
# servers and 2 MiB each, a write takes 1.2 us less than with 32, and a read 0.9. Filling a store
# with 600,000 keys takes no longer, and writes 160 MiB rather than 116.
_WRITE_BUFFER_BYTES: Final = 2 << 20
# Four full buffers are merged at a time, with all of the first level that they overlap: RocksDB's
# own 256 MiB would be written anew for each 8.
_FIRST_LEVEL_BYTES: Final = 32 << 20
_SMALL_WRITE_BUFFER_BYTES: Final = 1 << 20
# One being written and the others being written out: with four, a burst of large values takes 1.9
# times as long.
_WRITE_BUFFERS: Final = 16
# How much log is replayed at an open, at most: 64 MiB take about 0.3 s.
_LOG_BYTES: Final = 64 << 20
# 1 % of the lookups of a missing key go to the disk, for 1.25 bytes a key.
_BLOOM_BITS: Final = 10
# A part of the write buffer: without it the lookup of a new key in a full one takes 2.3 us rather
# than 0.2, and every write of a key that is not known looks first. 7 bits for each record of 150
# bytes: more of them would keep other things out of the processor's cache.
_BUFFER_BLOOM_RATIO: Final = 0.005
# Of one server: 50 of them stay below the 4,096 files that many systems allow.
_OPEN_FILES: Final = 64
# Text that RocksDB writes about itself; its default is to keep 1,000 files of any length.
_INFO_LOG_BYTES: Final = 1 << 20
_INFO_LOGS: Final = 2
# RocksDB reserves 4 MiB; a server's takes a few KiB.
_MANIFEST_BYTES: Final = 64 << 10

RECORDS: Final = "default"
TOMBSTONES: Final = "tombstones"
EXPIRIES: Final = "expiries"
META: Final = "meta"
# Files that an observer has no use for: rocksdict's own, and the lock of who writes.
_LEFT_OUT: Final = frozenset({"rocksdict-config.json", "LOCK", "LOG"})
_FAMILIES: Final = (RECORDS, TOMBSTONES, EXPIRIES, META)

_shared_lock = threading.Lock()
_shared: list[tuple[rocksdict.Cache, rocksdict.WriteBufferManager]] = []


# One part of an atomic write: a family, a key of it, and its value or None to delete it. (A plain
# tuple, as a record is.)
Operation = tuple[str, bytes, bytes | None]


class Database:
    """An open RocksDB with the families of a server.

    Thread safety: any thread may call any method but `close`, during which nobody else may.
    Methods raise what rocksdict raises; `failure_of` translates it.

    Args:
        path: its directory; made if it is missing.
        observing: True reads what another process may have open, as it is now, and writes nothing.
    """

    def __init__(self, path: Path, *, observing: bool = False) -> None:
        options = server_options()
        small = _options_for(_SMALL_WRITE_BUFFER_BYTES)
        access = rocksdict.AccessType.read_write()
        if observing:
            access = rocksdict.AccessType.read_only(False)
            # All at once: whoever writes removes those that it has merged.
            options.set_max_open_files(-1)
            small.set_max_open_files(-1)
        families = {name: options if name == RECORDS else small for name in _FAMILIES}
        if observing:
            with _links_to(path) as links:
                self._root = rocksdict.Rdict(str(links), options, families, access)
        else:
            refuse_without_beginning(path)
            cut_logs(path)
            self._root = rocksdict.Rdict(str(path), options, families, access)
        # rocksdict looks a family up by its name in each call that does not go through its object.
        self._families = {name: self._root.get_column_family(name) for name in _FAMILIES}
        self._handles = {name: self._root.get_column_family_handle(name) for name in _FAMILIES}
        for family in (self._root, *self._families.values()):
            family.set_write_options(_without_stalls())
        records = self._families[RECORDS]
        self.get_record = records.get
        self.put_record = records.put
        self.delete_record = records.delete

    def get(self, family: str, key: bytes) -> bytes | None:
        """Return the value of `key` in a family."""
        value: bytes | None = self._families[family].get(key)
        return value

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Write one value."""
        self._families[family].put(key, value)

    def write(self, operations: Sequence[Operation]) -> None:
        """Do all of the operations or none."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for family, key, value in operations:
            if value is None:
                batch.delete(key, self._handles[family])
            else:
                batch.put(key, value, self._handles[family])
        self._root.write(batch)

    def items(
        self, family: str, low: bytes = b"", high: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values from `low` on, to below `high`, as they are now.

        The database can't be closed before the iterator is used up or given up.
        """
        options = rocksdict.ReadOptions()
        if high is not None:
            options.set_iterate_upper_bound(high)
        iterator = self._families[family].iter(options)
        try:
            iterator.seek(low)
            while iterator.valid():
                yield iterator.key(), iterator.value()
                iterator.next()
            iterator.status()
        finally:
            del iterator  # a traceback would keep it, and with it the database open

    def keys(self, family: str) -> Iterator[bytes]:
        """Yield all keys of a family, as they are now. Otherwise as `items`."""
        iterator = self._families[family].iter()
        try:
            iterator.seek_to_first()
            while iterator.valid():
                yield iterator.key()
                iterator.next()
            iterator.status()
        finally:
            del iterator

    def flush_log(self) -> None:
        """Return once all that was written before is in the log on the disk."""
        self._families[META].flush_wal(True)

    def flush_tables(self) -> None:
        """Return once all that was written before is in table files on the disk."""
        for family in self._families.values():
            family.flush(True)

    def close(self) -> None:
        """Close it; what was written is in table files then, or in the log.

        Raises:
            Exception: not all of it could be written; it is closed all the same.
        """
        failure: Exception | None = None
        self._handles.clear()
        for family in (*self._families.values(), self._root):
            try:
                family.close()
            except Exception as error:
                failure = error
        if failure is not None:
            raise failure


@contextmanager
def _links_to(path: Path) -> Iterator[Path]:
    """Yield a directory of links to the files of a database, which goes again at the end.

    rocksdict writes a file of its own into each directory that it opens, read-only or not. All
    other files are open by the time the links go.
    """
    with TemporaryDirectory(prefix="ringtop-observing-", ignore_cleanup_errors=True) as links:
        for file in path.absolute().iterdir():
            if file.suffix == ".log":
                with suppress(FileNotFoundError):  # who has it open needs it no longer
                    link_log(file, Path(links) / file.name)
            elif file.name not in _LEFT_OUT:
                os.symlink(file, os.path.join(links, file.name))
        yield Path(links)


def destroy(path: Path) -> None:
    """Remove a closed database, and nothing else that may lie in its directory."""
    rocksdict.Rdict.destroy(str(path), rocksdict.Options(raw_mode=True))


def server_options() -> rocksdict.Options:
    """Return the options of a server's records, for who measures what RocksDB itself takes."""
    return _options_for(_WRITE_BUFFER_BYTES)


def is_engine_error(error: Exception) -> bool:
    """Return whether rocksdict or the system raised it, and not a mistake of ours."""
    return type(error) is Exception or isinstance(error, OSError) or is_closed(error)


def is_closed(error: Exception) -> bool:
    """Return whether a call failed because the database is closed, or is being closed."""
    if isinstance(error, rocksdict.DbClosedError):
        return True
    return isinstance(error, RuntimeError) and "borrowed" in str(error)


def is_stalled(error: Exception) -> bool:
    """Return whether a write failed because RocksDB has to write things out first."""
    return str(error).startswith("Result incomplete")


def failure_of(server_id: str, error: Exception) -> ServerFailedError:
    """Return the error of a server for what rocksdict raised."""
    if is_closed(error):
        return ServerUnavailableError([server_id], "closed")
    fault = str(error)
    for pieces, kind, advice in _ADVICE:
        if any(piece in fault for piece in pieces):
            return kind(server_id, _without_path(fault), advice)
    return StorageError(server_id, _without_path(fault), "look at the disk that it is on")


_ADVICE: Final[Sequence[tuple[Sequence[str], type[StorageError], str]]] = (
    (
        ("No space left", "File too large", "quota exceeded", "space limit"),
        DiskFullError,
        "make room; it writes again by itself",
    ),
    (
        ("Too many open files",),
        StorageError,
        "raise the limit of open files (ulimit -n), or run fewer servers",
    ),
    (
        ("LOCK",),
        StorageError,
        "another process has it open, or another server of this one: close that first",
    ),
    (
        ("Permission denied", "Read-only file system", "Operation not permitted"),
        StorageError,
        "its directory can't be written: see its owner and how it is mounted",
    ),
    (
        ("Write stall",),
        StorageError,
        "its disk is too slow for what is written: it writes again once it has caught up",
    ),
    (
        ("Corruption", "checksum"),
        StorageError,
        "a file of it is damaged: stop, move its directory away, and start: others fill it anew",
    ),
)


def _without_path(fault: str) -> str:
    """Return what RocksDB says without the file's path, which is long and ends up in logs."""
    return " ".join(word.rsplit("/", 1)[-1] for word in fault.split())


def _options_for(write_buffer_bytes: int) -> rocksdict.Options:
    cache, write_buffers = _shared_memory()
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_bloom_filter(_BLOOM_BITS, False)
    # Else the index and filter of each open file lie beside the cache: 1.4 MB for 1,000,000 keys.
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    # In parts of 4 KiB: the cache has 64 shards, and whole, the filter of 1,000,000 keys fits into
    # none of them, is read anew each time, and a write takes 70 to 250 us rather than 7.
    table.set_index_type(rocksdict.BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    table.set_metadata_block_size(4_096)
    table.set_pin_top_level_index_and_filter(True)
    table.set_format_version(5)
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_manager(write_buffers)
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_max_write_buffer_number(_WRITE_BUFFERS)
    options.set_max_bytes_for_level_base(_FIRST_LEVEL_BYTES)
    options.set_memtable_prefix_bloom_ratio(_BUFFER_BLOOM_RATIO)
    options.set_memtable_whole_key_filtering(True)
    options.set_max_total_wal_size(_LOG_BYTES)
    # The log ends where a crash tore it: what was synced lies before that.
    options.set_wal_recovery_mode(rocksdict.DBRecoveryMode.point_in_time())
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    options.set_max_open_files(_OPEN_FILES)
    # Else each family begins 15 threads to open its few files: 7 ms a server in place of 4.
    options.set_max_file_opening_threads(1)
    # The threads are the process's, whatever the number of servers: one to write out, one to merge.
    options.set_max_background_jobs(2)
    options.set_max_log_file_size(_INFO_LOG_BYTES)
    options.set_keep_log_file_num(_INFO_LOGS)
    options.set_manifest_preallocation_size(_MANIFEST_BYTES)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options


def _shared_memory() -> tuple[rocksdict.Cache, rocksdict.WriteBufferManager]:
    """Return the cache and the bound of the write buffers of this process."""
    with _shared_lock:
        if not _shared:
            cache = rocksdict.Cache(_CACHE_BYTES)
            _shared.append((cache, rocksdict.WriteBufferManager(_WRITE_BUFFERS_BYTES, False)))
        return _shared[0]


def _without_stalls() -> rocksdict.WriteOptions:
    """Have a write fail rather than wait: it would keep the interpreter's lock meanwhile."""
    options = rocksdict.WriteOptions()
    options.no_slowdown = True
    return options
