"""The one screen that is always there: six panels between a status line and the keys."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.events import Resize
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.actions import PANELS
from tui.renderables.hints import Hint
from tui.renderables.look import DARK, Look
from tui.renderables.status import ScreenState
from tui.store_gateway import Frame
from tui.view_model import DashboardView
from tui.widgets.events_panel import EventsPanel
from tui.widgets.key_hints import KeyHints
from tui.widgets.keys_panel import KeysPanel
from tui.widgets.load_panel import LoadPanel
from tui.widgets.lookup_panel import LookupPanel
from tui.widgets.panel import Panel
from tui.widgets.ring_panel import RingPanel
from tui.widgets.servers_panel import ServersPanel
from tui.widgets.status_bar import StatusBar

# In cells: below this nothing useful can be shown.
SMALLEST_WIDTH, SMALLEST_HEIGHT = 60, 16


class _Shows(Protocol):
    """What every panel can do."""

    def show(self, frame: Frame) -> None: ...
    def wear(self, look: Look) -> None: ...


class Dashboard(Screen[None], inherit_bindings=False):
    """The panels, and which moment they show.

    It draws what it is given and decides nothing: actions are the app's.
    """

    AUTO_FOCUS = "#servers"
    ALLOW_IN_MAXIMIZED_VIEW = "StatusBar,KeyHints"
    ESCAPE_TO_MINIMIZE = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual's own annotation
        (0, "-too-narrow"),
        (SMALLEST_WIDTH, "-narrow"),
        (100, "-normal"),
        (160, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-too-low"),
        (SMALLEST_HEIGHT, "-low"),
        (22, "-short"),
        (34, "-tall"),
        (50, "-high"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.servers = ServersPanel()
        self.ring = RingPanel()
        self.keys = KeysPanel()
        self.load = LoadPanel()
        self.lookup = LookupPanel()
        self.events = EventsPanel()
        self._status = StatusBar()
        self._hints = KeyHints()
        self._notice = Static(id="too-small", markup=False)
        self._look: Look = DARK
        self._held: DashboardView | None = None
        self._before_lookup: Widget | None = None

    def compose(self) -> ComposeResult:
        """Lay the panels out; the style sheet arranges them for each size."""
        yield self._status
        with Vertical(id="panels"):
            with Horizontal(id="top"):
                yield self.servers
                yield self.ring
            with Horizontal(id="middle"):
                yield self.keys
                yield self.load
            with Container(id="bottom"):
                yield self.lookup
                yield self.events
        yield self._notice
        yield self._hints

    # The picture

    def show(self, frame: Frame, screen: ScreenState) -> None:
        """Show a moment; while the picture is held, only its lookup is new."""
        frame = replace(frame, view=self.view_of(frame))
        self._status.show(frame.view.status, screen, self._look)
        for panel in self._all_panels():
            panel.show(frame)

    def view_of(self, frame: Frame) -> DashboardView:
        """Return the moment that is shown for a frame: its own, or the one that is held."""
        return self._held if self._held is not None else frame.view

    def hold(self, view: DashboardView | None) -> None:
        """Hold the picture of a moment; None to let it go on."""
        self._held = view

    def wear(self, look: Look) -> None:
        """Draw in other colours, or in ASCII, from now on."""
        self._look = look
        for panel in self._all_panels():
            panel.wear(look)

    def show_hints(self, hints: Sequence[Hint]) -> None:
        """Show these keys at the bottom, the most important first."""
        self._hints.show(hints, self._look)

    # Where the user is

    def go_to(self, name: str) -> None:
        """Focus a panel; when it is hidden, or another one is maximized, maximize it."""
        panel = self.query_one(f"#{name}")
        if self.maximized not in (None, panel) or not _is_shown(panel):
            self.maximize(panel, container=False)
        self.set_focus(self.lookup.answer if panel is self.lookup else panel)

    def toggle_maximized(self) -> None:
        """Give the focused panel the whole screen, or take it back."""
        if self.maximized is not None:
            self.minimize()
            return
        panel = self._panel_of(self.focused)
        if panel is not None:
            self.maximize(panel, container=False)

    def move(self, lines: int, *, pages: float = 0.0) -> None:
        """Go some lines or parts of a panel down in the focused one, or up below 0."""
        if isinstance(self.focused, Panel):
            self.focused.move(lines + round(pages * self.focused.size.height))

    def open_lookup(self) -> None:
        """Let the user type a key."""
        if self.focused is not self.lookup.input:
            self._before_lookup = self.focused
        if self.maximized not in (None, self.lookup) or not _is_shown(self.lookup):
            self.maximize(self.lookup, container=False)
        # At once, and not when its turn comes: the next key may be here already.
        self.set_focus(self.lookup.input)
        self.lookup.input.select_all()

    def leave_lookup(self) -> None:
        """Go back to where the user was before they typed a key."""
        if self.focused is self.lookup.input:
            before = self._before_lookup
            self.set_focus(before if before is not None and _is_shown(before) else self.servers)

    def on_resize(self, event: Resize) -> None:
        """Say what is needed when there is too little room."""
        width, height = event.size
        needed = f"ringtop needs {SMALLEST_WIDTH}x{SMALLEST_HEIGHT} cells"
        self._notice.update(Text(f"{needed}\nthis terminal has {width}x{height}"))

    def _all_panels(self) -> tuple[_Shows, ...]:
        return (self.servers, self.ring, self.keys, self.load, self.lookup, self.events)

    def _panel_of(self, widget: Widget | None) -> Widget | None:
        if widget is None:
            return None
        found = (node for node in widget.ancestors_with_self if node.id in PANELS)
        return next((node for node in found if isinstance(node, Widget)), None)


def _is_shown(widget: Widget) -> bool:
    return widget.display and all(
        node.display for node in widget.ancestors if isinstance(node, Widget)
    )
