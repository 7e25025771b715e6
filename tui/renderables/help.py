"""What the help screen says: every key, and what the signs mean."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tui.actions import ACTIONS, Group, key_label
from tui.formatting import safe
from tui.renderables.look import BOLD, DIM, PLAIN, Look
from tui.view_model import Tone

_KEY_CELLS = 24
_GAP = 2
_SIGN_CELLS = 3
# Below this, two columns of sentences are harder to read than one.
_TWO_COLUMNS = 110
_COLUMN_GAP = 4
_WRAPPER = Console(color_system=None, width=80, _environ={})


def draw_help(keys: Mapping[str, Sequence[str]], width: int, look: Look) -> Text:
    """Return every action by group with its keys, then the signs, in lines of at most `width`.

    Args:
        keys: the keys of every action, by its id.
        width: cells across; from 110 on, the groups stand in two columns.
        look: colours, and whether to draw in ASCII.
    """
    shown = {
        action_id: ", ".join(safe(key_label(key), _KEY_CELLS) for key in some)
        for action_id, some in keys.items()
    }
    if width < _TWO_COLUMNS:
        blocks = [_group(group, shown, width, look) for group in Group]
        lines = _stacked([*blocks, _signs(width, look)])
    else:
        half = (width - _COLUMN_GAP) // 2
        left = _stacked([_group(group, shown, half, look) for group in (Group.GENERAL, Group.VIEW)])
        right = _stacked(
            [
                *[
                    _group(group, shown, half, look)
                    for group in (Group.SERVERS, Group.MIGRATION, Group.FAILURES, Group.LOAD)
                ],
                _signs(half, look),
            ]
        )
        lines = _beside(left, right, half + _COLUMN_GAP)
    return look.finish(Text("\n", no_wrap=True, end="").join(lines))


def _group(group: Group, keys: Mapping[str, str], width: int, look: Look) -> list[Text]:
    rows = [
        (keys[action.id], look.accented + BOLD, action.help)
        for action in ACTIONS
        if action.group is group
    ]
    return _block(group.value, rows, width, max(map(cell_len, keys.values())))


def _signs(width: int, look: Look) -> list[Text]:
    return _block(
        "Signs",
        [
            ("●", look.tone(Tone.GOOD), "The server is up; the load is on."),
            ("↻", look.tone(Tone.WARNING), "Keys move: the server joins, leaves or catches up."),
            ("○", DIM, "It stands still: paused, or off; a replica that is behind."),
            ("✖", look.tone(Tone.BAD), "Down, or stopped by an error; the events say why."),
            (
                "!",
                look.tone(Tone.WARNING),
                "A fault was put on the server: slow, failing, cut off.",
            ),
            ("◆", BOLD, "The key or place that was looked up; its vnode is the letter beside it."),
            ("a A", PLAIN, "Each server has a letter and a colour, on the ring and in every list."),
            ("⠕", PLAIN, "A part of the ring that is still to be moved, or down, is hatched."),
        ],
        width,
        _SIGN_CELLS,
    )


def _block(
    title: str, rows: Sequence[tuple[str, Style, str]], width: int, key_width: int
) -> list[Text]:
    lines = [Text(title, style=BOLD, no_wrap=True, end="")]
    room = max(10, width - key_width - _GAP)
    for key, style, words in rows:
        lead = Text(key, style=style)
        lead.truncate(max(key_width, lead.cell_len), pad=True)
        for line in Text(words).wrap(_WRAPPER, room):
            lines.append(Text.assemble(lead, " " * _GAP, line.plain, no_wrap=True, end=""))
            lead = Text(" " * key_width)
    return lines


def _stacked(blocks: Sequence[list[Text]]) -> list[Text]:
    lines: list[Text] = []
    for block in blocks:
        lines += [Text(end=""), *block] if lines else block
    return lines


def _beside(left: Sequence[Text], right: Sequence[Text], column: int) -> list[Text]:
    lines: list[Text] = []
    for index in range(max(len(left), len(right))):
        line = left[index].copy() if index < len(left) else Text(end="")
        if index < len(right):
            line.truncate(column, pad=True)
            line.append_text(right[index])
        lines.append(line)
    return lines
