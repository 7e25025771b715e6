"""Where these tests keep their data directories."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108  each has a directory of its own there
_ENOUGH_BYTES = 2 << 30


@contextmanager
def new_place() -> Iterator[Path]:
    """Yield a directory in memory, where there is one.

    A kill takes nothing of either, and these tests open thousands of databases, each of which waits
    ten times for a disk.
    """
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    with tempfile.TemporaryDirectory(prefix="ringtop-", dir=_MEMORY if roomy else None) as place:
        yield Path(place)
