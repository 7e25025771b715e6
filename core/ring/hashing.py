"""Where a key lies on the ring.

A position is MurmurHash3_x86_32 (Austin Appleby, public domain), seed 0, unsigned, of the UTF-8
bytes of a key, so any client in any language can work it out.
"""

from collections.abc import Callable
from typing import Final

import mmh3

from core.murmur3 import COMPILED, murmur3_of_text
from core.record import checked_key

# Called as (bytes, seed, signed). The shape is that of mmh3.hash, so that the function of the C
# extension is called directly: a Python wrapper around it would double the price of a lookup.
#
# It gets encoded bytes although mmh3.hash takes a str too: given a lone surrogate, mmh3 5.0 to 5.3
# end the process with a segmentation fault, where str.encode raises. It costs about 15 ns.
HashFunction = Callable[[bytes, int, bool], int]

SEED: Final = 0
murmur3: HashFunction = mmh3.hash


def position_by(hash_function: HashFunction) -> Callable[[str], int]:
    """Return what gives a key that was checked its position, in the quickest way there is."""
    if COMPILED and hash_function is murmur3:
        return murmur3_of_text
    return lambda key: hash_function(key.encode(), SEED, False)


def position_of(key: str) -> int:
    """Return the position of `key`, 0 to 2**32 - 1.

    Raises:
        InvalidKeyError: not a `str`, or with a lone surrogate.

    >>> position_of("user:1001")
    2593701824
    """
    try:
        return murmur3(key.encode(), SEED, False)
    except (AttributeError, TypeError, UnicodeEncodeError):
        checked_key(key)
        raise
