"""The dialog that adds a server."""

from collections.abc import Mapping
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label

from core.cluster.plan import Plan
from core.errors import InvalidOptionError
from core.ring.hash_ring import MAX_WEIGHT
from core.server_id import checked_server_id
from tui.renderables.look import Look
from tui.screens.plan_dialog import PlanDialog
from tui.store_gateway import StoreGateway
from tui.view_model import Mark
from tui.widgets.safe_input import SafeInput


class Addition(NamedTuple):
    """A server to be added."""

    server_id: str
    weight: float


class AddServerDialog(PlanDialog[Addition]):
    """Asks for an id and a weight, and shows what would move to the new server."""

    AUTO_FOCUS = "#server-id"
    TITLE_TEXT = "Add a server"
    HINT = "enter adds · esc cancels"
    CONFIRM = "Add"
    VARIANT = "add"
    FIELD_LINES = 3

    def __init__(
        self, gateway: StoreGateway, look: Look, marks: Mapping[str, Mark], suggested: str
    ) -> None:
        super().__init__(gateway, look, marks)
        self._suggested = suggested

    def compose_fields(self) -> ComposeResult:
        """Lay out the id and the weight."""
        with Horizontal(classes="field"):
            yield Label("Id")
            yield SafeInput(self._suggested, id="server-id", select_on_focus=True)
        with Horizontal(classes="field", id="weight-field"):
            yield Label("Weight")
            yield SafeInput("1", id="weight", select_on_focus=True)

    def change(self) -> Addition:
        """Return the server as it is typed now.

        Raises:
            InvalidServerIdError: the id is not allowed.
            InvalidOptionError: the weight is no number.
        """
        server_id = checked_server_id(self.query_one("#server-id", SafeInput).value)
        typed = self.query_one("#weight", SafeInput).value
        try:
            return Addition(server_id, float(typed))
        except ValueError:
            raise InvalidOptionError(
                f"a weight must be a number above 0 and at most {MAX_WEIGHT:g}"
            ) from None

    def make_plan(self, change: Addition) -> Plan:
        """Return what would move to the server."""
        return self._gateway.plan_add(change.server_id, change.weight)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Plan for what is typed now."""
        event.stop()
        self.plan_again()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Add the server whose plan is shown."""
        event.stop()
        self.confirm()
