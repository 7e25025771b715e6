"""A program in a real terminal: keys go in, and what it writes is drawn on a screen of cells."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.cells import cell_len

# Generous: a machine may be busy. Nothing waits for it unless something is broken.
PATIENCE_SECONDS = 60.0

_SEQUENCE = re.compile(
    r"\x1b\[(?P<private>[?<>=]?)(?P<numbers>[0-9;:]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\x1b\](?:[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]",
)
_UNFINISHED = re.compile(r"\x1b(?:[\[\]PX^_][^\x07]*|[ -/]*)?$")


class Screen:
    """The cells of a terminal, and its modes: as much of one as Textual makes use of.

    Attributes:
        modes: the private modes (``1049``, ``25``, ...) that were set, and whether they still are.
        written: all that was written.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.modes: dict[int, bool] = {}
        self.written = ""
        self._cells = [[" "] * width for _ in range(height)]
        self._row = self._column = 0
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """What can be read, line by line."""
        return ["".join(row) for row in self._cells]

    @property
    def text(self) -> str:
        """What can be read."""
        return "\n".join(self.lines)

    def feed(self, text: str) -> None:
        """Draw what a program has written."""
        self.written += text
        text, self._rest = self._rest + text, ""
        start = 0
        for match in _SEQUENCE.finditer(text):
            self._print(text[start : match.start()])
            self._control(match)
            start = match.end()
        tail = text[start:]
        unfinished = _UNFINISHED.search(tail)
        if unfinished is not None:
            tail, self._rest = tail[: unfinished.start()], tail[unfinished.start() :]
        self._print(tail)

    def _print(self, text: str) -> None:
        for character in text:
            if character == "\r":
                self._column = 0
            elif character == "\n":
                self._row = min(self._row + 1, self.height - 1)
            elif character >= " ":
                cells = cell_len(character)
                if self._row < self.height and self._column + cells <= self.width:
                    self._cells[self._row][self._column] = character
                    for extra in range(1, cells):
                        self._cells[self._row][self._column + extra] = ""
                self._column += cells

    def _control(self, match: re.Match[str]) -> None:
        final, private = match["final"], match["private"]
        numbers = [int(number or 0) for number in (match["numbers"] or "").split(";")]
        if private == "?" and final in "hl":
            self.modes.update(dict.fromkeys(numbers, final == "h"))
        elif private:
            return
        elif final in ("H", "f"):
            row, column = [*numbers, 1, 1][:2]
            self._row, self._column = max(row, 1) - 1, max(column, 1) - 1
        elif final == "J":
            self._cells = [[" "] * self.width for _ in range(self.height)]


class Terminal:
    """A program on a terminal of its own.

    Args:
        command: the program and its arguments; it has to make its input its controlling terminal.
        size: columns and lines.
        environment: what to change in the environment; None takes a variable away.
    """

    def __init__(
        self,
        command: Sequence[str],
        size: tuple[int, int] = (120, 36),
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        self.screen = Screen(*size)
        self._changed = threading.Condition()
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.modes_before = termios.tcgetattr(self._slave)
        variables = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        for name, value in (environment or {}).items():
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value
        self.process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=variables,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="terminal-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()

    @property
    def modes(self) -> list[object]:
        """The modes of the line: echo, line by line, signals and so on."""
        return list(termios.tcgetattr(self._slave))

    def press(self, *keys: str) -> None:
        """Press keys: what a terminal sends for them."""
        for key in keys:
            os.write(self._master, key.encode())

    def wait_for(self, what: str | Callable[[Screen], bool]) -> float:
        """Wait until a text can be read, or something is true of the screen.

        Returns:
            When it was, in seconds of `time.perf_counter`.

        Raises:
            AssertionError: it did not come to that.
        """
        is_so = what if callable(what) else lambda screen: what in screen.text
        with self._changed:
            came = self._changed.wait_for(lambda: is_so(self.screen), PATIENCE_SECONDS)
            assert came, f"not seen: {what}\n{self.screen.text}\n{self.screen.written[-2_000:]!r}"
            return time.perf_counter()

    def wait_for_exit(self) -> int:
        """Wait until the program has ended and all that it wrote is drawn; return its status."""
        status = self.process.wait(PATIENCE_SECONDS)
        # All that was written is read before the other end is gone.
        os.close(self._slave)
        self._slave = -1
        self._reader.join(PATIENCE_SECONDS)
        return status

    def hang_up(self) -> None:
        """Close the terminal, as a window is closed or a connection is lost."""
        for descriptor in (self._slave, self._master):
            if descriptor >= 0:
                os.close(descriptor)
        self._slave = self._master = -1

    def _read(self) -> None:
        pending = b""
        while True:
            try:
                received = os.read(self._master, 65_536)
            except OSError:
                break
            if not received:
                break
            text, pending = _decoded(pending + received)
            with self._changed:
                self.screen.feed(text)
                self._changed.notify_all()


def _decoded(received: bytes) -> tuple[str, bytes]:
    """Return the text so far, and the beginning of a character that is not complete."""
    for cut in range(4):
        end = len(received) - cut
        try:
            return received[:end].decode(), received[end:]
        except UnicodeDecodeError:
            continue
    return received.decode(errors="replace"), b""


def python(*arguments: str) -> list[str]:
    """Return the command that runs Python with these arguments."""
    return [sys.executable, "-X", "faulthandler", *arguments]
