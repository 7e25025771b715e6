"""What was written is read again, and what was damaged is found."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.record import LAST_NUMBER, NEVER_EXPIRES, Record
from core.servers.record_codec import (
    RECORD_OVERHEAD,
    decode_record,
    disk_key_of,
    encode_record,
    fault_of,
    split_disk_key,
)
from core.stripes import LAST_POSITION

NUMBERS = st.integers(0, LAST_NUMBER)
VALUES = st.none() | st.text() | st.binary()
RECORDS: st.SearchStrategy[Record] = st.builds(Record, VALUES, NUMBERS, NUMBERS)
POSITIONS = st.integers(0, LAST_POSITION)
KEYS = st.text(min_size=1, max_size=40)
PLACES = st.tuples(POSITIONS, KEYS)


@given(PLACES, RECORDS)
def test_what_was_encoded_is_decoded(place: tuple[int, str], record: Record) -> None:
    disk_key = disk_key_of(*place)
    raw = encode_record(disk_key, record)
    decoded = decode_record(disk_key, raw)
    assert decoded == record
    assert decoded is not None
    assert type(decoded.value) is type(record.value)
    assert fault_of(disk_key, raw) is None
    assert split_disk_key(disk_key) == place


@given(st.lists(PLACES))
def test_disk_keys_lie_in_the_order_of_the_ring(places: list[tuple[int, str]]) -> None:
    in_order = [disk_key_of(*place) for place in sorted(places)]
    assert in_order == sorted(in_order)


@given(
    PLACES,
    st.builds(Record, st.none() | st.text(max_size=9) | st.binary(max_size=9), NUMBERS, NUMBERS),
)
def test_every_flipped_bit_is_found(place: tuple[int, str], record: Record) -> None:
    disk_key = disk_key_of(*place)
    raw = encode_record(disk_key, record)
    for bit in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        assert decode_record(disk_key, bytes(damaged)) is None
        assert fault_of(disk_key, bytes(damaged))


@given(PLACES, RECORDS)
def test_every_truncation_is_found(place: tuple[int, str], record: Record) -> None:
    disk_key = disk_key_of(*place)
    raw = encode_record(disk_key, record)
    for length in range(len(raw)):
        assert decode_record(disk_key, raw[:length]) is None
        assert decode_record(disk_key, raw[length + 1 :]) is None


@given(PLACES, PLACES, RECORDS)
def test_a_record_under_another_key_is_found(
    place: tuple[int, str], other: tuple[int, str], record: Record
) -> None:
    raw = encode_record(disk_key_of(*place), record)
    assert (decode_record(disk_key_of(*other), raw) is None) == (place != other)


@given(POSITIONS, st.binary())
def test_no_bytes_are_read_as_a_record_by_chance(position: int, raw: bytes) -> None:
    assert decode_record(disk_key_of(position, "key"), raw) is None


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda raw: raw[:5], "it is 5 bytes long"),
        (lambda raw: raw[:-1] + b"\x00", "checksum"),
        (lambda raw: raw[:9] + b"\x01" + raw[10:], "checksum"),
    ],
)
def test_a_fault_says_what_is_wrong(damage: object, fault: str) -> None:
    disk_key = disk_key_of(7, "key")
    raw = encode_record(disk_key, Record("value", 3, NEVER_EXPIRES))
    assert callable(damage)
    assert fault in str(fault_of(disk_key, damage(raw)))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"\x02" + bytes(17), "format 2"),
        (b"\x01\x03" + bytes(16), "kind"),
        (b"\x01\x02" + bytes(16) + b"a tombstone with a value", "kind"),
        (b"\x01\x00" + bytes(16) + b"\xff", "kind"),
        (b"\x01\x00\x80" + bytes(15), "beyond 2**63"),
        (b"\x01\x00" + bytes(8) + b"\x80" + bytes(7), "beyond 2**63"),
    ],
)
def test_a_record_of_another_format_or_kind_is_found(body: bytes, fault: str) -> None:
    disk_key = disk_key_of(7, "key")
    raw = body + crc32(body, crc32(disk_key)).to_bytes(4, "little")
    assert decode_record(disk_key, raw) is None
    assert fault in str(fault_of(disk_key, raw))


def test_the_overhead_is_what_is_said() -> None:
    disk_key = disk_key_of(7, "key")
    assert len(encode_record(disk_key, Record("", 3, NEVER_EXPIRES))) == RECORD_OVERHEAD


def test_a_key_that_is_no_text_is_shown_escaped() -> None:
    assert split_disk_key(b"\0\0\0\7\xff") == (7, "\\xff")
