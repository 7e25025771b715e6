"""The menu of faults that can be put on a server."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from core.errors import StoreError
from tui.formatting import safe_text
from tui.renderables.look import BOLD, DIM, Look
from tui.store_gateway import StoreGateway
from tui.view_model import Mark, Tone

_ID_CELLS = 64
_ERROR_CELLS = 300
_SLOW_SECONDS, _VERY_SLOW_SECONDS = 0.05, 0.2
_FAILING_CALLS = 100


class _Choice(NamedTuple):
    """A line of the menu: what it says, and what it does to a server."""

    title: str
    apply: Callable[[str], object]


class FaultsDialog(ModalScreen[None]):
    """Puts a fault on one server, or heals it.

    The server is the one that was selected when the dialog opened, whatever is selected since. What
    is chosen when the dialog opens is to heal: enter, pressed without looking, does no harm.

    Args:
        gateway: puts the faults on the server.
        look: colours, and whether to draw in ASCII.
        mark: the server's letter and colour; None if it has none.
        server_id: the server.
        present: what is wrong with it now, in words; empty when nothing is.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", id="back", show=False)]
    AUTO_FOCUS = "#faults"

    def __init__(
        self,
        gateway: StoreGateway,
        look: Look,
        mark: Mark | None,
        server_id: str,
        present: str,
    ) -> None:
        super().__init__()
        self.server_id = server_id
        self._gateway = gateway
        self._look = look
        self._mark = mark
        self._present = present
        self._choices = (
            _Choice("Heal: end every fault of it", gateway.heal),
            _Choice("Slow by 50 ms a call", partial(gateway.slow_down, seconds=_SLOW_SECONDS)),
            _Choice(
                "Slow by 200 ms a call", partial(gateway.slow_down, seconds=_VERY_SLOW_SECONDS)
            ),
            _Choice(
                f"Fail the next {_FAILING_CALLS} calls",
                partial(gateway.fail_next, calls=_FAILING_CALLS),
            ),
            _Choice("Partition: it keeps its keys, and can't be reached", gateway.partition),
        )

    def compose(self) -> ComposeResult:
        """Lay out how the server is, and what can be done to it."""
        with Vertical(id="dialog") as dialog:
            dialog.border_title = "Faults"
            dialog.border_subtitle = "up and down choose · enter does it · esc cancels"
            yield Static(self._state(), id="fault-state", markup=False)
            yield OptionList(
                *(Option(Text(choice.title)) for choice in self._choices), id="faults", markup=False
            )
            yield Static(id="plan-text", markup=False)

    def action_cancel(self) -> None:
        """Close, and change nothing."""
        self.dismiss()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Do what was chosen, and close."""
        event.stop()
        self.run_worker(self._apply(self._choices[event.option_index]), exit_on_error=True)

    async def _apply(self, choice: _Choice) -> None:
        try:
            await self._gateway.run(choice.apply, self.server_id)
        except StoreError as error:
            sign = Text("✖ ", style=self._look.tone(Tone.BAD), end="")
            words = safe_text(str(error), _ERROR_CELLS, self._look.tone(Tone.BAD))
            words.no_wrap = False
            self.query_one("#plan-text", Static).update(self._look.finish(sign.append_text(words)))
        else:
            self.dismiss()

    def _state(self) -> Text:
        who = safe_text(self.server_id, _ID_CELLS, self._look.server(self._mark) + BOLD)
        text = Text(end="").append_text(who)
        if self._present:
            text.append(f"  ! {self._present}", self._look.tone(Tone.WARNING))
        else:
            text.append("  no faults", DIM)
        return self._look.finish(text)
