"""How often another thread runs while a chunk is being moved: prints the number of chunks."""

import sys
import threading

from core import KeyValueStore

KEYS = 100_000
MOVES = 3


class Watcher:
    """A thread that always wants to run, and looks whether a chunk is being moved.

    Args:
        moving: the lock that is held from before a chunk's copy until it is done.
    """

    def __init__(self, moving: threading.Lock) -> None:
        self.seen = 0
        self._moving = moving
        self._stopped = False
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped = True
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped:
            if self._moving.locked():
                self.seen += 1
                while self._moving.locked() and not self._stopped:
                    pass


def main() -> None:
    """Let a server join and leave, and print in how many chunks somebody came between."""
    sys.setswitchinterval(0.000_1)
    store = KeyValueStore()
    for server_id in ("alpha", "bravo", "charlie"):
        store.add_server(server_id)
    store.set_many({f"key-{number}": "value" for number in range(KEYS)})
    watcher = Watcher(store._shards.moving)
    for _ in range(MOVES):
        store.add_server("delta")
        store.remove_server("delta")
    watcher.stop()
    sys.stdout.write(f"{watcher.seen}\n")


if __name__ == "__main__":
    main()
