"""The latency histogram against a sorted list."""

import random
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics import LatencyHistogram, LatencyRecorder, LatencySummary

EIGHTEEN_MINUTES_NS = (1 << 40) - 1
RELATIVE_ERROR = 1 / 64

nanoseconds = st.integers(0, 100) | st.integers(0, 10**6) | st.integers(0, EIGHTEEN_MINUTES_NS)
percents = st.floats(0, 100) | st.sampled_from([0, 50, 99, 99.9, 100])


def histogram_of(values: list[int]) -> LatencyHistogram:
    recorder = LatencyRecorder()
    for value in values:
        recorder.record(value)
    return recorder.histogram()


def nearest_rank(values: list[int], percent: float) -> int:
    return sorted(values)[max(1, ceil(percent * len(values) / 100)) - 1]


@given(st.lists(nanoseconds, min_size=1, max_size=200), percents)
def test_percentile_is_that_of_the_sorted_list_within_the_relative_error(
    values: list[int], percent: float
) -> None:
    exact = nearest_rank(values, percent)
    assert abs(histogram_of(values).percentile(percent) - exact) <= exact * RELATIVE_ERROR


@given(st.integers(0, EIGHTEEN_MINUTES_NS))
def test_every_value_is_found_again_within_the_relative_error(value: int) -> None:
    read = histogram_of([value]).percentile(50)
    assert abs(read - value) <= value * RELATIVE_ERROR


@pytest.mark.parametrize("bits", range(40))
def test_powers_of_two_and_their_neighbours_fall_into_the_right_bucket(bits: int) -> None:
    for value in ((1 << bits) - 1, 1 << bits, (1 << bits) + 1):
        assert abs(histogram_of([value]).percentile(50) - value) <= value * RELATIVE_ERROR


def test_small_values_are_exact() -> None:
    for value in range(64):
        assert histogram_of([value]).percentile(50) == value


def test_a_greater_value_never_reads_as_less() -> None:
    random_bits = random.Random(1)
    values = sorted(random_bits.getrandbits(1 + number % 40) for number in range(2_000))
    read = [histogram_of([value]).percentile(50) for value in values]
    assert read == sorted(read)


def test_what_is_too_long_counts_as_the_longest() -> None:
    longest = histogram_of([EIGHTEEN_MINUTES_NS])
    assert histogram_of([EIGHTEEN_MINUTES_NS + 1]) == longest
    assert histogram_of([1 << 60]) == longest


@given(st.lists(nanoseconds, max_size=100), st.lists(nanoseconds, max_size=100))
def test_sum_and_difference_are_those_of_the_values(first: list[int], second: list[int]) -> None:
    both = histogram_of(first + second)
    assert histogram_of(first) + histogram_of(second) == both
    assert LatencyHistogram.merged([histogram_of(first), histogram_of(second)]) == both
    assert both - histogram_of(first) == histogram_of(second)


def test_merging_nothing_is_empty() -> None:
    assert LatencyHistogram.merged([]) == LatencyHistogram()


def test_a_later_histogram_is_not_subtracted_from_an_earlier_one() -> None:
    with pytest.raises(ValueError, match="earlier"):
        histogram_of([1]) - histogram_of([1, 2])


def test_a_histogram_stands_still_while_its_recorder_goes_on() -> None:
    recorder = LatencyRecorder()
    recorder.record(1)
    before = recorder.histogram()
    recorder.record(2)
    assert before.count == 1
    assert recorder.histogram().count == 2


def test_summary_holds_the_figures_of_the_histogram() -> None:
    values = [1_000] * 980 + [10_000] * 19 + [1_000_000]
    histogram = histogram_of(values)
    summary = histogram.summary()
    assert summary.count == 1_000
    assert summary.mean_ns == pytest.approx(sum(values) / 1_000, rel=RELATIVE_ERROR)
    assert summary.p50_ns == histogram.percentile(50) == pytest.approx(1_000, rel=RELATIVE_ERROR)
    assert summary.p99_ns == pytest.approx(10_000, rel=RELATIVE_ERROR)
    # The 999th of 1,000 values, not the 1,000th.
    assert summary.p999_ns == pytest.approx(10_000, rel=RELATIVE_ERROR)
    assert summary.maximum_ns == pytest.approx(1_000_000, rel=RELATIVE_ERROR)


def test_summary_of_nothing_is_zero() -> None:
    assert LatencyHistogram().summary() == LatencySummary(0, 0.0, 0, 0, 0, 0)


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan")])
def test_a_percentage_out_of_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        LatencyHistogram().percentile(percent)
