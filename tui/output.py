"""Standard output and standard error, as the commands that have no screen write them.

What is drawn for people has the terminal's own colours, or none; what is written is either all
there or an error says why not.
"""

import codecs
import errno
import io
import json
import locale
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import click
from rich.console import Console
from rich.text import Text

from core.safe_text import visible
from tui.renderables.look import Look

# Anything that can be written as JSON for scripts: no null and no boolean, so that every field has
# one type for good.
Json = int | float | str | Sequence["Json"] | Mapping[str, "Json"]

# Where neither COLUMNS nor a terminal says how wide the output is.
_DEFAULT_WIDTH = 100
_NARROWEST = 40
_ANY_HEIGHT = 25
_NOTICE_CHARACTERS = 400

# By the names of the terminal's palette, which its user can read on whatever background it has.
_TERMINAL_LOOK = Look(
    server_colours=(
        *("blue", "yellow", "green", "magenta", "cyan", "red"),
        *("bright_blue", "bright_yellow", "bright_green"),
        *("bright_magenta", "bright_cyan", "bright_red"),
    ),
    good="green",
    warning="yellow",
    bad="red",
    accent="cyan",
)


def console_for_output() -> Console:
    """Return a console that knows what standard output can show; `printed` writes through it."""
    # The width counts only together with a height, on which nothing depends here.
    return Console(width=_width(), height=_ANY_HEIGHT, highlight=False, markup=False, emoji=False)


def look_of(console: Console, *, ascii_only: bool) -> Look:
    """Return how to draw on a console."""
    monochrome = console.color_system is None or console.no_color
    return replace(_TERMINAL_LOOK, ascii_only=ascii_only, monochrome=monochrome)


def needs_ascii() -> bool:
    """Return whether the locale, or standard output, can't be trusted with more than ASCII."""
    encodings = (locale.getencoding(), getattr(sys.stdout, "encoding", None) or "utf-8")
    return any(codecs.lookup(encoding).name != "utf-8" for encoding in encodings)


def write_text(text: Text, console: Console) -> None:
    """Write styled text and a line end; its lines are wrapped only where somebody looks at them.

    Raises:
        OSError: it can't be written.
    """
    wraps = console.is_terminal
    # Into memory first: a console that can't write ends the program in its own way.
    console.file = printed = io.StringIO()
    console.print(text, soft_wrap=not wraps)
    write(printed.getvalue())


def write_json(document: Mapping[str, Json]) -> None:
    """Write a JSON document in ASCII: there is nothing in it that a terminal could act on.

    Raises:
        OSError: it can't be written.
    """
    write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def write(text: str, *, now: bool = True) -> None:
    """Write to standard output.

    Args:
        text: what to write.
        now: False lets it wait for more.

    Raises:
        OSError: it can't be written; `tui.__main__` says so.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.write(text)
    if now:
        sys.stdout.flush()


def write_bytes(octets: bytes, *, now: bool = True) -> None:
    """Write bytes to standard output as they are.

    Args:
        octets: what to write.
        now: False lets it wait for more.

    Raises:
        OSError: they can't be written.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.buffer.write(octets)
    if now:
        sys.stdout.buffer.flush()


def notice(text: str) -> None:
    """Say something in one line on standard error, where it is in nobody's way."""
    click.echo(f"ringtop: {visible(text, _NOTICE_CHARACTERS)}", err=True)


def _width() -> int:
    """Return the width of the terminal, or of the one that is seen through a pipe."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return max(_NARROWEST, int(columns))
    for descriptor in (1, 2, 0):
        try:
            width = os.get_terminal_size(descriptor).columns
        except OSError:
            continue  # no terminal
        # A terminal that does not know says 0.
        if width > 0:
            return max(_NARROWEST, width)
    return _DEFAULT_WIDTH
