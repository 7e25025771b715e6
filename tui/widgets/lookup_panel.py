"""Panel 5: where a key lives, and why."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from tui.renderables.look import DIM, Look
from tui.renderables.lookup import lookup_line, lookup_lines
from tui.store_gateway import Frame
from tui.widgets.drawing import DrawingPanel
from tui.widgets.panel import panel_title
from tui.widgets.safe_input import SafeInput

_INVITATION = "Type / and a key, or click on the ring."


class LookupAnswer(DrawingPanel):
    """Where a key or a position lives: in one line, or in as many as there is room for."""

    DEFAULT_CLASSES = ""

    def __init__(self) -> None:
        super().__init__("answer")

    def draw(self, frame: Frame, width: int, height: int) -> Text:
        """Return the answer to what was asked."""
        if frame.lookup is None:
            return self.look.finish(Text(_INVITATION, style=DIM, no_wrap=True))
        marks, answer = frame.view.ring.marks, frame.lookup.answer
        lines = lookup_lines(answer, marks, width, self.look)
        if height > lines.plain.count("\n"):
            return lines
        return lookup_line(answer, marks, width, self.look)


class LookupPanel(Vertical):
    """A line to type a key in, and what there is to say of it."""

    class Asked(Message):
        """A key was typed, completely or so far; empty when there is none any more.

        Attributes:
            key: the key.
        """

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    DEFAULT_CLASSES = "panel"
    ALLOW_MAXIMIZE = True

    def __init__(self) -> None:
        super().__init__(id="lookup")
        self.border_title = panel_title("lookup")
        self.answer = LookupAnswer()
        self.input = SafeInput(placeholder="key", id="key")

    def compose(self) -> ComposeResult:
        """Lay out the line and the answer."""
        yield self.input
        yield self.answer

    def show(self, frame: Frame) -> None:
        """Show another moment."""
        self.answer.show(frame)

    def wear(self, look: Look) -> None:
        """Draw in other colours, or in ASCII, from now on."""
        self.answer.wear(look)

    def clear(self) -> None:
        """Forget the key."""
        with self.prevent(Input.Changed):
            self.input.value = ""

    def on_input_changed(self, event: Input.Changed) -> None:
        """Ask about the key as far as it is typed."""
        event.stop()
        self.post_message(self.Asked(event.value))
