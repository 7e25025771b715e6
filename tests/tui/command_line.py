"""Running the command line: inside of this process, and as users do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tui.__main__ import main

ROOT = Path(__file__).parent.parent.parent
RINGTOP = (sys.executable, "-m", "tui")
# Long enough for a machine that does ten other things.
PATIENCE_SECONDS = 120


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    output: str
    messages: str

    @property
    def message_lines(self) -> list[str]:
        """What was said on standard error."""
        return self.messages.splitlines()


def inside(capsys: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    """Run a command in this process."""
    capsys.readouterr()
    status = main(arguments)
    captured = capsys.readouterr()
    return Outcome(status, captured.out, captured.err)


# What would change how a command behaves or looks.
UNWANTED = frozenset(
    {
        *("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "COLORTERM", "LC_ALL"),
        *("PYTHONUTF8", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONWARNINGS"),
    }
)


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a command: UTF-8, no wishes, warnings as errors; with changes."""
    variables = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return {**variables, "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "error", **changes}


def as_user(*arguments: str, fed: bytes = b"", variables: dict[str, str] | None = None) -> Outcome:
    """Run a command in a process of its own, with pipes for streams."""
    finished = subprocess.run(
        [*RINGTOP, *arguments],
        cwd=ROOT,
        input=fed,
        capture_output=True,
        env=environment() if variables is None else variables,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Outcome(finished.returncode, finished.stdout.decode(), finished.stderr.decode())


def begun(*arguments: str) -> subprocess.Popen[bytes]:
    """Begin a command in a process of its own, with pipes for streams."""
    return subprocess.Popen(
        [*RINGTOP, *arguments],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
