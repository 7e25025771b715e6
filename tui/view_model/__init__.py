"""What the screen shows, as frozen values, and the pure fold that makes them from a snapshot.

Knows the core's frozen values and nothing of widgets, colours or glyphs' pixels: a mark is a letter
and the number of a colour, and the renderables decide what that looks like.
"""

from tui.view_model.display import (
    DashboardView,
    EventLine,
    KeyBar,
    LoadView,
    MigrationLine,
    RingPicture,
    ServerRow,
    StateSign,
    StatusLine,
    Tone,
)
from tui.view_model.fold import fold
from tui.view_model.load import load_view
from tui.view_model.marks import COLOURS, Mark
from tui.view_model.moving import Displaced
from tui.view_model.position import PositionPlacement, explain_position
from tui.view_model.rates import GRAPH_SECONDS
from tui.view_model.sentences import event_line, fault_words, storage_words
from tui.view_model.sorting import SortColumn, sort_rows

__all__ = [
    "COLOURS",
    "GRAPH_SECONDS",
    "DashboardView",
    "Displaced",
    "EventLine",
    "KeyBar",
    "LoadView",
    "Mark",
    "MigrationLine",
    "PositionPlacement",
    "RingPicture",
    "ServerRow",
    "SortColumn",
    "StateSign",
    "StatusLine",
    "Tone",
    "event_line",
    "explain_position",
    "fault_words",
    "fold",
    "load_view",
    "sort_rows",
    "storage_words",
]
