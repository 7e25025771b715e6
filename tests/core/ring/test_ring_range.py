"""Ranges are half-open arcs that may wrap."""

from hypothesis import given
from hypothesis import strategies as st

from core import Range
from core.stripes import LAST_POSITION, POSITIONS

positions = st.one_of(
    st.integers(0, LAST_POSITION), st.sampled_from([0, 1, LAST_POSITION - 1, LAST_POSITION])
)


@given(positions, positions, positions)
def test_spans_cover_exactly_the_range(start: int, end: int, position: int) -> None:
    spans = Range(start, end).spans()
    assert (position in Range(start, end)) == any(low <= position <= high for low, high in spans)
    assert sum(high - low + 1 for low, high in spans) == Range(start, end).size


@given(positions, positions)
def test_the_end_belongs_to_a_range_and_the_start_does_not(start: int, end: int) -> None:
    assert end in Range(start, end)
    assert (start in Range(start, end)) == (start == end)


@given(positions)
def test_from_a_position_to_itself_is_the_whole_ring(position: int) -> None:
    assert Range(position, position).size == POSITIONS
    assert 0 in Range(position, position)
