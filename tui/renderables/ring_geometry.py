"""The shape of a ring of a given size: which cells it has, and which positions they stand for.

Worked out once for each size. Knows nothing of servers.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from core.stripes import POSITIONS

# A cell is two dots wide and four high, which makes a dot about square.
DOTS_ACROSS, DOTS_DOWN = 2, 4
# The bit of each dot of a braille character, by row and column.
_BRAILLE_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE = 0x2800
# The band's width as a part of the radius, and its limits, in dots.
_BAND, _NARROWEST, _WIDEST = 0.2, 3.0, 12.0
# Dots of the band's middle line for each spoke: between the width and the height of a cell.
_DOTS_PER_SPOKE = 3.0
# How far inside the band, in dots, its letters reach.
_LETTERS_REACH = 6.0


class Place(NamedTuple):
    """A cell of the picture."""

    row: int
    column: int


class Gap(NamedTuple):
    """Free cells of one row."""

    column: int
    width: int


@dataclass(frozen=True, slots=True)
class BandCell:
    """A cell of the band.

    Attributes:
        place: where it is.
        spoke: the number of its spoke.
        dots: how many of its eight dots lie on the band.
        full: those dots.
        hatched: every other one of them.
    """

    place: Place
    spoke: int
    dots: int
    full: str
    hatched: str


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shape of a ring.

    Attributes:
        cells: the cells of the band.
        spokes: the position in the middle of each spoke, clockwise from 12 o'clock.
        middles: for each spoke, a cell in the middle of the band.
        letters: for each spoke, the cell just inside the band.
        gaps: for each row, what is free in the middle of the ring.
        spoke_of_cell: the spoke of each cell of the band.
    """

    cells: tuple[BandCell, ...]
    spokes: tuple[int, ...]
    middles: tuple[Place, ...]
    letters: tuple[Place, ...]
    gaps: tuple[Gap, ...]
    spoke_of_cell: dict[Place, int]

    def spoke_of(self, position: int) -> int:
        """Return the spoke whose part of the ring holds `position`."""
        return position * len(self.spokes) // POSITIONS


@lru_cache(maxsize=16)
def ring_geometry(width: int, height: int) -> Geometry:
    """Return the shape of the largest ring that fits. O(cells) once for each size.

    Args:
        width: cells across, 1 or more.
        height: lines, 1 or more.
    """
    centre_x, centre_y = (width * DOTS_ACROSS - 1) / 2, (height * DOTS_DOWN - 1) / 2
    # A quarter of a dot more than reaches the outermost dots, so that they are more than a point.
    outer = min(centre_x, centre_y) + 0.25
    inner = outer - min(max(outer * _BAND, _NARROWEST), _WIDEST)
    spokes = max(4, round(math.tau * (outer + inner) / 2 / _DOTS_PER_SPOKE))

    def place_at(radius: float, turn: float) -> Place:
        x = centre_x + radius * math.sin(math.tau * turn)
        y = centre_y - radius * math.cos(math.tau * turn)
        return Place(int((y + 0.5) // DOTS_DOWN), int((x + 0.5) // DOTS_ACROSS))

    dots = _band_dots(width, height, centre_x, centre_y, inner, outer)
    cells = tuple(
        _band_cell(place, inside, spokes, centre_x, centre_y) for place, inside in dots.items()
    )
    turns = [(spoke + 0.5) / spokes for spoke in range(spokes)]
    letters: list[Place] = []
    for turn in turns:
        radius = inner
        while radius > 0 and place_at(radius, turn) in dots:
            radius -= 0.5
        letters.append(place_at(max(radius, 0.0), turn))
    return Geometry(
        cells=cells,
        spokes=tuple(int(turn * POSITIONS) for turn in turns),
        middles=tuple(place_at((outer + inner) / 2, turn) for turn in turns),
        letters=tuple(letters),
        gaps=tuple(_gap(row, centre_x, centre_y, inner - _LETTERS_REACH) for row in range(height)),
        spoke_of_cell={cell.place: cell.spoke for cell in cells},
    )


def _band_dots(
    width: int, height: int, centre_x: float, centre_y: float, inner: float, outer: float
) -> dict[Place, list[tuple[int, int]]]:
    """Return the dots of the band by their cells, in reading order."""
    found: defaultdict[Place, list[tuple[int, int]]] = defaultdict(list)
    for y in range(height * DOTS_DOWN):
        for x in range(width * DOTS_ACROSS):
            if inner <= math.hypot(x - centre_x, y - centre_y) <= outer:
                found[Place(y // DOTS_DOWN, x // DOTS_ACROSS)].append((x, y))
    return found


def _band_cell(
    place: Place, dots: list[tuple[int, int]], spokes: int, centre_x: float, centre_y: float
) -> BandCell:
    x = sum(x for x, _ in dots) / len(dots) - centre_x
    y = sum(y for _, y in dots) / len(dots) - centre_y
    turn = math.atan2(x, -y) / math.tau % 1.0
    full = hatched = 0
    for dot_x, dot_y in dots:
        bit = _BRAILLE_BITS[dot_y % DOTS_DOWN][dot_x % DOTS_ACROSS]
        full |= bit
        if (dot_x + dot_y) % 2 == 0:
            hatched |= bit
    return BandCell(
        place=place,
        spoke=int(turn * spokes) % spokes,
        dots=len(dots),
        full=chr(_BRAILLE + full),
        hatched=chr(_BRAILLE + hatched),
    )


def _gap(row: int, centre_x: float, centre_y: float, radius: float) -> Gap:
    """Return the cells of a row that lie in a circle, wholly."""
    top, bottom = row * DOTS_DOWN, row * DOTS_DOWN + DOTS_DOWN - 1
    farthest = max(abs(top - centre_y), abs(bottom - centre_y))
    if radius <= farthest:
        return Gap(0, 0)
    half = math.sqrt(radius**2 - farthest**2)
    first = math.ceil((centre_x - half) / DOTS_ACROSS)
    last = math.floor((centre_x + half - 1) / DOTS_ACROSS)
    return Gap(first, max(0, last - first + 1))
