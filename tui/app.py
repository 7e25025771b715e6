"""`RingtopApp`, the dashboard as a program: bindings, themes and screens; it draws nothing itself."""

from collections.abc import Mapping
from datetime import tzinfo

from textual.app import App

from core.clock import Clock
from core.store import KeyValueStore
from core.workload.load_generator import LoadGenerator


class RingtopApp(App[None]):
    """The dashboard of one store and its load.

    Args:
        store: what is shown and steered; the app does not close it.
        load: the load on it, running or not.
        readonly: whether to refuse whatever changes the ring, the load or what is stored.
        ascii_only: whether to draw with nothing but ASCII.
        theme: the name of a theme; None for ringtop's own dark one.
        keymap: other keys for actions, by their id in `tui.actions`: ``{"add_server": "n"}``.
        refresh_seconds: how long from one picture to the next.
        keys_per_second: how fast a migration moves at most; None for no limit.
        zone: whose time of day is shown; None for this machine's.
        clock: what the screen's own delay is measured by.
    """

    def __init__(
        self,
        store: KeyValueStore,
        load: LoadGenerator,
        *,
        readonly: bool = False,
        ascii_only: bool = False,
        theme: str | None = None,
        keymap: Mapping[str, str] | None = None,
        refresh_seconds: float = 0.5,
        keys_per_second: float | None = None,
        zone: tzinfo | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()


def run_dashboard(
    store: KeyValueStore,
    load: LoadGenerator,
    *,
    readonly: bool = False,
    ascii_only: bool = False,
    theme: str | None = None,
    keymap: Mapping[str, str] | None = None,
    refresh_seconds: float = 0.5,
    keys_per_second: float | None = None,
) -> int:
    """Show the dashboard until the user leaves it; then close the load and the store.

    The terminal is left as it was found, also after a signal or an error.

    Returns:
        The exit status: 0 after the user has quit, 128 + the number of the signal that ended it,
        1 after an error, which is said in one line on standard error.
    """
    app = RingtopApp(
        store,
        load,
        readonly=readonly,
        ascii_only=ascii_only,
        theme=theme,
        keymap=keymap,
        refresh_seconds=refresh_seconds,
        keys_per_second=keys_per_second,
    )
    app.run()
    return app.return_code or 0
