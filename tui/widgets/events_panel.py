"""Panel 6: what happened."""

from collections.abc import Sequence

from rich.text import Text

from tui.renderables.events import draw_events
from tui.store_gateway import Frame
from tui.widgets.panel import Panel


class EventsPanel(Panel[Text]):
    """The events, the latest at the bottom, which stays in view unless one scrolls away from it."""

    def __init__(self) -> None:
        super().__init__("events")
        self._bottom = 0

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Text]:
        """Return the events' lines, oldest first."""
        return draw_events(frame.view.events, width, self.look)

    def text_of(self, line: Text) -> Text:
        """Return the line itself."""
        return line

    def redraw(self) -> None:
        """Draw again, and stay at the bottom if that is where it was."""
        following = self.scroll_offset.y >= self._bottom
        super().redraw()
        self._bottom = self.max_scroll_y
        if following:
            # By force: whether there is a scroll bar is known only after the next layout, and
            # until then it can't be told where it stands.
            self.scroll_to(y=self._bottom, animate=False, force=True)
            self.call_after_refresh(self._place_scroll_bar)

    def _place_scroll_bar(self) -> None:
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self.scroll_y
