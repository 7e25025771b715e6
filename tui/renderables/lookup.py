"""Where a key lives and why, in one line or in several.

A lookup ends in a `KeyPlacement`, found or not, or in an error: a key that can't be one, a ring
without a server. Each is shown as what it is. A click on the ring asks about a position alone.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from core.cluster.snapshot import KeyPlacement, ReplicaCopy
from core.errors import StoreError
from core.record import Value
from core.stripes import POSITIONS
from tui.formatting import byte_size, counted, duration, percent, safe, safe_text, whole
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
_DIFFERS = "!"
_NOBODY = "no replica that is up to date answers"
# From here on no tenth of a second is told.
_WHOLE_SECONDS = 10

LookupResult = KeyPlacement | PositionPlacement | StoreError


class _Part(NamedTuple):
    """A part of the line; of those with the highest rank is the first to go when it is too long.

    Its content is in one style, or in pieces that each have their own.
    """

    label: str
    content: str
    style: Style
    rank: int
    pieces: tuple[tuple[str, Style], ...] = ()

    @property
    def cells(self) -> int:
        return cell_len(self.label) + bool(self.label) + cell_len(self.content)


def lookup_line(result: LookupResult, marks: Mapping[str, Mark], width: int, look: Look) -> Text:
    """Return a lookup's result in one line of at most `width` cells.

    What matters least is left out first: replicas that are well, version, position, vnode, value.
    A replica that is not as it should be, and the time that the key has left, stay.

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
        for content, style in part.pieces or ((part.content, part.style),):
            line.append(content, style)
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
    lines = [
        ("key", safe_text(result.key, room, BOLD)),
        ("position", Text(f"0x{result.position:08x}, {_around(result.position)}")),
        ("vnode", Text(vnode)),
        ("primary", Text(_named(result.primary, marks), look.server(marks.get(result.primary)))),
    ]
    for index, copy in enumerate(result.copies):
        lines.append(("" if index else "replicas", _copy_row(copy, result, marks, look)))
    if result.moving_to is not None:
        style = look.server(marks.get(result.moving_to))
        lines.append(("moves to", Text(_named(result.moving_to, marks), style)))
    if result.value is not None:
        size = f" ({_size(result.value)})"
        value = _shown(result.value, max(1, room - len(size)))
        lines.append(("value", Text(value).append(size, DIM)))
    elif _unanswered(result):
        lines.append(("value", Text(f"unknown: {_NOBODY}", look.tone(Tone.BAD))))
    else:
        lines.append(("value", Text("none: the key does not exist", look.tone(Tone.WARNING))))
    if result.version is not None:
        lines.append(("version", Text(whole(result.version))))
    if result.ttl is not None:
        lines.append(("expires", Text(f"in {_time_left(result.ttl)}")))
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
    if found.down:
        parts.append(Part(Text("✖ down", look.tone(Tone.BAD)), 0))
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
    if found.down:
        rows[-1][1].append("  ✖ down", look.tone(Tone.BAD))
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
    parts.append(_Part("position", f"0x{found.position:08x}", PLAIN, 5))
    parts.append(_Part("vnode", _vnode(found), PLAIN, 3))
    parts += _replica_parts(found, look)
    if found.version is not None:
        parts.append(_Part("version", whole(found.version), PLAIN, 6))
    if found.ttl is not None:
        parts.append(_Part("ttl", _time_left(found.ttl), PLAIN, 1))
    if found.value is not None:
        parts.append(_Part("", _shown(found.value, _SHORTEST_VALUE), PLAIN, _VALUE_RANK))
    elif _unanswered(found):
        parts.append(_Part("", f"✖ {_NOBODY}", look.tone(Tone.BAD), 0))
    else:
        parts.append(_Part("", "missing", look.tone(Tone.WARNING), 0))
    return parts


def _replica_parts(found: KeyPlacement, look: Look) -> list[_Part]:
    """Return the replicas in one part, or the primary alone where it is the only one and not well.

    Those that are not as they should be are told with what they hold, and are not left out.
    """
    shown = [(copy, *_copy_state(copy, found)) for copy in found.copies]
    well = all(tone is Tone.GOOD for _, _, _, tone in shown)
    if len(shown) == 1 and (well or _unanswered(found)):
        return []
    pieces: list[tuple[str, Style]] = []
    for copy, sign, state, tone in shown:
        said = "" if tone is Tone.GOOD else f" {state}"
        words = f"{sign} {safe(copy.server_id, _ID_CELLS)}{said}"
        pieces += [
            (_GAP if pieces else "", PLAIN),
            (words, PLAIN if tone is Tone.GOOD else look.tone(tone)),
        ]
    content = "".join(words for words, _ in pieces)
    return [_Part("replicas", content, PLAIN, 4 if well else 1, tuple(pieces))]


def _copy_row(
    copy: ReplicaCopy, found: KeyPlacement, marks: Mapping[str, Mark], look: Look
) -> Text:
    sign, state, tone = _copy_state(copy, found)
    name = Text(_named(copy.server_id, marks), look.server(marks.get(copy.server_id)))
    held = "no record" if copy.version is None else f"version {whole(copy.version)}"
    if sign == _DIFFERS:
        state = "differs"
    text = f"{held}, {state}" if copy.answers else state
    return Text.assemble((f"{sign} ", look.tone(tone)), name, f"  {text}")


def _copy_state(copy: ReplicaCopy, found: KeyPlacement) -> tuple[str, str, Tone]:
    """Return how a replica is: a sign, a word or two, and how they are to be taken."""
    if not copy.answers:
        return "✖", "no answer", Tone.BAD
    if not copy.current:
        return "○", "behind", Tone.WARNING
    newest = max((other.version or 0 for other in found.copies if other.current), default=0)
    if (copy.version or 0) != newest:
        held = "no record" if copy.version is None else f"version {whole(copy.version)}"
        return _DIFFERS, f"has {held}", Tone.WARNING
    return "●", "current", Tone.GOOD


def _unanswered(found: KeyPlacement) -> bool:
    """Return whether nobody can say if the key has a value."""
    return not any(copy.current for copy in found.copies)


def _time_left(seconds: float) -> str:
    """Return seconds as they are counted down."""
    return duration(seconds) if seconds >= _WHOLE_SECONDS else f"{max(0.0, seconds):.1f} s"


def _length(parts: Sequence[_Part]) -> int:
    return sum(part.cells for part in parts) + len(_GAP) * (len(parts) - 1)


def _named(server_id: str, marks: Mapping[str, Mark]) -> str:
    """Return a server's id, after the letter that it has on the ring."""
    mark = marks.get(server_id)
    name = safe(server_id, _ID_CELLS)
    return f"{mark.letter} {name}" if mark is not None else name


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
