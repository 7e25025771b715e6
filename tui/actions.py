"""Everything that can be done with a key, said once.

The bindings, the command palette, the footer, the help screen and the README's table are all made
from `ACTIONS`. Knows no widget: whoever carries an action out finds it by its id.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.errors import InvalidOptionError
from core.safe_text import quoted


class Group(StrEnum):
    """What an action is about: the headings of the help screen, in their order."""

    GENERAL = "General"
    VIEW = "View"
    SERVERS = "Servers"
    MIGRATION = "Migration"
    FAILURES = "Failures"
    LOAD = "Load"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done.

    Attributes:
        id: names it for good: bindings are remapped by it, and ``action_<id>`` carries it out.
        keys: the keys that do it, as Textual names them or as the character itself; the first is
            the one that is shown.
        title: what it is called in the footer and the palette, in a word or two.
        help: what it does, in a sentence.
        group: where the help screen lists it.
        footer_rank: its place in the footer, 1 being the last to go when space runs out; None
            keeps it out of the footer.
        destructive: whether it changes the ring or what is stored: ``--readonly`` refuses it.
    """

    id: str
    keys: tuple[str, ...]
    title: str
    help: str
    group: Group
    footer_rank: int | None = None
    destructive: bool = False

    @property
    def key_label(self) -> str:
        """The key as a reader knows it: ``?``, ``esc``, ``ctrl+p``."""
        return key_label(self.keys[0])


# The panels by the number that focuses them, which is also in their titles.
PANELS = ("servers", "ring", "keys", "load", "lookup", "events")

# Help and quit keep their places.
_KEEP_THEIR_PLACES = 2
_SHOWN_CHARACTERS = 40

_LABELS = {
    "escape": "esc",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "pageup": "page up",
    "pagedown": "page down",
}

# As Textual names them; importing it takes longer than any command without a screen.
_KEYS_WITHOUT_A_CHARACTER = frozenset(
    {
        *("up", "down", "left", "right", "home", "end", "pageup", "pagedown"),
        *("enter", "escape", "tab", "space", "backspace", "delete", "insert"),
        *(f"f{number}" for number in range(1, 25)),
    }
)
# Where its name of a character is not Unicode's.
_CHARACTERS_BY_TEXTUAL = frozenset(
    {
        *("slash", "backslash", "at", "minus", "plus", "underscore"),
        *("less_than_sign", "greater_than_sign"),
    }
)
_MODIFIERS = ("ctrl+", "shift+", "alt+")

ACTIONS: tuple[Action, ...] = (
    Action("help", ("?",), "Help", "Show every key and what it does.", Group.GENERAL, 1),
    Action("quit", ("q",), "Quit", "Leave ringtop.", Group.GENERAL, 2),
    Action("interrupt", ("ctrl+c",), "Leave", "Leave ringtop, from a dialog too.", Group.GENERAL),
    Action(
        "palette", ("ctrl+p",), "Palette", "Find an action by its name and do it.", Group.GENERAL, 8
    ),
    Action(
        "back",
        ("escape",),
        "Back",
        "Close what is open: a dialog, the lookup, a maximized panel.",
        Group.GENERAL,
    ),
    Action(
        "lookup", ("/",), "Lookup", "Type a key and see where it lives, and why.", Group.VIEW, 3
    ),
    Action(
        "keep_lookup",
        ("enter",),
        "Keep",
        "Keep the key that was typed, and go back.",
        Group.VIEW,
    ),
    *(
        Action(
            f"focus_{panel}",
            (str(number),),
            f"{panel.capitalize()} panel",
            f"Go to the {panel} panel.",
            Group.VIEW,
        )
        for number, panel in enumerate(PANELS, start=1)
    ),
    Action("next_panel", ("tab",), "Next panel", "Go to the next panel.", Group.VIEW),
    Action(
        "previous_panel",
        ("shift+tab",),
        "Last panel",
        "Go to the panel before.",
        Group.VIEW,
    ),
    Action("line_down", ("down", "j"), "Down", "Select or show the next line.", Group.VIEW),
    Action("line_up", ("up", "k"), "Up", "Select or show the line before.", Group.VIEW),
    Action("page_down", ("pagedown",), "Page down", "Go down by half a panel.", Group.VIEW),
    Action("page_up", ("pageup",), "Page up", "Go up by half a panel.", Group.VIEW),
    Action("last_line", ("end", "G"), "Last line", "Go to the last line.", Group.VIEW),
    Action("first_line", ("home", "g"), "First line", "Go to the first line.", Group.VIEW),
    Action(
        "ring_forward",
        ("right",),
        "Ring forward",
        "Explain the next place on the ring.",
        Group.VIEW,
    ),
    Action(
        "ring_back",
        ("left",),
        "Ring back",
        "Explain the place before it on the ring.",
        Group.VIEW,
    ),
    Action("maximize", ("m",), "Maximize", "Give the focused panel the whole screen.", Group.VIEW),
    Action(
        "pause_picture",
        ("p",),
        "Pause",
        "Hold the picture still, or let it go on; the store and the graphs go on meanwhile.",
        Group.VIEW,
        7,
    ),
    # "=" is the same key without shift where "+" needs it.
    Action("refresh_faster", ("+", "="), "Faster", "Draw more often.", Group.VIEW),
    Action("refresh_slower", ("-",), "Slower", "Draw less often.", Group.VIEW),
    Action("sort_previous", ("<",), "Sort left", "Sort by the column to the left.", Group.SERVERS),
    Action("sort_next", (">",), "Sort right", "Sort by the column to the right.", Group.SERVERS),
    Action("sort_reverse", ("s",), "Reverse", "Sort the other way round.", Group.SERVERS),
    Action(
        "add_server",
        ("a",),
        "Add",
        "Add a server, after showing what would move to it.",
        Group.SERVERS,
        4,
        destructive=True,
    ),
    Action(
        "remove_server",
        ("d",),
        "Remove",
        "Remove the selected server, after showing where its keys would go.",
        Group.SERVERS,
        5,
        destructive=True,
    ),
    Action(
        "toggle_migration",
        ("P",),
        "Hold move",
        "Pause the migration after the chunk that is on its way, or resume it.",
        Group.MIGRATION,
        destructive=True,
    ),
    Action(
        "cancel_migration",
        ("C",),
        "Cancel move",
        "Move back what the migration has moved.",
        Group.MIGRATION,
        destructive=True,
    ),
    Action(
        "crash_server",
        ("x",),
        "Crash",
        "Let the selected server crash, after showing what would be lost.",
        Group.FAILURES,
        9,
        destructive=True,
    ),
    Action(
        "recover_server",
        ("r",),
        "Recover",
        "Bring the selected server back; it catches up in the background.",
        Group.FAILURES,
        10,
        destructive=True,
    ),
    Action(
        "inject_fault",
        ("f",),
        "Faults",
        "Make the selected server slow, failing or unreachable, or heal it.",
        Group.FAILURES,
        11,
        destructive=True,
    ),
    Action(
        "toggle_load",
        ("space",),
        "Load",
        "Start or stop the load; its keys have a prefix of their own.",
        Group.LOAD,
        6,
        destructive=True,
    ),
    Action(
        "remove_load",
        ("D",),
        "Clear load",
        "Stop the load and remove what loads have written, after showing how much that is.",
        Group.LOAD,
        destructive=True,
    ),
    Action(
        "next_workload",
        ("w",),
        "Workload",
        "Go on to the next YCSB workload, A to F.",
        Group.LOAD,
        destructive=True,
    ),
    Action(
        "more_threads",
        ("t",),
        "More threads",
        "Add a thread to the load.",
        Group.LOAD,
        destructive=True,
    ),
    Action(
        "fewer_threads",
        ("T",),
        "Fewer threads",
        "Take a thread from the load.",
        Group.LOAD,
        destructive=True,
    ),
)


def key_label(key: str) -> str:
    """Return a key, as Textual names it or as a character, as a reader knows it."""
    return _LABELS.get(key, key)


def keys_by_action(keymap: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the keys of every action once some are remapped.

    Args:
        keymap: keys by the id of their action, several of them separated by commas.

    Raises:
        InvalidOptionError: an action is unknown, has no key or one that there is not, or shares one
            with another.
    """
    keys = {action.id: action.keys for action in ACTIONS}
    for action_id, listed in keymap.items():
        if action_id not in keys:
            raise InvalidOptionError(f"no action is called {quoted(action_id)}")
        keys[action_id] = tuple(key.strip() for key in listed.split(","))
    users: dict[str, str] = {}
    for action_id, its_keys in keys.items():
        for key in its_keys:
            if not key:
                raise InvalidOptionError(f"{action_id} needs a key")
            if not is_key(key):
                raise InvalidOptionError(
                    f"{quoted(key, _SHOWN_CHARACTERS)} is no key: give a character, or a name such "
                    "as f5, ctrl+n, pageup or space"
                )
            other = users.setdefault(key, action_id)
            if other != action_id:
                raise InvalidOptionError(
                    f"the key {quoted(key)} can't be both {other} and {action_id}"
                )
    return keys


def is_key(key: str) -> bool:
    """Return whether there is such a key, by its character or by Textual's name of it."""
    for modifier in _MODIFIERS:
        key = key.removeprefix(modifier)
    if len(key) == 1:
        return key.isprintable()
    if key in _KEYS_WITHOUT_A_CHARACTER or key in _CHARACTERS_BY_TEXTUAL:
        return True
    try:
        unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return False
    return True


def footer_actions(*, moving: bool = False, down: bool = False) -> tuple[Action, ...]:
    """Return the actions of the footer, the most important first.

    Args:
        moving: whether a migration is under way: what holds and cancels it comes to the front.
        down: whether a server is down: what brings it back comes to the front.
    """
    ranked = [(action.footer_rank, action) for action in ACTIONS if action.footer_rank is not None]
    usual = [action for _, action in sorted(ranked, key=lambda pair: pair[0])]
    urgent = [
        action
        for action in ACTIONS
        if (moving and action.group is Group.MIGRATION) or (down and action.id == "recover_server")
    ]
    usual = [action for action in usual if action not in urgent]
    return (*usual[:_KEEP_THEIR_PLACES], *urgent, *usual[_KEEP_THEIR_PLACES:])


def markdown_table() -> str:
    """Return the table of keys that the README shows, in the help screen's order."""
    lines = ["| Key | Action | What it does |", "| --- | --- | --- |"]
    for group in Group:
        lines += [
            f"| {_markdown_keys(action)} | {action.title} | {action.help} |"
            for action in ACTIONS
            if action.group is group
        ]
    return "\n".join(lines) + "\n"


def _markdown_keys(action: Action) -> str:
    return ", ".join(f"`{key_label(key)}`" for key in action.keys)
