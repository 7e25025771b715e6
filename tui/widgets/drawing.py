"""A panel whose lines are one drawing."""

from collections.abc import Sequence

from rich.text import Text

from tui.store_gateway import Frame
from tui.widgets.panel import Panel


class DrawingPanel(Panel[Text]):
    """A panel that draws all its lines at once, as a subclass says in `draw`."""

    def draw(self, frame: Frame, width: int, height: int) -> Text:
        """Return the drawing, of at most `width` cells and usually `height` lines."""
        raise NotImplementedError

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Text]:
        """Return the drawing line by line."""
        drawing = self.draw(frame, width, height)
        # Lines are compared by their words and spans: a style of the whole becomes a span.
        return [Text(end="").append_text(line) for line in drawing.split("\n", allow_blank=True)]

    def text_of(self, line: Text) -> Text:
        """Return the line itself."""
        return line
