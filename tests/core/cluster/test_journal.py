"""A journal keeps what it was told: after a kill, after a loss of power, after a full disk."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from core import (
    CorruptJournalError,
    DiskFullError,
    Entry,
    InvalidOptionError,
    ManualClock,
    Record,
    StorageError,
    StoreClosedError,
)
from core.cluster.journal import Journal
from core.cluster.journal_codec import (
    CLEAN,
    MOVE,
    TALLIES,
    TIME,
    VERSIONS,
    DamagedNoteError,
    LaterFormatError,
    Move,
    decode_entries,
    encode_entries,
    encode_number,
    numbered,
    seal,
    unseal,
)
from core.cluster.position_spans import PositionSpans
from core.record import LAST_NUMBER
from core.servers import rocksdb_database
from core.servers.rocksdb_database import META, RECORDS, Database
from core.servers.rocksdb_server import SyncMode
from core.stripes import LAST_POSITION

ENTRIES = [
    Entry(7, "key", Record("value", 3, 0)),
    Entry(LAST_POSITION, "ключ\0", Record(b"\x00\xff", 4, 1_700_000_000_000)),
    Entry(0, "gone", Record(None, LAST_NUMBER, 0)),
    Entry(1, "empty", Record("", 1, 0)),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture(params=["always", "everysec"])
def sync(request: pytest.FixtureRequest) -> SyncMode:
    mode: SyncMode = request.param
    return mode


def opened(path: Path, sync: SyncMode = "always") -> Journal:
    return Journal(path, sync=sync)


def reopened(journal: Journal, path: Path, *, clean: bool = True) -> Journal:
    journal.close(clean=clean)
    return opened(path)


class TestReopen:
    def test_a_new_journal_knows_nothing(self, path: Path) -> None:
        journal = opened(path)
        assert not journal.clean
        assert journal.versions_reserved == 1
        assert journal.moved() == []
        assert journal.last_move() is None
        assert journal.tallies() is None
        journal.close(clean=True)

    def test_what_was_noted_is_there_after_a_reopen(self, path: Path, sync: SyncMode) -> None:
        journal = opened(path, sync)
        journal.reserve_versions(1_000)
        journal.note_move(10, 19, back=False)
        journal.note_time(1_700_000_000_000)
        for clean in (False, True):
            journal = reopened(journal, path, clean=clean)
            assert journal.clean == clean
            assert journal.versions_reserved == 1_000
            assert journal.moved() == [(10, 19)]
            assert journal.last_move() == Move(10, 19, False)
            assert journal.time_noted == 1_700_000_000_000
        journal.close(clean=True)

    def test_its_files_are_its_owners_alone(self, path: Path) -> None:
        before = os.umask(0)
        try:
            journal = opened(path)
            assert modes_of(path) == {0o700, 0o600}
            journal.reserve_versions(5)
            assert modes_of(path) == {0o700, 0o600}
            (path / "new.log").write_text("as RocksDB makes them")
            journal.sync()
            assert modes_of(path) == {0o700, 0o600}
            journal.close(clean=True)
            assert modes_of(path) == {0o700, 0o600}
        finally:
            os.umask(before)

    def test_two_can_not_have_it_open(self, path: Path) -> None:
        journal = opened(path)
        with pytest.raises(StorageError, match=r"journal: .*close that first"):
            opened(path)
        reopened(journal, path).close(clean=True)

    def test_a_closed_one_says_so_and_may_be_closed_again(self, path: Path) -> None:
        journal = opened(path)
        journal.close(clean=True)
        journal.close(clean=False)
        uses: list[Callable[[], object]] = [
            journal.mark_unclean,
            journal.sync,
            journal.moved,
            journal.forget_moves,
            journal.last_move,
            journal.tallies,
            lambda: journal.note_time(1),
            lambda: journal.note_move(0, 1, back=False),
            lambda: journal.reserve_versions(9),
            lambda: journal.save_tallies(b""),
        ]
        for use in uses:
            with pytest.raises(StoreClosedError):
                use()
        assert opened(path).clean, "a second close changed what the first one wrote"

    def test_a_way_to_sync_that_is_none_is_refused(self, path: Path) -> None:
        with pytest.raises(InvalidOptionError, match='"everysec" or "always"'):
            Journal(path, sync="never")  # type: ignore[arg-type]
        assert not path.exists()


class TestClean:
    def test_the_mark_is_gone_once_it_is_taken_away(self, path: Path) -> None:
        journal = reopened(opened(path), path)
        assert journal.clean
        journal.mark_unclean()
        assert journal.clean, "it says how it was closed last time"
        journal = reopened(journal, path, clean=False)
        assert not journal.clean
        journal.close(clean=False)

    @pytest.mark.parametrize(
        "write",
        [
            lambda journal: journal.reserve_versions(9),
            lambda journal: journal.note_move(0, 1, back=True),
            lambda journal: journal.forget_moves(),
            lambda journal: journal.note_time(1),
        ],
    )
    def test_every_write_takes_the_mark_and_the_tallies_away(
        self, path: Path, write: Callable[[Journal], None]
    ) -> None:
        journal = opened(path)
        journal.save_tallies(b"counted")
        journal = reopened(journal, path)
        write(journal)
        assert journal.tallies() is None
        journal = reopened(lost_the_process(journal, path), path, clean=False)
        assert not journal.clean
        journal.close(clean=False)

    def test_a_close_that_is_not_clean_takes_the_mark_away(self, path: Path) -> None:
        journal = opened(path)
        journal.save_tallies(b"counted")
        journal = reopened(reopened(journal, path), path, clean=False)
        assert not journal.clean
        assert journal.tallies() is None
        journal.close(clean=False)

    def test_tallies_hold_until_something_is_written(self, path: Path) -> None:
        journal = opened(path)
        journal.save_tallies(b"\x00counted\xff")
        for _ in range(2):
            journal = reopened(journal, path)
            assert journal.tallies() == b"\x00counted\xff"
        journal.save_tallies(b"")
        journal = reopened(journal, path)
        assert journal.tallies() == b""
        journal.mark_unclean()
        assert journal.tallies() is None
        journal.close(clean=True)


class TestVersions:
    def test_none_is_taken_back(self, path: Path) -> None:
        journal = opened(path)
        journal.reserve_versions(100)
        journal.reserve_versions(50)
        assert journal.versions_reserved == 100
        journal.reserve_versions(LAST_NUMBER)
        journal = reopened(journal, path)
        assert journal.versions_reserved == LAST_NUMBER
        journal.close(clean=True)

    @pytest.mark.parametrize("limit", [0, -1, LAST_NUMBER + 1])
    def test_what_is_no_version_is_refused(self, path: Path, limit: int) -> None:
        journal = opened(path)
        with pytest.raises(InvalidOptionError, match="a version is from 1 to"):
            journal.reserve_versions(limit)
        journal.close(clean=True)

    def test_reservations_of_many_threads_keep_the_highest(self, path: Path) -> None:
        journal = opened(path)

        def reserve(thread: int) -> None:
            for number in range(1, 30):
                journal.reserve_versions(number * 8 + thread)

        together(8, reserve)
        assert journal.versions_reserved == 29 * 8 + 7
        journal = reopened(journal, path)
        assert journal.versions_reserved == 29 * 8 + 7
        journal.close(clean=True)

    def test_a_lower_one_that_comes_meanwhile_does_not_replace_a_higher(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = opened(path)
        usual, lower = (
            Database.flush_log,
            threading.Thread(target=journal.reserve_versions, args=[50]),
        )
        before = journal._written

        def flush_log(database: Database) -> None:
            if not lower.is_alive() and lower.ident is None:
                lower.start()
                while journal._written < before + 2:
                    threading.Event().wait(0.001)
            usual(database)

        monkeypatch.setattr(Database, "flush_log", flush_log)
        journal.reserve_versions(100)
        lower.join()
        assert journal.versions_reserved == 100
        journal = reopened(journal, path)
        assert journal.versions_reserved == 100
        journal.close(clean=True)


class TestMoves:
    def test_spans_are_merged_sorted_and_taken_back_in_order(self, path: Path) -> None:
        journal = opened(path)
        for low, high, back in (
            (100, 199, False),
            (0, 9, False),
            (200, 299, False),
            (150, 249, True),
            (160, 169, False),
            (LAST_POSITION, LAST_POSITION, False),
            (5, 5, True),
        ):
            journal.note_move(low, high, back=back)
        expected = [
            (0, 4),
            (6, 9),
            (100, 149),
            (160, 169),
            (250, 299),
            (LAST_POSITION, LAST_POSITION),
        ]
        assert journal.moved() == expected
        journal = reopened(journal, path)
        assert journal.moved() == expected
        journal.note_move(0, LAST_POSITION, back=True)
        assert reopened(journal, path).moved() == []

    def test_forgotten_moves_are_gone_and_the_rest_is_not(self, path: Path) -> None:
        journal = opened(path)
        journal.note_time(7)
        for position in range(0, 100, 2):
            journal.note_move(position, position, back=False)
        journal.forget_moves()
        journal.note_move(7, 8, back=False)
        journal = reopened(journal, path)
        assert journal.moved() == [(7, 8)]
        assert journal.time_noted == 7
        journal.close(clean=True)

    def test_moves_of_many_threads_are_all_there(self, path: Path, sync: SyncMode) -> None:
        journal = opened(path, sync)

        def move(thread: int) -> None:
            for number in range(20):
                position = 100 * thread + 2 * number
                journal.note_move(position, position, back=False, empty=number % 2 == 0)

        together(8, move)
        positions = [100 * thread + 2 * number for thread in range(8) for number in range(20)]
        journal = reopened(journal, path)
        assert journal.moved() == [(position, position) for position in positions]
        journal.close(clean=True)

    def test_writers_that_come_together_share_a_sync(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = opened(path)
        syncs: list[None] = []
        usual = Database.flush_log

        def slow(database: Database) -> None:
            syncs.append(None)
            threading.Event().wait(0.01)  # as long as a disk takes
            usual(database)

        monkeypatch.setattr(Database, "flush_log", slow)

        def move(thread: int) -> None:
            for _ in range(10):
                journal.note_move(thread, thread, back=False)

        together(8, move)
        assert len(syncs) < 60
        journal.close(clean=True)

    @pytest.mark.parametrize(("low", "high"), [(-1, 5), (5, 4), (0, LAST_POSITION + 1)])
    def test_what_is_no_span_is_refused(self, path: Path, low: int, high: int) -> None:
        journal = opened(path)
        with pytest.raises(InvalidOptionError, match="is no span of the ring"):
            journal.note_move(low, high, back=False)
        journal.close(clean=True)

    def test_spans_are_those_of_a_plain_set(self) -> None:
        dice = random.Random(3)
        for _ in range(200):
            spans, plain = PositionSpans(), set[int]()
            for _ in range(dice.randrange(1, 40)):
                low = dice.randrange(40)
                high = min(39, low + dice.randrange(8))
                if dice.random() < 0.6:
                    spans.add(low, high)
                    plain |= set(range(low, high + 1))
                else:
                    spans.remove(low, high)
                    plain -= set(range(low, high + 1))
                found = spans.as_list()
                assert {p for low, high in found for p in range(low, high + 1)} == plain
                assert all(one[1] + 1 < other[0] for one, other in pairwise(found))


class TestClose:
    def test_a_close_waits_for_a_sync_that_is_under_way(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = opened(path)
        order: list[str] = []
        begun = threading.Event()
        usual = Database.flush_log

        def flush_log(database: Database) -> None:
            begun.set()
            threading.Event().wait(0.1)  # as long as a slow disk takes
            usual(database)
            order.append("synced")

        def close() -> None:
            begun.wait()
            journal.close(clean=True)
            order.append("closed")

        monkeypatch.setattr(Database, "flush_log", flush_log)
        closing = threading.Thread(target=close)
        closing.start()
        journal.reserve_versions(9)
        closing.join()
        assert (order[0], order[-1]) == ("synced", "closed")
        monkeypatch.undo()
        assert opened(path).versions_reserved == 9


class TestLossOfPower:
    """What is in the log and was not synced is cut off; what was durable is there."""

    @pytest.mark.parametrize(
        ("write", "kept"),
        [
            (
                lambda journal: journal.reserve_versions(9),
                lambda journal: journal.versions_reserved == 9,
            ),
            (
                lambda journal: journal.note_move(1, 2, back=False),
                lambda journal: journal.moved() == [(1, 2), (50, 59)],
            ),
            (lambda journal: journal.forget_moves(), lambda journal: journal.moved() == []),
            (lambda journal: journal.mark_unclean(), lambda journal: not journal.clean),
        ],
    )
    def test_what_is_durable_is_there(
        self,
        path: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        write: Callable[[Journal], None],
        kept: Callable[[Journal], bool],
    ) -> None:
        power = Power(monkeypatch)
        journal = opened(path)
        journal.note_move(50, 59, back=False)
        journal = reopened(journal, path)
        write(journal)
        found = opened(power.lost(path, tmp_path / "after"))
        assert kept(found)
        journal.close(clean=True)

    def test_everysec_loses_only_what_came_after_the_last_sync(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        power = Power(monkeypatch)
        journal = opened(path, "everysec")
        journal.note_time(1)
        journal.sync()
        journal.note_time(2)
        journal.note_move(1, 2, back=False, empty=True)
        found = opened(power.lost(path, tmp_path / "one"))
        assert (found.time_noted, found.moved()) == (1, [])
        journal.sync()
        found = opened(power.lost(path, tmp_path / "other"))
        assert (found.time_noted, found.moved()) == (2, [(1, 2)])
        journal.close(clean=False)

    def test_a_clean_close_is_on_the_disk_with_its_tallies(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        power = Power(monkeypatch)
        journal = opened(path, "everysec")
        journal.note_time(1)
        journal.save_tallies(b"counted")
        journal.close(clean=True)
        found = opened(power.lost(path, tmp_path / "after"))
        assert found.clean
        assert found.tallies() == b"counted"
        assert found.time_noted == 1


class TestKill:
    def test_what_was_acknowledged_is_there_after_a_kill(self, path: Path, sync: SyncMode) -> None:
        dice = random.Random(5)
        for cycle in range(6):
            shutil.rmtree(path, ignore_errors=True)
            check_after_kill(path, sync, dice.uniform(0, 0.3), cycle)


class TestDamage:
    @pytest.mark.parametrize(
        ("family", "key"),
        [
            (META, CLEAN),
            (META, VERSIONS),
            (META, TALLIES),
            (META, TIME),
            (RECORDS, numbered(MOVE, 1)),
        ],
    )
    @pytest.mark.parametrize(
        "damage",
        [
            lambda value: value[:-1],
            lambda value: value[:-5] + bytes([value[-5] ^ 1]) + value[-4:],
            lambda value: b"",
            lambda value: value + b"\0",
            lambda value: seal(b"another key", b""),
        ],
    )
    def test_a_damaged_note_is_told_in_a_clear_line(
        self, path: Path, family: str, key: bytes, damage: Callable[[bytes], bytes]
    ) -> None:
        self.fill(path)
        change(path, family, key, damage)
        message = corruption_of(path)
        kind = key.rstrip(b"\0\1").decode()
        assert message == (
            f"{path} is damaged (a note of kind {kind}: its checksum is wrong): "
            "put the data directory back from a backup, or take its keys to a new one: "
            "ringtop export --observe"
        )

    @pytest.mark.parametrize(
        ("family", "key", "payload", "fault"),
        [
            (META, VERSIONS, b"\0" * 7, "it is no number"),
            (RECORDS, numbered(MOVE, 1), b"\0" * 8, "it is no span"),
            (RECORDS, numbered(MOVE, 1), b"\0\0\0\2\0\0\0\1\0", "it is no span of the ring"),
            (RECORDS, numbered(MOVE, 1), b"\0\0\0\0\0\0\0\1\2", "it is no span of the ring"),
            (RECORDS, MOVE + b"\0", b"", "it is no number"),
            (META, TIME, b"\0" * 7, "it is no number"),
        ],
    )
    def test_what_makes_no_sense_is_told_though_the_checksum_is_right(
        self, path: Path, family: str, key: bytes, payload: bytes, fault: str
    ) -> None:
        self.fill(path)
        change(path, family, key, lambda _: seal(key, payload))
        assert f": {fault}): put" in corruption_of(path)

    def test_a_later_format_says_so(self, path: Path) -> None:
        self.fill(path)
        body = b"\x02later"
        crc = unchecked(VERSIONS, body)
        change(path, META, VERSIONS, lambda _: crc)
        assert corruption_of(path) == (
            f"{path} has format version 2, and this ringtop knows 1: "
            "open it with the ringtop that wrote it, or a newer one"
        )

    def test_a_journal_that_was_refused_is_not_left_open(self, path: Path) -> None:
        self.fill(path)
        change(path, META, VERSIONS, lambda _: b"")
        for _ in range(2):
            corruption_of(path)
        change(path, META, VERSIONS, lambda _: seal(VERSIONS, encode_number(9)))
        opened(path).close(clean=True)

    def test_files_that_rocksdb_can_not_read_are_told_in_a_clear_line(self, path: Path) -> None:
        self.fill(path)
        manifest = next(path.glob("MANIFEST-*"))
        content = bytearray(manifest.read_bytes())
        content[20:60] = bytes(40)
        manifest.write_bytes(content)
        message = corruption_of(path)
        assert message.startswith(f"{path} is damaged (")
        assert message.isprintable()

    @pytest.mark.parametrize(
        ("payload", "fault"),
        [
            (b"\0\0\0", "it ends early"),
            (b"\0\0\0\1", "it ends early"),
            (b"\0\0\0\0" * 2, "a record in it is damaged"),
        ],
    )
    def test_a_transaction_that_makes_no_sense_is_told(self, payload: bytes, fault: str) -> None:
        with pytest.raises(DamagedNoteError, match=fault):
            decode_entries(payload)

    def test_any_change_of_a_transaction_is_found(self) -> None:
        key = encode_number(1)
        value = seal(key, encode_entries(ENTRIES))
        dice = random.Random(8)
        for _ in range(3_000):
            damaged = bytearray(value)
            for _ in range(dice.choice([1, 1, 2, 5])):
                damaged[dice.randrange(len(value))] = dice.randrange(256)
            content = bytes(damaged[: dice.choice([len(value), dice.randrange(len(value))])])
            if content != value:
                with pytest.raises((DamagedNoteError, LaterFormatError)):
                    unseal(key, content)

    def test_no_payload_makes_a_transaction_fail_in_another_way(self) -> None:
        dice = random.Random(9)
        right = encode_entries(ENTRIES)
        for _ in range(3_000):
            payload = bytearray(right)
            for _ in range(dice.randrange(4)):
                payload[dice.randrange(len(right))] ^= 1 << dice.randrange(8)
            try:
                found = decode_entries(bytes(payload[: dice.randrange(len(right) + 1)]))
            except DamagedNoteError:
                continue
            assert found == ENTRIES[: len(found)]

    @staticmethod
    def fill(path: Path) -> None:
        journal = opened(path)
        journal.reserve_versions(9)
        journal.note_move(1, 2, back=False)
        journal.note_time(1)
        journal.save_tallies(b"counted")
        journal.close(clean=True)


class TestTrouble:
    """A disk that can't be written for a while."""

    @pytest.fixture
    def disk(self, monkeypatch: pytest.MonkeyPatch) -> "Disk":
        return Disk(monkeypatch)

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def journal(self, path: Path, clock: ManualClock) -> Iterator[Journal]:
        journal = Journal(path, sync="always", clock=clock)
        yield journal
        journal.close(clean=False)

    @pytest.mark.parametrize("step", ["write", "flush_log"])
    @pytest.mark.parametrize(
        "use",
        [
            lambda journal: journal.reserve_versions(9),
            lambda journal: journal.note_move(1, 2, back=False),
            lambda journal: journal.forget_moves(),
        ],
    )
    def test_nothing_is_acknowledged_while_the_disk_is_full_and_all_works_again_after(
        self,
        journal: Journal,
        disk: "Disk",
        clock: ManualClock,
        step: str,
        use: Callable[[Journal], None],
    ) -> None:
        journal.note_move(50, 59, back=False)
        disk.full = {step}
        with pytest.raises(DiskFullError, match=r"journal: .*make room; it writes"):
            use(journal)
        disk.full = {"write", "flush_log", "put", "flush_tables"}
        for _ in range(2):
            clock.advance(2)
            with pytest.raises(DiskFullError):
                use(journal)
        disk.full = set()
        clock.advance(2)
        use(journal)

    def test_a_failed_note_is_not_there_when_the_disk_works_again(
        self, path: Path, journal: Journal, disk: "Disk", clock: ManualClock
    ) -> None:
        journal.note_move(50, 59, back=False)
        for step in ("flush_log", "write"):
            disk.full = {step}
            clock.advance(2)
            with pytest.raises(DiskFullError):
                journal.note_move(1, 2, back=False)
            assert journal.moved() == [(50, 59)]
        disk.full = set()
        clock.advance(2)
        journal.sync()
        assert journal._owed == [], "it would be deleted again and again"
        assert opened(copy_of(path)).moved() == [(50, 59)]

    def test_moves_that_are_refused_at_once_leave_nothing_to_make_up_for(
        self, journal: Journal, disk: "Disk"
    ) -> None:
        disk.full = {"write"}
        for _ in range(50):
            with pytest.raises(DiskFullError):
                journal.note_move(1, 2, back=False)
        assert len(journal._owed) == 1

    def test_the_database_is_opened_anew_where_it_does_not_recover(
        self, path: Path, journal: Journal, disk: "Disk", clock: ManualClock
    ) -> None:
        journal.note_move(1, 2, back=False)
        disk.full = {"write"}
        with pytest.raises(DiskFullError):
            journal.reserve_versions(9)
        disk.full = {"flush_tables"}
        clock.advance(2)
        journal.reserve_versions(9)
        assert disk.opened == 1
        disk.full = set()
        assert journal.moved() == [(1, 2)]

    def test_a_close_after_a_failure_is_not_clean(
        self, path: Path, disk: "Disk", clock: ManualClock
    ) -> None:
        journal = Journal(path, sync="always", clock=clock)
        disk.full = {"write"}
        with pytest.raises(DiskFullError):
            journal.reserve_versions(9)
        journal.close(clean=True)
        assert not opened(path).clean

    def test_a_close_that_can_not_be_written_says_so_and_is_not_clean(
        self, path: Path, disk: "Disk"
    ) -> None:
        journal = opened(path)
        journal.reserve_versions(9)
        disk.full = {"flush_log"}
        with pytest.raises(DiskFullError):
            journal.close(clean=True)
        disk.full = set()
        found = opened(path)
        assert not found.clean
        assert found.versions_reserved == 9

    def test_a_write_waits_for_rocksdb_to_catch_up(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usual, stalls = Database.write, iter(range(3))

        def write(database: Database, operations: list[rocksdb_database.Operation]) -> None:
            if next(stalls, None) is not None:
                raise Exception("Result incomplete: Write stall")
            usual(database, operations)

        monkeypatch.setattr(Database, "write", write)
        journal.reserve_versions(9)
        assert journal.versions_reserved == 9


# What the tests do


class Disk:
    """Lets steps of a database fail as they do when the disk is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full: set[str] = set()
        self.opened = 0
        for name in ("write", "put", "flush_log", "flush_tables"):
            monkeypatch.setattr(Database, name, self._guarded(name, getattr(Database, name)))
        usual = Database.__init__

        def init(database: Database, path: Path) -> None:
            self.opened += bool(self.full)
            usual(database, path)

        monkeypatch.setattr(Database, "__init__", init)

    def _guarded(self, name: str, usual: Callable[..., None]) -> Callable[..., None]:
        def call(database: Database, *arguments: object) -> None:
            if name in self.full:
                raise Exception("IO error: No space left on device: /x/000004.log")
            usual(database, *arguments)

        return call


class Power:
    """Knows how much of each log is on the disk for certain."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._synced: dict[str, int] = {}
        usual = Database.flush_log

        def flush_log(database: Database) -> None:
            usual(database)
            path = Path(database._root.path())
            self._synced.update({str(log): log.stat().st_size for log in path.glob("*.log")})

        monkeypatch.setattr(Database, "flush_log", flush_log)

    def lost(self, path: Path, after: Path) -> Path:
        """Return a copy of a database as a loss of power may leave it now."""
        copied(path, after)
        for log in after.glob("*.log"):
            os.truncate(log, self._synced.get(str(path / log.name), 0))
        return after


def copy_of(path: Path) -> Path:
    """Return a copy of a database as a kill would leave it now."""
    return copied(path, path.with_name("copy"))


def copied(path: Path, after: Path) -> Path:
    """Return a copy of a database that is open, from a moment when it was merging no files."""
    while True:
        files = sorted(os.listdir(path))
        with suppress(OSError):
            shutil.copytree(path, after)
            if sorted(os.listdir(path)) == files:
                return after
        shutil.rmtree(after)


def modes_of(path: Path) -> set[int]:
    """Return the modes of a directory and its files."""
    return {file.stat().st_mode & 0o777 for file in (path, *path.iterdir())}


def lost_the_process(journal: Journal, path: Path) -> Journal:
    """Return a journal opened on what a kill would leave now, in the place of the other."""
    after = copy_of(path)
    journal.close(clean=True)
    shutil.rmtree(path)
    after.rename(path)
    return opened(path)


def together(threads: int, work: Callable[[int], object]) -> None:
    """Do something in several threads at once; raise what one of them raised."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]


def change(path: Path, family: str, key: bytes, damage: Callable[[bytes], bytes]) -> None:
    """Change what lies under a key of a closed journal."""
    database = Database(path)
    database.put(family, key, damage(database.get(family, key) or b""))
    database.close()


def unchecked(key: bytes, body: bytes) -> bytes:
    """Return a value of any format with a right checksum."""
    from zlib import crc32

    return body + crc32(key + body).to_bytes(4, "little")


def corruption_of(path: Path) -> str:
    """Return what is said about a journal that can't be read in all parts."""

    def read_all() -> None:
        journal = opened(path)
        try:
            journal.tallies()
            journal.moved()
            journal.time_noted  # noqa: B018 - it is read
        finally:
            journal.close(clean=journal.clean)

    with pytest.raises(CorruptJournalError) as caught:
        read_all()
    return str(caught.value)


WRITER = """
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from core.cluster.journal import Journal
journal = Journal(Path(sys.argv[1]), sync=sys.argv[2])
print("open", flush=True)
number = 0
while True:
    number += 1
    journal.note_time(number)
    print("noted", number, flush=True)
    journal.note_move(number * 10, number * 10 + 9, back=False)
    print("moved", number, flush=True)
    if number % 7 == 0:
        journal.reserve_versions(number)
        print("reserved", number, flush=True)
"""


def check_after_kill(path: Path, sync: SyncMode, seconds: float, cycle: int) -> None:
    """Kill a writer after a while, and assert that all it said is there, and whole."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), sync], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
        timer.start()
        said = [line.split() for line in process.stdout if line.endswith("\n")]
        process.wait()
    told = {
        kind: {int(line[-1]) for line in said if line[0] == kind}
        for kind in ("noted", "moved", "reserved")
    }
    journal = opened(path)
    try:
        assert not journal.clean
        assert journal.time_noted >= max(told["noted"], default=0), f"cycle {cycle}"
        moved = journal.moved()
        assert all(any(low <= n * 10 <= high for low, high in moved) for n in told["moved"])
        assert journal.versions_reserved >= max(told["reserved"], default=1)
    finally:
        journal.close(clean=False)
