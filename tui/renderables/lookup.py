"""Where a key lives and why, in one line or in several.

A lookup ends in a `KeyPlacement`, found or not, or in an error: a key that can't be one, a ring
without a server. Each is shown as what it is. A click on the ring asks about a position alone.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from core.cluster.snapshot import KeyPlacement
from core.errors import StoreError
from core.record import Value
from core.stripes import POSITIONS
from tui.formatting import byte_size, counted, percent, safe, safe_text, whole
from tui.renderables.look import BOLD, DIM, PLAIN, Look
from tui.renderables.parts import Part, fitting
from tui.view_model import Mark, PositionPlacement, Tone

# In cells, in one line: the least and the greatest part that a key takes, and what a value needs.
_SHORTEST_KEY, _KEY_PART = 8, 3
_SHORTEST_VALUE = 8
_VALUE_RANK = 2
_LABEL_WIDTH = 10
_ID_CELLS = 64
_GAP = "  "

LookupResult = KeyPlacement | PositionPlacement | StoreError


class _Part(NamedTuple):
    """A part of the line; of those with the highest rank is the first to go when it is too long."""

    label: str
    content: str
    style: Style
    rank: int

    @property
    def cells(self) -> int:
        return cell_len(self.label) + bool(self.label) + cell_len(self.content)


def lookup_line(result: LookupResult, marks: Mapping[str, Mark], width: int, look: Look) -> Text:
    """Return a lookup's result in one line of at most `width` cells.

    What matters least is left out first: replicas, version, position, vnode, value.

    Args:
        result: where the key is, or why that can't be said.
        marks: the letters and colours of the servers.
        width: cells across.
        look: colours, and whether to draw in ASCII.
    """
    if isinstance(result, StoreError):
        return look.finish(_problem(result, width, look))
    if isinstance(result, PositionPlacement):
        return look.finish(_position_line(result, marks, width, look))
    parts = _parts(result, marks, width, look)
    while _length(parts) > width and any(part.rank for part in parts):
        parts.remove(max(parts, key=lambda part: part.rank))
    left = width - _length(parts)
    if parts[-1].rank == _VALUE_RANK and result.value is not None:
        parts[-1] = parts[-1]._replace(
            content=_shown(result.value, cell_len(parts[-1].content) + left)
        )
    elif left > 0:
        parts[0] = parts[0]._replace(content=safe(result.key, cell_len(parts[0].content) + left))
    line = Text(no_wrap=True, end="")
    for index, part in enumerate(parts):
        line.append(_GAP if index else "")
        line.append(part.label + " " if part.label else "", DIM)
        line.append(part.content, part.style)
    line.truncate(width, overflow="ellipsis")
    return look.finish(line)


def lookup_lines(result: LookupResult, marks: Mapping[str, Mark], width: int, look: Look) -> Text:
    """Return a lookup's result in as many lines as it has things to say, of at most `width` cells.

    Args:
        result: where the key is, or why that can't be said.
        marks: the letters and colours of the servers.
        width: cells across.
        look: colours, and whether to draw in ASCII.
    """
    if isinstance(result, StoreError):
        return look.finish(_problem(result, width, look))
    room = max(1, width - _LABEL_WIDTH)
    if isinstance(result, PositionPlacement):
        return look.finish(_listing(_position_rows(result, marks, look), room))
    vnode = f"{_vnode(result)} at 0x{result.vnode.position:08x}"
    found_on = _listed(result.located_on) or "no server"
    lines = [
        ("key", safe_text(result.key, room, BOLD)),
        ("position", Text(f"0x{result.position:08x}, {_around(result.position)}")),
        ("vnode", Text(vnode)),
        ("primary", Text(_named(result.primary, marks), look.server(marks.get(result.primary)))),
        ("replicas", Text(_listed(result.replicas))),
        ("found on", Text(found_on)),
    ]
    if result.moving_to is not None:
        style = look.server(marks.get(result.moving_to))
        lines.append(("moves to", Text(_named(result.moving_to, marks), style)))
    if result.value is not None:
        size = f" ({_size(result.value)})"
        value = _shown(result.value, max(1, room - len(size)))
        lines.append(("value", Text(value).append(size, DIM)))
    else:
        lines.append(("value", Text("none: the key does not exist", look.tone(Tone.WARNING))))
    if result.version is not None:
        lines.append(("version", Text(whole(result.version))))
    lines.append(("epoch", Text(whole(result.epoch))))
    return look.finish(_listing(lines, room))


def _listing(rows: Sequence[tuple[str, Text]], room: int) -> Text:
    text = Text(no_wrap=True, end="")
    for index, (label, content) in enumerate(rows):
        content.truncate(room, overflow="ellipsis")
        text.append("\n" if index else "").append(f"{label:<{_LABEL_WIDTH}}", DIM)
        text.append_text(content)
    return text


def _position_line(
    found: PositionPlacement, marks: Mapping[str, Mark], width: int, look: Look
) -> Text:
    def labelled(label: str, content: str, style: Style, rank: int) -> Part:
        return Part(Text.assemble((f"{label} ", DIM), (content, style)), rank)

    parts = [
        labelled("position", f"0x{found.position:08x}", BOLD, 0),
        labelled(
            look.arrow,
            _named(found.primary, marks),
            look.server(marks.get(found.primary)) + BOLD,
            0,
        ),
    ]
    if found.moving_to is not None:
        style = look.server(marks.get(found.moving_to))
        parts.append(labelled("moves to", _named(found.moving_to, marks), style, 1))
    parts.append(labelled("vnode", _vnode(found), PLAIN, 2))
    parts.append(labelled("range", _range(found), PLAIN, 3))
    parts.append(Part(Text(_around(found.position)), 4))
    return fitting(parts, width)


def _position_rows(
    found: PositionPlacement, marks: Mapping[str, Mark], look: Look
) -> list[tuple[str, Text]]:
    rows = [
        ("position", Text(f"0x{found.position:08x}, {_around(found.position)}", BOLD)),
        ("vnode", Text(f"{_vnode(found)} at 0x{found.vnode.position:08x}")),
        ("range", Text(f"{_range(found)}, {percent(found.range.size / POSITIONS, 3)} of the ring")),
        ("primary", Text(_named(found.primary, marks), look.server(marks.get(found.primary)))),
    ]
    if found.moving_to is not None:
        style = look.server(marks.get(found.moving_to))
        rows.append(("moves to", Text(_named(found.moving_to, marks), style)))
    return rows


def _range(found: PositionPlacement) -> str:
    return f"(0x{found.range.start:08x}, 0x{found.range.end:08x}]"


def _problem(error: StoreError, width: int, look: Look) -> Text:
    return safe_text(f"✖ {error}", width, look.tone(Tone.BAD))


def _parts(found: KeyPlacement, marks: Mapping[str, Mark], width: int, look: Look) -> list[_Part]:
    key = safe(found.key, max(_SHORTEST_KEY, width // _KEY_PART))
    primary = look.server(marks.get(found.primary)) + BOLD
    parts = [
        _Part("", key, BOLD, 0),
        _Part(look.arrow, _named(found.primary, marks), primary, 0),
    ]
    if found.moving_to is not None:
        style = look.server(marks.get(found.moving_to))
        parts.append(_Part("moves to", _named(found.moving_to, marks), style, 1))
    parts.append(_Part("position", f"0x{found.position:08x}", PLAIN, 4))
    parts.append(_Part("vnode", _vnode(found), PLAIN, 3))
    if len(found.replicas) > 1:
        parts.append(_Part("replicas", _listed(found.replicas[1:]), PLAIN, 6))
    if found.exists and set(found.located_on) != set(found.replicas):
        parts.append(_Part("only on", _listed(found.located_on), look.tone(Tone.WARNING), 1))
    if found.version is not None:
        parts.append(_Part("version", whole(found.version), PLAIN, 5))
    if found.value is not None:
        parts.append(_Part("", _shown(found.value, _SHORTEST_VALUE), PLAIN, _VALUE_RANK))
    else:
        parts.append(_Part("", "missing", look.tone(Tone.WARNING), 0))
    return parts


def _length(parts: Sequence[_Part]) -> int:
    return sum(part.cells for part in parts) + len(_GAP) * (len(parts) - 1)


def _named(server_id: str, marks: Mapping[str, Mark]) -> str:
    """Return a server's id, after the letter that it has on the ring."""
    mark = marks.get(server_id)
    name = safe(server_id, _ID_CELLS)
    return f"{mark.letter} {name}" if mark is not None else name


def _listed(server_ids: Sequence[str]) -> str:
    return " ".join(safe(server_id, _ID_CELLS) for server_id in server_ids)


def _vnode(found: KeyPlacement | PositionPlacement) -> str:
    return f"{safe(found.vnode.server_id, _ID_CELLS)}#{found.vnode.number}"


def _around(position: int) -> str:
    return f"{percent(position / POSITIONS)} round the ring"


def _shown(value: Value, room: int) -> str:
    """Return a value in at most `room` cells, quoted."""
    if isinstance(value, bytes):
        return safe(repr(value[:room]), room)
    return f'"{safe(value, room - 2)}"'


def _size(value: Value) -> str:
    return byte_size(len(value)) if isinstance(value, bytes) else counted(len(value), "character")
