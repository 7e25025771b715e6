"""What all panels have in common: a number, a title, and lines that change one by one."""

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from rich.console import Console
from rich.style import Style
from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.actions import PANELS
from tui.renderables.look import DARK, Look
from tui.store_gateway import Frame

Line = TypeVar("Line")

# Texts are made of styles already; the console only turns them into segments.
_CONSOLE = Console(color_system="truecolor", force_terminal=True, width=1_000, _environ={})


def panel_title(name: str) -> str:
    """Return the title of a panel: the key that focuses it, and its name."""
    return f"{PANELS.index(name) + 1} {name.capitalize()}"


class Panel(ScrollView, Generic[Line], can_focus=True, inherit_bindings=False):
    """A panel that shows lines, and scrolls over them when there are more than fit.

    A subclass says with `lines` what there is to show, and with `text_of` how a line looks. Only
    lines that differ from those before are drawn again, and only those that can be seen: a frame
    that changes little costs little, with 200 servers too.

    Its keys are those of the registry, which the app binds: see `move`.
    """

    ALLOW_SELECT = False
    DEFAULT_CLASSES = "panel"
    # Lines that stay at the top while the others scroll.
    FIXED_LINES: ClassVar[int] = 0

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        if name in PANELS:
            self.border_title = panel_title(name)
        self.look: Look = DARK
        self.frame: Frame | None = None
        self._lines: Sequence[Line] = ()
        self._strips: dict[int, Strip] = {}

    # What a subclass says

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """Return what this panel shows of a frame, a value for each line."""
        raise NotImplementedError

    def text_of(self, line: Line) -> Text:
        """Return how a line looks; it is cut where it is wider than the panel."""
        raise NotImplementedError

    def style_of(self, line: Line) -> Style | None:
        """Return what a line is laid over; None for the panel's own background."""
        return None

    # What the dashboard calls

    def show(self, frame: Frame) -> None:
        """Show another moment."""
        self.frame = frame
        self.redraw()

    def wear(self, look: Look) -> None:
        """Draw in other colours, or in ASCII, from now on."""
        self.look = look
        self.redraw_all()

    def move(self, lines: int) -> None:
        """Go some lines down, or up below 0."""
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def redraw(self) -> None:
        """Draw again what has changed."""
        size = self.scrollable_content_region.size
        if self.frame is None or not size.area:
            return
        before, self._lines = self._lines, self.lines(self.frame, size.width, size.height)
        if len(before) != len(self._lines):
            self._strips.clear()
            self.virtual_size = Size(size.width, len(self._lines))
            self.refresh()
            return
        for index, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old is not new and old != new:
                self.redraw_line(index)

    def redraw_line(self, index: int) -> None:
        """Draw one line again."""
        self._strips.pop(index, None)
        scrolled = self.scroll_offset.y
        y = index if index < self.FIXED_LINES else index - scrolled
        if 0 <= y < self.size.height:
            self.refresh_lines(y + scrolled)

    def redraw_all(self) -> None:
        """Draw every line again."""
        self._strips.clear()
        self.redraw()
        self.refresh()

    # What Textual calls

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        index = self.index_at(y)
        width = self.scrollable_content_region.width
        strip = self._strips.get(index)
        if strip is None or strip.cell_length != width:
            strip = self._strips[index] = self._drawn(index, width)
        return strip

    def index_at(self, y: int) -> int:
        """Return the number of the line at a line of the screen."""
        return y if y < self.FIXED_LINES else y + self.scroll_offset.y

    def notify_style_update(self) -> None:
        """Forget what was drawn in other styles."""
        super().notify_style_update()
        self._strips.clear()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the lines to another size."""
        self.redraw_all()

    def _drawn(self, index: int, width: int) -> Strip:
        base = self.rich_style
        if index >= len(self._lines):
            return Strip.blank(width, base)
        line = self._lines[index]
        over = self.style_of(line)
        if over is not None:
            base += over
        strip = Strip(self.text_of(line).render(_CONSOLE))
        return strip.adjust_cell_length(width).apply_style(base)
