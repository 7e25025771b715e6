"""Panel 3: how many keys each server holds, as bars."""

from collections.abc import Sequence

from rich.text import Text

from tui.renderables.bars import BarLayout, draw_bar_line, lay_out_bars
from tui.store_gateway import Frame
from tui.view_model import KeyBar
from tui.widgets.panel import Panel


class KeysPanel(Panel[KeyBar]):
    """A bar a server, with its deviation from the mean, or its target while keys move."""

    def __init__(self) -> None:
        super().__init__("keys")
        self._layout: BarLayout | None = None

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[KeyBar]:
        """Return the bars."""
        layout = lay_out_bars(frame.view.bars, width, self.look)
        if layout != self._layout:
            self._layout = layout
            self._strips.clear()
            self.refresh()
        return frame.view.bars

    def text_of(self, line: KeyBar) -> Text:
        """Return a bar with its words."""
        assert self._layout is not None, "lines() comes first"
        return draw_bar_line(line, self._layout, self.look)
