"""The line at the top: the store at a glance."""

from rich.text import Text
from textual.widget import Widget

from tui.renderables.look import DARK, Look
from tui.renderables.status import ScreenState, draw_status
from tui.view_model import StatusLine


class StatusBar(Widget):
    """How the store is, and how the screen is, in one line."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(id="status")
        self._shown: tuple[StatusLine, ScreenState, Look] | None = None

    def show(self, status: StatusLine, screen: ScreenState, look: Look = DARK) -> None:
        """Show another moment."""
        shown = (status, screen, look)
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def render(self) -> Text:
        """Return the line."""
        if self._shown is None:
            return Text()
        status, screen, look = self._shown
        return draw_status(status, screen, self.size.width, look)
