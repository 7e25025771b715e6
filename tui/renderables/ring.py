"""The ring, drawn as a ring: position 0 is at 12 o'clock, and positions grow clockwise.

The band is cut into as many spokes as can be told apart. With 150 vnodes a server there are more
arcs than spokes, so a spoke shows who answers for *one* position, the one in its middle. Showing
who owns most of a spoke would be no better founded and would lie about shares: of many small arcs
the largest server would win nearly every spoke. Sampled, each server gets spokes in proportion to
its share, every colour is literally true, and a click on a spoke asks about that same position.

Spokes that a running migration has still to move are hatched, and so are those of a server that is
down, whose letters have its sign before them. Letters inside the band name the
servers, like the numerals of a clock, so that colour is never alone; without colours, or in ASCII,
the band itself is made of letters.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from core.cluster.snapshot import KeyPlacement
from core.ring.ring_view import RingView
from tui.formatting import safe
from tui.renderables.canvas import Canvas
from tui.renderables.look import BOLD, DIM, PLAIN, Look
from tui.renderables.ring_geometry import BandCell, Geometry, Place, ring_geometry
from tui.view_model import Mark, PositionPlacement, RingPicture

# A cell of which less is on the band stays blank where it can't be drawn in part, as a letter.
_LETTERED_DOTS = 4
_DOWN = "✖"
# A line in the middle that is longer says too much for it.
_LINE_CELLS = 64
# A sign stands out from the band in whatever colours it lies.
_RAISED = Style(bold=True, reverse=True)


class _Sign(NamedTuple):
    """A character on the band, and the position that it stands for."""

    position: int
    character: str
    style: Style


class _Arc(NamedTuple):
    """Neighbouring spokes with the same holder."""

    holder: str
    first: int
    length: int


def draw_ring(
    picture: RingPicture,
    width: int,
    height: int,
    look: Look,
    *,
    found: KeyPlacement | PositionPlacement | None = None,
    centre: Sequence[str] = (),
) -> Text:
    """Return the ring as `height` lines of `width` cells. O(cells) once the size was seen.

    Args:
        picture: the ring, its marks, and what still has to move.
        width: cells across, 1 or more.
        height: lines, 1 or more.
        look: colours, and whether to draw in ASCII.
        found: a key or a position to mark on the ring, and to name the primary of in the middle.
        centre: lines for the middle, most important first; those that do not fit are left out.
    """
    drawing = _Drawing(picture, ring_geometry(width, height), look, Canvas(width, height), found)
    drawing.draw_band()
    drawing.draw_signs()
    drawing.draw_letters()
    drawing.draw_middle(centre)
    return look.finish(drawing.canvas.text())


def position_at(column: int, row: int, width: int, height: int) -> int | None:
    """Return the position that a cell of the ring stands for; None beside the band. O(1).

    It is the position whose holder gives the cell its colour.
    """
    shape = ring_geometry(width, height)
    spoke = shape.spoke_of_cell.get(Place(row, column))
    return shape.spokes[spoke] if spoke is not None else None


class _Drawing:
    """One ring while it is drawn.

    Attributes:
        canvas: what is drawn on.
    """

    def __init__(
        self,
        picture: RingPicture,
        shape: Geometry,
        look: Look,
        canvas: Canvas,
        found: KeyPlacement | PositionPlacement | None,
    ) -> None:
        self.canvas = canvas
        self._marks = picture.marks
        self._down = picture.down
        self._shape = shape
        self._look = look
        self._found = found
        # Where a cell can't be drawn in a colour, it is the letter of its server.
        self._lettered = look.ascii_only or look.monochrome
        self._signs = self._signs_of(found) if found is not None else {}
        positions = list(shape.spokes)
        for spoke, sign in self._signs.items():
            positions[spoke] = sign.position
        self._holders, self._waiting = _holders(picture, tuple(positions))

    def draw_band(self) -> None:
        """Draw every cell of the band as its spoke's holder."""
        styles: dict[str | None, Style] = {
            server_id: self._look.server(mark) for server_id, mark in self._marks.items()
        }
        for cell in self._shape.cells:
            holder = self._holders[cell.spoke]
            hatched = holder is None or self._waiting[cell.spoke] or holder in self._down
            if self._lettered:
                character = self._letter(cell, holder, hatched=hatched)
            else:
                character = cell.hatched if hatched else cell.full
            self.canvas.put(*cell.place, character, styles.get(holder, DIM))

    def draw_signs(self) -> None:
        """Put the signs of a found key and its vnode on the band."""
        for spoke, sign in self._signs.items():
            self.canvas.put(*self._shape.middles[spoke], sign.character, sign.style)

    def draw_letters(self) -> None:
        """Write letters beside the arcs: each server's longest first, then what has room."""
        if self._lettered:
            return
        arcs = sorted(_arcs(self._holders), key=lambda arc: (-arc.length, arc.first))
        longest = {arc.holder: arc for arc in reversed(arcs)}
        arcs.sort(key=lambda arc: longest[arc.holder] is not arc)
        taken: set[Place] = set()
        for arc in arcs:
            mark = self._marks.get(arc.holder)
            if mark is None:
                continue
            spoke = (arc.first + arc.length // 2) % len(self._shape.spokes)
            row, column = self._shape.letters[spoke]
            for shift, letter in self._labels(arc.holder, mark):
                cells = [Place(row, column + shift + step) for step in range(len(letter))]
                if taken & _around(cells) or not all(map(self.canvas.is_blank, cells)):
                    continue
                taken.update(cells)
                self.canvas.write(row, column + shift, letter, self._look.server(mark))
                break

    def _labels(self, holder: str, mark: Mark) -> tuple[tuple[int, str], ...]:
        """Return what may be written beside an arc, and how many cells to the right: best first."""
        if holder not in self._down:
            return ((0, mark.letter),)
        signed = f"{_DOWN}{mark.letter}"
        # On the right half of the ring there is room on the left.
        return ((0, signed), (-len(mark.letter), signed), (0, _DOWN))

    def draw_middle(self, lines: Sequence[str]) -> None:
        """Write lines into the middle, centred; what does not fit is left out, the last first.

        Of a found key the letter of its server has to do where there is no room for the name.
        """
        gaps = self._shape.gaps
        widest = max((gap.width for gap in gaps), default=0)
        words = [(safe(line, _LINE_CELLS), PLAIN) for line in lines]
        shown = [(line, style) for line, style in words if cell_len(line) <= widest]
        if self._found is not None:
            mark = self._marks.get(self._found.primary)
            sign = f"◆ {_DOWN}" if self._found.primary in self._down else "◆"
            name = f"{sign} {safe(self._found.primary, _LINE_CELLS)}"
            if mark is not None and cell_len(name) > widest:
                name = f"{sign} {mark.letter}"
            shown.insert(0, (name, self._look.server(mark) + BOLD))
        while len(shown) > 1 and not self._fits(shown):
            shown.pop()
        first = (len(gaps) - len(shown)) // 2
        for row, (line, style) in enumerate(shown, start=first):
            text = safe(line, gaps[row].width)
            column = gaps[row].column + (gaps[row].width - cell_len(text)) // 2
            self.canvas.write(row, column, text, style)

    def _fits(self, lines: Sequence[tuple[str, Style]]) -> bool:
        gaps = self._shape.gaps
        first = (len(gaps) - len(lines)) // 2
        return len(lines) <= len(gaps) and all(
            cell_len(line) <= gaps[row].width for row, (line, _) in enumerate(lines, start=first)
        )

    def _signs_of(self, found: KeyPlacement | PositionPlacement) -> dict[int, _Sign]:
        """Return the spokes that carry a sign: the vnode's, and over it the key's."""
        mark = self._marks.get(found.primary)
        letter = mark.letter[0] if mark is not None else "?"
        vnode = _Sign(found.vnode.position, letter, self._look.server(mark) + _RAISED)
        key = _Sign(found.position, "◆", _RAISED)
        return {self._shape.spoke_of(sign.position): sign for sign in (vnode, key)}

    def _letter(self, cell: BandCell, holder: str | None, *, hatched: bool) -> str:
        if cell.dots < _LETTERED_DOTS:
            return " "
        mark = self._marks.get(holder) if holder is not None else None
        if mark is None or (hatched and sum(cell.place) % 2):
            return _DOWN if holder in self._down else ":"
        return mark.letter[cell.place.column % len(mark.letter)]


def _holders(
    picture: RingPicture, positions: tuple[int, ...]
) -> tuple[list[str | None], list[bool]]:
    """Return who answers for each position now, and whether it is still to be moved."""
    holders = list(_owners(picture.view, positions))
    waiting = [False] * len(positions)
    if picture.displaced:
        lows = [span.low for span in picture.displaced]
        for index, position in enumerate(positions):
            span = picture.displaced[bisect_right(lows, position) - 1]
            if span.low <= position <= span.high:
                holders[index], waiting[index] = span.holder, True
    return holders, waiting


@lru_cache(maxsize=8)
def _owners(view: RingView, positions: tuple[int, ...]) -> tuple[str | None, ...]:
    if not view.vnodes:
        return (None,) * len(positions)
    return tuple(view.vnode_at(position).server_id for position in positions)


def _arcs(holders: Sequence[str | None]) -> list[_Arc]:
    """Return the arcs of the ring, which wrap around it.

    One that is the whole ring begins at 6 o'clock, so that its middle is at 12.
    """
    count = len(holders)
    starts = [spoke for spoke in range(count) if holders[spoke] != holders[spoke - 1]]
    if not starts:
        starts = [count // 2]
    arcs: list[_Arc] = []
    for index, start in enumerate(starts):
        following = starts[(index + 1) % len(starts)]
        holder = holders[start]
        if holder is not None:
            arcs.append(_Arc(holder, start, (following - start) % count or count))
    return arcs


def _around(cells: Sequence[Place]) -> set[Place]:
    """Return the cells of a row and all that touch them."""
    return {
        Place(cell.row + down, cell.column + across)
        for cell in cells
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
    }
