"""Storing the user's own keys, as fast as they come, and saying what became of them.

What is said goes to standard error: how far it is, the first lines that are no keys, and in the end
one line with the counts.
"""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from core.safe_text import quoted
from core.store import KeyValueStore
from tui.formatting import counted, duration, whole
from tui.key_input import BadLine, KeyBatch, KeyParser
from tui.output import notice
from tui.progress import Advance, shown_progress, unseen

STANDARD_INPUT = "-"
# A pipe gives at most 64 KiB at a time. More of a file at once would only take more memory.
_READ_BYTES = 256 * 1_024
_BAD_LINES_SHOWN = 5


class UnreadableKeysError(click.ClickException):
    """The keys can't be read from where they were said to be."""

    exit_code = 2

    def __init__(self, source: str, error: OSError) -> None:
        super().__init__(f"can't read keys from {named(source)}: {error.strerror or error}")


class BadLineError(click.ClickException):
    """A line is no key, and was to be one."""

    exit_code = 1

    def __init__(self, source: str, line: BadLine) -> None:
        super().__init__(f"{named(source)}, line {line.number:,}: {line.reason}")


@dataclass(slots=True)
class KeyCounts:
    """What became of the lines.

    Attributes:
        lines: how many lines there were.
        stored: how many of them were keys.
        repeated: how many of those were there before, in the store or on an earlier line.
        bad: how many were no keys.
        first_bad: the first of those.
    """

    lines: int = 0
    stored: int = 0
    repeated: int = 0
    bad: int = 0
    first_bad: tuple[BadLine, ...] = ()


def load_keys(store: KeyValueStore, source: str, *, strict: bool) -> KeyCounts:
    """Store the keys of a file or of standard input, and say on standard error what became of them.

    Each line is stored when it has come; the value of a key that comes again is replaced. Holds a
    few hundred kilobytes beside what the store does. About 4 s for 1,000,000 lines.

    Args:
        store: where to store them.
        source: the path of a file, or ``-`` for standard input.
        strict: whether to end at the first line that is no key.

    Raises:
        BadLineError: `strict`, and a line is no key; the keys of the lines before it may be stored.
        UnreadableKeysError: the file can't be opened or read.
    """
    began = time.monotonic()
    counts = KeyCounts()
    parser = KeyParser()
    keys_before = store.get_total_entries()
    with _opened(source) as descriptor, _progress(source, descriptor) as advance:
        octets = 0
        while piece := _read(source, descriptor):
            octets += len(piece)
            _store(store, parser.feed(piece), counts, source, strict=strict)
            advance(octets, counted(counts.stored, "key"))
    _store(store, parser.finish(), counts, source, strict=strict)
    counts.lines = parser.lines
    counts.repeated = counts.stored - (store.get_total_entries() - keys_before)
    _tell(counts, source, time.monotonic() - began)
    return counts


def named(source: str) -> str:
    """Return what a source of keys is called in a sentence."""
    return "standard input" if source == STANDARD_INPUT else quoted(source)


def _store(
    store: KeyValueStore, batch: KeyBatch, counts: KeyCounts, source: str, *, strict: bool
) -> None:
    if batch.bad and strict:
        raise BadLineError(source, batch.bad[0])
    counts.stored += store.set_many(batch.entries)
    counts.bad += len(batch.bad)
    if len(counts.first_bad) < _BAD_LINES_SHOWN:
        counts.first_bad = (*counts.first_bad, *batch.bad)[:_BAD_LINES_SHOWN]


@contextmanager
def _opened(source: str) -> Iterator[int]:
    """Open a source and yield its descriptor."""
    if source == STANDARD_INPUT:
        if sys.stdin is None:
            raise UnreadableKeysError(source, OSError("it is closed"))
        yield sys.stdin.fileno()
        return
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOCTTY)
    except OSError as error:
        raise UnreadableKeysError(source, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(source: str, descriptor: int) -> bytes:
    """Return what has come, after waiting for it; nothing at the end."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError as error:
        raise UnreadableKeysError(source, error) from error


@contextmanager
def _progress(source: str, descriptor: int) -> Iterator[Advance]:
    status = os.fstat(descriptor)
    if os.isatty(descriptor):
        # What is typed is seen as it is typed, and progress would write over it.
        notice("type one key a line; ctrl+d ends")
        yield unseen
        return
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    with shown_progress(f"Reading {named(source)}", size) as advance:
        yield advance


def _tell(counts: KeyCounts, source: str, seconds: float) -> None:
    for line in counts.first_bad:
        notice(f"line {line.number:,}: {line.reason}")
    if counts.bad > len(counts.first_bad):
        notice(f"{counted(counts.bad - len(counts.first_bad), 'more bad line')} not shown")
    notice(
        f"{counted(counts.stored - counts.repeated, 'key')} from {named(source)}: "
        f"{counted(counts.lines, 'line')}, {whole(counts.repeated)} repeated, "
        f"{whole(counts.bad)} bad, in {duration(seconds)}"
    )
