"""The keys at the bottom of the screen: as many as fit, the important ones always."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from tui.formatting import safe
from tui.renderables.look import BOLD, PLAIN, Look


class Hint(NamedTuple):
    """A key and what it does.

    Attributes:
        action_id: what a click on it does.
        key: the key, as a reader knows it.
        title: what it does, in a word or two.
    """

    action_id: str
    key: str
    title: str


class PlacedHint(NamedTuple):
    """A hint, and the cells that it takes."""

    hint: Hint
    start: int
    end: int


# A title may be long in another language, a remapped key too.
_KEY_CELLS, _TITLE_CELLS = 16, 24


def place_hints(hints: Iterable[Hint], width: int) -> tuple[PlacedHint, ...]:
    """Return the hints that fit `width` cells, and where; those given first have precedence."""
    placed: list[PlacedHint] = []
    start = 1
    for hint in hints:
        end = start + cell_len(_key(hint)) + 1 + cell_len(_title(hint))
        if end > width:
            break
        placed.append(PlacedHint(hint, start, end))
        start = end + 2
    return tuple(placed)


def draw_hints(placed: Iterable[PlacedHint], look: Look) -> Text:
    """Return the line of the hints."""
    line = Text(no_wrap=True, end="")
    for hint, start, _ in placed:
        line.append(" " * (start - line.cell_len))
        line.append(_key(hint), look.accented + BOLD).append(f" {_title(hint)}", PLAIN)
    return look.finish(line)


def _key(hint: Hint) -> str:
    return safe(hint.key, _KEY_CELLS)


def _title(hint: Hint) -> str:
    return safe(hint.title, _TITLE_CELLS)
