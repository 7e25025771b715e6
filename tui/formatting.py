"""Numbers, times and outside text, as the screen and the command line write them.

Knows nothing of what they are about. A number keeps the same shape over its range, so that columns
stand still while it changes; a unit is set off by a space, as the SI asks.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta, tzinfo

from rich.cells import cell_len
from rich.style import Style
from rich.text import Span, Text

from core.safe_text import ELLIPSIS, visible

# Unit in seconds, its name, decimals, and the number of units from which the next row is used.
_LATENCIES = (
    (1e-9, "ns", 0, 1_000),
    (1e-6, "µs", 0, 100),
    (1e-3, "ms", 2, 10),
    (1e-3, "ms", 1, 100),
    (1e-3, "ms", 0, 1_000),
    (1.0, "s", 2, 10),
    (1.0, "s", 0, 60),
)
_LONGER = ((60, "min", "s", 1), (3_600, "h", "min", 60), (86_400, "d", "h", 3_600))
# From here on a ratio is told by its order of magnitude.
_LONG_RATIO = 10_000
_BYTE_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_THOUSANDS = ("", "k", "M", "G", "T", "P")
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LONGEST_ESCAPE = len("\\U000e0001")

# One cell each, so that what was laid out before stays where it is.
_IN_ASCII = str.maketrans(
    {
        **dict(zip("●○↻✖◆→…·–µΔ▸▾▴", "*o~x@>>--ud>v^", strict=True)),
        **dict.fromkeys("─━═┄▔▁▂▃▄▅▆▇▀", "-"),
        **dict.fromkeys("│┃║▎▏▕▊▋▌▍▐", "|"),
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
        **dict.fromkeys("█▉▓", "#"),
        **dict.fromkeys("░▒", "."),
    }
)


def whole(number: int) -> str:
    """Return a whole number with its thousands set off: ``40,212``."""
    return f"{number:,}"


def compact(number: float) -> str:
    """Return a number in at most five characters (six below 0): ``999``, ``12.4k``, ``1.2M``."""
    scaled, unit = float(number), 0
    while round(abs(scaled)) >= 1_000 and unit < len(_THOUSANDS) - 1:
        scaled, unit = scaled / 1_000, unit + 1
    decimals = 1 if unit and abs(scaled) < 99.95 else 0
    text = f"{scaled:.{decimals}f}{_THOUSANDS[unit]}"
    return "0" if text == "-0" else text


def rate(per_second: float, unit: str = "ops") -> str:
    """Return how many happen in a second: ``12.4k ops/s``."""
    return f"{compact(per_second)} {unit}/s"


def percent(fraction: float, decimals: int = 1) -> str:
    """Return a fraction (0 to 1) in percent: ``24.7 %``."""
    return f"{fraction * 100:.{decimals}f} %"


def progress(fraction: float) -> str:
    """Return how far something is in whole percent; ``100 %`` only when it is over."""
    return f"{int(fraction * 100 + 1e-9)} %"


def signed_percent(fraction: float) -> str:
    """Return by how much more or less, in percent: ``+0.2 %``, ``-3.0 %``, ``0.0 %``."""
    text = f"{fraction * 100:+.1f} %"
    return text[1:] if text[1:] == "0.0 %" else text


def signed(number: int) -> str:
    """Return a change: ``+12``, ``-1,024``, ``0``."""
    return f"{number:+,}" if number else "0"


def byte_size(size: int) -> str:
    """Return a number of bytes in units of 1,024: ``512 B``, ``2.3 MiB``."""
    if size < 1_024:
        return f"{size} B"
    scaled, unit = size / 1_024, 0
    while round(scaled, 1) >= 1_024 and unit < len(_BYTE_UNITS) - 1:
        scaled, unit = scaled / 1_024, unit + 1
    return f"{scaled:.{1 if scaled < 99.95 else 0}f} {_BYTE_UNITS[unit]}"


def latency(seconds: float) -> str:
    """Return a short time in about three digits: ``310 ns``, ``4 µs``, ``0.31 ms``, ``1.20 s``."""
    for unit, name, decimals, limit in _LATENCIES:
        if round(seconds / unit, decimals) < limit:
            return f"{seconds / unit:.{decimals}f} {name}"
    return duration(seconds)


def duration(seconds: float) -> str:
    """Return how long something takes, in at most two units: ``42 s``, ``3 h 5 min``, ``2 d 0 h``.

    Below ten seconds it is told as a latency.
    """
    if seconds < 10:
        return latency(seconds)
    left = round(seconds)
    text = f"{left} s"
    for size, name, smaller, smaller_size in _LONGER:
        if left >= size:
            text = f"{left // size} {name} {left % size // smaller_size} {smaller}"
    return text


def clock_time(at_ms: int, zone: tzinfo | None = None) -> str:
    """Return the time of day of milliseconds since 1970: ``21:04:11``.

    Args:
        at_ms: milliseconds since 1970-01-01 UTC.
        zone: whose time of day; None for this machine's.
    """
    return (_UNIX_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).strftime("%H:%M:%S")


def ratio(number: float) -> str:
    """Return how many times as much something is: ``1.07``, or ``6.7e+302`` where that is shorter.

    A server's part of the keys can be that far from its weight: no weight gives it less than one
    virtual node.
    """
    return f"{number:.2f}" if number < _LONG_RATIO else f"{number:.1e}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 server``, ``3 servers``."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def safe_text(text: str, limit: int, style: str | Style = "") -> Text:
    r"""Return outside text as plain styled text of at most `limit` terminal cells.

    Nothing in it is ever taken as markup; invisible characters are spelled out, and what is too
    long is cut before a character or an escape and ends in an ellipsis. A wide character counts
    two cells. O(limit log limit).

    >>> safe_text("[/x]\x1b]52", 20).plain
    '[/x]\\x1b]52'
    >>> safe_text("漢字漢字", 5).plain
    '漢字…'
    """
    return Text(safe(text, limit), style=style, no_wrap=True, end="")


def safe(text: str, limit: int) -> str:
    """Return what `safe_text` shows, as `str`: for a sentence that is made of several parts."""
    if limit < 1:
        return ""
    shown = visible(text, limit)
    if cell_len(shown) <= limit:
        return shown
    # Wide characters: the longest beginning that leaves a cell for the ellipsis.
    characters = bisect_right(
        range(limit + 1), limit - 1, key=lambda count: cell_len(_spelled_out(text[:count]))
    )
    return _spelled_out(text[: characters - 1]) + ELLIPSIS


def to_ascii(text: Text) -> Text:
    """Return `text` in ASCII and in the same cells: signs by their likeness, all else as ``?``."""
    if text.plain.isascii():
        return text
    pieces = [_ascii_character(character) for character in text.plain]
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece))
    spans = [Span(starts[span.start], starts[span.end], span.style) for span in text.spans]
    return Text("".join(pieces), style=text.style, no_wrap=text.no_wrap, end=text.end, spans=spans)


def ascii_only(text: str) -> str:
    """Return what `to_ascii` makes of a text without styles."""
    return text if text.isascii() else "".join(map(_ascii_character, text))


def _ascii_character(character: str) -> str:
    if character.isascii():
        return character
    likeness = character.translate(_IN_ASCII)
    return likeness if likeness.isascii() else "?" * cell_len(character)


def _spelled_out(text: str) -> str:
    return visible(text, len(text) * _LONGEST_ESCAPE)
