"""What is stored under a key, and what may be stored at all.

Knows nothing of servers or the ring.
"""

from typing import Final, NamedTuple, final

import mmh3

from core.errors import InvalidKeyError, InvalidValueError
from core.native import i64, mypyc_attr
from core.safe_text import quoted

Value = str | bytes

MAX_KEY_BYTES: Final = 1_024
MAX_VALUE_BYTES: Final = 16 * 1_024 * 1_024
# No character takes more than 4 bytes of UTF-8: a text of a quarter of a limit is within it.
_MAX_BYTES_PER_CHARACTER: Final = 4
KEY_CHARACTERS_ALWAYS_SHORT: Final = MAX_KEY_BYTES // _MAX_BYTES_PER_CHARACTER

# Compiled, a call of the function takes half as long as looking the method up on the text.
is_ascii: Final = str.isascii

NEVER_EXPIRES: Final = 0
# The greatest version, and the greatest time, that a record can have.
LAST_NUMBER: Final = (1 << 63) - 1

# Digests are sums of 64-bit hashes, modulo 2**64, so that their order does not matter.
DIGEST_MASK: Final = (1 << 64) - 1


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class Record:
    """One version of one key: what servers store. Not to be changed after it was made.

    Compiled, its numbers lie in it and the garbage collector never looks at it: it takes 48 bytes,
    where a tuple with its version takes 96, and a write with 8 threads 500 ns instead of 610.
    Uncompiled, a tuple would be quicker to make (30 ns instead of 130).

    Args:
        value: what was stored; None marks a tombstone.
        version: a number that the store issues, up to `LAST_NUMBER`; a newer version of a key has
            a greater one.
        expires_at: milliseconds since 1970-01-01 UTC (see `SteadyTime`), or `NEVER_EXPIRES`.
    """

    __slots__ = ("expires_at", "value", "version")

    def __init__(self, value: Value | None, version: i64, expires_at: i64) -> None:
        self.value = value
        self.version = version
        self.expires_at = expires_at

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Record)
            and self.version == other.version
            and self.expires_at == other.expires_at
            and self.value == other.value
        )

    def __hash__(self) -> int:
        return hash((self.value, self.version, self.expires_at))

    def __repr__(self) -> str:
        return f"Record({self.value!r}, {self.version}, {self.expires_at})"


@final
@mypyc_attr(acyclic=True)
class Entry:
    """A record with its key and the key's position: what servers hand to each other.

    Not to be changed after it was made. Entries are in order of position, then key.

    Compiled, the garbage collector never sees it, for the same reasons as a `Record`: moving a
    range makes two of them a key, and so set off collections of everything that the process has.

    Args:
        position: where the key lies on the ring.
        key: the key.
        record: its record.
    """

    __slots__ = ("key", "position", "record")

    def __init__(self, position: int, key: str, record: Record) -> None:
        self.position = position
        self.key = key
        self.record = record

    @property
    def place(self) -> tuple[int, str]:
        """What entries are in order of: position, then key."""
        return self.position, self.key

    def with_record(self, record: Record) -> "Entry":
        """Return an entry of the same key with another record."""
        return Entry(self.position, self.key, record)

    def __lt__(self, other: "Entry") -> bool:
        return self.place < other.place

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Entry)
            and self.position == other.position
            and self.key == other.key
            and self.record == other.record
        )

    def __hash__(self) -> int:
        return hash((self.position, self.key, self.record))

    def __repr__(self) -> str:
        return f"Entry({self.position}, {self.key!r}, {self.record!r})"


class Item(NamedTuple):
    """What a user has stored: a key, its value, and when it expires.

    Attributes:
        key: the key.
        value: its value, as the type that was stored.
        expires_at_ms: milliseconds since 1970-01-01 UTC; None if it is kept for ever.
    """

    key: str
    value: Value
    expires_at_ms: int | None


def checked_key(key: object) -> str:
    """Return `key` as a plain `str`, or say what is wrong with it.

    Raises:
        InvalidKeyError: not a `str`, empty, over 1,024 UTF-8 bytes, or with a lone surrogate.
    """
    # What most are, at a third of the price.
    if type(key) is str and is_ascii(key) and 0 < len(key) <= MAX_KEY_BYTES:
        return key
    if not isinstance(key, str):
        raise InvalidKeyError(f"a key must be str, not {type(key).__name__}")
    # A subclass may bring its own __eq__ and __hash__ (an enum does): store its text alone.
    text = str.__str__(key)
    if not text:
        raise InvalidKeyError("a key must not be empty")
    if len(text) > KEY_CHARACTERS_ALWAYS_SHORT or not text.isascii():
        size = _utf8_size(text)
        if size is None:
            raise InvalidKeyError(
                f"key {quoted(text)} has a lone surrogate, which UTF-8 can't encode"
            )
        if size > MAX_KEY_BYTES:
            raise InvalidKeyError(
                f"key {quoted(text, 40)} is {size:,} bytes long: at most {MAX_KEY_BYTES:,}"
            )
    return text


def checked_value(value: object) -> Value:
    """Return `value` as a plain `str` or `bytes`, or say what is wrong with it.

    Raises:
        InvalidValueError: not `str` or `bytes`, over 16 MiB, or with a lone surrogate.
    """
    if type(value) is str and is_ascii(value) and len(value) <= MAX_VALUE_BYTES:
        return value
    if isinstance(value, bytes):
        content: Value = value if type(value) is bytes else bytes(value)
        size: int | None = len(content)
    elif isinstance(value, str):
        content = str.__str__(value)
        size = _utf8_size(content)
    else:
        raise InvalidValueError(f"a value must be str or bytes, not {type(value).__name__}")
    if size is None:
        raise InvalidValueError("the value has a lone surrogate, which UTF-8 can't encode")
    if size > MAX_VALUE_BYTES:
        raise InvalidValueError(f"the value is {size:,} bytes long: at most {MAX_VALUE_BYTES:,}")
    return content


def size_in_bytes(content: Value | None) -> int:
    """Return how many bytes a key or a value that was checked takes in UTF-8."""
    if content is None or isinstance(content, bytes):
        return len(content or b"")
    return _utf8_size(content) or 0


def digest_of(key: str, record: Record) -> int:
    """Return 64 bits that tell one version of a key from another; the sum of many is a digest.

    A version is given to one value only, so the value need not be hashed.
    """
    text = f"{key}\0{record.version}\0{record.expires_at}"
    return mmh3.hash64(text.encode(), signed=False)[0]


def _utf8_size(text: str) -> int | None:
    """Return the length in UTF-8, or None when the text can't be encoded. O(1) for ASCII."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None
