"""A small program that opens the dashboard, for tests in a real terminal.

Told so, it breaks on the way, with a secret at hand that nobody must get to see. At the end it
says which threads are left.
"""

import argparse
import fcntl
import sys
import termios
import threading

from core import Clock, KeyValueStore, LoadGenerator, LoadSettings, Plan, SystemClock, Workload
from core.cluster.snapshot import StoreSnapshot
from tests.support import SERVERS
from tui.app import run_dashboard

SECRET = "hunter2"  # noqa: S105 - it is none
# By then the screen has been drawn.
_LOOKS_BEFORE_BREAKING = 4


class BreakingStore(KeyValueStore):
    """A store that breaks where it is told to.

    Args:
        breaks: ``frames``, ``command`` or ``load``; empty for a store that does not break.
    """

    __slots__ = ("_breaks", "_looks")

    def __init__(self, breaks: str, clock: Clock) -> None:
        super().__init__(30, clock=clock)
        self._breaks = breaks
        self._looks = 0

    def snapshot(self) -> StoreSnapshot:
        """Break while the screen is drawn."""
        self._looks += 1
        if self._looks > _LOOKS_BEFORE_BREAKING:
            self._break("frames")
        return super().snapshot()

    def plan_add_server(self, server_id: str, weight: float = 1.0) -> Plan:
        """Break while a command is carried out."""
        self._break("command")
        return super().plan_add_server(server_id, weight)

    def scan(self, start_key: str, count: int) -> list[tuple[str, str | bytes]]:
        """Break in a thread of the load, whose workload E scans."""
        self._break("load")
        return super().scan(start_key, count)

    def _break(self, where: str) -> None:
        if self._breaks == where:
            password = SECRET
            raise KeyError(password)


def main() -> int:
    """Open the dashboard."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keys", type=int, default=4_000)
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--breaks", default="")
    options = parser.parse_args()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    store = BreakingStore(options.breaks, SystemClock())
    for server_id in SERVERS:
        store.add_server(server_id)
    store.set_many({f"user:{number}": f"value {number}" for number in range(options.keys)})
    workload = Workload.E if options.breaks == "load" else Workload.B
    load = LoadGenerator(
        store, LoadSettings(workload=workload, threads=options.threads, key_count=options.keys)
    )
    if options.load:
        load.load()
        load.start()
    status = run_dashboard(store, load)
    left = [thread.name for thread in threading.enumerate() if thread.name != "MainThread"]
    sys.stderr.write(f"threads left: {left}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
