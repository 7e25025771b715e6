"""The line at the bottom: the keys that matter most, as many as fit."""

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.widget import Widget

from tui.renderables.hints import Hint, draw_hints, place_hints
from tui.renderables.look import DARK, Look


class KeyHints(Widget):
    """Keys and what they do; a click does it.

    Textual's own footer lists the keys in the order of their bindings and lets the last ones run
    off the screen; this one lets the least important go.
    """

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(id="hints")
        self._hints: tuple[Hint, ...] = ()
        self._look: Look = DARK

    def show(self, hints: Sequence[Hint], look: Look) -> None:
        """Show these keys, the most important first."""
        shown = (tuple(hints), look)
        if shown != (self._hints, self._look):
            self._hints, self._look = shown
            self.refresh()

    def render(self) -> Text:
        """Return the line."""
        return draw_hints(place_hints(self._hints, self.size.width), self._look)

    async def on_click(self, event: events.Click) -> None:
        """Do what was clicked."""
        for hint, start, end in place_hints(self._hints, self.size.width):
            if start <= event.x < end:
                await self.app.run_action(hint.action_id)
