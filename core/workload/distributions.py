"""Which keys are popular: the ways of choosing a key number that YCSB's workloads use.

A chooser is told how many keys there are at every choice, because inserts make them more while it
is in use. It knows nothing of stores or operations, nor of how a key number becomes a key. Its
random source is injected, and it draws one number from it for each choice.
"""

import math
from enum import StrEnum
from itertools import accumulate
from random import Random
from typing import Protocol

# How skewed the popularity is (YCSB's ZIPFIAN_CONSTANT); 0 would be uniform.
ZIPFIAN_CONSTANT = 0.99

# YCSB's ScrambledZipfianGenerator draws from this many ranks, whatever the number of keys: the most
# popular rank gets 3.8 % of the requests.
SCRAMBLED_RANKS = 10_000_000_000


class Distribution(StrEnum):
    """How the requests spread over the keys.

    Attributes:
        ZIPFIAN: a few keys, which lie anywhere among the others, get most of the requests.
        UNIFORM: every key gets as many.
        LATEST: the later a key was inserted, the more requests it gets.
    """

    ZIPFIAN = "zipfian"
    UNIFORM = "uniform"
    LATEST = "latest"

    def chooser(self, random: Random, loaded_keys: int) -> "KeyChooser":
        """Return a new chooser of this distribution.

        Args:
            random: what it draws from.
            loaded_keys: how many keys there were before the first insert, 1 or more.
        """
        if self is Distribution.ZIPFIAN:
            return ScrambledZipfianChooser(random, loaded_keys)
        if self is Distribution.LATEST:
            return LatestChooser(random)
        return UniformChooser(random)


class KeyChooser(Protocol):
    """Chooses key numbers.

    Thread safety: a chooser belongs to one thread.
    """

    def choose(self, keys: int) -> int:
        """Return a number from 0 to `keys` - 1. O(1).

        Args:
            keys: how many keys there are, at least as many as before the first insert. They are
                numbered in the order of insertion.
        """
        ...


class UniformChooser:
    """Chooses every key as often. A `KeyChooser`."""

    __slots__ = ("_draw",)

    def __init__(self, random: Random) -> None:
        self._draw = random.random

    def choose(self, keys: int) -> int:
        """Return a number from 0 to `keys` - 1. O(1)."""
        return int(self._draw() * keys)


class ZipfianChooser:
    """Chooses number n in proportion to 1 / (n + 1) ** 0.99: low ones often. A `KeyChooser`.

    The algorithm is that of Gray, Sundaresan, Englert, Baclawski and Weinberger, "Quickly
    Generating Billion-Record Synthetic Databases" (SIGMOD 1994), as in YCSB's ZipfianGenerator:
    the first two numbers are exact, the others follow a curve.
    """

    __slots__ = ("_draw", "_eta", "_keys", "_zeta")

    def __init__(self, random: Random) -> None:
        self._draw = random.random
        self._keys = 0
        self._zeta = 0.0
        self._eta = 0.0

    def choose(self, keys: int) -> int:
        """Return a number from 0 to `keys` - 1. O(1), also when `keys` has changed."""
        if keys != self._keys:
            self._adapt_to(keys)
        uniform = self._draw()
        scaled = uniform * self._zeta
        if scaled < 1.0:
            return 0
        if scaled < _ZETA_OF_2:
            return 1
        number = int(keys * (self._eta * uniform - self._eta + 1.0) ** _ALPHA)
        # The power is less than 1, but next to 1 the product may be rounded up.
        return number if number < keys else keys - 1

    def _adapt_to(self, keys: int) -> None:
        self._keys = keys
        self._zeta = zeta(keys)
        # One or two keys never come to the curve, which would divide by zero.
        if keys > 2:
            beyond_two = 1.0 - (2.0 / keys) ** (1.0 - ZIPFIAN_CONSTANT)
            self._eta = beyond_two / (1.0 - _ZETA_OF_2 / self._zeta)


class ScrambledZipfianChooser:
    """Chooses with the popularity of `ZipfianChooser`, but popular numbers lie anywhere.

    As YCSB's ScrambledZipfianGenerator: a rank is drawn out of 10,000,000,000, and its FNV hash
    modulo the number of keys is the key's number.

    Inserted keys come in by linear hashing (Litwin, "Linear Hashing: A New Tool for File and Table
    Addressing", VLDB 1980): each takes half of the requests of one older key, and all others stay
    as popular as they were. The modulus of the present count would give popularity to other keys
    with every insert; YCSB takes the modulus of the count that it expects in the end, which a load
    without an end does not have. A `KeyChooser`.
    """

    __slots__ = ("_choose_rank", "_span")

    def __init__(self, random: Random, loaded_keys: int) -> None:
        self._choose_rank = ZipfianChooser(random).choose
        # The least of loaded_keys x 1, 2, 4, ... that is no less than the number of keys.
        self._span = loaded_keys

    def choose(self, keys: int) -> int:
        """Return a number from 0 to `keys` - 1. O(1)."""
        while self._span < keys:
            self._span *= 2
        number = fnv1a_64(self._choose_rank(SCRAMBLED_RANKS)) % self._span
        return number if number < keys else number - self._span // 2


class LatestChooser:
    """Chooses the key that was inserted last most often. A `KeyChooser`.

    As YCSB's SkewedLatestGenerator: the last number less a zipfian one.
    """

    __slots__ = ("_choose_age",)

    def __init__(self, random: Random) -> None:
        self._choose_age = ZipfianChooser(random).choose

    def choose(self, keys: int) -> int:
        """Return a number from 0 to `keys` - 1. O(1)."""
        return keys - 1 - self._choose_age(keys)


_UINT64 = (1 << 64) - 1
_INT64_LIMIT = 1 << 63
_FNV_OFFSET_BASIS = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_FNV_PRIME_4 = _FNV_PRIME**4 & _UINT64


def fnv1a_64(value: int) -> int:
    """Return the FNV-1a hash of a number as YCSB's Utils.fnvhash64 does.

    It takes the number as eight octets, the lowest first, and returns the absolute value of what
    is a signed number in Java. Of a number below 2 ** 40 the last three octets are 0, and a round
    over 0 is a multiplication by the prime, so that four rounds become one. Source:
    http://www.isthe.com/chongo/tech/comp/fnv/.

    Args:
        value: 0 to 2 ** 40 - 1.

    >>> fnv1a_64(0)
    6284781860667377211
    """
    hashed = (_FNV_OFFSET_BASIS ^ (value & 0xFF)) * _FNV_PRIME & _UINT64
    hashed = (hashed ^ (value >> 8 & 0xFF)) * _FNV_PRIME & _UINT64
    hashed = (hashed ^ (value >> 16 & 0xFF)) * _FNV_PRIME & _UINT64
    hashed = (hashed ^ (value >> 24 & 0xFF)) * _FNV_PRIME & _UINT64
    hashed = (hashed ^ (value >> 32)) * _FNV_PRIME_4 & _UINT64
    return hashed if hashed < _INT64_LIMIT else _UINT64 + 1 - hashed


def _power_sums(count: int) -> list[float]:
    """Return the sums of the first 0, 1, ... `count` terms of the zeta series."""
    return list(accumulate((n**-ZIPFIAN_CONSTANT for n in range(1, count + 1)), initial=0.0))


# The series is summed up to here, and the formula's error is below 1e-12 from here on.
_SUMMED = 64
_SUMS = _power_sums(_SUMMED)
_ZETA_OF_2 = _SUMS[2]
_ALPHA = 1.0 / (1.0 - ZIPFIAN_CONSTANT)


def _series_beyond_constant(count: int) -> float:
    """Return the sum up to `count`, less a constant, by the Euler-Maclaurin formula."""
    s, n = ZIPFIAN_CONSTANT, float(count)
    corrections = 0.5 - s / (12.0 * n) + s * (s + 1.0) * (s + 2.0) / (720.0 * n**3)
    return math.pow(n, -s) * (n / (1.0 - s) + corrections)


_SERIES_CONSTANT = _SUMS[_SUMMED] - _series_beyond_constant(_SUMMED)


def zeta(count: int) -> float:
    """Return the sum of 1 / n ** 0.99 for n from 1 to `count`. O(1).

    Long series are not summed but worked out by the Euler-Maclaurin formula, to about 1e-12: a sum
    would hold up the start with a million keys, and would have to be kept up with each insert.
    """
    if count <= _SUMMED:
        return _SUMS[count]
    return _SERIES_CONSTANT + _series_beyond_constant(count)
