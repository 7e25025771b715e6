r"""Keys with their values as lines of JSON, the way ``export`` writes and ``import`` reads them.

A line is one object in UTF-8::

    {"key": "user:1", "value": "John Doe"}
    {"key": "photo:1", "base64": "/9j/4AAQ", "expires_at_ms": 1767225600000}

``key`` and ``value`` are text; ``base64`` takes the place of ``value`` where that is bytes.
``expires_at_ms`` is there if the key expires: milliseconds since 1970-01-01 UTC. It is the time and
not what is left of it, so that what has expired does not come back with an old export. Any other
field is refused: it may be a misspelled one of these.

Knows no store and no file.
"""

import binascii
import json
from base64 import b64decode, b64encode
from typing import Final

from core.errors import InvalidKeyError, InvalidValueError
from core.record import MAX_KEY_BYTES, MAX_VALUE_BYTES, Item, Value, checked_key, checked_value
from core.safe_text import quoted

_KEY: Final = "key"
_TEXT: Final = "value"
_BYTES: Final = "base64"
_EXPIRES: Final = "expires_at_ms"
_FIELDS: Final = frozenset({_KEY, _TEXT, _BYTES, _EXPIRES})
# The end of what a clock can show; beyond it a time would not be a time.
_LAST_MS: Final = 253_402_300_799_999
# JSON spells a character in at most six bytes, and a field's name takes few.
LONGEST_LINE_BYTES: Final = 6 * (MAX_KEY_BYTES + MAX_VALUE_BYTES) + 1_024
_SHOWN: Final = 40


class BadRecordError(ValueError):
    """A line is no record. Its text says why, in safe characters."""


def encode_line(item: Item) -> str:
    r"""Return an item as a line, without its end, in ASCII. O(length of the value).

    >>> encode_line(Item("a\n", b"\x00", None))
    '{"key": "a\\n", "base64": "AA=="}'
    """
    fields: dict[str, str | int] = {_KEY: item.key}
    if isinstance(item.value, str):
        fields[_TEXT] = item.value
    else:
        fields[_BYTES] = b64encode(item.value).decode()
    if item.expires_at_ms is not None:
        fields[_EXPIRES] = item.expires_at_ms
    return json.dumps(fields)


def decode_line(line: bytes) -> Item:
    r"""Return what a line holds. O(length of the line).

    >>> decode_line(b'{"key": "a", "value": "b"}')
    Item(key='a', value='b', expires_at_ms=None)

    Raises:
        BadRecordError: it is no such line.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        shown = quoted(line[:_SHOWN].decode(errors="backslashreplace"), _SHOWN)
        raise BadRecordError(f"no JSON: {shown}") from None
    if not isinstance(fields, dict):
        raise BadRecordError("no JSON object")
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown:
        raise BadRecordError(f"unknown field {quoted(unknown[0], _SHOWN)}")
    if _KEY not in fields:
        raise BadRecordError(f'no "{_KEY}"')
    try:
        return Item(checked_key(fields[_KEY]), _value_in(fields), _expiry_in(fields))
    except (InvalidKeyError, InvalidValueError) as error:
        raise BadRecordError(str(error)) from None


def _value_in(fields: dict[str, object]) -> Value:
    if (_TEXT in fields) is (_BYTES in fields):
        raise BadRecordError(f'needs either "{_TEXT}" or "{_BYTES}"')
    if _TEXT in fields:
        if not isinstance(fields[_TEXT], str):
            raise BadRecordError(f'"{_TEXT}" is no text')
        return checked_value(fields[_TEXT])
    encoded = fields[_BYTES]
    if not isinstance(encoded, str):
        raise BadRecordError(f'"{_BYTES}" is no text')
    try:
        return checked_value(b64decode(encoded, validate=True))
    except (binascii.Error, ValueError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise BadRecordError(f'"{_BYTES}" is no base64') from None


def _expiry_in(fields: dict[str, object]) -> int | None:
    if _EXPIRES not in fields:
        return None
    expires_at = fields[_EXPIRES]
    if isinstance(expires_at, bool) or not isinstance(expires_at, int):
        raise BadRecordError(f'"{_EXPIRES}" is no whole number')
    if not 0 < expires_at <= _LAST_MS:
        raise BadRecordError(f'"{_EXPIRES}" is no time in milliseconds since 1970')
    return expires_at
