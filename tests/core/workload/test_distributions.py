"""Which keys are popular, against theory and against YCSB's own numbers."""

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.workload.distributions import (
    SCRAMBLED_RANKS,
    Distribution,
    KeyChooser,
    LatestChooser,
    ScrambledZipfianChooser,
    UniformChooser,
    ZipfianChooser,
    fnv1a_64,
    zeta,
)

# ScrambledZipfianGenerator.ZETAN: the sum over 10,000,000,000 ranks.
YCSB_ZETAN = 26.46902820178302


class LastRandom(Random):
    """A random source that always draws the greatest number below 1."""

    def random(self) -> float:
        return math.nextafter(1.0, 0.0)


def draw(chooser: KeyChooser, keys: int, times: int) -> Counter[int]:
    return Counter(chooser.choose(keys) for _ in range(times))


def fnv1a_64_by_the_book(value: int) -> int:
    hashed = 0xCBF29CE484222325
    for octet in value.to_bytes(8, "little"):
        hashed = (hashed ^ octet) * 0x100000001B3 % 2**64
    signed = hashed - 2**64 if hashed >= 2**63 else hashed
    return abs(signed)


@pytest.mark.parametrize(
    ("value", "expected"),
    # The first keys of every YCSB run are user6284781860667377211 and user8517097267634966620.
    [(0, 6284781860667377211), (1, 8517097267634966620), (42, 55488592825689361)],
)
def test_fnv_gives_the_numbers_that_ycsb_gives(value: int, expected: int) -> None:
    assert fnv1a_64(value) == expected


@given(st.integers(0, 2**40 - 1))
def test_fnv_is_the_published_hash(value: int) -> None:
    assert fnv1a_64(value) == fnv1a_64_by_the_book(value)


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 100, 10_000, 300_000])
def test_zeta_is_the_sum_of_the_series(count: int) -> None:
    exact = math.fsum(n**-0.99 for n in range(1, count + 1))
    assert zeta(count) == pytest.approx(exact, rel=1e-12)


def test_zeta_agrees_with_the_constant_that_ycsb_summed() -> None:
    assert zeta(SCRAMBLED_RANKS) == pytest.approx(YCSB_ZETAN, rel=1e-11)


@given(
    st.sampled_from(Distribution),
    st.integers(1, 200),
    st.integers(0, 500),
    st.integers(0, 2**32),
)
def test_every_choice_is_one_of_the_keys(
    distribution: Distribution, loaded: int, inserted: int, seed: int
) -> None:
    chooser = distribution.chooser(Random(seed), loaded)
    for keys in range(loaded, loaded + inserted + 1, 7):
        assert 0 <= chooser.choose(keys) < keys


@pytest.mark.parametrize("keys", [1, 2, 3, 4, 100, 10**6, 10**9])
def test_the_greatest_random_number_chooses_a_key_too(keys: int) -> None:
    for distribution in Distribution:
        assert 0 <= distribution.chooser(LastRandom(), keys).choose(keys) < keys


@pytest.mark.parametrize("distribution", Distribution)
def test_the_same_seed_chooses_the_same_keys(distribution: Distribution) -> None:
    def choices(seed: int) -> list[int]:
        chooser = distribution.chooser(Random(seed), 1_000)
        return [chooser.choose(1_000) for _ in range(200)]

    assert choices(5) == choices(5)
    assert choices(5) != choices(6)


def test_uniform_chooses_every_key_as_often() -> None:
    keys, times = 100, 200_000
    counts = draw(UniformChooser(Random(1)), keys, times)
    expected = times / keys
    chi_square = sum((counts[key] - expected) ** 2 / expected for key in range(keys))
    # 99 degrees of freedom: 148 is exceeded once in a thousand seeds.
    assert chi_square < 148


@pytest.mark.parametrize("keys", [3, 10, 1_000, 100_000])
def test_zipfian_gives_the_first_two_numbers_their_exact_part(keys: int) -> None:
    times = 200_000
    counts = draw(ZipfianChooser(Random(2)), keys, times)
    for number in (0, 1):
        part = (number + 1) ** -0.99 / zeta(keys)
        deviation = math.sqrt(part * (1 - part) / times)
        assert counts[number] / times == pytest.approx(part, abs=4 * deviation)


@pytest.mark.parametrize("keys", [1_000, 100_000])
def test_zipfian_follows_the_theory_over_the_whole_range(keys: int) -> None:
    times = 200_000
    counts = draw(ZipfianChooser(Random(3)), keys, times)
    reached = 0
    for number in range(keys):
        reached += counts[number]
        # The curve of Gray et al. is an approximation between the second and the last number.
        assert reached / times == pytest.approx(zeta(number + 1) / zeta(keys), abs=0.02)


def test_zipfian_that_has_grown_chooses_as_one_that_began_so() -> None:
    grown, fresh = ZipfianChooser(Random(9)), ZipfianChooser(Random(9))
    for keys in (1, 2, 3, 500, 999):
        grown.choose(keys)
        fresh.choose(1_000)
    assert [grown.choose(1_000) for _ in range(100)] == [fresh.choose(1_000) for _ in range(100)]


def test_scrambled_zipfian_puts_the_popular_numbers_where_ycsb_puts_them() -> None:
    keys, times = 1_000, 300_000
    counts = draw(ScrambledZipfianChooser(Random(5), keys), keys, times)
    # Less popular ranks fall on every key, evenly; they add to what the popular one brings.
    popular = [fnv1a_64_by_the_book(rank) % keys for rank in range(10)]
    assert [number for number, _ in counts.most_common(3)] == popular[:3]
    own_part = 1 / YCSB_ZETAN
    assert own_part < counts[popular[0]] / times < own_part + 3 / keys
    assert counts[popular[9]] > 2 * times / keys


def test_scrambled_zipfian_reaches_every_key() -> None:
    counts = draw(ScrambledZipfianChooser(Random(6), 1_000), 1_000, 200_000)
    assert len(counts) == 1_000


@given(st.integers(1, 50), st.integers(0, 200), st.integers(0, 2**32))
def test_an_inserted_key_takes_requests_of_one_older_key_only(
    loaded: int, inserted: int, seed: int
) -> None:
    keys = loaded + inserted
    before = ScrambledZipfianChooser(Random(seed), loaded)
    after = ScrambledZipfianChooser(Random(seed), loaded)
    choices = {(before.choose(keys), after.choose(keys + 1)) for _ in range(300)}
    changed = {(old, new) for old, new in choices if old != new}
    assert {new for _, new in changed} <= {keys}
    assert len(changed) <= 1


def test_scrambled_zipfian_chooses_inserted_keys_too() -> None:
    counts = draw(ScrambledZipfianChooser(Random(7), 100), 200, 100_000)
    assert all(counts[number] > 0 for number in range(200))


def test_latest_chooses_the_newest_most_and_follows_it() -> None:
    times = 50_000
    chooser = LatestChooser(Random(8))
    for keys in (1_000, 1_001, 5_000):
        counts = draw(chooser, keys, times)
        assert counts.most_common(2)[0][0] == keys - 1
        part = 1 / zeta(keys)
        deviation = math.sqrt(part * (1 - part) / times)
        assert counts[keys - 1] / times == pytest.approx(part, abs=4 * deviation)


@pytest.mark.parametrize(
    ("distribution", "kind"),
    [
        (Distribution.ZIPFIAN, ScrambledZipfianChooser),
        (Distribution.UNIFORM, UniformChooser),
        (Distribution.LATEST, LatestChooser),
    ],
)
def test_a_distribution_makes_its_chooser(
    distribution: Distribution, kind: type[KeyChooser]
) -> None:
    assert type(distribution.chooser(Random(1), 10)) is kind
