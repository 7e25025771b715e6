"""MurmurHash3_x86_32 where a call of the C extension would cost more than the hash.

For a key of 20 bytes the hash itself takes 16 ns; calling `mmh3.hash` and opening the number that
it returns takes 71. So a compiled core hashes here, and the extension is for everything else: it is
what this is tested against, and what an uncompiled core calls, where these lines take 3 us.

Source: MurmurHash3 by Austin Appleby, public domain (smhasher, MurmurHash3.cpp, x86_32), seed 0.
"""

from typing import Final

from core.native import i64, read_i32_le

COMPILED: Final[bool] = not __file__.endswith((".py", ".pyc"))

_MASK: Final = 0xFFFFFFFF
_BLOCK_FACTOR: Final = 0xCC9E2D51
_BLOCK_SECOND_FACTOR: Final = 0x1B873593
_STATE_ADDEND: Final = 0xE6546B64
_LAST_FACTOR: Final = 0x85EBCA6B
_LAST_SECOND_FACTOR: Final = 0xC2B2AE35


def murmur3_x86_32(data: bytes) -> i64:
    """Return the hash of `data`, 0 to 2**32 - 1. O(bytes).

    >>> murmur3_x86_32(b"user:1001")
    2593701824
    """
    size: i64 = len(data)
    state: i64 = 0
    place: i64 = 0
    whole_blocks: i64 = size & -4
    while place < whole_blocks:
        state ^= _mixed(i64(read_i32_le(data, place)) & _MASK)
        state = ((state << 13) | (state >> 19)) & _MASK
        state = (state * 5 + _STATE_ADDEND) & _MASK
        place += 4
    if place < size:
        block = 0
        last = size - 1
        while last >= place:
            block = block << 8 | data[last]
            last -= 1
        state ^= _mixed(block)
    state ^= size
    state ^= state >> 16
    state = (state * _LAST_FACTOR) & _MASK
    state ^= state >> 13
    state = (state * _LAST_SECOND_FACTOR) & _MASK
    return state ^ state >> 16


def murmur3_of_text(text: str) -> int:
    """Return the hash of the UTF-8 of `text`, which has no lone surrogate. O(characters)."""
    return murmur3_x86_32(text.encode())


def _mixed(block: i64) -> i64:
    """Return what 4 bytes, or the last 1 to 3, change in the state."""
    block = (block * _BLOCK_FACTOR) & _MASK
    block = ((block << 15) | (block >> 17)) & _MASK
    return (block * _BLOCK_SECOND_FACTOR) & _MASK
