"""Panel 2: the ring."""

from rich.text import Text
from textual import events
from textual.message import Message

from core.errors import StoreError
from tui.formatting import counted
from tui.renderables.look import Look
from tui.renderables.ring import draw_ring, position_at
from tui.renderables.ring_geometry import ring_geometry
from tui.store_gateway import Answer, Frame
from tui.view_model import RingPicture
from tui.widgets.drawing import DrawingPanel


class RingPanel(DrawingPanel):
    """The ring, with what was looked up marked on it; a click asks about a position."""

    class PositionAsked(Message):
        """A place of the ring is to be explained.

        Attributes:
            position: its position.
        """

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

    def __init__(self) -> None:
        super().__init__("ring")
        self._drawn_from: tuple[RingPicture, Answer | None, int, int, Look] | None = None
        self._drawing = Text()

    def draw(self, frame: Frame, width: int, height: int) -> Text:
        """Return the ring; the same drawing as before while nothing has changed."""
        found = frame.lookup.answer if frame.lookup is not None else None
        picture = frame.view.ring
        wanted = (picture, found, width, height, self.look)
        if wanted != self._drawn_from:
            self._drawn_from = wanted
            self._drawing = draw_ring(
                picture,
                width,
                height,
                self.look,
                found=None if isinstance(found, StoreError) else found,
                centre=_centre(picture),
            )
        return self._drawing

    def step(self, spokes: int) -> None:
        """Ask about the place some spokes further round the ring, or back below 0."""
        size = self.scrollable_content_region.size
        if self.frame is None or not size.area:
            return
        shape = ring_geometry(size.width, size.height)
        found = self.frame.lookup.answer if self.frame.lookup is not None else None
        if found is None or isinstance(found, StoreError):
            spoke = 0 if spokes > 0 else len(shape.spokes) - 1
        else:
            spoke = (shape.spoke_of(found.position) + spokes) % len(shape.spokes)
        self.post_message(self.PositionAsked(shape.spokes[spoke]))

    def on_click(self, event: events.Click) -> None:
        """Ask about the place that was clicked."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        size = self.scrollable_content_region.size
        position = position_at(offset.x, offset.y, size.width, size.height)
        if position is not None:
            self.post_message(self.PositionAsked(position))


def _centre(picture: RingPicture) -> tuple[str, ...]:
    """Return what the middle of the ring says, the most important first."""
    if not picture.marks:
        return ("empty",)
    return (
        counted(len(picture.marks), "server"),
        counted(len(picture.view.vnodes), "vnode"),
        f"epoch {picture.view.epoch}",
    )
