"""Files and directories that nobody but their owner may read, reached by name from a descriptor.

No function here follows a symbolic link. All raise `OSError`; whoever calls says what it means.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

# Without O_NONBLOCK, to open a pipe that lies there waits until somebody writes into it.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_ENTER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def enter(path: Path) -> int:
    """Return a descriptor of a directory. Links in its parents are followed, as everywhere."""
    return os.open(path, _ENTER)


def sync_directory(path: Path) -> None:
    """Return once the names in a directory are on the disk. Follows a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def entered_below(directory: int, name: str) -> Iterator[int]:
    """Yield a descriptor of a directory in a directory."""
    descriptor = os.open(name, _ENTER, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_directory(name: str | Path, directory: int | None = None) -> None:
    """Make a directory with `DIRECTORY_MODE`, unless it is there."""
    with suppress(FileExistsError):
        os.mkdir(name, DIRECTORY_MODE, dir_fd=directory)
        made = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_IMODE(made.st_mode) != DIRECTORY_MODE:  # the umask took some of it
            os.chmod(name, DIRECTORY_MODE, dir_fd=directory)


def content_of(directory: int, name: str, limit: int) -> bytes | None:
    """Return the first `limit` bytes of a file; None if there is no such file."""
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        return file.read(limit)


def write_file(directory: int, name: str, content: bytes) -> None:
    """Make a file that survives a loss of power, once its directory is synced."""
    descriptor = os.open(name, _MAKE, FILE_MODE, dir_fd=directory)
    try:
        os.fchmod(descriptor, FILE_MODE)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_file(directory: int, name: str) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def remove_tree(directory: int, name: str) -> None:
    """Remove a directory and all in it, if it is there. Links in it are removed, not followed."""
    with suppress(FileNotFoundError):
        shutil.rmtree(name, dir_fd=directory)
