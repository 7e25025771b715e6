"""Looking at what was drawn, cell by cell."""

from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from core import HashRing
from tui.view_model import Mark, RingPicture
from tui.view_model.marks import assign_marks


class Drawn(NamedTuple):
    """A character on the screen, and how it is styled."""

    character: str
    style: Style


def lines_of(text: Text) -> list[str]:
    """Return the lines of a drawing."""
    return text.plain.split("\n")


def cells_of(text: Text) -> dict[tuple[int, int], Drawn]:
    """Return what is drawn by (row, column), blanks left out."""
    cells: dict[tuple[int, int], Drawn] = {}
    offset = 0
    base = text.style if isinstance(text.style, Style) else Style.parse(text.style)
    styles = [base] * len(text.plain)
    for start, end, style in text.spans:
        for index in range(start, min(end, len(styles))):
            parsed = style if isinstance(style, Style) else Style.parse(style)
            styles[index] += parsed
    for row, line in enumerate(text.plain.split("\n")):
        column = 0
        for character in line:
            if character != " ":
                cells[row, column] = Drawn(character, styles[offset])
            column += cell_len(character)
            offset += 1
        offset += 1
    return cells


def colour_of(drawn: Drawn) -> str | None:
    """Return the colour of a character as ``#rrggbb``."""
    return drawn.style.color.name if drawn.style.color is not None else None


def is_braille(drawn: Drawn) -> bool:
    """Return whether a character is made of braille dots."""
    return 0x2800 < ord(drawn.character) <= 0x28FF


def picture_of(*server_ids: str, vnodes: int = 150, **weights: float) -> RingPicture:
    """Return the picture of a ring of these servers."""
    ring = HashRing(vnodes)
    for server_id in server_ids:
        ring.add_server(server_id, weights.get(server_id, 1.0))
    return RingPicture(ring.view, assign_marks({}, server_ids))


def marks_of(*server_ids: str) -> dict[str, Mark]:
    """Return the marks of these servers."""
    return assign_marks({}, server_ids)
