"""The servers as a table: a line of titles and a line a server.

Columns that do not fit go by their rank; the names get what is left. Widths depend on all rows, so
that nothing moves while one scrolls.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from tui.formatting import compact, percent, safe, signed, whole
from tui.renderables.look import BOLD, DIM, PLAIN, Look
from tui.view_model import ServerRow, SortColumn

# What marks the selected line, where its colours can't be seen.
_CURSOR = "▸"
_UNKNOWN = "–"
# An address and a port in full: columns of figures go before names that can't be told apart.
_SHORTEST_NAME = 18
_LONGEST_NAME = 64
_WIDEST_GAP = 5


@dataclass(frozen=True, slots=True)
class Sorting:
    """How the rows are ordered."""

    column: SortColumn = SortColumn.SERVER
    descending: bool = False


class _Column(NamedTuple):
    """A column; of those with the highest rank is the first to go when it gets narrow."""

    key: SortColumn
    title: str
    rank: int
    cell: Callable[[ServerRow], str]
    # The widest that a usual cell gets, so that the table stands still while figures change.
    width: int


class Placed(NamedTuple):
    """Where a column is, in cells."""

    key: SortColumn
    title: str
    cell: Callable[[ServerRow], str]
    start: int
    width: int


@dataclass(frozen=True, slots=True)
class TableLayout:
    """The columns that fit a width, and where they are."""

    columns: tuple[Placed, ...]

    def column_at(self, cell: int) -> SortColumn | None:
        """Return the column whose title or figures are at a cell; None in front of them all."""
        found: SortColumn | None = None
        for column in self.columns:
            if cell >= column.start:
                found = column.key
        return found


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else signed(number)


def _keys(row: ServerRow) -> str:
    return _UNKNOWN if row.keys is None else whole(row.keys)


def _speed(row: ServerRow) -> str:
    per_second = row.operations_per_second
    return _UNKNOWN if per_second is None else compact(per_second)


def _name(row: ServerRow) -> str:
    return f"{row.mark.letter} {safe(row.server_id, _LONGEST_NAME)}"


_COLUMNS = (
    _Column(SortColumn.SERVER, "Server", 0, _name, 0),
    _Column(SortColumn.STATE, "State", 1, lambda row: f"{row.status.sign} {row.status.words}", 4),
    _Column(SortColumn.VNODES, "Vnodes", 6, lambda row: whole(row.vnodes), 6),
    _Column(SortColumn.SHARE, "Share", 4, lambda row: percent(row.share), 6),
    _Column(SortColumn.KEYS, "Keys", 2, _keys, 6),
    _Column(SortColumn.DELTA, "Change", 5, lambda row: _count(row.keys_delta), 6),
    _Column(SortColumn.RATE, "Ops/s", 3, _speed, 5),
    # There only while records wait for a server, and then before most others.
    _Column(SortColumn.HINTS, "Hints", 2, lambda row: whole(row.hints) if row.hints else "", 5),
)
_LEFT = (SortColumn.SERVER, SortColumn.STATE)


def lay_out(rows: Sequence[ServerRow], sorting: Sorting, width: int) -> TableLayout:
    """Return the columns that fit `width` cells. O(rows)."""
    titles = {column.key: _title(column, sorting) for column in _COLUMNS}
    widths = {
        column.key: max(
            column.width,
            cell_len(titles[column.key]),
            max((cell_len(column.cell(row)) for row in rows), default=0),
        )
        for column in _COLUMNS
    }
    waiting = any(row.hints for row in rows)
    shown = [column for column in _COLUMNS if waiting or column.key is not SortColumn.HINTS]
    name = widths[SortColumn.SERVER]
    widths[SortColumn.SERVER] = min(name, _SHORTEST_NAME)
    gutter = len(_CURSOR)
    while _needed(shown, widths, gutter) > width and len(shown) > 1:
        shown.remove(max(shown, key=lambda column: column.rank))
    left = width - _needed(shown, widths, gutter)
    longer = max(0, min(name - widths[SortColumn.SERVER], left))
    widths[SortColumn.SERVER] += longer
    gaps = len(shown) - 1
    gap = 1 + min(_WIDEST_GAP - 1, (left - longer) // gaps) if gaps and left > longer else 1
    placed: list[Placed] = []
    start = gutter
    for column in shown:
        placed.append(
            Placed(column.key, titles[column.key], column.cell, start, widths[column.key])
        )
        start += widths[column.key] + gap
    return TableLayout(tuple(placed))


def draw_titles(layout: TableLayout, sorting: Sorting, look: Look) -> Text:
    """Return the line of titles, with an arrow at the column that the rows are sorted by."""
    line = Text(no_wrap=True, end="")
    for column in layout.columns:
        style = BOLD if column.key is sorting.column else DIM
        _append(line, column, column.title, style)
    return look.finish(line)


def draw_row(row: ServerRow, layout: TableLayout, look: Look, *, selected: bool = False) -> Text:
    """Return the line of one server."""
    line = Text(_CURSOR if selected else " ", no_wrap=True, end="")
    for column in layout.columns:
        _append(line, column, column.cell(row), _style(column.key, row, look))
    return look.finish(line)


def _append(line: Text, column: Placed, content: str, style: Style) -> None:
    cell = Text(content, style=style)
    cell.truncate(column.width, overflow="ellipsis")
    padding = " " * (column.width - cell.cell_len)
    line.append(" " * (column.start - line.cell_len))
    if column.key in _LEFT:
        line.append_text(cell).append(padding)
    else:
        line.append(padding).append_text(cell)


def _style(column: SortColumn, row: ServerRow, look: Look) -> Style:
    match column:
        case SortColumn.SERVER:
            return look.server(row.mark)
        case SortColumn.STATE:
            return look.tone(row.status.tone)
        case SortColumn.VNODES:
            return DIM
        case SortColumn.DELTA if not row.keys_delta:
            return DIM
        case _:
            return PLAIN


def _title(column: _Column, sorting: Sorting) -> str:
    if column.key is not sorting.column:
        return column.title
    return f"{column.title}{'▾' if sorting.descending else '▴'}"


def _needed(columns: Sequence[_Column], widths: dict[SortColumn, int], gutter: int) -> int:
    return gutter + sum(widths[column.key] for column in columns) + len(columns) - 1
