"""A lookup on the ring against the hash alone, and against other rings on the same keys.

The hash is asked for as a position, unsigned; signed, as it comes, it takes a tenth less.
"""

import importlib
import sys
from collections.abc import Callable, Iterator

import mmh3
from uhashring import HashRing as UHashRing

from core import HashRing
from tests.benchmarks.compiled import core_is_compiled, uncompiled_figures
from tests.benchmarks.keys import SERVERS, filled_store, random_keys
from tests.benchmarks.measure import Figure, at_least, at_most, interleaved

MANY_SERVERS = 1_000


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    keys = random_keys()
    ring, large = HashRing(), HashRing()
    for server_id in SERVERS:
        ring.add_server(server_id)
    for number in range(MANY_SERVERS):
        large.add_server(f"server-{number}")
    hashed = mmh3.hash

    def run_hash() -> None:
        for key in keys:
            hashed(key, 0, False)

    def run(lookup: Callable[[str], object]) -> Callable[[], None]:
        def run_all() -> None:
            for key in keys:
                lookup(key)

        return run_all

    candidates: dict[str, Callable[[], object]] = {
        "hash": run_hash,
        "ring": run(ring.view.server_for_key),
        "store": run(filled_store(()).get_server_for_key),
        "large ring": run(large.view.server_for_key),
        "uhashring": run(UHashRing(SERVERS).get_node),
        "uhashring by mmh3": run(UHashRing(SERVERS, hash_fn=mmh3.hash).get_node),
    }
    candidates |= _fastring(keys, run)
    seconds = interleaved(candidates)
    ours = seconds["ring"]
    yield Figure("ring lookup", ours / len(keys) * 1e9, "ns")
    yield at_most("ring lookup / mmh3.hash", ours / seconds["hash"], 1.6)
    yield at_least("uhashring 2.5 (default) / ring lookup", seconds["uhashring"] / ours, 4.5)
    yield at_least("uhashring 2.5 (mmh3) / ring lookup", seconds["uhashring by mmh3"] / ours, 2)
    yield Figure("ring lookup, 1,000 servers / 10", seconds["large ring"] / ours, "x")
    yield Figure("store.get_server_for_key / mmh3.hash", seconds["store"] / seconds["hash"], "x")
    for name in ("fastring", "fastring in one batch"):
        if name in seconds:
            yield Figure(f"{name} / ring lookup", seconds[name] / ours, "x")
    if core_is_compiled():
        yield from uncompiled_figures("lookup")


def _fastring(
    keys: list[str], run: Callable[[Callable[[str], object]], Callable[[], None]]
) -> dict[str, Callable[[], object]]:
    """Return the runs of a ring written in Rust, where there is a package of it."""
    if sys.version_info < (3, 13):
        return {}
    ring = importlib.import_module("fastring").HashRing()
    for server_id in SERVERS:
        ring.add_node(server_id)
    return {
        "fastring": run(ring.get_node),
        "fastring in one batch": lambda: ring.get_node_batch(keys),
    }
