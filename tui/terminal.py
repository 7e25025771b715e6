"""The terminal below the screen: what Textual's driver leaves open at its edges.

- A terminal that hangs up: Textual's writer thread would die of the first write that fails, and
  the screen would wait for it forever; its reader would report a crash, or spin on an end of file.
- Modes that Textual sets and does not take back.
- Glyphs of Textual's own widgets that are not ASCII.
"""

import os
from io import TextIOWrapper
from typing import IO, Any, cast

from rich.segment import Segment
from textual.color import Color
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter

from tui.formatting import ascii_only

_MOUSE_PIXELS_OFF = "\x1b[?1016l"
_POINTER_DEFAULT = "\x1b]22;default\x07"


class AsciiOnly(LineFilter):
    """Draws with ASCII whatever would be drawn with more."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments in ASCII and in the same cells."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(ascii_only(segment.text), segment.style)
            for segment in segments
        ]


class _LenientFile:
    """A file that drops what can't be written any more."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        try:
            return self._file.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            return

    def fileno(self) -> int:
        return self._file.fileno()


class TerminalDriver(LinuxDriver):
    """Textual's driver for a terminal that may hang up, and is left as it was found."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on as they are
        super().__init__(*args, **kwargs)
        self._file = cast(TextIOWrapper, _LenientFile(cast(IO[str], self._file)))

    @property
    def is_gone(self) -> bool:
        """Whether the terminal has hung up."""
        return self.input_tty and not os.isatty(self.fileno)

    def run_input_thread(self) -> None:
        """Read the keyboard until the end, or until the terminal hangs up."""
        try:
            super().run_input_thread()
        except OSError:
            # The app looks at `is_gone` itself; a hang-up is no crash.
            if not self.is_gone:
                raise

    def stop_application_mode(self) -> None:
        """Leave the terminal as it was found."""
        if self._mouse_pixels:
            self.write(_MOUSE_PIXELS_OFF)
        self.write(_POINTER_DEFAULT)
        super().stop_application_mode()
