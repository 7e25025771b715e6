"""A grid of styled characters that becomes a text."""

from rich.cells import cell_len
from rich.style import Style
from rich.text import Span, Text

from tui.renderables.look import PLAIN


class Canvas:
    """A rectangle of cells to draw on, blank at first."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._characters = [[" "] * width for _ in range(height)]
        self._styles = [[PLAIN] * width for _ in range(height)]

    def put(self, row: int, column: int, character: str, style: Style) -> None:
        """Put one character that is one cell wide."""
        self._characters[row][column] = character
        self._styles[row][column] = style

    def write(self, row: int, column: int, text: str, style: Style) -> None:
        """Put a text, whose characters may be wide, from a column on; it has to fit."""
        for character in text:
            cells = cell_len(character)
            if cells == 0:
                self._characters[row][column - 1] += character
                continue
            self.put(row, column, character, style)
            if cells > 1:
                self.put(row, column + 1, "", style)
            column += cells

    def is_blank(self, place: tuple[int, int]) -> bool:
        """Return whether a place (row, column) is on the canvas, and nothing was put there."""
        row, column = place
        inside = 0 <= row < self.height and 0 <= column < self.width
        return inside and self._characters[row][column] == " "

    def text(self) -> Text:
        """Return what was drawn. O(cells)."""
        spans: list[Span] = []
        pieces: list[str] = []
        length = 0
        for row, (characters, styles) in enumerate(
            zip(self._characters, self._styles, strict=True)
        ):
            if row:
                pieces.append("\n")
                length += 1
            current, start = PLAIN, length
            for character, style in zip(characters, styles, strict=True):
                if style is not current:
                    if current is not PLAIN:
                        spans.append(Span(start, length, current))
                    current, start = style, length
                length += len(character)
            if current is not PLAIN:
                spans.append(Span(start, length, current))
            pieces += characters
        return Text("".join(pieces), spans=spans, no_wrap=True, end="")
