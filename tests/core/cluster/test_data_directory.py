"""A data directory is one store's at a time, holds only what is its own, and never half a file."""

import errno
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core import (
    ChangeKind,
    CorruptTopologyError,
    DataDirectoryError,
    DataDirectoryLockedError,
    InvalidServerIdError,
)
from core.cluster import data_directory, lock_file, private_files
from core.cluster.data_directory import DataDirectory, name_of, server_id_of
from core.cluster.lock_file import Holder, holder_in
from core.cluster.topology import PendingChange, Topology, encode

OLD = Topology(150, 2, 1, {"alpha": 1.0, "bravo": 1.0})
NEW = Topology(150, 2, 1, {"alpha": 1.0, "bravo": 1.0}, PendingChange(ChangeKind.ADD, "charlie", 1))
IDS = ("alpha", "Alpha", ".", "..", "...", ".hidden", "10.0.0.1:6379", "a.b_c-d", "::", "Z" * 64)
LONGEST_MESSAGE = 400
# A user that root can become, and who has no other files.
NOBODY = 4_321


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def filled(place: Path) -> Path:
    """A closed data directory with a topology and a file of a server."""
    with DataDirectory.open(place) as directory:
        directory.write_topology(OLD)
        server = directory.server_path("alpha")
        server.mkdir()
        (server / "records").write_text("kept")
    return place


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that a user without root's rights can reach; pytest's own is root's alone."""
    with tempfile.TemporaryDirectory() as path:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        yield Path(path)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def refusal_of(path: str | os.PathLike[str], **options: bool) -> str:
    """Return what is said about a directory that can't be used."""
    with pytest.raises(DataDirectoryError) as caught:
        DataDirectory.open(path, **options)
    message = str(caught.value)
    assert len(message) <= LONGEST_MESSAGE
    assert message.isprintable(), "it is no line that can be shown"
    return message


def tree_of(path: Path) -> dict[str, tuple[int, bytes]]:
    """Return the modes and contents of all that lies below a directory."""
    return {
        str(found.relative_to(path)): (
            found.lstat().st_mode,
            found.read_bytes() if found.is_file() and not found.is_symlink() else b"",
        )
        for found in [path, *path.rglob("*")]
    }


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


class TestLayout:
    def test_a_new_directory_is_made_and_has_no_topology(self, place: Path) -> None:
        with DataDirectory.open(place) as directory:
            assert directory.path == place
            assert directory.read_topology() is None
            assert directory.server_ids() == []
            assert directory.journal_path == place / "journal"

    def test_what_was_written_is_read_after_a_new_open(self, place: Path) -> None:
        with DataDirectory.open(place) as directory:
            directory.write_topology(OLD)
            directory.write_topology(NEW)
            assert directory.read_topology() == NEW
        with DataDirectory.open(place) as directory:
            assert directory.read_topology() == NEW

    @pytest.mark.usefixtures("open_umask")
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o377, 0o777])
    def test_nobody_else_may_read_it_whatever_the_umask(self, place: Path, umask: int) -> None:
        os.umask(umask)
        with DataDirectory.open(place) as directory:
            directory.write_topology(OLD)
        os.umask(0o022)
        assert mode_of(place) == 0o700
        assert mode_of(place / "servers") == 0o700
        assert mode_of(place / "topology.json") == 0o600
        assert mode_of(place / "lock") == 0o600
        assert sorted(os.listdir(place)) == ["lock", "servers", "topology.json"]

    def test_what_others_could_read_is_closed_to_them_at_the_next_open(self, filled: Path) -> None:
        filled.chmod(0o755)
        (filled / "servers").chmod(0o755)
        DataDirectory.open(filled).close()
        assert mode_of(filled) == mode_of(filled / "servers") == 0o700

    def test_an_empty_directory_that_others_may_write_to_is_made_ones_own(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place.mkdir()
        place.chmod(0o775)
        seen: list[int] = []
        usual = os.listdir

        def listdir(directory: int) -> list[str]:
            seen.append(mode_of(place))
            return usual(directory)

        monkeypatch.setattr(os, "listdir", listdir)
        DataDirectory.open(place).close()
        # Only a look at what nobody else can change any more says that it is empty.
        assert seen[:2] == [0o775, 0o700]
        assert mode_of(place) == 0o700

    def test_a_place_that_is_relative_stays_where_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with DataDirectory.open("store") as directory:
            monkeypatch.chdir("/")
            directory.write_topology(OLD)
            assert directory.path == tmp_path / "store"
        assert (tmp_path / "store" / "topology.json").exists()

    def test_a_damaged_topology_is_named_with_its_path(self, filled: Path) -> None:
        (filled / "topology.json").write_bytes(encode(OLD)[:-20])
        with DataDirectory.open(filled) as directory:
            with pytest.raises(CorruptTopologyError) as caught:
                directory.read_topology()
            assert str(caught.value).startswith(f"{filled}/topology.json is damaged (")

    def test_a_directory_whose_making_was_cut_short_can_be_opened(self, place: Path) -> None:
        place.mkdir()
        for content in (b"", b"\0" * 80):
            (place / "lock").write_bytes(content)
            (place / "topology.json.new").write_bytes(b"{")
            with DataDirectory.open(place) as directory:
                assert directory.read_topology() is None
            assert os.listdir(place) == ["lock"]

    def test_the_place_of_the_servers_is_made_where_a_crash_prevented_it(
        self, filled: Path
    ) -> None:
        shutil.rmtree(filled / "servers")
        with DataDirectory.open(filled):
            assert (filled / "servers").is_dir()


class TestServers:
    @pytest.mark.parametrize("server_id", IDS)
    def test_a_server_has_a_directory_below_servers_and_its_id_is_read_from_it(
        self, place: Path, server_id: str
    ) -> None:
        with DataDirectory.open(place) as directory:
            directory.write_topology(OLD)
            path = directory.server_path(server_id)
            assert path.parent == place / "servers"
            path.mkdir()
            assert path.resolve().parent == place / "servers"
            assert directory.server_ids() == [server_id]

    def test_no_two_servers_share_a_name_where_capital_letters_are_the_same(self) -> None:
        assert len({name_of(server_id).lower() for server_id in IDS}) == len(IDS)
        assert all(server_id_of(name_of(server_id)) == server_id for server_id in IDS)

    @pytest.mark.parametrize(
        "name",
        [
            *["", ".", "..", "A", "a:b", "%41%", "%4", "%61", "%2f", "%00", "lost+found"],
            *["removed~a", "a" * 65, "%41" * 65, "\udcff", "a\n"],
        ],
    )
    def test_what_is_no_servers_name_is_none(self, name: str) -> None:
        assert server_id_of(name) is None

    @pytest.mark.parametrize("server_id", ["", "a/b", "../x", "a\0", "é", "a" * 65])
    def test_an_id_that_is_not_allowed_has_no_place(self, filled: Path, server_id: str) -> None:
        with DataDirectory.open(filled) as directory:
            with pytest.raises(InvalidServerIdError):
                directory.server_path(server_id)
            with pytest.raises(InvalidServerIdError):
                directory.remove_server(server_id)

    def test_what_is_no_servers_directory_is_not_listed(self, filled: Path) -> None:
        (filled / "servers" / "lost+found").mkdir()
        (filled / "servers" / "bravo").write_text("a file")
        with DataDirectory.open(filled) as directory:
            assert directory.server_ids() == ["alpha"]

    def test_a_removed_server_is_gone_and_the_others_are_not(self, filled: Path) -> None:
        with DataDirectory.open(filled) as directory:
            other = directory.server_path("bravo")
            other.mkdir()
            directory.remove_server("alpha")
            directory.remove_server("alpha")
            directory.remove_server("never.there")
            assert directory.server_ids() == ["bravo"]
            assert os.listdir(filled / "servers") == ["bravo"]

    def test_removing_a_server_follows_no_link_in_it(self, filled: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").write_text("kept")
        with DataDirectory.open(filled) as directory:
            (directory.server_path("alpha") / "link").symlink_to(outside)
            directory.remove_server("alpha")
        assert (outside / "file").read_text() == "kept"

    def test_a_server_that_is_a_link_is_not_removed_nor_what_it_points_to(
        self, filled: Path, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").write_text("kept")
        with DataDirectory.open(filled) as directory:
            directory.server_path("bravo").symlink_to(outside)
            with pytest.raises(DataDirectoryError, match="is a symbolic link"):
                directory.remove_server("bravo")
        assert (outside / "file").read_text() == "kept"

    def test_a_removal_that_was_cut_short_is_finished_at_the_next_open(
        self, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def rmtree(name: str, **_: object) -> None:
            if (filled / "servers" / name).exists():
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        directory = DataDirectory.open(filled)
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", rmtree)
            with pytest.raises(DataDirectoryError):
                directory.remove_server("alpha")
            assert directory.server_ids() == []
        directory.close()
        with DataDirectory.open(filled) as directory:
            assert directory.server_ids() == []
            assert os.listdir(filled / "servers") == []


class TestRefusal:
    """Nothing is changed in a directory that is refused."""

    def test_a_directory_that_is_not_ringtops(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("dear")
        tmp_path.chmod(0o755)
        before = tree_of(tmp_path)
        assert refusal_of(tmp_path) == (
            f"data directory {tmp_path} is not empty, and is no data directory of ringtop: "
            "choose a new or an empty directory; this one was left as it is"
        )
        assert tree_of(tmp_path) == before

    @pytest.mark.parametrize(
        "content",
        [
            {"topology.json": '{"nodes": []}'},
            {"topology.json": ""},
            {"lock": "a lock of something else"},
            {"lock": "", "letter.txt": "dear"},
            {"topology.json.new": "{"},
            {"servers/alpha/letter.txt": "dear"},
            {"lock": "", "topology.json": "{}", "servers/a": "1"},
        ],
    )
    def test_a_directory_that_only_looks_like_ringtops(
        self, place: Path, content: dict[str, str]
    ) -> None:
        for name, text in content.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        before = tree_of(place)
        for observe in (False, True):
            assert "is no data directory of ringtop: choose" in refusal_of(place, observe=observe)
        assert tree_of(place) == before

    @pytest.mark.parametrize("name", ["servers", "journal"])
    def test_a_directory_whose_topology_is_missing(self, filled: Path, name: str) -> None:
        (filled / "journal").mkdir()
        (filled / "topology.json").unlink()
        shutil.rmtree(filled / ("journal" if name == "servers" else "servers"))
        before = tree_of(filled)
        assert refusal_of(filled) == (
            f"data directory {filled} has {name} in it, but no topology.json: put topology.json "
            "back from a backup, or choose another directory; nothing was removed"
        )
        assert tree_of(filled) == before

    def test_a_directory_that_is_a_link(self, filled: Path, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(filled)
        before = tree_of(filled)
        for path in (link, f"{link}/", f"{link}/."):
            for observe in (False, True):
                assert refusal_of(path, observe=observe) == (
                    f"{link} is a symbolic link, which ringtop does not follow: "
                    "choose the directory that it points to, or put that in its place"
                )
        assert tree_of(filled) == before

    def test_a_link_to_nowhere(self, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "nowhere")
        assert "is a symbolic link" in refusal_of(link)
        assert os.listdir(tmp_path) == ["link"]

    @pytest.mark.parametrize(
        "name",
        ["servers", "journal", "topology.json", "topology.json.new", "lock", "servers/bravo"],
    )
    def test_a_directory_with_a_link_in_it(self, filled: Path, tmp_path: Path, name: str) -> None:
        outside = tmp_path / "outside"
        if (filled / name).exists():
            (filled / name).rename(outside)
        else:
            outside.mkdir()
            (outside / "file").write_text("kept")
        (filled / name).symlink_to(outside)
        before = tree_of(tmp_path)
        for observe in (False, True):
            assert refusal_of(filled, observe=observe).startswith(
                f"{filled}/{name} is a symbolic link, which ringtop does not follow: "
            )
        assert tree_of(tmp_path) == before

    @pytest.mark.parametrize("name", ["topology.json", "topology.json.new", "lock"])
    @pytest.mark.parametrize("kind", ["directory", "pipe"])
    def test_a_directory_with_something_else_than_a_file(
        self, filled: Path, name: str, kind: str
    ) -> None:
        (filled / name).unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(filled / name)
        else:
            (filled / name).mkdir()
        before = tree_of(filled)
        assert f"has {name} in it, which is no file: choose" in refusal_of(filled)
        assert tree_of(filled) == before

    @pytest.mark.parametrize("name", ["journal", "servers"])
    def test_a_directory_with_a_file_in_the_place_of_a_directory(
        self, filled: Path, name: str
    ) -> None:
        shutil.rmtree(filled / name, ignore_errors=True)
        (filled / name).write_text("")
        assert f"has {name} in it, which is no directory: choose" in refusal_of(filled)

    @pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
    def test_a_filled_directory_that_others_can_write_to(self, filled: Path, mode: int) -> None:
        filled.chmod(mode)
        before = tree_of(filled)
        assert "can be written by other users: see that" in refusal_of(filled)
        assert tree_of(filled) == before

    def test_a_directory_of_somebody_else(
        self, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owner = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        assert f"belongs to another user (uid {owner}): run ringtop as that" in refusal_of(filled)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    @pytest.mark.parametrize("name", ["servers", "topology.json", "lock"])
    def test_a_directory_with_something_of_somebody_else(self, filled: Path, name: str) -> None:
        os.chown(filled / name, NOBODY, NOBODY)
        assert f"has {name} in it, which is another user's: choose" in refusal_of(filled)

    def test_a_file(self, place: Path) -> None:
        place.write_text("a file")
        assert refusal_of(place) == f"data directory {place} is a file: choose a directory"
        assert place.read_text() == "a file"
        assert "a part of its path is a file" in refusal_of(place / "store")

    def test_a_directory_whose_parent_is_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "not" / "mounted"
        assert refusal_of(path).endswith(
            "has no parent directory: make that first (mkdir -p), or mount it"
        )
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("options", [{"create": False}, {"observe": True}])
    def test_a_missing_directory_that_must_be_there(
        self, place: Path, options: dict[str, bool]
    ) -> None:
        assert refusal_of(place, **options).endswith("does not exist: check its path")
        assert not place.exists()

    @pytest.mark.parametrize("path", ["", "a\0b"])
    def test_a_path_that_is_none(self, path: str) -> None:
        assert "is empty or has a NUL: choose" in refusal_of(path)

    def test_a_path_that_would_write_to_the_terminal_is_shown_escaped(self, tmp_path: Path) -> None:
        message = refusal_of(tmp_path / ("x" * 20 + "\x1b]52;c\x07\n\u202e") / "y")
        assert "\\x1b]52" in message

    @pytest.mark.parametrize(
        ("number", "advice"),
        [
            (errno.EACCES, "see its owner and mode"),
            (errno.EROFS, "choose a directory that can be written, or open read-only"),
            (errno.ENOSPC, "make room on its disk"),
            (errno.EMFILE, "raise the limit of open files"),
            (errno.EIO, "look at the disk that it is on"),
        ],
    )
    def test_what_the_system_refuses(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
    ) -> None:
        place.mkdir()
        calls = Calls(monkeypatch)
        calls.fail_at("open", number, where=lock_file)
        message = refusal_of(place)
        assert f"can't be used ({os.strerror(number)}): {advice}" in message

    def test_a_file_system_without_locks(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_locks(file: int, operation: int) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", no_locks)
        assert "its file system has no locks: choose a directory on a local" in refusal_of(place)

    def test_a_directory_without_permission(self, reachable: Path) -> None:
        made_in(reachable / "store")
        for path, mode in ((reachable, 0o555), (reachable / "store", 0o000)):
            path.chmod(mode)
            place = reachable / ("new" if path is reachable else "store")
            message = forked(partial(refusal_of, place), rights=False)
            path.chmod(0o700)
            assert message == (
                f"data directory {place} can't be used (Permission denied): "
                "see its owner and mode (ls -ld), or choose another directory"
            )


class TestLock:
    def test_a_second_open_in_this_process_is_refused_and_names_it(self, place: Path) -> None:
        with DataDirectory.open(place):
            with pytest.raises(DataDirectoryLockedError) as caught:
                DataDirectory.open(place)
            assert (caught.value.pid, caught.value.host) == (os.getpid(), socket.gethostname())
            assert str(caught.value) == (
                f"data directory {place} is in use by process {os.getpid()} on "
                f"{socket.gethostname()}: stop it, or open read-only with --observe"
            )
        DataDirectory.open(place).close()

    def test_another_process_is_named_and_its_end_frees_the_directory(self, place: Path) -> None:
        with a_process_that_holds(place) as process:
            with pytest.raises(DataDirectoryLockedError) as caught:
                DataDirectory.open(place)
            assert caught.value.pid == process.pid
            process.kill()
            process.wait()
            with DataDirectory.open(place) as directory:
                assert directory.read_topology() == OLD

    def test_who_was_refused_has_changed_nothing(self, place: Path) -> None:
        with DataDirectory.open(place) as directory:
            directory.write_topology(OLD)
            (place / "topology.json.new").write_text("being written")
            before = tree_of(place)
            for _ in range(2):
                with pytest.raises(DataDirectoryLockedError):
                    DataDirectory.open(place)
            assert tree_of(place) == before

    def test_a_lock_that_nobody_signs_any_more_names_nobody(self, place: Path) -> None:
        with DataDirectory.open(place) as directory:
            directory.write_topology(OLD)
            (place / "lock").write_bytes(b"\xff" * 5_000)
            with pytest.raises(DataDirectoryLockedError, match="in use by another process: stop"):
                DataDirectory.open(place)

    def test_what_a_lock_says_is_shown_escaped_and_short(self, place: Path) -> None:
        with DataDirectory.open(place) as directory:
            directory.write_topology(OLD)
            host = "\x1b]52;c;\x07\n\u202e" + "h" * 200
            (place / "lock").write_text(json.dumps({"pid": 12, "host": host}))
            with pytest.raises(DataDirectoryLockedError) as caught:
                DataDirectory.open(place)
            message = str(caught.value)
            assert message.isprintable()
            assert "by process 12 on \\x1b]52" in message
            assert len(message) <= LONGEST_MESSAGE

    @pytest.mark.parametrize(
        "content",
        [
            *[b"", b"null", b"[1]", b"[" * 5_000, b"{", b'{"pid": true}', b'{"pid": 0}', b"\xff"],
            *[b'{"pid": -3}', b'{"pid": 1e3}', b'{"pid": 99999999999999}', b'{"pid": "7"}'],
            *[b'{"host": 7}', b'{"host": ""}', b'{"host": "' + b"x" * 256 + b'"}'],
            b'{"pid": ' + b"9" * 900 + b"}",
        ],
    )
    def test_a_lock_that_makes_no_sense_names_nobody(self, content: bytes) -> None:
        assert holder_in(content) == Holder(None, None)

    def test_closing_gives_the_lock_back_and_may_be_done_again(self, place: Path) -> None:
        directory = DataDirectory.open(place)
        directory.close()
        directory.close()
        other = DataDirectory.open(place)
        directory.close()
        with pytest.raises(DataDirectoryLockedError):
            DataDirectory.open(place)
        other.close()

    def test_a_closed_directory_says_so(self, filled: Path) -> None:
        directory = DataDirectory.open(filled)
        directory.close()
        for use in (
            directory.read_topology,
            directory.server_ids,
            lambda: directory.write_topology(OLD),
            lambda: directory.remove_server("alpha"),
        ):
            with pytest.raises(DataDirectoryError, match="is closed: open it again"):
                use()

    def test_a_directory_that_could_not_be_opened_leaves_nothing_open(
        self, filled: Path, place: Path
    ) -> None:
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        holder = DataDirectory.open(filled)
        for _ in range(3):
            with pytest.raises(DataDirectoryLockedError):
                DataDirectory.open(filled)
        holder.close()
        (filled / "letter.txt").write_text("")
        (filled / "lock").unlink()
        (filled / "topology.json").unlink()
        refusal_of(filled)
        after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        assert after == before

    def test_a_program_that_is_started_has_no_part_in_the_lock(self, place: Path) -> None:
        directory = DataDirectory.open(place)
        with subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
        ) as process:
            directory.close()
            DataDirectory.open(place).close()
            process.communicate(b"\n")

    def test_a_forked_child_neither_keeps_the_lock_nor_gives_it_back(self, place: Path) -> None:
        directory = DataDirectory.open(place)
        directory.write_topology(OLD)

        def child() -> str:
            refused = refusal_by(directory.read_topology)
            directory.close()
            return refused

        assert "is closed: open it again; a forked process has to, too" in forked(child)
        with pytest.raises(DataDirectoryLockedError) as caught:
            DataDirectory.open(place)
        assert caught.value.pid == os.getpid()

        leave, wake = os.pipe()
        pid = fork()
        if pid == 0:
            os.read(leave, 1)
            os._exit(0)
        directory.close()
        DataDirectory.open(place).close()
        os.write(wake, b"x")
        os.waitpid(pid, 0)
        os.close(leave)
        os.close(wake)


class TestObserver:
    def test_an_observer_reads_beside_the_holder_and_changes_nothing(self, filled: Path) -> None:
        with DataDirectory.open(filled):
            (filled / "topology.json.new").write_text("being written")
            (filled / "servers" / "removed~bravo").mkdir()
            before = tree_of(filled)
            with DataDirectory.open(filled, observe=True) as observer:
                assert observer.observing
                assert observer.read_topology() == OLD
                assert observer.server_ids() == ["alpha"]
                with pytest.raises(DataDirectoryError, match="opened to be read alone"):
                    observer.write_topology(NEW)
                with pytest.raises(DataDirectoryError, match="opened to be read alone"):
                    observer.remove_server("alpha")
            assert tree_of(filled) == before

    def test_an_observer_does_not_keep_a_store_out(self, filled: Path) -> None:
        with DataDirectory.open(filled, observe=True), DataDirectory.open(filled) as directory:
            directory.write_topology(NEW)

    def test_an_observer_changes_nothing_in_an_empty_directory(self, place: Path) -> None:
        place.mkdir(mode=0o755)
        before = tree_of(place)
        with DataDirectory.open(place, observe=True) as observer:
            assert observer.read_topology() is None
        assert tree_of(place) == before

    def test_an_observer_needs_no_right_to_write(self, reachable: Path) -> None:
        place = made_in(reachable / "store")
        for path in (place / "servers", place):
            path.chmod(0o500)
        (place / "topology.json").chmod(0o400)

        def observe() -> str:
            with DataDirectory.open(place, observe=True) as observer:
                return repr(observer.read_topology())

        assert forked(observe, rights=False) == repr(OLD)
        place.chmod(0o700)


class TestCrash:
    """What a crash or an error between any two steps leaves behind."""

    @pytest.mark.parametrize("crash", [True, False], ids=["crash", "error"])
    def test_writing_the_topology_leaves_the_old_or_the_new_whole(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, crash: bool
    ) -> None:
        seen = set()
        for step in range(1, 100):
            shutil.rmtree(place, ignore_errors=True)
            with DataDirectory.open(place) as directory:
                directory.write_topology(OLD)
            directory = DataDirectory.open(place)
            with monkeypatch.context() as patch:
                calls = Calls(patch)
                calls.fail_from(step, forever=crash)
                done = False
                with suppress(DataDirectoryError):
                    directory.write_topology(NEW)
                    done = True
                ended = calls.count < step
            directory.close()
            with DataDirectory.open(place) as directory:
                found = directory.read_topology()
                assert found in (OLD, NEW)
                assert found == NEW or not done, "it was acknowledged, and is not there"
                seen.add(found == NEW)
                assert sorted(os.listdir(place)) == ["lock", "servers", "topology.json"]
            if ended:
                break
        assert ended, "more steps than expected"
        assert step > 8, "fewer steps than there are"
        assert seen == {True, False}

    @pytest.mark.parametrize("crash", [True, False], ids=["crash", "error"])
    def test_making_a_directory_can_be_done_again_after_any_step(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, crash: bool
    ) -> None:
        for step in range(1, 100):
            shutil.rmtree(place, ignore_errors=True)
            with monkeypatch.context() as patch, ExitStack() as opened:
                calls = Calls(patch)
                calls.fail_from(step, forever=crash)
                with suppress(DataDirectoryError):
                    directory = opened.enter_context(DataDirectory.open(place))
                    directory.write_topology(OLD)
                ended = calls.count < step
            with DataDirectory.open(place) as directory:
                assert directory.read_topology() in (None, OLD)
                directory.write_topology(NEW)
                assert directory.read_topology() == NEW
            if ended:
                break
        assert ended
        assert step > 15, "fewer steps than there are"

    def test_removing_a_server_leaves_all_of_it_or_nothing(
        self, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for step in range(1, 100):
            server = filled / "servers" / "alpha"
            server.mkdir(exist_ok=True)
            (server / "records").write_text("kept")
            (server / "more").write_text("kept")
            directory = DataDirectory.open(filled)
            with monkeypatch.context() as patch:
                calls = Calls(patch)
                calls.fail_from(step, forever=True)
                with suppress(DataDirectoryError):
                    directory.remove_server("alpha")
                ended = calls.count < step
            directory.close()
            with DataDirectory.open(filled) as directory:
                if directory.server_ids():
                    assert sorted(os.listdir(server)) == ["more", "records"]
                else:
                    assert os.listdir(filled / "servers") == []
            if ended:
                break
        assert ended

    def test_the_topology_is_on_the_disk_before_its_name_and_its_name_before_the_return(
        self, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with DataDirectory.open(filled) as directory, monkeypatch.context() as patch:
            calls = Calls(patch)
            directory.write_topology(NEW)
            steps = [name for name in calls.names if name in ("write", "fsync", "rename")]
        assert steps[:4] == ["write", "fsync", "rename", "fsync"]

    def test_a_removal_is_on_the_disk_before_the_first_file_is_removed(
        self, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with DataDirectory.open(filled) as directory, monkeypatch.context() as patch:
            calls = Calls(patch)
            directory.remove_server("alpha")
            steps = [name for name in calls.names if name in ("rename", "fsync", "unlink", "rmdir")]
        assert steps == ["rename", "fsync", "unlink", "rmdir"]

    def test_a_new_directory_is_on_the_disk_before_anything_is_in_it(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = Calls(monkeypatch)
        DataDirectory.open(place).close()
        steps = [name for name in calls.names if name in ("mkdir", "fsync", "ftruncate")]
        assert steps[:3] == ["mkdir", "fsync", "ftruncate"]

    def test_a_topology_that_could_not_be_written_leaves_no_part_of_it(
        self, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with DataDirectory.open(filled) as directory:
            for name in ("write", "fsync", "rename"):
                with monkeypatch.context() as patch:
                    Calls(patch).fail_at(name, errno.ENOSPC)
                    with pytest.raises(DataDirectoryError, match="make room on its disk"):
                        directory.write_topology(NEW)
                assert sorted(os.listdir(filled)) == ["lock", "servers", "topology.json"]
                assert directory.read_topology() == OLD
            directory.write_topology(NEW)

    def test_a_short_write_is_gone_on_with(
        self, filled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usual = os.write
        monkeypatch.setattr(os, "write", lambda file, content: usual(file, content[:7]))
        with DataDirectory.open(filled) as directory:
            directory.write_topology(NEW)
            assert directory.read_topology() == NEW

    def test_a_lock_that_can_not_be_signed_is_held_all_the_same(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            Calls(patch).fail_at("pwrite", errno.ENOSPC)
            directory = DataDirectory.open(place)
        with pytest.raises(DataDirectoryLockedError):
            DataDirectory.open(place)
        directory.close()


# What the tests do to the system


class Calls:
    """Stands before `os` in the modules that a data directory is made of, and lets calls fail.

    A call that fails has not happened. `close` never fails: a crash closes everything too.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self._fails: Callable[[str], int] = lambda name: 0
        self._monkeypatch = monkeypatch
        self._modules: tuple[ModuleType, ...] = (data_directory, lock_file, private_files)
        for module in self._modules:
            monkeypatch.setattr(module, "os", self)
        monkeypatch.setattr(shutil, "os", self)

    @property
    def count(self) -> int:
        return len(self.names)

    def fail_from(self, step: int, *, forever: bool) -> None:
        """Let the call number `step` fail (1 is the first); and all after it, as in a crash."""
        self._fails = lambda name: (
            errno.EIO if self.count == step or (forever and self.count > step) else 0
        )

    def fail_at(self, name: str, number: int, where: ModuleType | None = None) -> None:
        """Let every call of a name fail; only in one module, if it is given."""
        self._fails = lambda called: number if called == name else 0
        for module in self._modules:
            if where is not None and module is not where:
                self._monkeypatch.setattr(module, "os", os)

    def __getattr__(self, name: str) -> Any:
        usual = getattr(os, name)
        if not callable(usual) or name in ("close", "getpid", "geteuid", "fsdecode", "fspath"):
            return usual
        if isinstance(usual, type):
            return usual

        def call(*args: Any, **options: Any) -> Any:
            self.names.append(name)
            number = self._fails(name)
            if number:
                raise OSError(number, os.strerror(number))
            return usual(*args, **options)

        # The same one the next time: from Python 3.13 on, shutil compares them.
        self.__dict__[name] = call
        return call


def refusal_by(use: Callable[[], object]) -> str:
    try:
        use()
    except DataDirectoryError as error:
        return str(error)
    return ""


def forked(work: Callable[[], str], *, rights: bool = True) -> str:
    """Do something in a forked child and return what it returned.

    Without `rights`, as a user who is not root, for whom modes count.
    """
    out, into = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            if not rights and os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(into, work().encode(errors="replace"))
        except BaseException as error:
            os.write(into, repr(error).encode(errors="replace"))
        finally:
            os._exit(0)
    os.close(into)
    try:
        assert select.select([out], [], [], 60)[0], "the child does not end"
        with open(out, "rb") as answer:
            return answer.read().decode()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def fork() -> int:
    """Fork; that other threads of the test runner are left behind is no harm here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def made_in(place: Path) -> Path:
    """Make a data directory that belongs to the user without rights."""
    with DataDirectory.open(place) as directory:
        directory.write_topology(OLD)
    if os.geteuid() == 0:
        for path in [place, *place.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
    return place


class a_process_that_holds:  # noqa: N801 - read as a sentence
    """Start a process that opens a data directory, writes a topology and waits."""

    PROGRAM = """
import sys
from core.cluster.data_directory import DataDirectory
from core.cluster.topology import Topology
directory = DataDirectory.open(sys.argv[1])
directory.write_topology(Topology(150, 2, 1, {"alpha": 1.0, "bravo": 1.0}))
print("open", flush=True)
sys.stdin.read()
"""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> "subprocess.Popen[bytes]":
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, str(self._place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"open\n"
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
