"""The dashboard on a real terminal: keys from a pipe, the keyboard from the terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.tui.command_line import PATIENCE_SECONDS, ROOT, environment

# Makes the terminal its own, as a shell does for what it starts, and becomes the program.
LAUNCHER = """
import fcntl, os, sys, termios
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
os.close(terminal)
os.execv(sys.executable, [sys.executable, "-m", "tui", *sys.argv[2:]])
"""
ESCAPES = re.compile(rb"\x1b\[[0-9;?<=>]*[a-zA-Z]|\x1b[^\[]")
ALTERNATE_SCREEN_OFF = b"\x1b[?1049l"


# On the dashboard, and in nothing that is said before it opens.
OPEN = "peak/avg"


class Session:
    """A terminal with the dashboard on it.

    Attributes:
        process: the dashboard.
        seen: all that was written on the terminal.
    """

    def __init__(self, process: subprocess.Popen[bytes], keyboard: int) -> None:
        self.process = process
        self.seen = b""
        self._keyboard = keyboard

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._keyboard, keys.encode())

    def wait_for(self, text: str) -> None:
        """Wait until a text is on the screen."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text.encode() not in ESCAPES.sub(b"", self.seen):
            assert self.process.poll() is None, self.seen
            assert time.monotonic() < deadline, self.seen
            self._read(1.0)

    def wait_for_end(self) -> int:
        """Return the exit status."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen
            self._read(0.05)
        while self._read(0.0):
            pass
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        if not select.select([self._keyboard], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._keyboard, 65_536)
        except OSError:
            return False  # how a terminal says that nobody is left
        self.seen += piece
        return bool(piece)


@contextmanager
def dashboard(
    *arguments: str, stdin: int | IO[bytes] | None = None, stderr: int | IO[bytes] | None = None
) -> Iterator[Session]:
    """Open the dashboard on a terminal of its own; streams that are not given lead to it."""
    main_end, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (36, 120))
    before = termios.tcgetattr(terminal)
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, os.ttyname(terminal), *arguments],
        cwd=ROOT,
        env=environment(TERM="xterm-256color", COLORTERM="truecolor"),
        stdin=terminal if stdin is None else stdin,
        stdout=terminal,
        stderr=terminal if stderr is None else stderr,
        start_new_session=True,
    )
    try:
        yield Session(process, main_end)
        assert termios.tcgetattr(terminal) == before
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        os.close(terminal)
        os.close(main_end)


def test_keys_come_from_the_pipe_and_then_the_keyboard_from_the_terminal() -> None:
    with dashboard("--keys-from", "-", stdin=subprocess.PIPE) as session:
        assert session.process.stdin is not None
        session.process.stdin.write(b"".join(b"user:%d\n" % number for number in range(12_345)))
        session.process.stdin.close()
        session.wait_for(OPEN)
        session.type("?")
        session.wait_for("Leave ringtop.")
        session.type("\x03")
        assert session.wait_for_end() == 0
    assert ALTERNATE_SCREEN_OFF in session.seen
    assert "● 4 up  N=1 strong  12,345 keys".encode() in ESCAPES.sub(b"", session.seen)
    assert b"ringtop: 12,345 keys from standard input: 12,345 lines" in session.seen


def test_a_theme_that_there_is_not_is_one_line_and_status_2() -> None:
    with dashboard("--theme", "nope", "--keys", "5") as session:
        assert session.wait_for_end() == 2
    lines = session.seen.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("ringtop: no theme is called 'nope': ")
    assert "ringtop-light" in lines[0]


def test_a_theme_that_there_is_not_is_refused_before_any_key_is_read() -> None:
    arguments = ("--theme", "nope", "--keys-from", "-")
    # Nothing comes from standard input, and nobody closes it.
    with dashboard(*arguments, stdin=subprocess.PIPE) as session:
        assert session.wait_for_end() == 2
    assert b"no theme is called 'nope'" in session.seen


def test_actions_have_the_keys_that_were_given_to_them() -> None:
    bindings = ("--bind", "quit=z", "--bind", "pause_picture=q")
    with dashboard(*bindings, "--no-load", "--keys", "5") as session:
        session.wait_for(OPEN)
        session.type("q")
        session.wait_for("PAUSED")
        session.type("z")
        assert session.wait_for_end() == 0


def test_the_keyboard_is_the_terminal_s_whatever_standard_input_is() -> None:
    with dashboard("--no-load", "--keys", "5", stdin=subprocess.DEVNULL) as session:
        session.wait_for(OPEN)
        session.type("q")
        assert session.wait_for_end() == 0


def test_the_load_runs_from_the_beginning() -> None:
    with dashboard("--servers", "3", "--keys", "777") as session:
        session.wait_for("777 keys")
        session.wait_for("ops/s")
        session.type("q")
        assert session.wait_for_end() == 0


def test_messages_in_a_file_leave_the_screen_on_the_terminal(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b"a\n\nb\n")
    messages = tmp_path / "messages"
    with (
        messages.open("wb") as file,
        dashboard("--keys-from", str(keys), stderr=file) as session,
    ):
        session.wait_for(OPEN)
        session.type("q")
        assert session.wait_for_end() == 0
    lines = messages.read_text().splitlines()
    assert lines[0] == "ringtop: line 2: the line is empty"
    assert len(lines) == 2
    assert "\x1b" not in messages.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_its_status(number: signal.Signals) -> None:
    with dashboard("--keys", "50") as session:
        session.wait_for("50 keys")
        session.process.send_signal(number)
        assert session.wait_for_end() == 128 + number
    assert ALTERNATE_SCREEN_OFF in session.seen
    assert b"Traceback" not in session.seen


def test_an_interrupt_while_keys_are_typed_is_quiet() -> None:
    with dashboard("--keys-from", "-") as session:
        session.wait_for("type one key a line; ctrl+d ends")
        session.type("user:1\n")
        session.type("\x03")
        assert session.wait_for_end() == 130
    assert b"Traceback" not in session.seen


def test_keys_can_be_typed_and_then_the_dashboard_opens() -> None:
    with dashboard("--keys-from", "-") as session:
        session.wait_for("type one key a line; ctrl+d ends")
        session.type("user:1\nuser:2\n\x04")
        session.wait_for(OPEN)
        session.type("q")
        assert session.wait_for_end() == 0
