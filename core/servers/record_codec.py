"""How a record and its key lie on the disk.

Grammar; numbers are unsigned and big-endian but for the checksum::

    disk key  = position key
    position  = 4 bytes                 so that keys lie in the order of the ring
    key       = UTF-8, 1 to 1,024 bytes

    record    = format kind version expiry value checksum
    format    = 0x01                    1 byte; the first byte of every format, also of later ones
    kind      = 0x00 / 0x01 / 0x02      1 byte: text, bytes, tombstone
    version   = 8 bytes                 below 2**63
    expiry    = 8 bytes                 below 2**63; milliseconds since 1970-01-01 UTC; 0: never
    value     = UTF-8 / bytes / nothing as the kind says
    checksum  = 4 bytes, little-endian  CRC-32 of disk key and all of the record before it

The checksum begins with the disk key, so a record that lies under another key is found too. It is
the last field because CRC-32 over a message and its own little-endian checksum is always the same
number: a reader needs no slice to check one. CRC-32 finds every
change of up to 32 neighbouring bits, and every change of up to 3 bits anywhere below 11 KB; zlib's
takes 0.1 us for a record of 100 bytes. It guards against decay and mistakes, not against forgers.

Knows no storage engine and no server.
"""

import struct
from typing import Final
from zlib import crc32

from core.record import NEVER_EXPIRES, Record

RECORD_FORMAT: Final = 1
POSITION_BYTES: Final = 4
# What a record takes beside its value.
RECORD_OVERHEAD: Final = 22

_TEXT: Final = 0
_BYTES: Final = 1
_TOMBSTONE: Final = 2
_HEADER = struct.Struct(">BBqq")
_HEADER_BYTES = _HEADER.size
_CHECKSUM_BYTES: Final = 4
_NUMBER_BYTES: Final = 8
_TEXT_START: Final = bytes((RECORD_FORMAT, _TEXT))
_BYTES_START: Final = bytes((RECORD_FORMAT, _BYTES))
_TOMBSTONE_START: Final = bytes((RECORD_FORMAT, _TOMBSTONE))
_NEVER: Final = bytes(_NUMBER_BYTES)
# A constant, which compiled code need not look up.
_crc32: Final = crc32
# The CRC-32 of any message that is followed by its own CRC-32.
_WHOLE: Final = 0x2144DF1C


def disk_key_of(position: int, key: str) -> bytes:
    """Return the key under which the record of `key` lies. O(length of the key)."""
    return position.to_bytes(POSITION_BYTES, "big") + key.encode()


def split_disk_key(disk_key: bytes) -> tuple[int, str]:
    r"""Return position and key. A key that is no UTF-8 comes back with ``\xff`` escapes."""
    position = int.from_bytes(disk_key[:POSITION_BYTES], "big")
    return position, disk_key[POSITION_BYTES:].decode(errors="backslashreplace")


def encode_record(disk_key: bytes, record: Record) -> bytes:
    """Return `record` as it lies under `disk_key`. O(length of the value).

    >>> encode_record(disk_key_of(7, "key"), Record("value", 3, 0)).hex()[:20]
    '01000000000000000003'
    """
    value = record.value
    version: int = record.version
    expires_at: int = record.expires_at
    # In pieces rather than by `struct`: compiled, that takes three quarters of the time.
    expiry = _NEVER if expires_at == NEVER_EXPIRES else expires_at.to_bytes(_NUMBER_BYTES, "big")
    if value is None:
        kind, content = _TOMBSTONE_START, b""
    elif isinstance(value, str):
        kind, content = _TEXT_START, value.encode()
    else:
        kind, content = _BYTES_START, value
    body = b"".join((kind, version.to_bytes(_NUMBER_BYTES, "big"), expiry, content))
    return body + _crc32(disk_key + body).to_bytes(_CHECKSUM_BYTES, "little")


def decode_record(disk_key: bytes, raw: bytes) -> Record | None:
    """Return the record that lies under `disk_key`, or None if it is corrupt.

    A corrupt one is no exception here: whoever lists a range leaves it out and goes on. What is
    wrong with it, `fault_of` tells. O(length of the record).

    >>> disk_key = disk_key_of(7, "key")
    >>> decode_record(disk_key, encode_record(disk_key, Record(b"value", 3, 0)))
    Record(b'value', 3, 0)
    """
    if _crc32(disk_key + raw) != _WHOLE or len(raw) < RECORD_OVERHEAD:
        return None
    record_format, kind, version, expires_at = _HEADER.unpack_from(raw)
    if record_format != RECORD_FORMAT or version < 0 or expires_at < 0:
        return None
    value = raw[_HEADER_BYTES:-_CHECKSUM_BYTES]
    if kind == _TEXT:
        try:
            return Record(value.decode(), version, expires_at)
        except UnicodeDecodeError:
            return None
    if kind == _BYTES:
        return Record(value, version, expires_at)
    if kind == _TOMBSTONE and not value:
        return Record(None, version, expires_at)
    return None


def stamp_of(disk_key: bytes, raw: bytes) -> tuple[int, int] | None:
    """Return version and expiry of a record, or None if it is corrupt.

    Quicker than `decode_record`: of the value, it looks at the checksum alone. O(length of the
    record).
    """
    if _crc32(disk_key + raw) != _WHOLE or len(raw) < RECORD_OVERHEAD:
        return None
    record_format, _, version, expires_at = _HEADER.unpack_from(raw)
    if record_format != RECORD_FORMAT or version < 0 or expires_at < 0:
        return None
    return version, expires_at


def fault_of(disk_key: bytes, raw: bytes) -> str | None:
    """Return what is wrong with a record, in words; None if nothing is."""
    if decode_record(disk_key, raw) is not None:
        return None
    if len(raw) < RECORD_OVERHEAD:
        return f"it is {len(raw)} bytes long, and none is below {RECORD_OVERHEAD}"
    if _crc32(disk_key + raw) != _WHOLE:
        return "its checksum is wrong"
    if raw[0] != RECORD_FORMAT:
        return f"it has format {raw[0]}, and only {RECORD_FORMAT} is known"
    if stamp_of(disk_key, raw) is None:
        return "its version or its expiry is beyond 2**63"
    return "its value is not what its kind says"
