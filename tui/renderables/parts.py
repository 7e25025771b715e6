"""One line made of parts, of which the least important make room when it gets narrow."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.style import Style
from rich.text import Text

GAP = "  "


class Part(NamedTuple):
    """A part of a line.

    Attributes:
        text: what it says.
        rank: its importance; the highest is the first to go, and 0 stays.
    """

    text: Text
    rank: int = 0


def part(text: str, style: Style, rank: int = 0) -> Part:
    """Return a part of one style."""
    return Part(Text(text, style=style), rank)


def fitting(parts: Iterable[Part], width: int, gap: str = GAP) -> Text:
    """Return the parts that fit in `width` cells, in their order.

    What has to stay although it does not fit is cut at the end.
    """
    kept = list(parts)
    while _length(kept, gap) > width and any(part.rank for part in kept):
        kept.remove(max(kept, key=lambda part: part.rank))
    line = Text(gap, no_wrap=True, end="").join(part.text for part in kept)
    line.truncate(max(0, width), overflow="ellipsis")
    return line


def _length(parts: list[Part], gap: str) -> int:
    return sum(part.text.cell_len for part in parts) + len(gap) * max(0, len(parts) - 1)
