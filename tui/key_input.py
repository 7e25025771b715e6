"""The user's own keys, one a line, as they come out of a file or a pipe.

A line is a key, or a key, a tab and a value. It ends in a line feed, with or without a carriage
return before it; the last one may end without. A line that is no such thing is told with its number
and the reason, and the others count all the same.

Knows no store, no file and no screen: it is fed bytes in pieces of any size, and holds no more of
them than the line that is not complete yet.
"""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from core.errors import InvalidKeyError, InvalidValueError
from core.record import (
    KEY_CHARACTERS_ALWAYS_SHORT,
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    checked_key,
    checked_value,
)
from core.safe_text import quoted

# Key, tab, value. A file without line ends, or a device, must not fill the memory.
LONGEST_LINE_BYTES: Final = MAX_KEY_BYTES + 1 + MAX_VALUE_BYTES

_LINE_FEED = b"\n"
# The byte by which a line that has one may be longer.
_CARRIAGE_RETURN = 1
# A value of at most so many characters needs no check, and a line with one can't be too long.
_USUAL_VALUE = 1_024
# How much is shown of a line that is not UTF-8, in bytes and in characters.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no key.

    Attributes:
        number: which line, from 1.
        reason: why, in safe characters.
    """

    number: int
    reason: str


@dataclass(slots=True)
class KeyBatch:
    """What some bytes were found to hold.

    Attributes:
        entries: keys with their values, ready to be stored; a key without a value has an empty one.
        bad: the lines that are no keys.
    """

    entries: list[tuple[str, str]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


class KeyParser:
    r"""Turns bytes into keys and values.

    Thread safety: belongs to one thread.

    Attributes:
        lines: how many lines there were until now.

    Args:
        longest_line: how many bytes a line may have, its end not counted; 8,192 or more.

    >>> parser = KeyParser()
    >>> parser.feed(b"user:1\tJohn Doe\nuse").entries
    [('user:1', 'John Doe')]
    >>> parser.feed(b"r:2\n\n")
    KeyBatch(entries=[('user:2', '')], bad=[BadLine(number=3, reason='the line is empty')])
    """

    __slots__ = ("_begun", "_begun_bytes", "_longest_line", "_too_long", "lines")

    def __init__(self, longest_line: int = LONGEST_LINE_BYTES) -> None:
        self._longest_line = longest_line
        self._too_long = f"the line is longer than {longest_line:,} bytes"
        # The pieces of a line whose end has not come; of one that is too long, none is kept.
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self.lines = 0

    def feed(self, octets: bytes) -> KeyBatch:
        """Return what the lines hold that end in these bytes. O(bytes)."""
        batch = KeyBatch()
        start, end = 0, octets.rfind(_LINE_FEED)
        if end >= 0 and self._begun_bytes:
            start = octets.index(_LINE_FEED) + 1
            self._keep(octets[: start - 1])
            self._end_line(batch)
        if start <= end:
            self._parse(octets[start:end], batch)
        self._keep(octets[end + 1 :])
        return batch

    def finish(self) -> KeyBatch:
        """Return what the last line holds, if it did not end in a line feed."""
        batch = KeyBatch()
        if self._begun_bytes:
            self._end_line(batch)
        return batch

    def _keep(self, octets: bytes) -> None:
        self._begun_bytes += len(octets)
        if self._begun_bytes > self._longest_line + _CARRIAGE_RETURN:
            self._begun.clear()
        elif octets:
            self._begun.append(octets)

    def _end_line(self, batch: KeyBatch) -> None:
        if self._begun_bytes > self._longest_line + _CARRIAGE_RETURN:
            self.lines += 1
            batch.bad.append(BadLine(self.lines, self._too_long))
        else:
            self._parse(b"".join(self._begun), batch)
        self._begun.clear()
        self._begun_bytes = 0

    def _parse(self, octets: bytes, batch: KeyBatch) -> None:
        """Parse whole lines; the line feed of the last one is left out."""
        if self.lines == 0:
            octets = octets.removeprefix(codecs.BOM_UTF8)
        try:
            # All at once takes half as long. A line feed is never a part of another character, so
            # that either all lines are valid or one of them alone is not.
            text = octets.decode()
        except UnicodeDecodeError:
            self._parse_one_by_one(octets.split(_LINE_FEED), batch)
        else:
            self._add(text.split("\n"), batch)

    def _parse_one_by_one(self, lines: Iterable[bytes], batch: KeyBatch) -> None:
        for line in lines:
            try:
                text = line.decode()
            except UnicodeDecodeError:
                self.lines += 1
                shown = quoted(line[:_SHOWN].decode(errors="backslashreplace"), _SHOWN)
                batch.bad.append(BadLine(self.lines, f"not UTF-8: {shown}"))
            else:
                self._add((text,), batch)

    def _add(self, lines: Iterable[str], batch: KeyBatch) -> None:
        number = self.lines
        for line in lines:
            number += 1
            if line[-1:] == "\r":
                line = line[:-1]
            key, _, value = line.partition("\t")
            # Nothing else is to be checked of what most lines hold.
            if not 0 < len(key) <= KEY_CHARACTERS_ALWAYS_SHORT or len(value) > _USUAL_VALUE:
                reason = self._reason_against(line, key, value)
                if reason is not None:
                    batch.bad.append(BadLine(number, reason))
                    continue
            batch.entries.append((key, value))
        self.lines = number

    def _reason_against(self, line: str, key: str, value: str) -> str | None:
        if not line:
            return "the line is empty"
        if len(line.encode()) > self._longest_line:
            return self._too_long
        try:
            checked_key(key)
            checked_value(value)
        except (InvalidKeyError, InvalidValueError) as error:
            return str(error)
        return None
