"""The file ``lock`` of a data directory: it keeps a second store out, and says who is in.

The lock is an flock: the kernel gives it back when its holder ends, however it ends, so it is never
stale. (A file that is there while the lock is held lost: after a kill, somebody has to decide that
it may be deleted.) What the file says, ``{"format": …, "pid": …, "host": …}``, is for whoever is
kept out; it is not synced, and not believed.
"""

import fcntl
import json
import os
import socket
from contextlib import suppress
from typing import Final, NamedTuple

LOCK: Final = "lock"

_FORMAT: Final = "ringtop lock"
_MODE: Final = 0o600
# Who holds it takes about 100 bytes, and 300 with the longest name of a host.
MAX_LOCK_BYTES: Final = 1_024
_MAX_PID: Final = (1 << 31) - 1
_MAX_HOST_LENGTH: Final = 255
# Without O_NONBLOCK, to open a pipe that lies there might wait.
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Holder(NamedTuple):
    """Who says that they hold a lock; None for what they don't say."""

    pid: int | None
    host: str | None


class LockedError(Exception):
    """Somebody else holds the lock.

    Attributes:
        holder: who says so.
    """

    def __init__(self, holder: Holder) -> None:
        super().__init__(holder)
        self.holder = holder


class LockFile:
    """A lock that is held from when this is made until `release`.

    Thread safety: the owner calls it from one thread at a time.

    Args:
        directory: a descriptor of the directory that the file is in; not needed afterwards.

    Raises:
        LockedError: another `LockFile` holds it, of this process or another.
        OSError: the file can't be made, or its file system has no locks.
    """

    def __init__(self, directory: int) -> None:
        self._file = os.open(LOCK, _FLAGS, _MODE, dir_fd=directory)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(self._file, _MODE)
        except BlockingIOError:
            content = os.pread(self._file, MAX_LOCK_BYTES, 0)
            os.close(self._file)
            raise LockedError(holder_in(content)) from None
        except BaseException:
            os.close(self._file)
            raise
        self._say(Holder(os.getpid(), socket.gethostname()))

    def release(self) -> None:
        """Let others have the lock."""
        # Else somebody who is kept out by the next holder, in its first moment, is told of us.
        self._say(Holder(None, None))
        # Closing alone is not enough: a child that is being started may have a copy for a moment.
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)

    def abandon(self) -> None:
        """Have no part in the lock, without giving it back: for a child that was forked."""
        os.close(self._file)

    def _say(self, holder: Holder) -> None:
        """Write down who holds the lock, if there is space for it: the lock holds without."""
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps({"format": _FORMAT, **holder._asdict()}).encode(), 0)


def is_lock(content: bytes) -> bool:
    """Return whether the content of a file named ``lock`` says that it is one of ours."""
    return _FORMAT.encode() in content


def holder_in(content: bytes) -> Holder:
    """Return who a lock file says holds it. Anything may be in it."""
    try:
        said = json.loads(content[:MAX_LOCK_BYTES])
    except (ValueError, RecursionError):
        return Holder(None, None)
    if not isinstance(said, dict):
        return Holder(None, None)
    pid, host = said.get("pid"), said.get("host")
    has_pid = isinstance(pid, int) and not isinstance(pid, bool) and 0 < pid <= _MAX_PID
    has_host = isinstance(host, str) and 0 < len(host) <= _MAX_HOST_LENGTH
    return Holder(pid if has_pid else None, host if has_host else None)
