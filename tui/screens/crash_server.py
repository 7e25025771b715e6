"""The dialog that lets a server crash."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from core.cluster.failover import CrashPreview
from core.errors import StoreError
from tui.formatting import safe_text
from tui.renderables.crash import draw_crash
from tui.renderables.look import DIM, Look
from tui.store_gateway import StoreGateway
from tui.view_model import Mark, Tone

_ERROR_CELLS = 300
# What is lost may have become so much more, in parts of it, until it is asked about again.
_MUCH_MORE = 1.1


class CrashServerDialog(ModalScreen[None]):
    """Says what the crash of one server would lose, and lets it crash when it is told to.

    The server is the one that was selected when the dialog opened, whatever is selected since.

    Args:
        gateway: previews the crash, and carries it out.
        look: colours, and whether to draw in ASCII.
        mark: the server's letter and colour; None if it has none.
        server_id: the server.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", id="back", show=False)]
    AUTO_FOCUS = "#cancel"

    def __init__(
        self, gateway: StoreGateway, look: Look, mark: Mark | None, server_id: str
    ) -> None:
        super().__init__()
        self.server_id = server_id
        self._gateway = gateway
        self._look = look
        self._mark = mark
        self._preview: CrashPreview | None = None
        self._crashing = False

    def compose(self) -> ComposeResult:
        """Lay out what would be lost, and the buttons."""
        with Vertical(id="dialog") as dialog:
            dialog.border_title = "Crash a server"
            dialog.border_subtitle = "tab changes · enter chooses · esc cancels"
            with VerticalScroll(id="plan", can_focus=False):
                yield Static(Text("Counting …", style=DIM), id="plan-text", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Crash", id="confirm", compact=True, classes="-remove", disabled=True)

    def on_mount(self) -> None:
        """Count what would be lost."""
        self.run_worker(self._count(), exit_on_error=True)

    def action_cancel(self) -> None:
        """Close, and change nothing."""
        self.dismiss()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Let the server crash, or close."""
        event.stop()
        if event.button.id != "confirm":
            self.dismiss()
        elif self._preview is not None and not self._crashing:
            self._crashing = True
            self.run_worker(self._crash(self._preview), exit_on_error=True)

    async def _count(self) -> None:
        try:
            self._show(await self._gateway.run(self._gateway.plan_crash, self.server_id))
        except StoreError as error:
            self._show_problem(error)

    async def _crash(self, shown: CrashPreview) -> None:
        try:
            # Another server may have crashed since: then more is at stake than was said.
            now = await self._gateway.run(self._gateway.plan_crash, self.server_id)
            if _is_worse(now, shown):
                self._crashing = False
                self._show(now, "More is at stake than a moment ago:")
                # A second press of the same key, meant for what was shown before, does no harm.
                self.query_one("#cancel", Button).focus()
                return
            await self._gateway.run(self._gateway.crash_server, self.server_id)
        except StoreError as error:
            self._show_problem(error)
        else:
            self.dismiss()

    def _show(self, preview: CrashPreview, remark: str = "") -> None:
        self._preview = preview
        text = draw_crash(preview, self._look, self._mark)
        if remark:
            before = Text(f"{remark}\n\n", style=self._look.tone(Tone.WARNING), end="")
            text = before.append_text(text)
        self._update(text)

    def _show_problem(self, error: StoreError) -> None:
        self._preview = None
        sign = Text("✖ ", style=self._look.tone(Tone.BAD), end="")
        words = safe_text(str(error), _ERROR_CELLS, self._look.tone(Tone.BAD))
        self._update(self._look.finish(sign.append_text(words)))

    def _update(self, text: Text) -> None:
        text.no_wrap = False
        self.query_one("#plan-text", Static).update(text)
        self.query_one("#confirm", Button).disabled = self._preview is None


def _is_worse(now: CrashPreview, shown: CrashPreview) -> bool:
    """Return whether a crash now would lose, or block, much more keys than was shown."""
    return (
        now.keys_lost > shown.keys_lost * _MUCH_MORE
        or now.keys_refused > shown.keys_refused * _MUCH_MORE
        or now.keys_waiting > shown.keys_waiting * _MUCH_MORE
    )
