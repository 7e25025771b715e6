"""Cutting a torn log of RocksDB where RocksDB itself would read for ever.

What a loss of power leaves at the end of a log may be anything. RocksDB (as of rocksdict 0.3.29)
takes a header of some kinds for one of an older log that was overwritten, and reads it again and
again: 5 of 256 random bytes in that place, and the database can't be opened any more. No log here
is ever overwritten, so such a header was not written. Recovery would end there if RocksDB came past
it, and what is behind it is lost either way.

The layout of a log, from RocksDB's ``log_format.h``: blocks of 32 KiB, in each of them records with
a header of checksum (4 bytes), length (2, little-endian) and kind (1). A block ends with zeros
where no header fits.

Whoever only looks may not cut: a copy of such a log, up to there, is read in its place.

Knows no RocksDB, and opens none.
"""

import os
import struct
from pathlib import Path
from typing import Final

_BLOCK_BYTES: Final = 32_768
_HEADER: Final = struct.Struct("<4xHB")
# What is only in logs that are overwritten: whole, first, middle and last part, and time stamps.
_OF_OVERWRITTEN_LOGS: Final = frozenset({5, 6, 7, 8, 11})


def cut_logs(path: Path) -> None:
    """Cut each log of a closed database where it would be read for ever. O(records in logs).

    Raises:
        OSError: a log can't be read or cut.
    """
    for log in path.glob("*.log"):
        end = sane_length(log.read_bytes())
        if end < log.stat().st_size:
            os.truncate(log, end)


def link_log(log: Path, link: Path) -> None:
    """Make `link` a link to a log; a copy of what can be read, where not all of it can be.

    O(records in the log).

    Raises:
        OSError: the log can't be read, or the link can't be made.
    """
    content = log.read_bytes()
    end = sane_length(content)
    if end < len(content):
        link.write_bytes(content[:end])
    else:
        link.symlink_to(log)


def sane_length(content: bytes) -> int:
    """Return how much of a log comes before what would be read for ever; all of it if nothing is.

    >>> sane_length(bytes(4) + bytes([1, 0, 1]) + b"x" + bytes(4) + bytes([1, 0, 7]) + b"x")
    8
    """
    for block in range(0, len(content), _BLOCK_BYTES):
        at, end = block, min(block + _BLOCK_BYTES, len(content))
        while at + _HEADER.size <= end:
            length, kind = _HEADER.unpack_from(content, at)
            if kind in _OF_OVERWRITTEN_LOGS:
                return at
            at += _HEADER.size + length
    return len(content)
