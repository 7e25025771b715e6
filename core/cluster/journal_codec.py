"""How the notes of a journal lie on the disk, and those of transactions on the servers.

Grammar; numbers are unsigned and big-endian but for the checksum::

    value      = format payload checksum
    format     = 0x01                       1 byte; the first byte of every format, also later ones
    checksum   = 4 bytes, little-endian     CRC-32 of the key and all of the value before it

    key                  payload
    "clean"              nothing            there after a clean close, until something is written
    "tallies"            any bytes          the same
    "versions"           number             no version at or above it was ever issued
    "time"               number             milliseconds since 1970-01-01 UTC; it was that late once
    "move" number        low high back      4 bytes, 4 bytes, 0x00 / 0x01
    number               entry*             on a server: a transaction, by its first version
    number               8 bytes, below 2**63; of moves: in the order in which they were made
    entry                size disk_key size record
    size                 4 bytes
    disk_key, record     as `record_codec` says, which also says why the checksum is where it is

Knows no storage engine.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple
from zlib import crc32

from core.record import Entry
from core.servers.record_codec import decode_record, disk_key_of, encode_record, split_disk_key
from core.stripes import LAST_POSITION

JOURNAL_FORMAT: Final = 1
CLEAN: Final = b"clean"
TALLIES: Final = b"tallies"
VERSIONS: Final = b"versions"
TIME: Final = b"time"
MOVE: Final = b"move"

_FORMAT_BYTES: Final = 1
_NUMBER: Final = struct.Struct(">q")
_SPAN: Final = struct.Struct(">IIB")
_SIZE: Final = struct.Struct(">I")
_CHECKSUM: Final = struct.Struct("<I")
# The CRC-32 of any message that is followed by its own CRC-32.
_WHOLE: Final = 0x2144DF1C


class DamagedNoteError(Exception):
    """What lies under a key is not what was written; says what is wrong with it."""


class LaterFormatError(Exception):
    """A note was written by a later version, whose number this says."""


class Move(NamedTuple):
    """Positions that were flipped to their new owners, or back to their old ones."""

    low: int
    high: int
    back: bool


def seal(key: bytes, payload: bytes) -> bytes:
    """Return the value for a payload that is to lie under `key`. O(its length).

    >>> seal(b"clean", b"").hex()
    '018296f4aa'
    """
    body = bytes([JOURNAL_FORMAT]) + payload
    return body + _CHECKSUM.pack(crc32(body, crc32(key)))


def unseal(key: bytes, value: bytes) -> bytes:
    """Return the payload of a value. O(its length).

    Raises:
        DamagedNoteError: it is not what was written under that key.
        LaterFormatError: it is, and is of a format that is not known here.
    """
    if len(value) < _FORMAT_BYTES + _CHECKSUM.size or crc32(value, crc32(key)) != _WHOLE:
        raise DamagedNoteError("its checksum is wrong")
    if value[0] != JOURNAL_FORMAT:
        raise LaterFormatError(value[0])
    return value[_FORMAT_BYTES : -_CHECKSUM.size]


def numbered(kind: bytes, number: int) -> bytes:
    """Return the key of a note. Keys of one kind are in the order of their numbers."""
    return kind + _NUMBER.pack(number)


def number_of(kind: bytes, key: bytes) -> int:
    """Return the number of a note."""
    return decode_number(key[len(kind) :])


def end_of(kind: bytes) -> bytes:
    """Return the first key behind all notes of a kind."""
    return kind[:-1] + bytes([kind[-1] + 1])


def encode_number(number: int) -> bytes:
    """Return the payload of a number."""
    return _NUMBER.pack(number)


def decode_number(payload: bytes) -> int:
    """Return the number of a payload."""
    if len(payload) != _NUMBER.size:
        raise DamagedNoteError("it is no number")
    number: int = _NUMBER.unpack(payload)[0]
    if number < 0:
        raise DamagedNoteError("its number is beyond 2**63")
    return number


def encode_move(move: Move) -> bytes:
    """Return the payload of a move."""
    return _SPAN.pack(*move)


def decode_move(payload: bytes) -> Move:
    """Return the move of a payload."""
    if len(payload) != _SPAN.size:
        raise DamagedNoteError("it is no span")
    low, high, back = _SPAN.unpack(payload)
    if not low <= high <= LAST_POSITION or back > 1:
        raise DamagedNoteError("it is no span of the ring")
    return Move(low, high, bool(back))


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """Return the payload of a transaction. O(bytes)."""
    pieces = []
    for entry in entries:
        disk_key = disk_key_of(entry.position, entry.key)
        for part in (disk_key, encode_record(disk_key, entry.record)):
            pieces += [_SIZE.pack(len(part)), part]
    return b"".join(pieces)


def decode_entries(payload: bytes) -> list[Entry]:
    """Return the entries of a transaction. O(bytes)."""
    entries = []
    at = 0
    while at < len(payload):
        disk_key, at = _part_at(payload, at)
        raw, at = _part_at(payload, at)
        record = decode_record(disk_key, raw)
        if record is None:
            raise DamagedNoteError("a record in it is damaged")
        entries.append(Entry(*split_disk_key(disk_key), record))
    return entries


def _part_at(payload: bytes, at: int) -> tuple[bytes, int]:
    """Return what lies behind a size, and where the next size is."""
    begin = at + _SIZE.size
    if begin <= len(payload):
        end = begin + _SIZE.unpack_from(payload, at)[0]
        if end <= len(payload):
            return payload[begin:end], end
    raise DamagedNoteError("it ends early")
