"""Bars say how full servers are, and where they are going."""

from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.style import Style

from tests.tui.renderables.support import cells_of, colour_of, lines_of
from tui.renderables.bars import draw_bar, draw_bars
from tui.renderables.look import DARK
from tui.view_model import KeyBar, Mark

ASCII = replace(DARK, ascii_only=True)
PLAIN = Style()


def bar(
    server_id: str,
    keys: int,
    *,
    of: int = 10_000,
    deviation: float | None = None,
    target: int | None = None,
    mark: Mark | None = None,
) -> KeyBar:
    return KeyBar(
        server_id=server_id,
        mark=mark or Mark(server_id[0], 0),
        keys=keys,
        fraction=keys / of,
        deviation=deviation,
        target_keys=target,
        target_fraction=target / of if target is not None else None,
    )


STEADY = [
    bar("alpha", 10_000, deviation=0.021),
    bar("bravo", 5_000, deviation=-0.489, mark=Mark("b", 1)),
]


@pytest.mark.parametrize(
    ("fraction", "drawn"),
    [
        (1.0, "██████████"),
        (0.5, "█████     "),
        (0.55, "█████▌    "),
        (0.01, "▏         "),
        (0.000_001, "▏         "),
        (0.0, "          "),
        (0.999, "██████████"),
    ],
)
def test_a_bar_is_drawn_in_eighths_and_never_hides_a_key(fraction: float, drawn: str) -> None:
    assert draw_bar(fraction, None, 10, PLAIN, DARK).plain == drawn


@pytest.mark.parametrize(
    ("fraction", "target", "drawn", "in_ascii"),
    [
        (0.5, 0.8, "█████░░░  ", "#####...  "),
        (0.8, 0.5, "█████▒▒▒  ", "#####---  "),
        (0.0, 0.3, "░░░       ", "...       "),
        (0.3, 0.0, "▒▒▒       ", "---       "),
        (0.55, 0.55, "█████▌    ", "######    "),
    ],
)
def test_a_bar_that_moves_shows_what_is_to_come_and_what_is_to_go(
    fraction: float, target: float, drawn: str, in_ascii: str
) -> None:
    assert draw_bar(fraction, target, 10, PLAIN, DARK).plain == drawn
    assert draw_bar(fraction, target, 10, PLAIN, ASCII).plain == in_ascii


def test_a_line_has_letter_name_bar_keys_and_deviation() -> None:
    assert lines_of(draw_bars(STEADY, 40, DARK)) == [
        "a alpha █████████████████ 10,000  +2.1 %",
        "b bravo ████████▌          5,000 -48.9 %",
    ]


def test_a_moving_line_has_its_target() -> None:
    lines = lines_of(draw_bars([bar("delta", 4_981, target=9_950)], 44, DARK))
    assert lines == ["d delta ███████████░░░░░░░░░░░ 4,981 → 9,950"]
    lines = lines_of(draw_bars([bar("delta", 4_981, target=9_950)], 45, ASCII))
    assert lines == ["d delta ###########........... 4,981 -> 9,950"]


def test_only_name_and_bar_carry_the_servers_colour() -> None:
    cells = cells_of(draw_bars(STEADY, 40, DARK))
    for (row, _), drawn in cells.items():
        expected = DARK.server_colours[row] if drawn.character in "abhlprvo█▌" else None
        assert colour_of(drawn) == expected, drawn


def test_in_little_width_deviations_go_first_then_bars() -> None:
    assert "%" in draw_bars(STEADY, 32, DARK).plain
    narrow = draw_bars(STEADY, 26, DARK).plain
    assert "%" not in narrow
    assert "█" in narrow
    narrower = draw_bars(STEADY, 18, DARK).plain
    assert "█" not in narrower
    assert "10,000" in narrower


@pytest.mark.parametrize("look", [DARK, ASCII])
@pytest.mark.parametrize("width", [1, 5, 9, 14, 20, 33, 80, 200])
def test_no_line_is_wider_than_it_may_be(width: int, look: object) -> None:
    bars = [
        *STEADY,
        bar("a-server-with-a-name-of-quite-some-length.example.com:6379", 3, target=70),
        bar("x", 1_000_000, of=1_000_000, deviation=12.5, mark=Mark("aa", 11)),
    ]
    drawn = draw_bars(bars, width, ASCII if look is ASCII else DARK)
    assert len(lines_of(drawn)) == 4
    assert max(cell_len(line) for line in lines_of(drawn)) <= width
    assert look is DARK or drawn.plain.isascii()


def test_no_servers_no_lines() -> None:
    assert draw_bars([], 40, DARK).plain == ""
