"""The server on disk keeps the contract of all servers, and what it was given."""

import random
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from core import (
    CorruptRecordError,
    DurableServer,
    Entry,
    InvalidOptionError,
    ManualClock,
    RocksDBServer,
    Server,
    ServerFailedError,
    ServerUnavailableError,
    StorageError,
)
from core.record import NEVER_EXPIRES, Record
from core.ring import position_of
from core.servers.record_codec import disk_key_of, encode_record
from core.servers.rocksdb_database import EXPIRIES, META, RECORDS, TOMBSTONES, Database, Operation
from core.stripes import LAST_POSITION, stripe_of
from tests.core.servers.server_contract import ServerContract, entry

WHOLE_RING = (0, LAST_POSITION)


class TestRocksDBServer(ServerContract):
    @pytest.fixture(autouse=True)
    def in_a_directory(self, tmp_path: Path) -> None:
        self.path = tmp_path
        self.made = 0

    def make(self) -> Server:
        self.made += 1
        return RocksDBServer("alpha", self.path / str(self.made))


@pytest.fixture
def server(tmp_path: Path) -> RocksDBServer:
    return RocksDBServer("alpha", tmp_path / "alpha")


def reopened(server: RocksDBServer) -> RocksDBServer:
    """Close a server and open its directory again."""
    server.close()
    return RocksDBServer("alpha", server.path)


def killed(server: RocksDBServer) -> RocksDBServer:
    """Give a server up without its close, as a crash does, and open its directory again."""
    database = server._database
    assert database is not None
    server._database = None
    database.close()
    return RocksDBServer("alpha", server.path)


def expiring(key: str, at: int, version: int = 1) -> Entry:
    return Entry(position_of(key), key, Record("value", version, at))


def tombstone(key: str, version: int) -> Entry:
    return Entry(position_of(key), key, Record(None, version, NEVER_EXPIRES))


def damage(server: RocksDBServer, key: str) -> None:
    """Flip a bit of the record of `key` on the disk."""
    disk_key = disk_key_of(position_of(key), key)
    database = server._database
    assert database is not None
    raw = database.get(RECORDS, disk_key)
    assert raw is not None
    database.put(RECORDS, disk_key, raw[:-6] + bytes([raw[-6] ^ 1]) + raw[-5:])


def check_invariants(server: RocksDBServer) -> None:
    """Assert that families and figures agree."""
    database = server._database
    assert database is not None
    records = dict(database.items(RECORDS))
    tombstones = dict(database.items(TOMBSTONES))
    assert server.count() == len(records)
    assert not records.keys() & tombstones.keys()
    assert sum(server._tombstones.values()) == len(tombstones)
    assert all(count > 0 for count in server._tombstones.values())
    expected = {
        int(entry.record.expires_at).to_bytes(8, "big") + disk_key_of(*entry.place)
        for entry in server.scan(*WHOLE_RING)
        if entry.record.expires_at != NEVER_EXPIRES
    }
    assert set(database.keys(EXPIRIES)) == expected
    plain = {
        entry.key for entry in server.scan(*WHOLE_RING) if entry.record.expires_at == NEVER_EXPIRES
    }
    assert server._known_before | server._known <= plain


class CountingServer(RocksDBServer):
    """Counts syncs of the log; the first one waits until it is let through."""

    syncs = 0

    def hold_back(self) -> None:
        self.held = threading.Event()
        self.let_go = threading.Event()
        database = self._database
        assert database is not None
        flush_log = database.flush_log

        def counting() -> None:
            self.syncs += 1
            self.held.set()
            assert self.let_go.wait(60)
            flush_log()

        database.flush_log = counting  # type: ignore[method-assign]


# What is kept


@pytest.mark.parametrize("again", [reopened, killed])
def test_everything_is_there_after_it_is_opened_again(
    server: RocksDBServer, again: Callable[[RocksDBServer], RocksDBServer]
) -> None:
    entries = sorted(
        [*(entry(f"key-{n}", b"\x00\xff", n + 1) for n in range(300)), expiring("soon", 5, 7)]
    )
    server.apply_many(entries)
    server.apply(tombstone("gone", 9))
    assert (server.count(), server.digest(*WHOLE_RING)) == (301, server.digest(*WHOLE_RING))
    digest, size = server.digest(*WHOLE_RING), server.measure(*WHOLE_RING)
    server = again(server)
    assert server.scan(*WHOLE_RING) == entries
    assert server.removals(*WHOLE_RING) == [tombstone("gone", 9)]
    assert server.due(10, 10) == [expiring("soon", 5, 7)]
    assert (server.count(), server.measure(*WHOLE_RING)) == (301, size)
    assert server.digest(*WHOLE_RING) == digest
    assert server.apply(entry("gone", version=8)) is None
    check_invariants(server)


def test_keys_are_counted_again_only_after_a_crash(
    server: RocksDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.apply_many([entry(f"key-{n}") for n in range(10)])
    server.close()
    with monkeypatch.context() as patch:
        patch.setattr("core.servers.rocksdb_server._length", lambda _: 1 / 0)
        server = RocksDBServer("alpha", server.path)
        assert server.count() == 10
    server.apply(entry("one more"))
    server = killed(server)
    assert server.count() == 11


def test_the_mark_of_a_clean_close_is_gone_before_the_first_write(server: RocksDBServer) -> None:
    server.apply(entry("key"))
    server = reopened(server)
    database = server._database
    assert database is not None
    assert database.get(META, b"count") == b"1"
    server.get(position_of("key"), "key")
    assert database.get(META, b"count") == b"1"
    assert server.apply(entry("key", version=1)) is None
    assert database.get(META, b"count") is None


def test_the_loss_of_power_after_the_first_write_leaves_no_mark_of_a_clean_close(
    tmp_path: Path,
) -> None:
    CountingServer("alpha", tmp_path / "alpha").close()
    server = CountingServer("alpha", tmp_path / "alpha")
    server.hold_back()
    server.let_go.set()
    server.apply(entry("key"))
    assert server.syncs == 1
    server.apply(entry("other"))
    assert server.syncs == 1


def test_random_operations_leave_families_and_figures_in_agreement(server: RocksDBServer) -> None:
    source = random.Random(7)
    truth: dict[str, Record] = {}
    for version in range(1, 1_500):
        key = f"key-{source.randrange(40)}"
        position = position_of(key)
        action = source.randrange(12)
        if action < 6:
            expires_at = source.choice([NEVER_EXPIRES, NEVER_EXPIRES, source.randrange(1, 50)])
            one = Entry(position, key, Record(f"value {version}", version, expires_at))
            assert server.apply(one) == (key not in truth)
            truth[key] = one.record
        elif action < 8:
            assert server.apply(tombstone(key, version)) == -(truth.pop(key, None) is not None)
        elif action == 8:
            assert server.drop(position, key) == (truth.pop(key, None) is not None)
        elif action == 9:
            server.forget_tombstones(stripe_of(position))
        elif action == 10:
            server.discard(position, position)
            truth.pop(key, None)
        else:
            batch = [entry(f"key-{source.randrange(40)}", version=version) for _ in range(5)]
            stored = server.apply_many(batch)
            assert stored == len({one.key for one in batch})
            truth |= {one.key: one.record for one in batch}
        if version % 100 == 0:
            check_invariants(server)
            server = source.choice([reopened, killed])(server)
        assert server.count() == len(truth)
    assert {one.key: one.record for one in server.scan(*WHOLE_RING)} == truth
    check_invariants(server)


def test_more_keys_than_are_remembered_are_known_all_the_same(
    server: RocksDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.servers.rocksdb_server._KNOWN_KEYS", 10)
    for version in (1, 2):
        for number in range(35):
            assert server.apply(entry(f"key-{number}", version=version)) == (version == 1)
            assert server.apply(entry(f"key-{number}", version=version)) is None
    assert len(server._known) + len(server._known_before) <= 22
    assert server.count() == 35
    check_invariants(server)


def test_a_list_with_one_key_twice_ends_with_the_newest(server: RocksDBServer) -> None:
    versions = [entry("key", f"value {version}", version) for version in (2, 3, 1)]
    assert server.apply_many([*versions, tombstone("other", 4), entry("other", version=5)]) == 4
    assert server.get(position_of("key"), "key") == Record("value 3", 3, NEVER_EXPIRES)
    check_invariants(server)


def test_a_list_that_is_too_long_for_one_write_is_stored_whole(
    server: RocksDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.servers.rocksdb_server._BATCH_BYTES", 1_000)
    entries = sorted(entry(f"key-{n}", "v" * 300, n + 1) for n in range(50))
    assert server.apply_many(entries) == 50
    assert server.scan(*WHOLE_RING) == entries


def test_more_keys_than_are_discarded_at_once_are_discarded(
    server: RocksDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.servers.rocksdb_server._KEYS_PER_BATCH", 10)
    server.apply_many([expiring(f"key-{n}", 9) for n in range(35)])
    server.apply_many([tombstone(f"gone-{n}", 1) for n in range(35)])
    assert server.discard(*WHOLE_RING) == 35
    check_invariants(server)
    assert server.count() == 0


# What expires


def test_due_entries_come_earliest_first_and_stay(server: RocksDBServer) -> None:
    times = {"c": 300, "a": 100, "b": 200, "later": 301}
    server.apply_many([expiring(key, at) for key, at in times.items()])
    server.apply(entry("never"))
    due = [expiring(key, times[key]) for key in "abc"]
    assert server.due(99, 10) == []
    assert server.due(300, 10) == due
    assert server.due(300, 2) == due[:2]
    assert server.due(300, 0) == []
    server.drop(position_of("a"), "a")
    assert server.due(300, 10) == due[1:]


def test_only_the_last_expiry_of_a_key_counts(server: RocksDBServer) -> None:
    server.apply(expiring("key", 100, 1))
    server.apply(expiring("key", 200, 2))
    assert server.due(150, 10) == []
    server.apply(entry("key", version=3))
    assert server.due(1_000, 10) == []
    server.apply(expiring("key", 300, 4))
    server.apply(tombstone("key", 5))
    assert server.due(1_000, 10) == []
    check_invariants(server)


# What is damaged


def test_a_corrupt_record_is_named_and_the_rest_can_be_read(server: RocksDBServer) -> None:
    entries = sorted(entry(f"key-{n}", "value", n + 1) for n in range(20))
    server.apply_many(entries)
    position, key = entries[7].place
    damage(server, key)
    with pytest.raises(CorruptRecordError, match=r"alpha.*'key-.*checksum") as caught:
        server.get(position, key)
    assert (caught.value.server_id, caught.value.key) == ("alpha", key)
    assert server.scan(*WHOLE_RING) == entries[:7] + entries[8:]
    assert server.sound_scan(0, position - 1) == entries[:7]
    with pytest.raises(CorruptRecordError, match=r"alpha.*'key-.*checksum"):
        server.sound_scan(*WHOLE_RING)
    assert server.scan(*WHOLE_RING, 10) == entries[:7] + entries[8:11]
    assert server.corrupt_keys(*WHOLE_RING) == [(position, key)]
    assert server.corrupt_keys(0, position - 1) == []
    assert server.count() == server.measure(*WHOLE_RING).keys == 20
    other = RocksDBServer("bravo", server.path.parent / "bravo")
    other.apply_many(entries[:7] + entries[8:])
    assert server.digest(*WHOLE_RING) != other.digest(*WHOLE_RING)  # which lacks the key
    assert server.discard(*WHOLE_RING) == 20
    assert server.count() == 0


def test_a_corrupt_record_is_mended_by_the_next_write_even_an_older_one(
    server: RocksDBServer,
) -> None:
    server.apply(expiring("key", 100, 5))
    damage(server, "key")
    assert server.apply(entry("key", "copied", 4)) == 0
    assert server.get(position_of("key"), "key") == Record("copied", 4, NEVER_EXPIRES)
    assert server.corrupt_keys(*WHOLE_RING) == []
    assert server.due(1_000, 10) == []
    check_invariants(server)


def test_a_corrupt_record_that_expires_does_not_hide_those_after_it(server: RocksDBServer) -> None:
    server.apply_many([expiring("first", 100), expiring("second", 200)])
    damage(server, "first")
    assert server.due(1_000, 1) == [expiring("second", 200)]


def test_the_key_of_a_corrupt_record_is_shown_escaped(server: RocksDBServer) -> None:
    server.apply(entry("\x1b[31mkey"))
    damage(server, "\x1b[31mkey")
    with pytest.raises(CorruptRecordError) as caught:
        server.get(position_of("\x1b[31mkey"), "\x1b[31mkey")
    assert "\x1b" not in str(caught.value)
    assert "\\x1b[31mkey" in str(caught.value)


def test_a_corrupt_tombstone_is_listed_and_replaced(server: RocksDBServer) -> None:
    server.apply(tombstone("key", 5))
    database = server._database
    assert database is not None
    database.put(TOMBSTONES, disk_key_of(position_of("key"), "key"), b"junk")
    assert server.corrupt_keys(*WHOLE_RING) == [(position_of("key"), "key")]
    assert server.removals(*WHOLE_RING) == []
    assert server.apply(entry("key", version=1)) == 1
    check_invariants(server)


def test_a_key_that_is_no_text_does_not_stop_a_scan(server: RocksDBServer) -> None:
    server.apply(entry("key"))
    database = server._database
    assert database is not None
    disk_key = b"\0\0\0\7\xff"
    database.put(RECORDS, disk_key, encode_record(disk_key, Record("value", 1, 0)))
    assert server.scan(*WHOLE_RING) == [entry("key")]
    assert server.corrupt_keys(*WHOLE_RING) == [(7, "\\xff")]
    assert server.digest(*WHOLE_RING)


def test_a_damaged_file_is_an_error_and_never_a_shorter_answer(server: RocksDBServer) -> None:
    entries = sorted(entry(f"key-{n}", random.Random(n).randbytes(500), 1) for n in range(400))
    server.apply_many(entries)
    server.close()
    for file in server.path.glob("*.sst"):
        content = bytearray(file.read_bytes())
        if len(content) > 100_000:
            content[len(content) // 2] ^= 0xFF
            file.write_bytes(content)
    server = RocksDBServer("alpha", server.path)
    errors = []
    for read in (server.scan, server.measure, server.digest, server.corrupt_keys):
        with pytest.raises(StorageError, match=r"alpha.*damaged") as caught:
            read(*WHOLE_RING)
        errors.append(caught.value)
    with suppress(StorageError):  # RocksDB may have come upon the damage when it merged files
        server.close()
    server = RocksDBServer("alpha", server.path)  # kept errors do not keep the database open
    failed = 0
    for each in entries:
        try:
            assert server.get(*each.place) == each.record
        except StorageError:
            failed += 1
    assert 0 < failed < 50


# Open, close and destroy


def test_nothing_works_after_close_and_nothing_crashes(server: RocksDBServer) -> None:
    one = entry("key")
    server.apply(one)
    server.close()
    server.close()
    calls: list[Callable[[], object]] = [
        lambda: server.get(one.position, one.key),
        lambda: server.apply(one),
        lambda: server.apply_many([one]),
        lambda: server.scan(*WHOLE_RING),
        lambda: server.removals(*WHOLE_RING),
        lambda: server.drop(one.position, one.key),
        lambda: server.forget_tombstones(0),
        lambda: server.digest(*WHOLE_RING),
        lambda: server.measure(*WHOLE_RING),
        lambda: server.discard(*WHOLE_RING),
        lambda: server.count(),
        lambda: server.due(0, 1),
        lambda: server.corrupt_keys(*WHOLE_RING),
        lambda: server.sync(),
    ]
    for call in calls:
        with pytest.raises(ServerUnavailableError, match="alpha: closed"):
            call()


def test_closing_while_others_work_ends_in_errors_and_keeps_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    for attempt in range(10):
        server = RocksDBServer("alpha", tmp_path / str(attempt))
        acknowledged: list[Entry] = []
        unexpected: list[BaseException] = []

        def work(
            number: int,
            server: RocksDBServer = server,
            acknowledged: list[Entry] = acknowledged,
            unexpected: list[BaseException] = unexpected,
        ) -> None:
            try:
                for version in range(1, 100_000):
                    one = entry(f"key-{number}-{version}", version=version)
                    if number % 2:
                        server.apply(one)
                        acknowledged.append(one)
                    else:
                        server.scan(0, 1 << 28)
                        server.get(one.position, one.key)
                        server.sync()
            except ServerUnavailableError:
                pass
            except BaseException as error:
                unexpected.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 200:
            pass
        server.close()
        for thread in threads:
            thread.join()
        assert unexpected == []
        server = RocksDBServer("alpha", server.path)
        for one in acknowledged:
            assert server.get(one.position, one.key) == one.record
        check_invariants(server)
        server.close()


def test_close_waits_for_who_reads_a_range(server: RocksDBServer) -> None:
    closing = threading.Thread(target=server.close)
    readers_at_close: list[int] = []
    with server._reading() as database:
        close = database.close

        def watched_close() -> None:
            readers_at_close.append(server._readers)
            close()

        database.close = watched_close  # type: ignore[method-assign]
        closing.start()
        while not server._closed:
            pass
        assert list(database.items(META)) == [(b"format", b"1")]
    closing.join(60)
    assert readers_at_close == [0]
    assert RocksDBServer("alpha", server.path).count() == 0


def test_a_second_server_on_the_same_directory_is_refused(server: RocksDBServer) -> None:
    with pytest.raises(StorageError, match=r"bravo.*close that first"):
        RocksDBServer("bravo", server.path)
    assert server.apply(entry("key")) == 1


def test_a_directory_that_can_not_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="alpha"):
            RocksDBServer("alpha", path)


def test_files_of_a_newer_layout_are_refused(server: RocksDBServer) -> None:
    database = server._database
    assert database is not None
    database.put(META, b"format", b"2")
    server.close()
    with pytest.raises(StorageError, match="layout b'2'"):
        RocksDBServer("alpha", server.path)


def test_an_unknown_way_to_sync_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="everysec"):
        RocksDBServer("alpha", tmp_path / "alpha", sync="never")  # type: ignore[arg-type]


def test_without_the_package_only_a_server_on_disk_is_refused(tmp_path: Path) -> None:
    program = """if True:
        import sys
        sys.modules["rocksdict"] = None  # as if it were not installed
        from core import KeyValueStore, MissingExtraError, RocksDBServer, StoreError
        with KeyValueStore() as store:
            store.add_server("alpha")
            store.set("key", "value")
        try:
            RocksDBServer("alpha", sys.argv[1])
        except MissingExtraError as error:
            assert isinstance(error, StoreError)
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "alpha")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert 'pip install "ringtop[durable]"' in run.stdout
    assert not (tmp_path / "alpha").exists()


def test_only_the_owner_can_read_the_files(server: RocksDBServer) -> None:
    """RocksDB may make a file at any time, so only those are looked at that were there before."""
    server.apply_many([entry(f"key-{n}") for n in range(100)])
    opened = loosened(server.path)
    server.sync()
    assert_private(server.path, opened)
    server.path.chmod(0o755)
    opened = loosened(server.path)
    server.close()
    assert_private(server.path, opened, mode=0o755)
    opened = loosened(server.path)
    RocksDBServer("alpha", server.path)
    assert_private(server.path, opened)


def loosened(path: Path) -> list[Path]:
    """Let everybody read the files of a directory; return them."""
    files = list(path.iterdir())
    assert files
    for file in files:
        with suppress(FileNotFoundError):
            file.chmod(0o644)
    return files


def assert_private(path: Path, files: list[Path], mode: int = 0o700) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == mode
    for file in files:
        with suppress(FileNotFoundError):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_destroy_leaves_nothing_but_what_is_not_its_own(server: RocksDBServer) -> None:
    server.apply(entry("key"))
    server.destroy()
    assert not server.path.exists()
    other = RocksDBServer("alpha", server.path)
    assert other.count() == 0
    (server.path / "mine").write_text("not the server's")
    other.destroy()
    assert [file.name for file in server.path.iterdir()] == ["mine"]


def test_it_is_a_durable_server(server: RocksDBServer) -> None:
    durable: DurableServer = server
    durable.sync()


# What an acknowledgement means


def test_writers_at_one_time_share_a_sync(tmp_path: Path) -> None:
    server = CountingServer("alpha", tmp_path / "alpha", sync="always")
    server.apply(entry("first"))
    server.hold_back()
    threads = [threading.Thread(target=server.apply, args=(entry(f"key-{n}"),)) for n in range(16)]
    threads[0].start()
    assert server.held.wait(60)
    for thread in threads[1:]:
        thread.start()
    while server._written < 17:
        pass
    assert all(thread.is_alive() for thread in threads)
    server.let_go.set()
    for thread in threads:
        thread.join(60)
    assert server.syncs == 2
    assert server.count() == 17


@pytest.mark.parametrize("sync", ["always", "everysec"])
def test_only_always_waits_for_the_disk(tmp_path: Path, sync: str) -> None:
    server = CountingServer("alpha", tmp_path / "alpha", sync=sync)  # type: ignore[arg-type]
    server.apply(entry("first"))
    server.hold_back()
    server.let_go.set()
    one = entry("key", version=2)
    writes: list[Callable[[], object]] = [
        lambda: server.apply(one),
        lambda: server.apply(expiring("other", 5)),
        lambda: server.apply_many([entry("more"), entry("and more")]),
        lambda: server.apply(tombstone("more", 3)),
        lambda: server.drop(one.position, one.key),
        lambda: server.forget_tombstones(stripe_of(position_of("more"))),
        lambda: server.discard(*WHOLE_RING),
    ]
    for number, write in enumerate(writes, 1):
        write()
        assert server.syncs == (number if sync == "always" else 0)
    before = server.syncs
    server.get(one.position, one.key)
    server.sync()
    assert server.syncs == before + (sync == "everysec")


def test_a_write_whose_sync_failed_is_not_acknowledged_when_it_is_repeated(
    tmp_path: Path,
) -> None:
    server = RocksDBServer("alpha", tmp_path / "alpha", sync="always")
    server.apply(entry("first"))
    database = server._database
    assert database is not None
    fails = True
    flush_log = database.flush_log

    def flush() -> None:
        if fails:
            raise Exception("IO error: While fsync: Input/output error")
        flush_log()

    database.flush_log = flush  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(ServerFailedError, match="alpha"):
            server.apply(entry("key"))
    fails = False
    with pytest.raises(ServerFailedError, match="alpha"):
        server._group.through(server._written)  # as a writer does that waited for the failed one
    server._retry_at = 0
    server.sync()
    assert server.apply(entry("key")) is None
    assert server.get(position_of("key"), "key") is not None


def test_a_write_that_failed_but_is_in_the_log_is_not_undone_by_an_older_one(
    server: RocksDBServer,
) -> None:
    server.apply(entry("key", version=1))
    put = server._put

    def put_and_fail(disk_key: bytes, raw: bytes) -> None:
        put(disk_key, raw)
        raise Exception("IO error: Input/output error")

    server._put = put_and_fail
    with pytest.raises(StorageError, match="alpha"):
        server.apply(entry("key", "unknown", 3))
    server._put = put
    server._retry_at = 0
    assert server.apply(entry("key", "older", 2)) is None
    assert server.get(position_of("key"), "key") == Record("unknown", 3, NEVER_EXPIRES)
    check_invariants(server)


def test_a_write_waits_while_rocksdb_catches_up_and_then_gives_up(tmp_path: Path) -> None:
    server = RocksDBServer("alpha", tmp_path / "alpha", clock=ManualClock(now_ms=1_000))
    server.apply(entry("first"))
    database = server._database
    assert database is not None
    put, write = server._put, database.write
    stalls = 0

    def stall() -> None:
        nonlocal stalls
        if stalls:
            stalls -= 1
            raise Exception("Result incomplete: Write stall")

    def stalling_put(disk_key: bytes, raw: bytes) -> None:
        stall()
        put(disk_key, raw)

    def stalling_write(operations: Sequence[Operation]) -> None:
        stall()
        write(operations)

    server._put = stalling_put
    database.write = stalling_write  # type: ignore[method-assign]
    stalls = 3
    assert server.apply(entry("key")) == 1
    assert stalls == 0
    stalls = 3
    assert server.apply_many([entry("other"), expiring("more", 5)]) == 2
    assert stalls == 0
    stalls = 1_000_000
    with pytest.raises(StorageError, match="too slow"):
        server.apply(entry("never"))
    assert server.get(position_of("never"), "never") is None
    stalls = 0
    check_invariants(server)


def test_attempts_that_take_long_are_made_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes waits for one: else all would, all the time."""
    clock = ManualClock()
    server = RocksDBServer("alpha", tmp_path / "alpha", clock=clock)
    attempts: list[float] = []

    def fail(database: Database) -> None:
        raise Exception("Corruption: block checksum mismatch")

    def open_slowly(database: Database, path: Path) -> None:
        attempts.append(clock.monotonic())
        clock.advance(1.5)
        fail(database)

    monkeypatch.setattr(Database, "flush_log", fail)
    monkeypatch.setattr(Database, "flush_tables", fail)
    monkeypatch.setattr(Database, "__init__", open_slowly)
    server.apply(Entry(1, "key", Record("value", 1, 0)))
    with pytest.raises(StorageError):
        server.sync()
    for _ in range(100):
        clock.advance(1)
        with pytest.raises(StorageError):
            server.apply(Entry(1, "key", Record("value", 2, 0)))
    assert 3 <= len(attempts) <= 5
    monkeypatch.undo()
    clock.advance(60)
    server.apply(Entry(1, "key", Record("value", 2, 0)))
    assert server.get(1, "key") == Record("value", 2, 0)
    server.close()


def test_a_damaged_table_that_has_to_be_counted_is_told_of(tmp_path: Path) -> None:
    server = RocksDBServer("alpha", tmp_path / "alpha")
    server.apply_many([Entry(number, "key", Record("v" * 90, 1, 0)) for number in range(2_000)])
    server.close()
    server = RocksDBServer("alpha", tmp_path / "alpha")
    server.apply(Entry(1, "key", Record("value", 2, 0)))  # takes the count away
    assert server._database is not None
    server._database.close()
    table = max((tmp_path / "alpha").glob("*.sst"), key=lambda table: table.stat().st_size)
    content = bytearray(table.read_bytes())
    content[len(content) // 3] ^= 1
    table.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StorageError, match="others fill it anew"):
            RocksDBServer("alpha", tmp_path / "alpha")
