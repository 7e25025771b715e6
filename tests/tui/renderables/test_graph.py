"""Graphs have an honest scale."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.renderables.support import lines_of
from tui.renderables.graph import draw_graph, draw_sparkline, steps_shown, top_of_scale
from tui.renderables.look import DARK

ASCII = replace(DARK, ascii_only=True)


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_the_scale_holds_the_highest_and_wastes_little(highest: float) -> None:
    top = top_of_scale([0.0, highest])
    assert highest <= top <= highest * 1.7


def test_an_idle_graph_has_a_scale_too() -> None:
    assert top_of_scale([]) == top_of_scale([0.0, 0.0]) == 1.0


def test_the_newest_step_is_at_the_right() -> None:
    lines = lines_of(draw_graph([0.0] * 20 + [10.0], 16, 2, DARK))
    assert lines == ["   10          ⢸", "    0 ⣀⣀⣀⣀⣀⣀⣀⣀⣀⣸"]


def test_heights_are_in_proportion() -> None:
    steps = [step for value in range(17) for step in (value, value)]
    lines = lines_of(draw_graph(steps, 6 + 17, 4, DARK))
    heights = []
    for column in range(6, 23):
        bits = [ord(line[column]) - 0x2800 if line[column] != " " else 0 for line in lines]
        heights.append(sum(bit.bit_count() for bit in bits) / 2)
    # 16 is drawn on a scale of 20; nothing is still a line at the bottom.
    assert heights == [max(1, round(value / 20 * 16)) for value in range(17)]


def test_what_is_not_known_yet_is_blank_and_what_is_nothing_is_a_line() -> None:
    (top, bottom) = lines_of(draw_graph([0.0, 0.0, 0.0, 0.0], 12, 2, DARK))
    assert top == "    1       "
    assert bottom == "    0     ⣀⣀"


def test_a_graph_says_how_much_time_it_shows() -> None:
    assert steps_shown(46) == 80
    assert steps_shown(3) == 0


@pytest.mark.parametrize("look", [DARK, ASCII])
@pytest.mark.parametrize("width", [1, 5, 6, 7, 40, 200])
@pytest.mark.parametrize("height", [2, 5, 12])
def test_a_graph_fills_its_place_and_no_more(width: int, height: int, look: object) -> None:
    steps = [1_000 + 900 * math.sin(step) for step in range(300)]
    drawn = draw_graph(steps, width, height, ASCII if look is ASCII else DARK)
    assert {cell_len(line) for line in lines_of(drawn)} == {width}
    assert len(lines_of(drawn)) == height
    assert look is DARK or drawn.plain.isascii()


def test_a_sparkline_is_as_wide_as_asked_and_fills_its_line() -> None:
    assert draw_sparkline([0, 1, 2, 4, 8], 5, DARK).plain == " ▁▂▄█"
    assert draw_sparkline([0, 1, 2, 4, 8], 5, ASCII).plain == " .:=#"
    assert draw_sparkline([5, 5], 4, DARK).plain == "  ██"
    assert draw_sparkline([0, 0], 2, DARK).plain == "  "
    assert draw_sparkline([1, 2, 3], 2, DARK).plain == "▅█"
    assert draw_sparkline([1], 0, DARK).plain == ""


def test_a_step_above_nothing_is_always_seen() -> None:
    assert draw_sparkline([0.001, 1_000_000], 2, DARK).plain == "▁█"
