"""Whatever ends the dashboard, the terminal is as it was, and no thread is left."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.terminal import Terminal, python
from tests.tui.dashboard_program import SECRET

# The alternate screen, the cursor, reports of the mouse and of the focus, and pasted text.
_ALTERNATE_SCREEN, _CURSOR = 1049, 25
_REPORTS = (1000, 1003, 1004, 1006, 1015, 2004)


@contextmanager
def dashboard(*arguments: str) -> Iterator[Terminal]:
    with Terminal(python("-m", "tests.tui.dashboard_program", *arguments)) as terminal:
        yield terminal


def check_restored(terminal: Terminal) -> None:
    assert terminal.modes == terminal.modes_before
    modes = terminal.screen.modes
    assert modes[_ALTERNATE_SCREEN] is False
    assert modes[_CURSOR] is True
    assert [mode for mode in _REPORTS if modes.get(mode)] == []


def check_end(terminal: Terminal, status: int) -> None:
    terminal.process.wait(60)
    check_restored(terminal)
    assert terminal.wait_for_exit() == status
    assert "threads left: []" in terminal.screen.written
    assert "Traceback" not in terminal.screen.written
    assert SECRET not in terminal.screen.written


@pytest.mark.parametrize(
    ("key", "load"), [("q", []), ("q", ["--load"]), ("\x03", ["--load"])], ids=repr
)
def test_a_key_ends_it(key: str, load: list[str]) -> None:
    with dashboard(*load) as terminal:
        terminal.wait_for("● on" if load else "○ off")
        terminal.press(key)
        check_end(terminal, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    with dashboard("--load") as terminal:
        terminal.wait_for("● on")
        terminal.process.send_signal(number)
        check_end(terminal, 128 + number)


@pytest.mark.parametrize("where", ["frames", "command"])
def test_an_error_ends_it_and_gives_nothing_away(where: str) -> None:
    with dashboard("--breaks", where) as terminal:
        terminal.wait_for("Servers")
        if where == "command":
            terminal.wait_for("○ off")
            terminal.press("a")
        check_end(terminal, 1)
        assert "stopped by an error of its own: KeyError at" in terminal.screen.written


def test_an_error_in_the_load_is_seen_and_the_status_tells_of_it() -> None:
    with dashboard("--load", "--breaks", "load") as terminal:
        terminal.wait_for("KeyError")
        terminal.press("q")
        terminal.process.wait(60)
        check_restored(terminal)
        assert terminal.wait_for_exit() != 0
        left_behind = terminal.screen.written.rpartition("\x1b[?1049l")[2]
        assert "threads left: []" in left_behind
        assert SECRET not in left_behind


def test_a_terminal_that_is_gone_ends_it() -> None:
    with dashboard("--load") as terminal:
        terminal.wait_for("● on")
        terminal.hang_up()
        assert terminal.process.wait(60) != 0
