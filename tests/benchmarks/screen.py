"""How soon a key press is seen while a load keeps the interpreter busy, in a real terminal."""

import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.benchmarks.measure import Figure, at_most
from tests.terminal import Screen, Terminal, python

THREADS = 8
PRESSES = 60
# Long enough for the screen to come to rest, and never in step with its refreshes.
_SHORTEST_REST, _LONGEST_REST = 0.05, 0.35
_MILLISECONDS = 1_000
# Escape as terminals send it that tell it apart from the beginning of another key: for the bare
# one Textual waits a tenth of a second.
_DOWN, _UP, _ESCAPE = "\x1b[B", "\x1b[A", "\x1b[27u"


class _Press(NamedTuple):
    """A key, and what is to be seen of it."""

    key: str
    seen: Callable[[Screen], bool]


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    for threads, bar in ((0, None), (THREADS, 80.0)):
        under = f"{threads} unpaced load threads" if threads else "no load"
        with _dashboard(threads) as terminal:
            keys = _measured(terminal, [*_selecting(), *_sorting(), *_typing()])
            dialogs = _measured(terminal, [*_help(), *_dialog()])
        name = f"key press to changed screen, {under}"
        yield Figure(f"{name}, median", _percentile(keys, 50), "ms")
        if bar is None:
            yield Figure(f"{name}, p95", _percentile(keys, 95), "ms")
        else:
            yield at_most(f"{name}, p95", _percentile(keys, 95), bar, "ms")
        yield Figure(f"key press to opened dialog, {under}, median", _percentile(dialogs, 50), "ms")
        yield Figure(f"key press to opened dialog, {under}, p95", _percentile(dialogs, 95), "ms")


def _dashboard(threads: int) -> Terminal:
    load = ["--load", "--threads", str(threads)] if threads else []
    terminal = Terminal(python("-m", "tests.tui.dashboard_program", *load))
    terminal.wait_for("● on" if threads else "○ off")
    return terminal


def _selecting() -> list[_Press]:
    """Move the selection down the table and up again."""
    names = ("bravo", "charlie", "delta", "charlie", "bravo", "alpha")
    keys = (_DOWN, _DOWN, _DOWN, _UP, _UP, _UP)
    return [
        _Press(key, lambda screen, name=name: f"▸{name[0]} {name}" in screen.text)  # type: ignore[misc]
        for key, name in zip(keys, names, strict=True)
    ]


def _sorting() -> list[_Press]:
    """Turn the order of the table round, and back."""
    return [
        _Press("s", lambda screen: "Server▾" in screen.text),
        _Press("s", lambda screen: "Server▴" in screen.text),
    ]


def _typing() -> list[_Press]:
    """Type a key to look up."""
    word = "user"
    presses: list[_Press] = []
    for end in range(1, len(word) + 1):
        echo = f"│ {word[:end]}   "
        key = word[end - 1] if presses else f"/{word[0]}"
        presses.append(_Press(key, lambda screen, echo=echo: echo in screen.text))  # type: ignore[misc]
    presses.append(_Press(_ESCAPE, lambda screen: "│ key   " in screen.text))
    return presses


def _help() -> list[_Press]:
    return [
        _Press("?", lambda screen: "Keys and signs" in screen.text),
        _Press(_ESCAPE, lambda screen: "Keys and signs" not in screen.text),
    ]


def _dialog() -> list[_Press]:
    return [
        _Press("d", lambda screen: "Remove a server" in screen.text),
        _Press(_ESCAPE, lambda screen: "Remove a server" not in screen.text),
    ]


def _measured(terminal: Terminal, presses: list[_Press]) -> list[float]:
    """Return how long each press took until it was seen, in milliseconds."""
    source = random.Random(7)
    measured: list[float] = []
    while len(measured) < PRESSES:
        for press in presses:
            time.sleep(source.uniform(_SHORTEST_REST, _LONGEST_REST))
            began = time.perf_counter()
            terminal.press(press.key)
            measured.append((terminal.wait_for(press.seen) - began) * _MILLISECONDS)
    return measured


def _percentile(measured: list[float], percent: float) -> float:
    ordered = sorted(measured)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
