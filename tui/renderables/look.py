"""How things look: the colours of servers and tones, on dark and on light, and plain ASCII.

Whatever a colour says is said by a letter, a sign or a word as well, so that nothing is lost with
``NO_COLOR``. What is only secondary is dim instead of gray, which suits every theme.
"""

from dataclasses import dataclass
from functools import lru_cache

from rich.style import Style
from rich.text import Text

from tui.formatting import to_ascii
from tui.view_model import Mark, Tone

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)


@dataclass(frozen=True, slots=True)
class Look:
    """What a renderable needs to know of the terminal and the theme.

    Attributes:
        server_colours: twelve colours as ``#rrggbb``, told apart also by the colour-blind.
        good: the colour of what is well.
        warning: the colour of what is under way or should be watched.
        bad: the colour of what failed.
        accent: the colour of what is measured: graphs.
        ascii_only: whether to draw with nothing but ASCII.
        monochrome: whether to do without colours, as ``NO_COLOR`` asks.
    """

    server_colours: tuple[str, ...]
    good: str
    warning: str
    bad: str
    accent: str
    ascii_only: bool = False
    monochrome: bool = False

    @property
    def arrow(self) -> str:
        """What leads from an old value to a new one."""
        return "->" if self.ascii_only else "→"

    @property
    def accented(self) -> Style:
        """The style of what is measured: graphs."""
        return self._style(self.accent)

    def server(self, mark: Mark | None) -> Style:
        """Return the style of a server; plain for one that is unknown."""
        return self._style(self.server_colours[mark.colour]) if mark is not None else PLAIN

    def tone(self, tone: Tone) -> Style:
        """Return the style of a tone."""
        match tone:
            case Tone.GOOD:
                return self._style(self.good)
            case Tone.WARNING:
                return self._style(self.warning)
            case Tone.BAD:
                return self._style(self.bad) + BOLD
            case Tone.PLAIN:
                return PLAIN

    def finish(self, text: Text) -> Text:
        """Return a drawing as this terminal can show it."""
        return to_ascii(text) if self.ascii_only else text

    def _style(self, colour: str) -> Style:
        return PLAIN if self.monochrome else _coloured(colour)


@lru_cache(maxsize=64)
def _coloured(colour: str) -> Style:
    """Return the style of a colour; making one takes longer than drawing a cell."""
    return Style(color=colour)


# Chosen in OKLab: as far apart from each other as possible, also as seen with protanopia and
# deuteranopia, and with enough contrast on every theme that Textual brings along. The order puts
# the most different ones first, and is that of the hues' names, alike on dark and light.
DARK = Look(
    server_colours=(
        "#55a4fe",  # blue
        "#e98104",  # orange
        "#73dc0f",  # lime
        "#ffa5d7",  # pink
        "#f9f73e",  # yellow
        "#b287ce",  # violet
        "#06d8fe",  # cyan
        "#fd6278",  # red
        "#d0b298",  # tan
        "#66a290",  # teal
        "#a8e493",  # green
        "#e0ecfc",  # ice
    ),
    good="#73dc0f",
    warning="#f0c000",
    bad="#ff6b6b",
    accent="#06d8fe",
)
LIGHT = Look(
    server_colours=(
        "#485bfe",  # blue
        "#c04407",  # orange
        "#2f7803",  # lime
        "#d11da9",  # pink
        "#624d21",  # yellow
        "#4606d7",  # violet
        "#077597",  # cyan
        "#e01b56",  # red
        "#601701",  # tan
        "#023f3c",  # teal
        "#407b5f",  # green
        "#3d467f",  # ice
    ),
    good="#0a6343",
    warning="#7a4a00",
    bad="#b3002d",
    accent="#075873",
)
