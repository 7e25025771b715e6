"""Panel 4: the load and the throughput of late."""

from rich.text import Text

from tui.renderables.load import draw_load
from tui.store_gateway import Frame
from tui.widgets.drawing import DrawingPanel


class LoadPanel(DrawingPanel):
    """What the load is like, how quick its operations are, and the throughput as a graph."""

    def __init__(self) -> None:
        super().__init__("load")

    def draw(self, frame: Frame, width: int, height: int) -> Text:
        """Return the words and, below them, the graph."""
        view = frame.view
        return draw_load(view.load, view.throughput, width, height, self.look)
