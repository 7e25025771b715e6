"""The history of a rate, as an area of several lines or a sparkline of one."""

import math
from collections.abc import Sequence

from rich.text import Text

from tui.formatting import compact
from tui.renderables.canvas import Canvas
from tui.renderables.look import DIM, Look

_SPARKS = " ▁▂▃▄▅▆▇█"
_ASCII_SPARKS = " .:-=+*%#"
# The dots of a column of a braille character, from the bottom up, left and right.
_LEFT_DOTS = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT_DOTS = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
_BRAILLE = 0x2800
_STEPS_A_CELL = 2
_DOTS_A_CELL = 4
# The scale's labels take at most five characters and a space.
_GUTTER = 6
_NICE = (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0)


def top_of_scale(steps: Sequence[float]) -> float:
    """Return a round number at or above all steps, that rarely changes while they do.

    >>> top_of_scale([3_100.0, 12_400.0])
    15000.0
    """
    highest = max(steps, default=0.0)
    if highest <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(highest))
    return next(nice * unit for nice in (*_NICE, 20.0) if nice * unit >= highest)


def steps_shown(width: int) -> int:
    """Return how many steps `draw_graph` shows at this width, so that its title can say so."""
    return max(0, width - _GUTTER) * _STEPS_A_CELL


def draw_graph(steps: Sequence[float], width: int, height: int, look: Look) -> Text:
    """Return the latest steps as an area, the newest at the right. O(cells).

    Args:
        steps: values of 0 or more, oldest first, at equal distances in time.
        width: cells across; the scale's labels take the first few.
        height: lines, 2 or more.
        look: the colour, and whether to draw in ASCII.
    """
    canvas = Canvas(width, height)
    count = steps_shown(width)
    latest = list(steps[-count:]) if count else []
    latest = [math.nan] * (count - len(latest)) + latest
    top = top_of_scale([step for step in latest if not math.isnan(step)])
    for index in range(0, count, _STEPS_A_CELL):
        pair = latest[index : index + _STEPS_A_CELL]
        column = _GUTTER + index // _STEPS_A_CELL
        for row in range(height):
            below = (height - 1 - row) * _DOTS_A_CELL
            dots = [_dots(step, top, height) - below for step in pair]
            character = _ascii_cell(dots) if look.ascii_only else _braille_cell(dots)
            canvas.put(row, column, character, look.accented)
    if width > _GUTTER:
        canvas.write(0, 0, f"{compact(top):>{_GUTTER - 1}}", DIM)
        canvas.write(height - 1, 0, f"{'0':>{_GUTTER - 1}}", DIM)
    return canvas.text()


def draw_sparkline(steps: Sequence[float], width: int, look: Look) -> Text:
    """Return the latest `width` steps in one line, the newest at the right. O(width).

    The highest step fills the line; a step above 0 is always seen.
    """
    levels = _ASCII_SPARKS if look.ascii_only else _SPARKS
    latest = steps[-width:] if width > 0 else ()
    highest = max(latest, default=0.0)
    line = "".join(levels[_level(step, highest, len(levels) - 1)] for step in latest)
    return Text(f"{line:>{width}}", style=look.accented, no_wrap=True, end="")


def _level(step: float, highest: float, levels: int) -> int:
    if step <= 0:
        return 0
    return max(1, round(step / highest * levels))


def _dots(step: float, top: float, height: int) -> int:
    """Return how many dots high a step is; what is known, and 0, is the line at the bottom."""
    if math.isnan(step):
        return 0
    return max(1, round(step / top * height * _DOTS_A_CELL))


def _braille_cell(dots: Sequence[int]) -> str:
    left, right = (min(max(high, 0), _DOTS_A_CELL) for high in dots)
    bits = _LEFT_DOTS[left] | _RIGHT_DOTS[right]
    return chr(_BRAILLE + bits) if bits else " "


def _ascii_cell(dots: Sequence[int]) -> str:
    left, right = (min(max(high, 0), _DOTS_A_CELL) for high in dots)
    return " .::#"[max(left, right)]
