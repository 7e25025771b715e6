"""The dialog that removes what loads have written."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from core.errors import StoreError
from tui.formatting import counted, safe_text
from tui.renderables.look import DIM, Look
from tui.store_gateway import StoreGateway
from tui.view_model import Tone

_ERROR_CELLS = 300


class RemoveLoadDialog(ModalScreen[bool]):
    """Says how many keys loads have left, and removes them when it is told to.

    Its result is whether to go on with what it was opened before: False only if it was cancelled.

    Args:
        gateway: counts the keys, and removes them.
        look: colours, and whether to draw in ASCII.
        leaving: whether ringtop ends after it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", id="back", show=False)]
    AUTO_FOCUS = "#cancel"

    def __init__(self, gateway: StoreGateway, look: Look, *, leaving: bool = False) -> None:
        super().__init__()
        self._gateway = gateway
        self._look = look
        self._leaving = leaving
        self._removing = False

    def compose(self) -> ComposeResult:
        """Lay out what would be removed, and the buttons."""
        keep, remove = ("Keep, quit", "Remove, quit") if self._leaving else ("Keep", "Remove")
        with Vertical(id="dialog") as dialog:
            dialog.border_title = "Remove what the load wrote"
            dialog.border_subtitle = "tab changes · enter chooses · esc cancels"
            with VerticalScroll(id="plan", can_focus=False):
                yield Static(Text("Counting …", style=DIM), id="plan-text", markup=False)
            with Horizontal(id="buttons"):
                yield Button(keep, id="cancel", compact=True)
                yield Button(remove, id="confirm", compact=True, classes="-remove", disabled=True)

    def on_mount(self) -> None:
        """Count what would be removed."""
        self.run_worker(self._count(), exit_on_error=True)

    def action_cancel(self) -> None:
        """Close, and change nothing."""
        self.dismiss(False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Remove the keys, or close."""
        event.stop()
        if event.button.id != "confirm":
            self.dismiss(True)
        elif not self._removing:
            self._removing = True
            self._update(Text("Removing …", style=DIM))
            self.run_worker(self._remove(), exit_on_error=True)

    async def _count(self) -> None:
        try:
            keys = await self._gateway.run(self._gateway.count_load_keys)
        except StoreError as error:
            self._show_problem(error)
            return
        text = Text(f"{counted(keys, 'key')} of loads: load:user and a number.\n", end="")
        text.append("\nThey stay until somebody removes them. Nothing else is touched.")
        self._update(self._look.finish(text))
        self.query_one("#confirm", Button).disabled = not keys

    async def _remove(self) -> None:
        try:
            await self._gateway.run(self._gateway.remove_load_keys)
        except StoreError as error:
            self._removing = False
            self._show_problem(error)
        else:
            self.dismiss(True)

    def _show_problem(self, error: StoreError) -> None:
        sign = Text("✖ ", style=self._look.tone(Tone.BAD), end="")
        words = safe_text(str(error), _ERROR_CELLS, self._look.tone(Tone.BAD))
        self._update(self._look.finish(sign.append_text(words)))

    def _update(self, text: Text) -> None:
        text.no_wrap = False
        self.query_one("#plan-text", Static).update(text)
