"""One picture of a store as text, for a terminal that is not taken over, a pipe or a report.

The parts are the dashboard's own; here they stand under each other, and the ring beside them where
there is room.
"""

from collections.abc import Iterable, Sequence
from datetime import tzinfo

from rich.text import Text

from tui.formatting import clock_time, counted
from tui.renderables.bars import draw_bars
from tui.renderables.events import draw_events
from tui.renderables.load import draw_load
from tui.renderables.look import BOLD, DIM, Look
from tui.renderables.ring import draw_ring
from tui.renderables.status import ScreenState, draw_status
from tui.renderables.table import Sorting, draw_row, draw_titles, lay_out
from tui.view_model import DashboardView, storage_words

# Beyond this, lines get too long to follow with the eye.
_WIDEST = 132
# A cell is twice as high as it is wide, so that these are a circle.
_RING_WIDTH, _RING_HEIGHT = 34, 17
_GAP = 3
# The narrowest that the parts beside the ring may get.
_NARROWEST_PARTS = 56
_EVENTS_SHOWN = 8
# Two of words, and one that stays empty.
_LOAD_LINES = 3
_INDENT = " "
_DATA_IN = "data in "


def draw_frame(view: DashboardView, width: int, look: Look, *, zone: tzinfo | None = None) -> Text:
    """Return a picture of the store in lines of at most `width` cells. O(cells).

    Args:
        view: the store at one moment.
        width: cells across, 40 or more; of more than 132, the rest stays empty.
        look: colours, and whether to draw in ASCII.
        zone: whose time of day is shown; None for this machine's.
    """
    width = min(width, _WIDEST)
    beside = width - _RING_WIDTH - _GAP
    with_ring = beside >= _NARROWEST_PARTS
    parts_width = beside if with_ring else width
    lines = _parts(view, parts_width, look)
    ring = _ring(view, look)
    if with_ring:
        lines = _side_by_side(lines, ring, parts_width + _GAP)
    else:
        lines += [Text(), _title("Ring"), *ring]
    status = draw_status(view.status, ScreenState(clock_time(view.taken_at_ms, zone)), width, look)
    events = draw_events(view.events[-_EVENTS_SHOWN:], width - len(_INDENT), look)
    place: list[Text] = []
    if view.storage is not None:
        words = storage_words(view.storage, width - len(_DATA_IN))
        place = [look.finish(Text(f"{_DATA_IN}{words}", style=DIM))]
    if view.status.disk is not None:
        disk = view.status.disk
        trouble = Text(f"{disk.sign} {disk.words}", style=look.tone(disk.tone))
        place.append(look.finish(trouble))
    lines = [status, *place, Text(), *lines, Text(), _title("Events"), *_indented(events)]
    for line in lines:
        line.rstrip()
    return Text("\n", no_wrap=True, end="").join(lines)


def _parts(view: DashboardView, width: int, look: Look) -> list[Text]:
    """Return the servers, their keys and the load, under each other."""
    sorting = Sorting()
    layout = lay_out(view.servers, sorting, width)
    inner = width - len(_INDENT)
    return [
        draw_titles(layout, sorting, look),
        *(draw_row(row, layout, look) for row in view.servers),
        Text(),
        _title("Keys"),
        *_indented(draw_bars(view.bars, inner, look).split("\n")),
        Text(),
        _title("Load"),
        *_indented(_load(view, inner, look)),
    ]


def _load(view: DashboardView, width: int, look: Look) -> list[Text]:
    """Return the words about the load; of one second there is no history to draw."""
    failed = view.load is not None and view.load.last_error is not None
    lines = draw_load(view.load, (), width, _LOAD_LINES + failed, look).split("\n")
    return [line for line in lines if line.plain.strip()]


def _ring(view: DashboardView, look: Look) -> list[Text]:
    vnodes = counted(len(view.ring.view.vnodes), "vnode")
    centre = (counted(len(view.servers), "server"), vnodes)
    return list(draw_ring(view.ring, _RING_WIDTH, _RING_HEIGHT, look, centre=centre).split("\n"))


def _title(text: str) -> Text:
    return Text(text, style=BOLD)


def _indented(lines: Iterable[Text]) -> list[Text]:
    return [Text(_INDENT).append_text(line) for line in lines]


def _side_by_side(left: Sequence[Text], right: Sequence[Text], column: int) -> list[Text]:
    """Return lines beside each other, those on the right from a column on."""
    lines: list[Text] = []
    for index in range(max(len(left), len(right))):
        line = left[index].copy() if index < len(left) else Text()
        if index < len(right):
            line.append(" " * (column - line.cell_len)).append_text(right[index])
        lines.append(line)
    return lines
