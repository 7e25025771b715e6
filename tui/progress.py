"""How far something is, on standard error, for as long as it takes and if somebody is there to see.

Nothing is left of it in the end.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SLOW_SECONDS = 0.7

# Says how much is done, in whatever unit the total was given in, and what to write beside it.
Advance = Callable[[float, str], None]


@contextmanager
def shown_progress(what: str, total: float | None = None) -> Iterator[Advance]:
    """Show progress on a terminal; anywhere else do nothing.

    Args:
        what: what is going on, in safe characters.
        total: how much there is to do; None when nobody knows.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield unseen
        return
    # Takes as long to import as all of the rest, and is only needed here.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = [
        SpinnerColumn("line"),
        TextColumn("{task.description}", markup=False),
        *([BarColumn()] if total is not None else []),
        TextColumn("{task.fields[beside]}", markup=False),
        TimeElapsedColumn(),
    ]
    console = Console(stderr=True)
    # Rich would send to it what is written to standard output, also where that is a file.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(what, total=total, beside="")

        def advance(done: float, beside: str) -> None:
            progress.update(task, completed=done, beside=beside)

        yield advance


@contextmanager
def shown_if_slow(what: str, after: float = _SLOW_SECONDS) -> Iterator[None]:
    """Show on a terminal that something goes on, once it has for a while; elsewhere do nothing.

    Args:
        what: what is going on, in safe characters.
        after: seconds; what ends before would only flicker.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()

    def show() -> None:
        if not ended.wait(after):
            with shown_progress(what):
                ended.wait()

    thread = threading.Thread(target=show, name="ringtop-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def unseen(done: float, beside: str) -> None:
    """Show nothing."""
