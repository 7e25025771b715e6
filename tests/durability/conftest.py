"""Where the directories of these tests lie."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # noqa: S108  each test makes a directory of its own there
_ENOUGH_BYTES = 2 << 30


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where there is one.

    A kill takes nothing of either, and these tests open thousands of databases, each of which waits
    ten times for a disk.
    """
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    if not roomy:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="ringtop-", dir=_MEMORY) as directory:
        yield Path(directory)
