"""How full each server is: a bar a server, with where it is going while keys move."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from tui.formatting import safe, signed_percent, whole
from tui.renderables.look import DIM, Look
from tui.view_model import KeyBar, Tone

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL, _COMING, _GOING = "█", "░", "▒"
_ASCII_FULL, _ASCII_COMING, _ASCII_GOING = "#", ".", "-"
# Below these widths, in cells, a column says less than the space it takes.
_SHORTEST_BAR = 8
_SHORTEST_NAME = 6
_GAP = 1


@dataclass(frozen=True, slots=True)
class BarLayout:
    """How wide the parts of every line are, in cells; 0 for a part that is left out.

    Attributes:
        width: of the whole line.
        letter: of the letters.
        name: of the names.
        bar: of the bars.
        count: of the numbers of keys.
        trail: of the deviations and targets.
    """

    width: int
    letter: int
    name: int
    bar: int
    count: int
    trail: int


def lay_out_bars(bars: Sequence[KeyBar], width: int, look: Look) -> BarLayout:
    """Return how the lines of these bars are divided. O(bars).

    When the width is short, the deviations go first, then the bars, then the ends of the names.

    Args:
        bars: one for each server.
        width: cells across.
        look: whether to draw in ASCII.
    """
    letter = max((len(bar.mark.letter) for bar in bars), default=0)
    count = max((cell_len(_count(bar)) for bar in bars), default=0)
    trail = max((cell_len(_trail(bar, look)[0]) for bar in bars), default=0)
    room = width - letter - count - 3 * _GAP
    # A third of the line, and more where the shortest bar leaves more.
    longest = max(_SHORTEST_NAME, width // 3, room - trail - _GAP - _SHORTEST_BAR)
    name = max((cell_len(safe(bar.server_id, longest)) for bar in bars), default=0)
    room -= name
    if room - trail - _GAP >= _SHORTEST_BAR:
        room -= trail + _GAP
    else:
        trail = 0
    return BarLayout(width, letter, name, room if room >= _SHORTEST_BAR else 0, count, trail)


def draw_bars(bars: Sequence[KeyBar], width: int, look: Look) -> Text:
    """Return a line for each bar: letter, name, bar, keys, and deviation or target. O(bars).

    Args:
        bars: one for each server, in the order in which they are shown.
        width: cells across; no line is longer.
        look: colours, and whether to draw in ASCII.
    """
    layout = lay_out_bars(bars, width, look)
    return Text("\n", no_wrap=True, end="").join(draw_bar_line(bar, layout, look) for bar in bars)


def draw_bar_line(bar: KeyBar, layout: BarLayout, look: Look) -> Text:
    """Return the line of one bar. O(1)."""
    style = look.server(bar.mark)
    name = safe(bar.server_id, layout.name)
    padding = " " * (layout.name - cell_len(name) + _GAP)
    line = Text(no_wrap=True, end="")
    line.append(f"{bar.mark.letter:<{layout.letter}} {name}{padding}", style)
    if layout.bar:
        fraction, target = bar.fraction, bar.target_fraction
        if bar.down:
            # It holds nothing: what is drawn is what it is to hold again.
            fraction, target = 0.0, fraction
        line.append_text(draw_bar(fraction, target, layout.bar, style, look))
        line.append(" ")
    line.append(f"{_count(bar):>{layout.count}}", look.tone(Tone.BAD) if bar.down else Style())
    if layout.trail:
        trail, trail_style = _trail(bar, look)
        line.append(f" {trail:>{layout.trail}}", trail_style)
    line.truncate(layout.width)
    return look.finish(line)


def draw_bar(
    fraction: float, target_fraction: float | None, width: int, style: Style, look: Look
) -> Text:
    """Return one bar of `width` cells, in eighths of a cell while it stays as it is.

    Of one that moves, what is still to come is shaded lightly and what is still to go heavily.

    Args:
        fraction: how long it is, 0 to 1 of the width; anything above 0 is seen.
        target_fraction: how long it will be; None if it stays.
        width: cells across.
        style: the colour of the bar.
        look: whether to draw in ASCII.
    """
    moves = target_fraction is not None and target_fraction != fraction
    target = target_fraction if target_fraction is not None else fraction
    if look.ascii_only:
        full, shade = _ASCII_FULL, _ASCII_COMING if target > fraction else _ASCII_GOING
    else:
        full, shade = _FULL, _COMING if target > fraction else _GOING
    if moves or look.ascii_only:
        # Whole cells: beside a part of one, the shade would begin with a gap.
        drawn = full * _cells(min(fraction, target), width)
        drawn += shade * (_cells(max(fraction, target), width) - len(drawn))
    else:
        eighths = max(round(fraction * width * 8), 1 if fraction > 0 else 0)
        drawn = full * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return Text(f"{drawn:<{width}}", style=style, end="")


def _cells(fraction: float, width: int) -> int:
    return max(round(fraction * width), 1 if fraction > 0 else 0)


def _count(bar: KeyBar) -> str:
    return bar.trouble.sign if bar.down and bar.trouble is not None else whole(bar.keys)


def _trail(bar: KeyBar, look: Look) -> tuple[str, Style]:
    if bar.trouble is not None:
        words = bar.trouble.words if bar.down else f"{bar.trouble.sign} {bar.trouble.words}"
        return words, look.tone(bar.trouble.tone)
    if bar.target_keys is not None:
        return f"{look.arrow} {whole(bar.target_keys)}", Style()
    if bar.deviation is not None:
        return signed_percent(bar.deviation), DIM
    return "", DIM
