"""What the dialogs that change the ring have in common: they show a plan before it is done."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from core.cluster.plan import Plan
from core.errors import DataLossError, StalePlanError, StoreError
from tui.formatting import counted, safe_text
from tui.renderables.look import DIM, Look
from tui.renderables.plan import draw_plan
from tui.store_gateway import StoreGateway
from tui.view_model import Mark, Tone

Change = TypeVar("Change")

# Longer lists of who gives what to whom are summed up.
_TRANSFERS_LISTED = 12
_ERROR_CELLS = 300
# The frame, the buttons, and the blank lines between them and the plan.
_OWN_LINES = 6


class PlanDialog(ModalScreen[None], Generic[Change]):
    """A dialog that shows the plan of a change, and carries it out when it is told to.

    One that would lose keys for good is carried out by a button of its own that says so.

    A plan is worked out beside the event loop, one at a time: what changes meanwhile is planned
    next. Only the plan that is shown can be carried out.

    Args:
        gateway: plans and commits.
        look: colours, and whether to draw in ASCII.
        marks: the letters and colours of the servers.
    """

    # With priority, as the app's own: what is typed in one burst acts in its order.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", id="back", show=False, priority=True),
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
        # No need to leave a field or a button in order to read the end of a long plan.
        Binding("down", "scroll_plan(1)", show=False, priority=True),
        Binding("up", "scroll_plan(-1)", show=False, priority=True),
        Binding("pagedown", "scroll_plan(8)", show=False, priority=True),
        Binding("pageup", "scroll_plan(-8)", show=False, priority=True),
    ]
    # How many lines `compose_fields` takes.
    FIELD_LINES: ClassVar[int] = 0
    TITLE_TEXT: ClassVar[str]
    HINT: ClassVar[str]
    CONFIRM: ClassVar[str]
    VARIANT: ClassVar[str]

    def __init__(self, gateway: StoreGateway, look: Look, marks: Mapping[str, Mark]) -> None:
        super().__init__()
        self._gateway = gateway
        self._look = look
        self._marks = marks
        self._wanted: Change | None = None
        self._planning = False
        self._committing = False
        self._plan: Plan | None = None
        self._remark = ""

    # What a subclass says

    @abstractmethod
    def make_plan(self, change: Change) -> Plan:
        """Return the plan of a change; called beside the event loop.

        Raises:
            StoreError: it can't be made, and this says why.
        """

    @abstractmethod
    def compose_fields(self) -> ComposeResult:
        """Lay out what is asked for."""

    @abstractmethod
    def change(self) -> Change:
        """Return the change as it is asked for now.

        Raises:
            StoreError: it is none yet, and this says why.
        """

    # What there is to see

    def compose(self) -> ComposeResult:
        """Lay out the fields, the plan and the buttons."""
        with Vertical(id="dialog") as dialog:
            dialog.border_title = self.TITLE_TEXT
            dialog.border_subtitle = self.HINT
            yield from self.compose_fields()
            with VerticalScroll(id="plan", can_focus=False):
                yield Static(id="plan-text", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                confirm = Button(self.CONFIRM, id="confirm", compact=True)
                confirm.set_class(True, f"-{self.VARIANT}")
                yield confirm
                force = Button("Lose keys", id="force", compact=True, classes="-remove")
                force.display = False
                yield force

    def on_mount(self) -> None:
        """Plan what is asked for at first."""
        self.plan_again()

    def on_resize(self, event: Resize) -> None:
        """Leave the plan as many lines as there are; the buttons are always seen."""
        room = event.size.height - _OWN_LINES - self.FIELD_LINES
        self.query_one("#plan").styles.max_height = max(1, room)

    def plan_again(self, remark: str = "") -> None:
        """Work out the plan of what is asked for now.

        Args:
            remark: why, if the user did not ask for it.
        """
        self._plan = None
        self._remark = remark
        self._allow_confirm()
        try:
            self._wanted = self.change()
        except StoreError as error:
            self._wanted = None
            self._show_problem(error)
            return
        if not self._planning:
            self._planning = True
            self._show(Text("Planning …", style=DIM))
            self.run_worker(self._keep_planning(), exit_on_error=True)

    # What the user does

    def action_scroll_plan(self, lines: int) -> None:
        """Show more of a long plan."""
        self.query_one("#plan").scroll_relative(y=lines, animate=False)

    def action_cancel(self) -> None:
        """Close, and change nothing."""
        self.dismiss()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Carry the plan out, or close."""
        event.stop()
        if event.button.id == "confirm":
            self.confirm()
        elif event.button.id == "force":
            self.confirm(force=True)
        else:
            self.dismiss()

    def confirm(self, *, force: bool = False) -> None:
        """Carry out the plan that is shown; nothing while none is.

        Args:
            force: True gives up the keys that the plan would lose; one that loses keys is carried
                out in no other way.
        """
        if self._plan is None or self._committing or force is not bool(self._plan.keys_lost):
            return
        self._committing = True
        self._allow_confirm()
        self.run_worker(self._commit(self._plan, force), exit_on_error=True)

    async def _keep_planning(self) -> None:
        try:
            while (change := self._wanted) is not None:
                self._wanted = None
                try:
                    plan = await self._gateway.run(self.make_plan, change)
                except StoreError as error:
                    if self._wanted is None:
                        self._show_problem(error)
                else:
                    if self._wanted is None:
                        self._show_plan(plan)
        finally:
            self._planning = False

    async def _commit(self, plan: Plan, force: bool) -> None:
        try:
            await self._gateway.run(self._gateway.commit, plan, force=force)
        except DataLossError:
            self._committing = False
            self.plan_again("A server has crashed meanwhile. This is what it would mean now:")
        except StalePlanError:
            self._committing = False
            self.plan_again("The ring has changed meanwhile. This is the plan for it as it is now:")
        except StoreError as error:
            self._committing = False
            self._plan = None
            self._show_problem(error)
            self._allow_confirm()
        else:
            self.dismiss()

    def _show_plan(self, plan: Plan) -> None:
        self._plan = plan
        drawing = draw_plan(plan, self._look, marks=self._marks, limit=_TRANSFERS_LISTED)
        if self._remark:
            remark = Text(f"{self._remark}\n\n", style=self._look.tone(Tone.WARNING), end="")
            drawing = remark.append_text(drawing)
        self._show(drawing)
        self._allow_confirm()

    def _show_problem(self, error: StoreError) -> None:
        sign = Text("✖ ", style=self._look.tone(Tone.BAD), end="")
        words = safe_text(str(error), _ERROR_CELLS, self._look.tone(Tone.BAD))
        self._show(self._look.finish(sign.append_text(words)))

    def _show(self, text: Text) -> None:
        text.no_wrap = False
        self.query_one("#plan-text", Static).update(text)

    def _allow_confirm(self) -> None:
        idle = self._plan is not None and not self._committing
        lost = self._plan.keys_lost if self._plan is not None else 0
        confirm, force = self.query_one("#confirm", Button), self.query_one("#force", Button)
        if lost and not force.display:
            # The focus may be on the button that goes, and must not fall to the one that comes.
            self.query_one("#cancel", Button).focus()
        confirm.display, force.display = not lost, bool(lost)
        confirm.disabled = force.disabled = not idle
        if lost:
            force.label = f"{self.CONFIRM}, losing {counted(lost, 'key')}"
