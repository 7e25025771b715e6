"""`RingtopApp`, the dashboard as a program: bindings, themes, screens. It draws nothing itself."""

import asyncio
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import ClassVar, ParamSpec

from rich.console import RenderableType
from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter, Monochrome, NoColor
from textual.message import Message
from textual.notifications import Notify
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer
from textual.widgets import Input
from textual.worker import WorkerFailed

from core.clock import Clock, SystemClock
from core.cluster.snapshot import ServerState
from core.errors import InvalidOptionError, StoreError
from core.safe_text import visible
from core.store import KeyValueStore
from core.workload.load_generator import LoadGenerator
from tui.actions import ACTIONS, footer_actions, key_label, keys_by_action
from tui.attention import Attention
from tui.formatting import clock_time, duration
from tui.leftovers import LOAD_KEYS_STAY
from tui.renderables.hints import Hint
from tui.renderables.look import Look
from tui.renderables.status import ScreenState
from tui.screens.add_server import AddServerDialog
from tui.screens.crash_server import CrashServerDialog
from tui.screens.dashboard import Dashboard
from tui.screens.faults import FaultsDialog
from tui.screens.help import HelpScreen
from tui.screens.remove_load import RemoveLoadDialog
from tui.screens.remove_server import RemoveServerDialog
from tui.server_names import next_server_name
from tui.store_gateway import AlreadyDownError, Frame, Question, StoreGateway
from tui.terminal import AsciiOnly, TerminalDriver
from tui.themes import DARK_THEME, THEMES, checked_theme, look_of
from tui.view_model import Mark
from tui.widgets.lookup_panel import LookupPanel
from tui.widgets.ring_panel import RingPanel
from tui.widgets.safe_input import SafeInput

Parameters = ParamSpec("Parameters")

REFRESH_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
# The status line says the worst of so many frames: a single one would flicker.
_DELAYS_KEPT = 4
_HALF_A_PAGE = 0.5
_MESSAGE_CELLS = 300
_REMARK_SECONDS = 12
# Those that end a program; each leaves by the same door as `q`.
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNAL_STATUS = 128
# After these the user waits for something to be seen; not after each cell the mouse moves across.
_DEEDS = (
    events.Key,
    events.Paste,
    events.MouseDown,
    events.MouseUp,
    events.MouseScrollDown,
    events.MouseScrollUp,
)
# All that keys do while one types a key to look up; the others are letters then.
_WHILE_TYPING = frozenset(
    {"interrupt", "back", "keep_lookup", "palette", "next_panel", "previous_panel"}
)
# What the palette, being open itself, has no use for.
_NOT_IN_PALETTE = frozenset({"palette", "back", "keep_lookup"})
_ACTION_IDS = frozenset(action.id for action in ACTIONS)
_DESTRUCTIVE = frozenset(action.id for action in ACTIONS if action.destructive)


class RingtopApp(App[None], inherit_bindings=False):
    """The dashboard of one store and its load.

    A timer asks the gateway for frames; each arrives as one message and is shown whole. An action
    is carried out by the method ``action_<id>`` of its id in `tui.actions`; what has to ask the
    store does so through the gateway, beside the event loop.

    Args:
        store: what is shown and steered; the app does not close it.
        load: the load on it, running or not; the app does not stop it.
        readonly: whether to refuse whatever changes the ring, the load or what is stored.
        ascii_only: whether to draw with nothing but ASCII.
        theme: the name of a theme; None for ringtop's own dark one.
        keymap: other keys for actions, by their id in `tui.actions`: ``{"add_server": "n"}``.
        refresh_seconds: how long from one picture to the next.
        keys_per_second: how fast a migration moves at most; None for no limit.
        zone: whose time of day is shown; None for this machine's.
        clock: what the screen's own delay is measured by.
        live: False to stand still, without timer and threads: a frame is taken only at the start,
            after an action, and by `request_frame`. For pictures and tests.
        remarks: what the user is to be told first.
        look_again: opens a store anew that is only observed; None for any other.

    Raises:
        InvalidOptionError: the theme, an action in the keymap or the refresh rate is unknown.
    """

    TITLE = "ringtop"
    CSS_PATH = "styles.tcss"
    # The palette is bound as all other actions are.
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            ",".join(action.keys),
            action.id,
            action.title,
            id=action.id,
            show=False,
            # First come, first served: without priority a key goes by way of the focused panel,
            # and the next one, typed fast, is on its way to where the focus still is.
            priority=True,
        )
        for action in ACTIONS
    ]

    class FrameReady(Message):
        """A frame was taken.

        Attributes:
            frame: the frame.
        """

        def __init__(self, frame: Frame) -> None:
            super().__init__()
            self.frame = frame

    class GatewayFailed(Message):
        """No frame can be taken any more.

        Attributes:
            error: why.
        """

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(
        self,
        store: KeyValueStore,
        load: LoadGenerator,
        *,
        readonly: bool = False,
        ascii_only: bool = False,
        theme: str | None = None,
        keymap: Mapping[str, str] | None = None,
        refresh_seconds: float = 0.5,
        keys_per_second: float | None = None,
        zone: tzinfo | None = None,
        clock: Clock | None = None,
        live: bool = True,
        remarks: Sequence[str] = (),
        look_again: Callable[[], KeyValueStore] | None = None,
    ) -> None:
        super().__init__(driver_class=TerminalDriver)
        if not refresh_seconds > 0:
            raise InvalidOptionError("refresh_seconds must be above 0")
        self.failure: Exception | None = None
        self._remarks = remarks
        self._keys = keys_by_action(keymap or {})
        self._readonly = readonly or look_again is not None
        self._observing = look_again is not None
        self._ascii_only = ascii_only
        self._refresh_seconds = refresh_seconds
        self._zone = zone
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._live = live
        self._gateway = StoreGateway(
            store,
            load,
            on_frame=lambda frame: self.post_message(self.FrameReady(frame)),
            on_error=lambda error: self.post_message(self.GatewayFailed(error)),
            readonly=readonly,
            keys_per_second=keys_per_second,
            zone=zone,
            clock=clock,
            look_again=look_again,
        )
        self._dashboard = Dashboard()
        self._attention = Attention()
        self._timer: Timer | None = None
        self._frame: Frame | None = None
        self._asked_again = False
        self._paused = False
        self._delays: deque[float] = deque(maxlen=_DELAYS_KEPT)
        self.use_command_palette = True
        self.set_keymap(dict(keymap or {}))
        for own in THEMES:
            self.register_theme(own)
        self.theme = checked_theme(theme) if theme is not None else DARK_THEME.name

    # Coming and going

    def run_attentively(self) -> None:
        """Run until the user leaves, going before the load's threads."""
        self._attention.run(self.run_async())

    def get_default_screen(self) -> Dashboard:
        """Return the dashboard."""
        return self._dashboard

    def on_mount(self) -> None:
        """Begin to take frames."""
        self.theme_changed_signal.subscribe(self, self._dress)
        self._dress(self.current_theme)
        if self._live:
            self._gateway.start()
            self._timer = self.set_interval(self._refresh_seconds, self._tick)
        if isinstance(self._driver, TerminalDriver):
            for number in _ENDING_SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._end_by, number)
        self.call_after_refresh(self.request_frame)
        for remark in self._remarks:
            self.notify(
                visible(remark, _MESSAGE_CELLS),
                severity="warning",
                timeout=_REMARK_SECONDS,
                markup=False,
            )

    async def on_unmount(self) -> None:
        """Take no more frames; no thread of the dashboard's is left afterwards."""
        await asyncio.to_thread(self._gateway.close)

    def panic(self, *renderables: RenderableType) -> None:
        """End with an error, and print nothing of it here: see `run_dashboard`."""
        self.exit(return_code=1)

    def _handle_exception(self, error: Exception) -> None:
        if self.failure is None:
            cause = error.error if isinstance(error, WorkerFailed) else error
            self.failure = cause if isinstance(cause, Exception) else error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        # Textual's own prints every local variable: keys, values, passwords in a server's URL.
        self._close_messages_no_wait()

    def _end_by(self, number: signal.Signals) -> None:
        self.exit(return_code=_SIGNAL_STATUS + number)

    async def on_event(self, event: events.Event) -> None:
        """Handle what the user does, and what happens, before the load goes on."""
        if isinstance(event, _DEEDS):
            self._attention.renew()
        await super().on_event(event)

    # Frames

    def request_frame(self) -> None:
        """Take a frame now, or right after the one that is on its way."""
        if not self._live:
            self._show(self._gateway.frame())
        elif not self._gateway.request():
            self._asked_again = True

    def _tick(self) -> None:
        if isinstance(self._driver, TerminalDriver) and self._driver.is_gone:
            self._end_by(signal.SIGHUP)
        # One that is still on its way is not asked for again: this one is skipped.
        self._gateway.request()

    @on(FrameReady)
    def _frame_ready(self, message: FrameReady) -> None:
        # The way of a key press: from another thread through the loop to here.
        self._delays.append(self._clock.monotonic() - message.frame.made_at)
        self._show(message.frame)
        self._gateway.frame_shown()
        if self._asked_again:
            self._asked_again = False
            self._gateway.request()

    @on(GatewayFailed)
    def _gateway_failed(self, message: GatewayFailed) -> None:
        raise message.error

    def _show(self, frame: Frame) -> None:
        self._frame = frame
        self._show_hints()
        shown = self._dashboard.view_of(frame)
        self._dashboard.show(
            frame,
            ScreenState(
                time=clock_time(shown.taken_at_ms, self._zone),
                delay=max(self._delays, default=0.0),
                paused=self._paused,
                readonly=self._readonly,
                observing=self._observing,
            ),
        )

    # How it looks

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what the screen passes through: no colours, or ASCII only, where asked for."""
        filters = list(super().get_line_filters())
        if self.no_color:
            # Textual's own draws in gray, and gray is a colour too.
            filters = [some for some in filters if not isinstance(some, Monochrome)]
            filters.append(NoColor())
        if self._ascii_only:
            filters.append(AsciiOnly())
        return filters

    @property
    def look(self) -> Look:
        """How drawings look in the present theme."""
        return look_of(self.current_theme, ascii_only=self._ascii_only, monochrome=self.no_color)

    def _dress(self, theme: Theme) -> None:
        self.set_class(self._ascii_only, "-ascii")
        self._dashboard.wear(self.look)
        self._show_hints()
        if self._frame is not None:
            self._show(self._frame)

    def _show_hints(self) -> None:
        """Show the keys that matter now at the bottom."""
        status = self._frame.view.status if self._frame is not None else None
        moving = status is not None and status.migration is not None
        down = status is not None and status.servers_down > 0
        self._dashboard.show_hints(
            [
                Hint(action.id, key_label(self._keys[action.id][0]), action.title)
                for action in footer_actions(moving=moving, down=down)
                if not (self._readonly and action.destructive)
            ]
        )

    # Actions

    def get_system_commands(self, screen: Screen[None]) -> Iterable[SystemCommand]:
        """Return what the palette offers: every action, and the themes."""
        for action in ACTIONS:
            if action.id not in _NOT_IN_PALETTE:
                keys = ", ".join(map(key_label, self._keys[action.id]))
                yield SystemCommand(
                    action.title, f"{action.help} ({keys})", partial(self.run_action, action.id)
                )
        yield SystemCommand("Theme", "Choose other colours.", self.action_change_theme)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether a key means its action now: not in a dialog, and not while one types."""
        if action == "interrupt" or action not in _ACTION_IDS:
            return True
        if self.screen is not self._dashboard:
            return False
        if isinstance(self.focused, Input):
            return action in _WHILE_TYPING
        return action != "keep_lookup"

    async def run_action(
        self,
        action: str | tuple[str, str, tuple[object, ...]],
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Carry out an action, unless it changes something and the dashboard is to look only."""
        if self._readonly and action in _DESTRUCTIVE and self.check_action(str(action), ()):
            self._complain(self._gateway.refusal())
            return True
        return await super().run_action(action, default_namespace, namespaces)

    @property
    def load_left_keys(self) -> bool:
        """Whether a load's keys stay in a data directory."""
        return self._gateway.load_left_keys

    async def action_quit(self) -> None:
        """Leave; before that, offer to remove what the load wrote into a data directory."""
        if not self._gateway.load_left_keys or self._readonly:
            self.exit()
            return
        dialog = RemoveLoadDialog(self._gateway, self.look, leaving=True)
        self.push_screen(dialog, lambda leave: self.exit() if leave else None)

    def action_interrupt(self) -> None:
        """Leave."""
        self.exit()

    def action_palette(self) -> None:
        """Open the palette."""
        self.action_command_palette()

    def action_help(self) -> None:
        """Show every key."""
        self.push_screen(HelpScreen(self._keys, self.look))

    async def action_back(self) -> None:
        """Leave the lookup, a maximized panel, or forget what was looked up: one at a time."""
        dashboard = self._dashboard
        if dashboard.focused is dashboard.lookup.input:
            dashboard.leave_lookup()
            self._forget_question()
        elif dashboard.maximized is not None:
            dashboard.minimize()
        else:
            self._forget_question()

    def action_lookup(self) -> None:
        """Let the user type a key."""
        self._dashboard.open_lookup()

    def action_keep_lookup(self) -> None:
        """Go back to the panels, and keep the key that was typed."""
        self._dashboard.leave_lookup()

    def action_focus_servers(self) -> None:
        """Go to the servers panel."""
        self._dashboard.go_to("servers")

    def action_focus_ring(self) -> None:
        """Go to the ring panel."""
        self._dashboard.go_to("ring")

    def action_focus_keys(self) -> None:
        """Go to the keys panel."""
        self._dashboard.go_to("keys")

    def action_focus_load(self) -> None:
        """Go to the load panel."""
        self._dashboard.go_to("load")

    def action_focus_lookup(self) -> None:
        """Go to the lookup panel."""
        self._dashboard.go_to("lookup")

    def action_focus_events(self) -> None:
        """Go to the events panel."""
        self._dashboard.go_to("events")

    def action_maximize(self) -> None:
        """Give the focused panel the whole screen, or take it back."""
        self._dashboard.toggle_maximized()

    def action_next_panel(self) -> None:
        """Focus the next panel."""
        self._dashboard.focus_next()

    def action_previous_panel(self) -> None:
        """Focus the panel before."""
        self._dashboard.focus_previous()

    def action_line_down(self) -> None:
        """Go a line down."""
        self._dashboard.move(1)

    def action_line_up(self) -> None:
        """Go a line up."""
        self._dashboard.move(-1)

    def action_page_down(self) -> None:
        """Go half a panel down."""
        self._dashboard.move(0, pages=_HALF_A_PAGE)

    def action_page_up(self) -> None:
        """Go half a panel up."""
        self._dashboard.move(0, pages=-_HALF_A_PAGE)

    def action_last_line(self) -> None:
        """Go to the last line."""
        self._dashboard.move(sys.maxsize)

    def action_first_line(self) -> None:
        """Go to the first line."""
        self._dashboard.move(-sys.maxsize)

    def action_ring_forward(self) -> None:
        """Explain the next place on the ring."""
        self._dashboard.ring.step(1)

    def action_ring_back(self) -> None:
        """Explain the place before on the ring."""
        self._dashboard.ring.step(-1)

    def action_pause_picture(self) -> None:
        """Hold the picture, or let it go on."""
        self._paused = not self._paused
        self._dashboard.hold(self._frame.view if self._paused and self._frame else None)
        if self._frame is not None:
            self._show(self._frame)
        self.request_frame()

    def action_refresh_faster(self) -> None:
        """Draw more often."""
        faster = [seconds for seconds in REFRESH_SECONDS if seconds < self._refresh_seconds]
        self._refresh_every(faster[-1] if faster else self._refresh_seconds)

    def action_refresh_slower(self) -> None:
        """Draw less often."""
        slower = [seconds for seconds in REFRESH_SECONDS if seconds > self._refresh_seconds]
        self._refresh_every(slower[0] if slower else self._refresh_seconds)

    def action_sort_previous(self) -> None:
        """Sort by the column to the left."""
        self._dashboard.servers.sort_beside(-1)

    def action_sort_next(self) -> None:
        """Sort by the column to the right."""
        self._dashboard.servers.sort_beside(1)

    def action_sort_reverse(self) -> None:
        """Sort the other way round."""
        self._dashboard.servers.reverse()

    def action_add_server(self) -> None:
        """Ask what to add, and show the plan."""
        marks = self._marks()
        suggested = next_server_name(marks)
        self._open(AddServerDialog(self._gateway, self.look, marks, suggested))

    def action_remove_server(self) -> None:
        """Show the plan of removing the selected server."""
        selected = self._selected("remove")
        if selected is not None:
            marks = self._marks()
            self._open(RemoveServerDialog(self._gateway, self.look, marks, selected))

    def action_crash_server(self) -> None:
        """Show what the crash of the selected server would lose."""
        selected = self._selected("crash")
        if selected is None:
            return
        row = self._dashboard.servers.row_of(selected)
        if row is not None and row.state is ServerState.DOWN:
            self._complain(AlreadyDownError(selected))
            return
        mark = self._marks().get(selected)
        self._open(CrashServerDialog(self._gateway, self.look, mark, selected))

    def action_recover_server(self) -> None:
        """Bring the selected server back."""
        selected = self._selected("recover")
        if selected is not None:
            self._command(self._gateway.recover_server, selected)

    def action_inject_fault(self) -> None:
        """Offer faults for the selected server."""
        selected = self._selected("put a fault on")
        if selected is None:
            return
        row = self._dashboard.servers.row_of(selected)
        mark = self._marks().get(selected)
        present = row.faults if row is not None else ""
        self._open(FaultsDialog(self._gateway, self.look, mark, selected, present))

    def action_toggle_migration(self) -> None:
        """Pause the migration, or resume it."""
        self._command(self._gateway.toggle_migration)

    def action_cancel_migration(self) -> None:
        """Have the migration undone."""
        self._command(self._gateway.cancel_migration)

    def action_toggle_load(self) -> None:
        """Start or stop the load; then offer to remove what it wrote into a data directory."""
        load = self._frame.view.load if self._frame is not None else None
        stops = load is not None and (load.running or load.preparing is not None)
        self._command(self._gateway.toggle_load)
        if stops and self._gateway.load_left_keys:
            self.action_remove_load()

    def action_remove_load(self) -> None:
        """Show what loads have written, and offer to remove it."""
        dialog = RemoveLoadDialog(self._gateway, self.look)
        self.push_screen(dialog, lambda _: self.request_frame())

    def action_next_workload(self) -> None:
        """Go on to the next workload."""
        self._command(self._gateway.next_workload)

    def action_more_threads(self) -> None:
        """Add a thread to the load."""
        self._command(self._gateway.change_threads, 1)

    def action_fewer_threads(self) -> None:
        """Take a thread from the load."""
        self._command(self._gateway.change_threads, -1)

    # What panels ask for

    @on(LookupPanel.Asked)
    def _key_asked(self, message: LookupPanel.Asked) -> None:
        self._ask(message.key or None)

    @on(RingPanel.PositionAsked)
    def _position_asked(self, message: RingPanel.PositionAsked) -> None:
        self._dashboard.lookup.clear()
        self._ask(message.position)

    @on(SafeInput.LeftOut)
    def _something_left_out(self, message: SafeInput.LeftOut) -> None:
        self.notify("What can't be shown was left out.", severity="warning", markup=False)

    # How it is done

    def _selected(self, verb: str) -> str | None:
        """Return the selected server; None, having said so, if there is nothing to `verb`."""
        selected = self._dashboard.servers.selected
        if selected is None:
            self.notify(f"There is no server to {verb}.", severity="warning", markup=False)
        return selected

    def _marks(self) -> Mapping[str, Mark]:
        return self._frame.view.ring.marks if self._frame is not None else {}

    def _ask(self, question: Question | None) -> None:
        self._gateway.ask(question)
        self.request_frame()

    def _forget_question(self) -> None:
        self._dashboard.lookup.clear()
        self._ask(None)

    def _open(self, dialog: Screen[None]) -> None:
        self.push_screen(dialog, lambda _: self.request_frame())

    def _command(
        self,
        command: Callable[Parameters, object],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> None:
        async def carry_out() -> None:
            try:
                await self._gateway.run(command, *args, **kwargs)
            except StoreError as error:
                self._complain(error)
            self.request_frame()

        self.run_worker(carry_out())
        # What takes longer, such as the preparation of a load, is seen while it goes on.
        self.request_frame()

    def _complain(self, error: StoreError) -> None:
        self.notify(visible(str(error), _MESSAGE_CELLS), severity="error", markup=False)

    @on(Notify)
    def _keep_the_last_message(self) -> None:
        # On a small terminal a pile of them covers what they are about.
        self.clear_notifications()

    def _refresh_every(self, seconds: float) -> None:
        self._refresh_seconds = seconds
        if self._timer is not None:
            self._timer.stop()
            self._timer = self.set_interval(seconds, self._tick)
        self.notify(f"A picture every {duration(seconds)}.", markup=False)


def run_dashboard(
    store: KeyValueStore,
    load: LoadGenerator,
    *,
    readonly: bool = False,
    ascii_only: bool = False,
    theme: str | None = None,
    keymap: Mapping[str, str] | None = None,
    refresh_seconds: float = 0.5,
    keys_per_second: float | None = None,
    remarks: Sequence[str] = (),
    look_again: Callable[[], KeyValueStore] | None = None,
) -> int:
    """Show the dashboard until the user leaves it; then close the load and the store.

    The terminal is left as it was found, also after a signal or an error.

    Returns:
        The exit status: 0 after the user has quit, 128 + the number of the signal that ended it,
        1 after an error, which is said in one line on standard error.

    Raises:
        InvalidOptionError: the theme, an action in the keymap or the refresh rate is unknown;
            nothing was closed.
    """
    app = RingtopApp(
        store,
        load,
        readonly=readonly,
        ascii_only=ascii_only,
        theme=theme,
        keymap=keymap,
        refresh_seconds=refresh_seconds,
        keys_per_second=keys_per_second,
        remarks=remarks,
        look_again=look_again,
    )
    problems: list[Exception] = []
    left_keys = False

    def look_for_load_keys() -> None:
        nonlocal left_keys
        left_keys = app.load_left_keys

    for step in (app.run_attentively, load.stop, look_for_load_keys, store.close):
        try:
            step()
        except Exception as error:
            problems.append(error)
    if app.failure is not None:
        problems.insert(0, app.failure)
    for problem in problems[:1]:
        sys.stderr.write(f"ringtop: {_told(problem)}\n")
    if left_keys:
        sys.stderr.write(f"ringtop: {LOAD_KEYS_STAY}\n")
    return app.return_code or (1 if problems else 0)


def _told(error: Exception) -> str:
    """Return an error in one line that gives away nothing but where it happened."""
    if isinstance(error, StoreError):
        return visible(str(error), _MESSAGE_CELLS)
    # Its message is left out: a KeyError's is a key, and an URL may hold a password.
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"stopped by an error of its own: {type(error).__name__}{place}"
