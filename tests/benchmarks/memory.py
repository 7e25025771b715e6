"""What a key takes in memory, against a plain dict of the same keys and values.

Each is filled in a process of its own, with a value of its own for every key, and what the process
has grown by is what counts: objects, tables and what the allocator keeps.
"""

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator

from tests.benchmarks.compiled import core_is_compiled, uncompiled_figures
from tests.benchmarks.keys import KEYS, SERVERS
from tests.benchmarks.measure import Figure, at_most, resident_bytes


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    plain, store, triple = (_measured(name) for name in FILLED)
    yield Figure("memory a key, plain dict", plain, "B")
    yield Figure("memory a key", store, "B")
    yield at_most("memory a key / plain dict", store / plain, 1.6)
    yield Figure("memory a key, 3 replicas / plain dict", triple / plain, "x")
    if core_is_compiled():
        yield from uncompiled_figures("memory")


def _measured(name: str) -> float:
    command = [sys.executable, "-P", "-m", "tests.benchmarks.memory", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _pairs() -> Iterator[tuple[str, str]]:
    for number in range(KEYS):
        yield f"user:{number:015d}", f"{number:0100d}"


def _fill_dict() -> object:
    return dict(_pairs())


def _fill_store(replicas: int) -> object:
    from core import KeyValueStore

    store = KeyValueStore(replication_factor=replicas)
    for server_id in SERVERS:
        store.add_server(server_id)
    for key, value in _pairs():
        store.set(key, value)
    return store


FILLED: dict[str, Callable[[], object]] = {
    "dict": _fill_dict,
    "store": lambda: _fill_store(1),
    "replicated": lambda: _fill_store(3),
}


def _main(name: str) -> None:
    """Print how many bytes a key takes."""
    if name != "dict":
        import core  # noqa: F401  its modules are no part of a key
    gc.collect()
    before = resident_bytes()
    filled = FILLED[name]()
    gc.collect()
    sys.stdout.write(f"{(resident_bytes() - before) / KEYS:.1f}\n")
    del filled


if __name__ == "__main__":
    _main(sys.argv[1])
