"""The terminal that the dashboard is drawn on and reads keys from, wherever the streams lead.

Textual draws on standard error and reads standard input. Here these become the terminal, when keys
came in through a pipe or messages go to a file, and nothing else changes hands.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

_TERMINAL = "/dev/tty"
_STANDARD_INPUT, _STANDARD_OUTPUT, _STANDARD_ERROR = 0, 1, 2


class NoTerminalError(click.ClickException):
    """There is no terminal for the dashboard."""

    exit_code = 2

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"the dashboard needs a terminal, and {missing}: "
            "--once prints one picture of it and --json its figures"
        )


def check_terminal() -> None:
    """Make sure that there is a terminal to draw on and to read keys from.

    Raises:
        NoTerminalError: one of them is missing.
    """
    if sys.__stdin__ is None or sys.__stderr__ is None:
        raise NoTerminalError("standard input or standard error is closed")
    if not os.isatty(_STANDARD_OUTPUT):
        raise NoTerminalError("standard output is not one")
    if not os.isatty(_STANDARD_INPUT):
        os.close(_open_terminal())


@contextmanager
def terminal_streams() -> Iterator[None]:
    """Have standard input and standard error lead to the terminal for a while.

    Standard input is not given back: whoever fed it through a pipe has nothing more to say.

    Raises:
        NoTerminalError: the terminal has gone.
    """
    if not os.isatty(_STANDARD_INPUT):
        terminal = _open_terminal()
        os.dup2(terminal, _STANDARD_INPUT)
        os.close(terminal)
    if os.isatty(_STANDARD_ERROR):
        yield
        return
    before = os.dup(_STANDARD_ERROR)
    try:
        os.dup2(_STANDARD_OUTPUT, _STANDARD_ERROR)
        yield
    finally:
        os.dup2(before, _STANDARD_ERROR)
        os.close(before)


def _open_terminal() -> int:
    try:
        return os.open(_TERMINAL, os.O_RDWR)
    except OSError as error:
        raise NoTerminalError("there is none to read keys from") from error
