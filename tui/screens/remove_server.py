"""The dialog that removes a server."""

from collections.abc import Mapping

from textual.app import ComposeResult

from core.cluster.plan import Plan
from tui.renderables.look import Look
from tui.screens.plan_dialog import PlanDialog
from tui.store_gateway import StoreGateway
from tui.view_model import Mark


class RemoveServerDialog(PlanDialog[str]):
    """Shows where the keys of one server would go.

    The server is the one that was selected when the dialog opened, whatever is selected since.
    """

    AUTO_FOCUS = "#cancel"
    TITLE_TEXT = "Remove a server"
    HINT = "tab changes · enter chooses · esc cancels"
    CONFIRM = "Remove"
    VARIANT = "remove"

    def __init__(
        self, gateway: StoreGateway, look: Look, marks: Mapping[str, Mark], server_id: str
    ) -> None:
        super().__init__(gateway, look, marks)
        self.server_id = server_id

    def compose_fields(self) -> ComposeResult:
        """Ask for nothing."""
        yield from ()

    def change(self) -> str:
        """Return the server's id."""
        return self.server_id

    def make_plan(self, change: str) -> Plan:
        """Return where the server's keys would go."""
        return self._gateway.plan_remove(change)
