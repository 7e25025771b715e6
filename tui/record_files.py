"""Lines of records to and from files and pipes, one by one."""

import io
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

import click

from core.errors import InvalidOptionError, StoreError
from core.record import Item
from core.safe_text import quoted
from core.store import KeyValueStore
from tui.data_store import OperationFailedError
from tui.formatting import counted
from tui.output import notice, write
from tui.progress import Advance, shown_progress, unseen
from tui.record_lines import LONGEST_LINE_BYTES, BadRecordError, decode_line

STANDARD_STREAM = "-"
# What is being written, until it is whole.
_UNFINISHED = ".unfinished"
_PRIVATE = 0o600
_BAD_LINES_SHOWN = 100
_LINES_A_STEP = 200
_MILLISECONDS = 1_000
_PATH_CHARACTERS = 120


class FileError(click.ClickException):
    """A file can't be read or written."""

    exit_code = 2

    def __init__(self, verb: str, path: str, error: OSError) -> None:
        name = quoted(path, _PATH_CHARACTERS)
        super().__init__(f"can't {verb} {name}: {error.strerror or error}")


class BadLineError(click.ClickException):
    """A line is no record, and was to be one."""

    exit_code = 1


@dataclass(slots=True)
class ImportCounts:
    """What became of the lines.

    Attributes:
        lines: how many there were.
        stored: how many were stored.
        expired: how many had expired, and were not.
        bad: how many were no records.
    """

    lines: int = 0
    stored: int = 0
    expired: int = 0
    bad: int = 0


@contextmanager
def exported(path: str) -> Iterator[Callable[[str], None]]:
    """Yield what writes a line to a file or, for ``-``, to standard output.

    A file is only its owner's to read. It takes its place when the block ends without an error.

    Raises:
        FileError: it can't be written; what was there before is there still.
    """
    if path == STANDARD_STREAM:
        yield lambda line: write(f"{line}\n", now=False)
        return
    special = os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode)
    target = path if special else path + _UNFINISHED
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        with open(descriptor, "w", encoding="ascii", newline="\n") as file:

            def write_line(line: str) -> None:
                try:
                    file.write(f"{line}\n")
                except OSError as error:
                    raise FileError("write", path, error) from error

            try:
                yield write_line
            except BaseException:
                if not special:
                    os.unlink(target)
                raise
            file.flush()
            if not special:
                os.fsync(descriptor)
        if not special:
            os.replace(target, path)
    except OSError as error:
        if not special:
            with suppress(OSError):
                os.unlink(target)
        raise FileError("write", path, error) from error


def import_records(store: KeyValueStore, path: str, *, strict: bool) -> ImportCounts:
    """Store the records of a file or of standard input, and tell of bad lines. O(bytes).

    Args:
        store: where to store them.
        path: a file, or ``-`` for standard input.
        strict: whether to end at the first bad line.

    Raises:
        BadLineError: `strict`, and a line is bad; the lines before it are stored.
        FileError: it can't be read.
        OperationFailedError: the store failed; the lines before are stored.
    """
    counts = ImportCounts()
    with _opened(path) as file, _progress(path, file) as advance:
        octets = 0
        for line, size in _lines(path, file):
            counts.lines += 1
            octets += size
            try:
                _store(store, line, counts)
            except BadRecordError as error:
                _tell_bad(counts, str(error), strict=strict)
            except StoreError as error:
                raise OperationFailedError(
                    f"line {counts.lines:,}: {error}; the lines before are stored"
                ) from error
            if counts.lines % _LINES_A_STEP == 0:
                advance(octets, counted(counts.stored, "key"))
    if counts.bad > _BAD_LINES_SHOWN:
        notice(f"{counted(counts.bad - _BAD_LINES_SHOWN, 'more bad line')} not shown")
    return counts


def _store(store: KeyValueStore, line: bytes | None, counts: ImportCounts) -> None:
    if line is None:
        raise BadRecordError(f"longer than {LONGEST_LINE_BYTES:,} bytes")
    item = decode_line(line)
    ttl = _seconds_left(item)
    if ttl is not None and ttl <= 0:
        counts.expired += 1
        return
    try:
        store.set(item.key, item.value, ttl=ttl)
    except InvalidOptionError as error:
        raise BadRecordError(str(error)) from None
    counts.stored += 1


def _seconds_left(item: Item) -> float | None:
    if item.expires_at_ms is None:
        return None
    return item.expires_at_ms / _MILLISECONDS - time.time()


def _tell_bad(counts: ImportCounts, reason: str, *, strict: bool) -> None:
    counts.bad += 1
    told = f"line {counts.lines:,}: {reason}"
    if strict:
        raise BadLineError(f"{told}; {counted(counts.stored, 'key')} before it imported")
    if counts.bad <= _BAD_LINES_SHOWN:
        notice(told)


def _lines(path: str, file: BinaryIO) -> Iterator[tuple[bytes | None, int]]:
    """Yield each line without its end, None for one that is too long, and its size in bytes."""
    while True:
        try:
            line = file.readline(LONGEST_LINE_BYTES + 1)
            size = len(line)
            if not line:
                return
            whole = line.endswith(b"\n") or size <= LONGEST_LINE_BYTES
            while not whole:
                rest = file.readline(io.DEFAULT_BUFFER_SIZE)
                size += len(rest)
                whole = not rest or rest.endswith(b"\n")
                line = b""
        except OSError as error:
            raise FileError("read", path, error) from error
        yield (line.rstrip(b"\r\n") if line else None), size


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == STANDARD_STREAM:
        if sys.stdin is None:
            raise FileError("read", "standard input", OSError("it is closed"))
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - an error of reading is another
    except OSError as error:
        raise FileError("read", path, error) from error
    with file:
        yield file


@contextmanager
def _progress(path: str, file: BinaryIO) -> Iterator[Advance]:
    if file.isatty():
        notice("type one record a line; ctrl+d ends")
        yield unseen
        return
    size: float | None = None
    with suppress(OSError):  # no file at all, as in tests
        status = os.fstat(file.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
    with shown_progress(f"Importing {quoted(path)}", size) as advance:
        yield advance
