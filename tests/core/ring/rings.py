"""What the tests of the ring share: names, hash functions that collide, and rings made of them."""

from core import HashRing
from core.ring.hashing import murmur3

NAMES = [f"server-{number}" for number in range(8)]


def four_bit_hash(text: bytes, seed: int, signed: bool) -> int:
    return murmur3(text, seed, signed) & 0xF


def sparse_hash(text: bytes, seed: int, signed: bool) -> int:
    """Give only 16 positions, but spread over the whole ring."""
    return (murmur3(text, seed, signed) & 0xF) << 28


def same_for_all(text: bytes, seed: int, signed: bool) -> int:
    return 7


def at_the_end(text: bytes, seed: int, signed: bool) -> int:
    """Give only the last 8 positions and the first 8."""
    return ((murmur3(text, seed, signed) & 0xF) - 8) % (1 << 32)


HASHES = [murmur3, four_bit_hash, sparse_hash, same_for_all, at_the_end]


def ring_of(names: list[str], vnodes: int = 20, **options: object) -> HashRing:
    ring = HashRing(vnodes, **options)  # type: ignore[arg-type]
    for name in names:
        ring.add_server(name)
    ring.check_invariants()
    return ring
