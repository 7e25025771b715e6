"""The directory of a durable store: who may use it, and what lies where.

::

    <path>/                     0700, of the user who runs the store
        topology.json           what `topology` says; there from the first `write_topology` on
        topology.json.new       the next one, while it is written; removed at the next open
        lock                    locked while a store uses the directory; says who it is
        journal/                see `journal`
        servers/<name>/         what a server keeps, see `name_of`
        servers/removed~<name>/ a server that is being removed; removed at the next open

**Whose files.** A path is mistyped easily, and what is written into the wrong directory, or through
a link into someone else's, can't be undone. So nothing is written before it is certain that the
directory is new, empty or ringtop's; symbolic links are refused, not followed; and what this
module touches is reached from the directory's own descriptor, so it can't be exchanged meanwhile.
(Its parents may have links: they are the user's own choice.)

**One process.** See `lock_file`. A child that was forked has no part in the lock: it closes its
copies at once, so that it neither keeps the lock nor gives it back.

**Missing parents** are not made: where a disk is not mounted, ``/mnt/disk/ringtop`` would otherwise
be filled on the system's own.

Knows no RocksDB and no ring.
"""

import errno
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from weakref import WeakSet

from core.cluster.lock_file import LOCK, MAX_LOCK_BYTES, LockedError, LockFile, is_lock
from core.cluster.private_files import (
    DIRECTORY_MODE,
    content_of,
    enter,
    entered_below,
    make_directory,
    remove_file,
    remove_tree,
    sync_directory,
    write_file,
)
from core.cluster.topology import FORMAT, MAX_TOPOLOGY_BYTES, Topology, decode, encode
from core.errors import DataDirectoryError, DataDirectoryLockedError
from core.server_id import MAX_SERVER_ID_LENGTH, checked_server_id

_WRITABLE_BY_OTHERS: Final = 0o022

_TOPOLOGY: Final = "topology.json"
_NEXT_TOPOLOGY: Final = "topology.json.new"
_JOURNAL: Final = "journal"
_SERVERS: Final = "servers"
# No name of a server has a tilde.
_REMOVED: Final = "removed~"
_DIRECTORIES: Final = frozenset({_JOURNAL, _SERVERS})
_FILES: Final = frozenset({_TOPOLOGY, _NEXT_TOPOLOGY, LOCK})

_CLOSED: Final = -1

# What a name must not have: a capital letter is the same as a small one to some file systems, and
# to others not; a colon separates paths in lists of them; a name that begins with a dot is hidden,
# or is no name at all.
_ESCAPED = re.compile(r"[A-Z:]|^\.")
_ESCAPE = re.compile(r"%([0-9a-f]{2})")
_ESCAPE_LENGTH: Final = 3

_CHOOSE: Final = "choose a new or an empty directory; this one was left as it is"
_ADVICE: Final[Mapping[int, str]] = {
    errno.EACCES: "see its owner and mode (ls -ld), or choose another directory",
    errno.EPERM: "see its owner and mode (ls -ld), or choose another directory",
    errno.EROFS: "choose a directory that can be written, or open read-only with --observe",
    errno.ENOSPC: "make room on its disk, and try again",
    errno.EDQUOT: "make room on its disk, and try again",
    errno.EMFILE: "raise the limit of open files (ulimit -n), and try again",
    errno.ENFILE: "raise the limit of open files of the system, and try again",
    errno.ENOLCK: "its file system has no locks: choose a directory on a local disk",
    errno.EOPNOTSUPP: "its file system has no locks: choose a directory on a local disk",
    errno.ENOTDIR: "a part of its path is a file: choose another directory",
    errno.ENAMETOOLONG: "choose a shorter path",
}


def name_of(server_id: str) -> str:
    """Return the name of a server's directory: its id, with some characters as ``%`` and hex.

    >>> name_of("alpha"), name_of("10.0.0.1:6379"), name_of(".."), name_of("A")
    ('alpha', '10.0.0.1%3a6379', '%2e.', '%41')

    Raises:
        InvalidServerIdError: the id is not allowed.
    """
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02x}", checked_server_id(server_id))


def server_id_of(name: str) -> str | None:
    """Return the server whose directory has a name; None if no server's has.

    >>> server_id_of("10.0.0.1%3a6379"), server_id_of("lost+found")
    ('10.0.0.1:6379', None)
    """
    if len(name) > MAX_SERVER_ID_LENGTH * _ESCAPE_LENGTH:
        return None
    server_id = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name)
    try:
        return server_id if name_of(server_id) == name else None
    except ValueError:
        return None


class DataDirectory:
    """A directory that a store keeps its data in, opened with `open`.

    Thread safety: any thread may call any method. `_guard` guards the descriptors, and is held
    while the topology is written.

    Always true: `_root` is a descriptor of the directory, or `_CLOSED`; `_lock` is there if `_root`
    is open and this is no observer.

    Attributes:
        path: the directory, absolute.
        observing: whether it was opened to be read alone.
    """

    def __init__(self, path: Path, root: int, *, observing: bool) -> None:
        self.path = path
        self.observing = observing
        self._root = root
        self._lock: LockFile | None = None
        self._guard = threading.Lock()
        _made_here.add(self)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, create: bool = True, observe: bool = False
    ) -> Self:
        """Open a data directory, and keep everybody else from writing to it.

        What a crash left half done is removed. O(servers).

        Args:
            path: the directory. Its parent must be there.
            create: whether it is made where there is none.
            observe: True takes no lock and writes nothing; somebody else may be using it.

        Raises:
            DataDirectoryError: it can't be used; nothing in it was changed. Among the reasons: it
                is not there, not empty and not ringtop's, or somebody else's; it can be written by
                others; it has a symbolic link in it; it can't be read or written.
            DataDirectoryLockedError: somebody else is using it.
        """
        place = _absolute(path)
        with _failures_of(place):
            directory = cls(place, _entered(place, create and not observe), observing=observe)
            try:
                directory._check()
                if not observe:
                    directory._take()
            except BaseException:
                directory.close()
                raise
        return directory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def journal_path(self) -> Path:
        """Where the journal lies, or will lie: whoever opens it makes it."""
        return self.path / _JOURNAL

    def server_path(self, server_id: str) -> Path:
        """Return where a server's data lies, or will lie: whoever opens it makes it. O(1).

        Raises:
            InvalidServerIdError: the id is not allowed.
        """
        return self.path / _SERVERS / name_of(server_id)

    def server_ids(self) -> list[str]:
        """Return the servers whose directories are there, sorted. O(servers log servers).

        Raises:
            DataDirectoryError: it can't be read, or is closed.
        """
        with self._using() as root:
            found = map(server_id_of, _directories_below(root, self.path))
            return sorted(server_id for server_id in found if server_id is not None)

    def remove_server(self, server_id: str) -> None:
        """Remove what a server keeps; nothing if there is none. O(its files).

        It goes in one step: after a crash all of it is there, or nothing counts as there. Symbolic
        links in it are removed, not followed. The server must be closed.

        Raises:
            DataDirectoryError: it can't be removed, or the data directory is closed or observed.
            InvalidServerIdError: the id is not allowed.
        """
        name = name_of(server_id)
        with self._using(writing=True) as root:
            if name not in _directories_below(root, self.path):
                return
            with entered_below(root, _SERVERS) as servers:
                removed = _REMOVED + name
                remove_tree(servers, removed)
                os.rename(name, removed, src_dir_fd=servers, dst_dir_fd=servers)
                os.fsync(servers)
                remove_tree(servers, removed)

    def read_topology(self) -> Topology | None:
        """Return what was written last; None in a new directory. O(servers).

        Raises:
            CorruptTopologyError: it is not what was written.
            DataDirectoryError: it can't be read, or is closed.
        """
        with self._using() as root:
            content = content_of(root, _TOPOLOGY, MAX_TOPOLOGY_BYTES + 1)
        return None if content is None else decode(content, str(self.path / _TOPOLOGY))

    def write_topology(self, topology: Topology) -> None:
        """Put a topology in the place of the last one, so that it survives a loss of power.

        After a crash at any moment, or an error, one of the two is there, and whole. Also makes
        the place of the servers, so it comes before the first of them and the journal. O(servers).

        Raises:
            DataDirectoryError: it can't be written, or is closed or observed. What is there is the
                last one; or the new one, if the error came after it had taken its place.
        """
        content = encode(topology)
        with self._using(writing=True) as root:
            remove_file(root, _NEXT_TOPOLOGY)
            try:
                write_file(root, _NEXT_TOPOLOGY, content)
                os.rename(_NEXT_TOPOLOGY, _TOPOLOGY, src_dir_fd=root, dst_dir_fd=root)
            except OSError:
                with suppress(OSError):  # the first error says more; the next open tries again
                    remove_file(root, _NEXT_TOPOLOGY)
                raise
            os.fsync(root)
            _make_servers(root)

    def close(self) -> None:
        """Give the lock back. May be called again."""
        with self._guard:
            lock, self._lock = self._lock, None
            if lock is not None:
                lock.release()
            self._leave_locked()

    # Inside

    def _leave_locked(self) -> None:
        root, self._root = self._root, _CLOSED
        if root != _CLOSED:
            os.close(root)

    def leave_to_parent(self) -> None:
        """Close it in a process that was forked, and leave the lock to the parent."""
        self._guard = threading.Lock()  # another thread of the parent may have held it
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.abandon()
        self._leave_locked()

    @contextmanager
    def _using(self, *, writing: bool = False) -> Iterator[int]:
        """Yield the directory's descriptor, and keep it open meanwhile."""
        with self._guard, _failures_of(self.path):
            if self._root == _CLOSED:
                raise self._error("is closed", "open it again; a forked process has to, too")
            if writing and self.observing:
                raise self._error("was opened to be read alone", "open it without --observe")
            yield self._root

    def _check(self) -> None:
        """Refuse a directory that is not ours to use. Changes the mode of an empty one at most."""
        state = os.fstat(self._root)
        if state.st_uid != os.geteuid():
            raise self._error(
                f"belongs to another user (uid {state.st_uid})",
                "run ringtop as that user, or choose a directory of your own",
            )
        names = set(os.listdir(self._root))
        if not names and not self.observing:
            # An empty one is ours as it is: from here on nobody else can put something into it.
            os.fchmod(self._root, DIRECTORY_MODE)
            names = set(os.listdir(self._root))
        if not names:
            return
        self._check_kinds(names)
        if not self._is_ringtops(names):
            raise self._error("is not empty, and is no data directory of ringtop", _CHOOSE)
        orphans = sorted(names & _DIRECTORIES)
        if _TOPOLOGY not in names and orphans:
            raise self._error(
                f"has {' and '.join(orphans)} in it, but no {_TOPOLOGY}",
                f"put {_TOPOLOGY} back from a backup, or choose another directory; "
                "nothing was removed",
            )
        if os.fstat(self._root).st_mode & _WRITABLE_BY_OTHERS:
            raise self._error(
                "can be written by other users",
                "see that they changed nothing in it, then run chmod 700 on it",
            )

    def _check_kinds(self, names: set[str]) -> None:
        """Refuse links, what is of another kind than it should be, and what is somebody else's."""
        for name in sorted(names & (_FILES | _DIRECTORIES)):
            try:
                state = os.stat(name, dir_fd=self._root, follow_symlinks=False)
            except FileNotFoundError:  # whom an observer looks at has just renamed it
                continue
            kind, is_kind = (
                ("directory", stat.S_ISDIR) if name in _DIRECTORIES else ("file", stat.S_ISREG)
            )
            if stat.S_ISLNK(state.st_mode):
                raise _link_error(self.path / name)
            if not is_kind(state.st_mode):
                raise self._error(f"has {name} in it, which is no {kind}", _CHOOSE)
            if state.st_uid != os.geteuid():
                raise self._error(f"has {name} in it, which is another user's", _CHOOSE)
        _directories_below(self._root, self.path)

    def _is_ringtops(self, names: set[str]) -> bool:
        """Return whether a directory that is not empty says that it is ringtop's."""
        lock = content_of(self._root, LOCK, MAX_LOCK_BYTES)
        if lock is not None and is_lock(lock):
            return True
        topology = content_of(self._root, _TOPOLOGY, MAX_TOPOLOGY_BYTES)
        if topology is not None:
            return FORMAT.encode() in topology
        # Somebody was killed, or lost power, before a word was written.
        return lock is not None and not lock.strip(b"\0") and names <= {LOCK, _NEXT_TOPOLOGY}

    def _take(self) -> None:
        """Take the lock, then make the directory what it should be."""
        try:
            self._lock = LockFile(self._root)
        except LockedError as error:
            raise DataDirectoryLockedError(_subject(self.path), *error.holder) from None
        os.fchmod(self._root, DIRECTORY_MODE)
        remove_file(self._root, _NEXT_TOPOLOGY)
        if content_of(self._root, _TOPOLOGY, 1) is None:
            return
        _make_servers(self._root)
        with entered_below(self._root, _SERVERS) as servers:
            for name in os.listdir(servers):
                if name.startswith(_REMOVED):
                    remove_tree(servers, name)

    def _error(self, fault: str, advice: str) -> DataDirectoryError:
        return DataDirectoryError(_subject(self.path), fault, advice)


_made_here: WeakSet[DataDirectory] = WeakSet()


def _leave_all_to_parent() -> None:
    for directory in list(_made_here):
        directory.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)


def _subject(path: Path) -> str:
    return f"data directory {path}"


def _link_error(path: Path) -> DataDirectoryError:
    return DataDirectoryError(
        str(path),
        "is a symbolic link, which ringtop does not follow",
        "choose the directory that it points to, or put that in its place",
    )


def _absolute(path: str | os.PathLike[str]) -> Path:
    """Return a path that stays the same when the process goes elsewhere."""
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise DataDirectoryError("the path of a data directory", "is empty or has a NUL", _CHOOSE)
    # Not resolved: ".." behind a link is what the kernel says it is.
    return Path(text).absolute()


@contextmanager
def _failures_of(path: Path) -> Iterator[None]:
    """Turn what the system says about a directory into what to do about it."""
    try:
        yield
    except OSError as error:
        fault = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, "look at the disk that it is on")
        raise DataDirectoryError(_subject(path), f"can't be used ({fault})", advice) from error


def _entered(path: Path, create: bool) -> int:
    """Return a descriptor of a directory, which is made if it is missing and may be."""
    try:
        return enter(path)
    except FileNotFoundError:
        if not path.parent.exists():
            raise DataDirectoryError(
                _subject(path), "has no parent directory", "make that first (mkdir -p), or mount it"
            ) from None
        if not create:
            raise DataDirectoryError(_subject(path), "does not exist", "check its path") from None
    except OSError:
        state = os.lstat(path)
        if stat.S_ISLNK(state.st_mode):
            raise _link_error(path) from None
        if not stat.S_ISDIR(state.st_mode):
            raise DataDirectoryError(_subject(path), "is a file", "choose a directory") from None
        raise
    make_directory(path)
    sync_directory(path.parent)
    return enter(path)


def _make_servers(root: int) -> None:
    """Make the directory of the servers, so that a loss of power leaves it there."""
    make_directory(_SERVERS, root)
    with entered_below(root, _SERVERS) as servers:
        os.fchmod(servers, DIRECTORY_MODE)
    os.fsync(root)


def _directories_below(root: int, path: Path) -> list[str]:
    """Return the names of the directories in ``servers``, which has no link in it."""
    try:
        with entered_below(root, _SERVERS) as servers, os.scandir(servers) as entries:
            found = list(entries)
            for entry in found:
                if entry.is_symlink():
                    raise _link_error(path / _SERVERS / entry.name)
            return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
