"""The user's own keys come into the store as they are, and what became of them is said."""

import os
from pathlib import Path

import click
import pytest

from core import KeyValueStore
from core.safe_text import quoted
from tests.support import content_of, store_with
from tui.key_loading import BadLineError, UnreadableKeysError, load_keys


@pytest.fixture
def store() -> KeyValueStore:
    return store_with(["alpha", "bravo"])


def written(path: Path, octets: bytes) -> str:
    path.write_bytes(octets)
    return str(path)


def test_keys_and_values_of_a_file_are_stored(
    store: KeyValueStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(tmp_path / "keys", "user:1\tJohn Doe\r\nuser:2\n漢字\t値".encode())
    counts = load_keys(store, source, strict=False)
    assert content_of(store) == {"user:1": "John Doe", "user:2": "", "漢字": "値"}
    assert (counts.lines, counts.stored, counts.repeated, counts.bad) == (3, 3, 0, 0)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        f"ringtop: 3 keys from {quoted(str(source))}: 3 lines, 0 repeated, 0 bad, in "
    )
    assert said.err.count("\n") == 1


def test_of_a_repeated_key_the_last_value_counts(
    store: KeyValueStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.set("old", "0")
    counts = load_keys(store, written(tmp_path / "k", b"a\t1\nb\t1\na\t2\nold\t3\n"), strict=False)
    assert content_of(store) == {"a": "2", "b": "1", "old": "3"}
    assert (counts.stored, counts.repeated) == (4, 2)
    assert "2 keys from" in capsys.readouterr().err


def test_bad_lines_are_counted_and_the_first_are_told_with_their_numbers(
    store: KeyValueStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    octets = b"".join(b"key%d\n" % n if n % 10 else b"\xff\x1b[2J\n" for n in range(1, 101))
    counts = load_keys(store, written(tmp_path / "keys", octets), strict=False)
    assert (counts.lines, counts.stored, counts.bad) == (100, 90, 10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:5] == [
        f"ringtop: line {number}: not UTF-8: '\\xff\\x1b[2J'" for number in (10, 20, 30, 40, 50)
    ]
    assert lines[5] == "ringtop: 5 more bad lines not shown"
    assert "100 lines, 0 repeated, 10 bad" in lines[6]
    assert len(lines) == 7


def test_strict_ends_at_the_first_bad_line(store: KeyValueStore, tmp_path: Path) -> None:
    source = written(tmp_path / "keys", b"a\nb\n\nc\n\n")
    with pytest.raises(BadLineError) as raised:
        load_keys(store, source, strict=True)
    assert raised.value.message == f"{quoted(str(source))}, line 3: the line is empty"
    assert raised.value.exit_code == 1


def test_strict_looks_at_a_last_line_without_an_end_too(
    store: KeyValueStore, tmp_path: Path
) -> None:
    with pytest.raises(BadLineError):
        load_keys(store, written(tmp_path / "keys", b"a\n\xff"), strict=True)


def test_what_cannot_be_read_is_one_line_and_status_2(store: KeyValueStore, tmp_path: Path) -> None:
    for source, reason in (
        (tmp_path / "missing\x1b", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(UnreadableKeysError) as raised:
            load_keys(store, str(source), strict=False)
        assert raised.value.exit_code == 2
        assert raised.value.message.endswith(f"': {reason}")
        assert raised.value.message.isprintable()
        assert isinstance(raised.value, click.ClickException)


def test_no_descriptor_is_left_open(store: KeyValueStore, tmp_path: Path) -> None:
    source = written(tmp_path / "keys", b"a\n\n")
    before = len(os.listdir("/dev/fd"))
    load_keys(store, source, strict=False)
    with pytest.raises(BadLineError):
        load_keys(store, source, strict=True)
    assert len(os.listdir("/dev/fd")) == before


def test_an_empty_file_is_no_error(
    store: KeyValueStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_keys(store, written(tmp_path / "keys", b""), strict=True)
    assert "ringtop: 0 keys from" in capsys.readouterr().err
