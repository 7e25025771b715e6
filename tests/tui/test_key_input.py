"""Lines become keys and values, whatever pieces they come in, and what is no key is told."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.record import MAX_KEY_BYTES, MAX_VALUE_BYTES, checked_key, checked_value
from tui.key_input import LONGEST_LINE_BYTES, BadLine, KeyBatch, KeyParser

SHORT_LINES = 8_192
# Mostly what the parser looks at: line ends, tabs, the first bytes of a file, halves of characters.
PIECES = st.one_of(
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", b"\t", b"\n\n", b"\xef\xbb\xbf", b"\xc3", b"\xa4", b"\xff", b"\0"]
    ),
    st.sampled_from(["user:1", "größe", "漢字", "\x1b]52", "\u2028", "\x85"]).map(str.encode),
    st.sampled_from([b"k" * 1_024, "ü".encode() * 512, b"k" * 1_025, b"v" * 9_000]),
    st.binary(max_size=8),
)
FILES = st.lists(PIECES, max_size=12).map(b"".join)


def parsed(*pieces: bytes, longest_line: int = LONGEST_LINE_BYTES) -> tuple[KeyBatch, int]:
    """Return what a parser makes of pieces of a file, and how many lines it counted."""
    parser = KeyParser(longest_line)
    batches = [*map(parser.feed, pieces), parser.finish()]
    entries = [entry for batch in batches for entry in batch.entries]
    return KeyBatch(entries, [line for batch in batches for line in batch.bad]), parser.lines


def expected(octets: bytes, longest_line: int) -> tuple[list[tuple[str, str]], list[int], int]:
    """Return the entries, the numbers of bad lines and the number of lines, found the plain way."""
    lines = octets.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1]:
        lines.pop()
    entries: list[tuple[str, str]] = []
    bad: list[int] = []
    for number, line in enumerate(lines, start=1):
        content = line.removesuffix(b"\r")
        try:
            key, _, value = content.decode("utf-8").partition("\t")
            if len(content) > longest_line:
                raise ValueError
            entries.append((str(checked_key(key)), str(checked_value(value))))
        except ValueError:
            bad.append(number)
    return entries, bad, len(lines)


@given(FILES)
@example(b"\xef\xbb\xbf")
@example(b"\xef\xbb\xbf\n")
@example(b"\r")
@example(b"\tvalue\n")
@example(b"key\t" + b"v" * 9_000 + b"\nkey\n")
def test_every_line_is_a_key_or_is_told_to_be_bad(octets: bytes) -> None:
    batch, lines = parsed(octets, longest_line=SHORT_LINES)
    entries, bad, line_count = expected(octets, SHORT_LINES)
    if octets == b"\xef\xbb\xbf":
        line_count, bad = 1, [1]
    assert batch.entries == entries
    assert [line.number for line in batch.bad] == bad
    assert lines == line_count


@given(FILES, st.lists(st.integers(0, 20_000), max_size=6))
def test_it_does_not_matter_in_which_pieces_a_file_comes(octets: bytes, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    pieces = [octets[start:end] for start, end in pairwise(ends)]
    in_pieces, lines = parsed(*pieces, longest_line=SHORT_LINES)
    whole, all_lines = parsed(octets, longest_line=SHORT_LINES)
    assert in_pieces.entries == whole.entries
    assert [line.number for line in in_pieces.bad] == [line.number for line in whole.bad]
    assert lines == all_lines


@given(FILES)
def test_reasons_are_safe_to_show(octets: bytes) -> None:
    batch, _ = parsed(octets)
    assert all(line.reason.isprintable() and len(line.reason) < 300 for line in batch.bad)


def test_a_tab_sets_off_the_value_and_the_next_one_belongs_to_it() -> None:
    batch, _ = parsed(b"user:1\tJohn\tDoe\nuser:2\t\nuser:3\n")
    assert batch.entries == [("user:1", "John\tDoe"), ("user:2", ""), ("user:3", "")]


def test_only_a_line_feed_ends_a_line() -> None:
    batch, lines = parsed("a\u2028b\x85c\x0bd\x0ce\r\nf\rg\n".encode())
    assert batch.entries == [("a\u2028b\x85c\x0bd\x0ce", ""), ("f\rg", "")]
    assert lines == 2


def test_each_kind_of_bad_line_has_its_reason() -> None:
    batch, lines = parsed(b"ok\n\n\r\ncaf\xe9\x1b[2J\n\tvalue\n" + b"k" * 1_025 + b"\nlast\xff")
    assert [entry[0] for entry in batch.entries] == ["ok"]
    assert lines == 7
    assert batch.bad == [
        BadLine(2, "the line is empty"),
        BadLine(3, "the line is empty"),
        BadLine(4, "not UTF-8: 'caf\\xe9\\x1b[2J'"),
        BadLine(5, "a key must not be empty"),
        BadLine(6, f"key '{'k' * 39}…' is 1,025 bytes long: at most 1,024"),
        BadLine(7, "not UTF-8: 'last\\xff'"),
    ]


def test_one_bad_line_takes_no_other_with_it() -> None:
    octets = b"".join(b"bad\xff\n" if number % 7 == 0 else b"key\n" for number in range(1_000))
    batch, _ = parsed(octets)
    assert len(batch.entries) + len(batch.bad) == 1_000
    assert [line.number for line in batch.bad] == [number + 1 for number in range(0, 1_000, 7)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_the_longest_key_and_value_are_taken(end: bytes) -> None:
    line = b"k" * MAX_KEY_BYTES + b"\t" + b"v" * MAX_VALUE_BYTES
    batch, _ = parsed(
        *(line[start : start + 1_000_000] for start in range(0, len(line), 1_000_000)), end
    )
    assert [(len(key), len(value)) for key, value in batch.entries] == [
        (MAX_KEY_BYTES, MAX_VALUE_BYTES)
    ]


def test_a_line_without_an_end_is_not_kept_in_memory() -> None:
    parser = KeyParser()
    for _ in range(3 * LONGEST_LINE_BYTES // (1 << 20)):
        assert parser.feed(bytes(1 << 20)) == KeyBatch()
        assert sum(map(len, parser._begun)) <= LONGEST_LINE_BYTES
    assert parser._begun == []
    batch = parser.feed(b"\nuser:1\n")
    assert batch.entries == [("user:1", "")]
    assert batch.bad == [BadLine(1, f"the line is longer than {LONGEST_LINE_BYTES:,} bytes")]
