"""What is exported as a line comes back as it was, and what is no record is said to be none."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.record import Item
from tui.record_lines import BadRecordError, decode_line, encode_line

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(TEXTS, TEXTS | st.binary(max_size=100), st.none() | st.integers(1, 253_402_300_799_999))
def test_an_item_comes_back_as_it_was(key: str, value: str | bytes, expires: int | None) -> None:
    line = encode_line(Item(key, value, expires))
    assert line.isascii()
    assert line.isprintable()
    assert decode_line(line.encode()) == Item(key, value, expires)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "no JSON"),
        (b"\xff\x1b[2J", r"no JSON: '\xff\x1b[2J'"),
        (b"[" * 100_000, "no JSON"),
        (b"9" * 10_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"value": "x"}', 'no "key"'),
        (b'{"key": "a"}', 'needs either "value" or "base64"'),
        (b'{"key": "a", "value": "x", "base64": ""}', 'needs either "value" or "base64"'),
        (b'{"key": "", "value": "x"}', "a key must not be empty"),
        (b'{"key": 1, "value": "x"}', "a key must be str"),
        (b'{"key": "\\ud800", "value": "x"}', "lone surrogate"),
        (b'{"key": "a", "value": "\\ud800"}', "lone surrogate"),
        (b'{"key": "a", "value": null}', '"value" is no text'),
        (b'{"key": "a", "base64": "%%%"}', '"base64" is no base64'),
        (b'{"key": "a", "base64": 3}', '"base64" is no text'),
        (b'{"key": "a", "value": "x", "ttl": 3}', "unknown field 'ttl'"),
        (b'{"key": "a", "value": "x", "expires_at_ms": true}', "no whole number"),
        (b'{"key": "a", "value": "x", "expires_at_ms": 0}', "no time in milliseconds"),
        (b'{"key": "a", "value": "x", "expires_at_ms": 1e3}', "no whole number"),
    ],
)
def test_what_is_no_record_is_told_in_one_safe_line(line: bytes, reason: str) -> None:
    with pytest.raises(BadRecordError) as caught:
        decode_line(line)
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.binary(max_size=200) | st.builds(lambda value: json.dumps(value).encode(), st.none()))
def test_no_line_ends_in_another_error(line: bytes) -> None:
    with suppress(BadRecordError):
        decode_line(line)
