"""One look at a store and its load: two moments, and so the rates between them."""

import time
from dataclasses import dataclass

from core.cluster.snapshot import StoreSnapshot
from core.store import KeyValueStore
from core.workload.load_generator import LoadGenerator
from core.workload.load_snapshot import LoadInterval, LoadSnapshot
from tui.view_model import DashboardView, fold, load_view

# As long as the dashboard takes its rates over.
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Observation:
    """A store and its load, as they are and as they have been of late.

    Attributes:
        store: the store now.
        load: the load now.
        interval: what the load did while it was looked at.
        view: all of it, as panels show it.
    """

    store: StoreSnapshot
    load: LoadSnapshot
    interval: LoadInterval
    view: DashboardView


def observe(store: KeyValueStore, load: LoadGenerator) -> Observation:
    """Look at a store for a second while its load runs, and only once if it does not."""
    store_before, load_before = store.snapshot(), load.snapshot()
    if load.running:
        time.sleep(_LOOK_SECONDS)
    store_now, load_now = store.snapshot(), load.snapshot()
    view = fold(
        store_now,
        load_view(load_now, load_before),
        fold(store_before, load_view(load_before)),
    )
    return Observation(store_now, load_now, load_now.since(load_before), view)
