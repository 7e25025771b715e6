"""How full each server is: a bar a server, with where it is going while keys move."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from tui.formatting import safe, signed_percent, whole
from tui.renderables.look import DIM, Look
from tui.view_model import KeyBar

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL, _COMING, _GOING = "█", "░", "▒"
_ASCII_FULL, _ASCII_COMING, _ASCII_GOING = "#", ".", "-"
# Below these widths, in cells, a column says less than the space it takes.
_SHORTEST_BAR = 8
_SHORTEST_NAME = 6
_GAP = 1


def draw_bars(bars: Sequence[KeyBar], width: int, look: Look) -> Text:
    """Return a line for each bar: letter, name, bar, keys, and deviation or target. O(bars).

    When the width is short, the deviations go first, then the bars, then the ends of the names.

    Args:
        bars: one for each server, in the order in which they are shown.
        width: cells across; no line is longer.
        look: colours, and whether to draw in ASCII.
    """
    letters = max((len(bar.mark.letter) for bar in bars), default=0)
    names = [safe(bar.server_id, max(_SHORTEST_NAME, width // 4)) for bar in bars]
    name_width = max((cell_len(name) for name in names), default=0)
    counts = [whole(bar.keys) for bar in bars]
    count_width = max((len(count) for count in counts), default=0)
    trails = [_trail(bar, look) for bar in bars]
    trail_width = max((cell_len(trail) for trail, _ in trails), default=0)
    room = width - letters - name_width - count_width - 3 * _GAP
    with_trail = room - trail_width - _GAP >= _SHORTEST_BAR
    if with_trail:
        room -= trail_width + _GAP
    text = Text(no_wrap=True, end="")
    for index, bar in enumerate(bars):
        style = look.server(bar.mark)
        padding = " " * (name_width - cell_len(names[index]) + _GAP)
        line = Text(end="")
        line.append(f"{bar.mark.letter:<{letters}} {names[index]}{padding}", style)
        if room >= _SHORTEST_BAR:
            line.append_text(draw_bar(bar.fraction, bar.target_fraction, room, style, look))
            line.append(" ")
        line.append(f"{counts[index]:>{count_width}}")
        if with_trail:
            trail, trail_style = trails[index]
            line.append(f" {trail:>{trail_width}}", trail_style)
        line.truncate(width)
        text.append_text(line)
        if index < len(bars) - 1:
            text.append("\n")
    return look.finish(text)


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


def _trail(bar: KeyBar, look: Look) -> tuple[str, Style]:
    if bar.target_keys is not None:
        return f"{look.arrow} {whole(bar.target_keys)}", Style()
    if bar.deviation is not None:
        return signed_percent(bar.deviation), DIM
    return "", DIM
