"""Panel 1: the servers as a table, one of them selected."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events

from tui.renderables.look import DIM
from tui.renderables.table import Sorting, TableLayout, draw_row, draw_titles, lay_out
from tui.store_gateway import Frame
from tui.view_model import ServerRow, SortColumn, sort_rows, storage_words
from tui.widgets.panel import Panel, panel_title

# Names and states read from A on, figures from the largest.
_TITLES = ""
_NO_SERVERS = " There is no server yet: add one."
_IN = "in"
# In cells: what the frame takes beside a title, and the least that a directory is shown in.
_AROUND_A_TITLE = 6
_SHORTEST_PLACE = 24
_ASCENDING = (SortColumn.SERVER, SortColumn.STATE)


class ServersPanel(Panel[ServerRow | str]):
    """The servers as a table.

    The selection is a server's id and never a line: the lines may be sorted, come and go as they
    like. When the selected server is gone, its neighbour is selected.

    The first line, an empty string, is that of the titles; another string is a remark.
    """

    FIXED_LINES = 1
    COMPONENT_CLASSES: ClassVar[set[str]] = {"servers--selected"}

    def __init__(self) -> None:
        super().__init__("servers")
        self.selected: str | None = None
        self.sorting = Sorting()
        self._layout = TableLayout(())
        self._title = panel_title("servers")
        self.rows: tuple[ServerRow, ...] = ()

    def show(self, frame: Frame) -> None:
        """Show another moment; where there is no room, its servers can be selected all the same."""
        super().show(frame)
        self._take_rows(frame)

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[ServerRow | str]:
        """Return a line for the titles and one for each server."""
        rows = self._take_rows(frame)
        self._say_where(frame, width)
        layout = lay_out(rows, self.sorting, width)
        if layout != self._layout:
            self._layout = layout
            self._strips.clear()
            self.refresh()
        return (_TITLES, *(rows or (_NO_SERVERS,)))

    def text_of(self, line: ServerRow | str) -> Text:
        """Return a line of the table."""
        if line == _TITLES:
            return draw_titles(self._layout, self.sorting, self.look)
        if isinstance(line, str):
            return Text(line, style=DIM)
        selected = line.server_id == self.selected
        return draw_row(line, self._layout, self.look, selected=selected)

    def style_of(self, line: ServerRow | str) -> Style | None:
        """Return the background of the selected line."""
        if isinstance(line, str) or line.server_id != self.selected:
            return None
        return self.get_component_rich_style("servers--selected")

    # What the user does

    def select(self, server_id: str) -> None:
        """Select a server, and bring it into view."""
        before, self.selected = self.selected, server_id
        for index, row in enumerate(self.rows, start=self.FIXED_LINES):
            if row.server_id in (before, server_id):
                self.redraw_line(index)
        self._show_selection()

    def row_of(self, server_id: str) -> ServerRow | None:
        """Return the row of a server as it is shown; None if there is none."""
        return next((row for row in self.rows if row.server_id == server_id), None)

    def move(self, lines: int) -> None:
        """Select a server some lines further down, or up below 0."""
        if self.rows:
            index = min(max(0, self._selected_index() + lines), len(self.rows) - 1)
            self.select(self.rows[index].server_id)

    def sort_by(self, column: SortColumn) -> None:
        """Sort by a column; the other way round if that is how it is sorted."""
        if column is self.sorting.column:
            self.reverse()
        else:
            self._sort(Sorting(column, column not in _ASCENDING))

    def reverse(self) -> None:
        """Sort the other way round."""
        self._sort(Sorting(self.sorting.column, not self.sorting.descending))

    def sort_beside(self, step: int) -> None:
        """Sort by the column that is shown some columns to the right, or left below 0."""
        shown = [column.key for column in self._layout.columns]
        # A column that no longer fits is still sorted by, but has no neighbours.
        index = shown.index(self.sorting.column) if self.sorting.column in shown else 0
        self.sort_by(shown[(index + step) % len(shown)])

    def on_click(self, event: events.Click) -> None:
        """Sort by the title that was clicked, or select the server."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self.FIXED_LINES:
            column = self._layout.column_at(offset.x)
            if column is not None:
                self.sort_by(column)
            return
        index = self.index_at(offset.y) - self.FIXED_LINES
        if index < len(self.rows):
            self.select(self.rows[index].server_id)

    def _sort(self, sorting: Sorting) -> None:
        self.sorting = sorting
        self.redraw_all()
        self._show_selection()

    def _take_rows(self, frame: Frame) -> tuple[ServerRow, ...]:
        rows = sort_rows(
            frame.view.servers, self.sorting.column, descending=self.sorting.descending
        )
        self._keep_selection(rows)
        self.rows = rows
        return rows

    def _say_where(self, frame: Frame, width: int) -> None:
        """Say in the title where the servers keep their data, if that is on a disk."""
        title, storage = panel_title("servers"), frame.view.storage
        if storage is not None:
            room = max(_SHORTEST_PLACE, width - len(title) - _AROUND_A_TITLE)
            title = f"{title} {_IN} {storage_words(storage, room)}"
        if title != self._title:
            self._title = title
            # As text: in a string, what is in the path would be taken as markup.
            self.border_title = Text(title)

    def _keep_selection(self, rows: Sequence[ServerRow]) -> None:
        if any(row.server_id == self.selected for row in rows):
            return
        index = min(self._selected_index(), len(rows) - 1)
        self.selected = rows[index].server_id if rows else None

    def _selected_index(self) -> int:
        """Return the row of the selected server among those shown; 0 if it is not there."""
        found = (index for index, row in enumerate(self.rows) if row.server_id == self.selected)
        return next(found, 0)

    def _show_selection(self) -> None:
        """Scroll as little as it takes to see the selected line."""
        room = self.scrollable_content_region.height - self.FIXED_LINES
        index, top = self._selected_index(), self.scroll_offset.y
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + room:
            self.scroll_to(y=index - room + 1, animate=False)
