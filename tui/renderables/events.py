"""What happened: a line for each event, and more where it is longer than the panel is wide."""

from collections.abc import Sequence
from functools import lru_cache

from rich.console import Console
from rich.text import Text

from tui.renderables.look import DIM, Look
from tui.view_model import EventLine

_TIME_CELLS = 9
# As many as a snapshot brings, at two widths.
_LINES_KEPT = 512
# Wrapping asks a console for its rules and writes nothing to it.
_WRAPPER = Console(color_system=None, width=80, _environ={})


def draw_events(events: Sequence[EventLine], width: int, look: Look) -> list[Text]:
    """Return the events' lines, oldest first, each of at most `width` cells. O(new events)."""
    return [line for event in events for line in _lines(event, width, look)]


@lru_cache(maxsize=_LINES_KEPT)
def _lines(event: EventLine, width: int, look: Look) -> tuple[Text, ...]:
    style = look.tone(event.tone)
    sentence = Text(event.sentence, style=style)
    lines: list[Text] = []
    lead = f"{event.time:<{_TIME_CELLS}}"
    for line in sentence.wrap(_WRAPPER, max(1, width - _TIME_CELLS)):
        text = Text(no_wrap=True, end="").append(lead, DIM).append(line.plain, style)
        lines.append(look.finish(text))
        lead = " " * _TIME_CELLS
    return tuple(lines)
