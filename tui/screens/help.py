"""The help screen: every key and every sign."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.renderables.help import draw_help
from tui.renderables.look import Look

# Cells between the text and the scroll bar.
_MARGIN = 1


class HelpScreen(ModalScreen[None]):
    """Every key as it is bound now, and what the signs mean."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", id="back", show=False),
        Binding("question_mark", "close", id="help", show=False),
        Binding("q", "close", id="quit", show=False),
    ]

    def __init__(self, keys: Mapping[str, Sequence[str]], look: Look) -> None:
        super().__init__()
        self._keys = keys
        self._look = look

    def compose(self) -> ComposeResult:
        """Lay the text out."""
        with VerticalScroll(id="help") as scroll:
            scroll.border_title = "Keys and signs"
            scroll.border_subtitle = "esc closes"
            yield Static(id="help-text", markup=False)

    def on_resize(self, event: Resize) -> None:
        """Fit the text to the width."""
        self.call_after_refresh(self._fit)

    def action_close(self) -> None:
        """Go back to the dashboard."""
        self.dismiss()

    def _fit(self) -> None:
        text = self.query_one("#help-text", Static)
        width = self.query_one("#help", VerticalScroll).scrollable_content_region.width - _MARGIN
        if width > 0:
            text.update(draw_help(self._keys, width, self._look))
