"""Positions are MurmurHash3_x86_32, so that any client in any language finds the same server."""

from collections.abc import Callable
from typing import Any

import mmh3
import pytest

from core import InvalidKeyError
from core.ring import position_of
from tests.core.ring.rings import ring_of


def test_the_hash_is_murmur3_x86_32_by_its_verification_value() -> None:
    # SMHasher's VerificationTest (Austin Appleby): hash the keys {}, {0}, {0, 1} … with the seeds
    # 256, 255, 254 …, then hash the 256 results, little-endian, with seed 0.
    keys = [bytes(range(length)) for length in range(256)]
    hashes = b"".join(
        mmh3.hash(key, 256 - length, False).to_bytes(4, "little") for length, key in enumerate(keys)
    )
    assert mmh3.hash(hashes, 0, False) == 0xB0F57EE3


@pytest.mark.parametrize(
    ("key", "position"),
    [
        # https://en.wikipedia.org/wiki/MurmurHash, test vectors of seed 0
        ("", 0),
        ("test", 0xBA6BD213),
        ("Hello, world!", 0xC0363E43),
        ("The quick brown fox jumps over the lazy dog", 0x2E4FF723),
    ],
)
def test_a_position_is_unsigned_with_seed_zero(key: str, position: int) -> None:
    assert position_of(key) == position


def test_a_position_is_that_of_the_utf8_bytes() -> None:
    assert position_of("grün 🌍") == mmh3.hash("grün 🌍".encode(), 0, False)


@pytest.mark.parametrize("lookup", [position_of, ring_of(["alpha", "bravo"]).view.server_for_key])
def test_what_could_be_no_key_is_an_error_that_says_so(lookup: Callable[[Any], object]) -> None:
    """And not a crash of the process, which is what mmh3 makes of a lone surrogate."""
    for key in (5, None, b"key", ["key"], object()):
        with pytest.raises(InvalidKeyError, match="a key must be str, not "):
            lookup(key)
    with pytest.raises(InvalidKeyError, match="surrogate"):
        lookup("\ud800")
