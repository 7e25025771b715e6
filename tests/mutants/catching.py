"""The tests that are to catch the mutants, in a form that ends at the first failure."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from core import KeyValueStore
from tests.durability.places import new_place
from tests.simulation.durable import DurableSimulation
from tests.simulation.simulation import Simulation
from tests.stress.test_membership_under_load import run as run_under_load
from tests.verification.store_histories import Session
from tests.verification.test_store_histories import HISTORIES, verify

DURABLE_STEPS = 60

Catcher = Callable[[pytest.MonkeyPatch], None]


def simulation(seeds: int) -> Catcher:
    """Run so many seeds of the simulation, which end early when one fails."""

    def run(_: pytest.MonkeyPatch) -> None:
        for seed in range(1, seeds + 1):
            Simulation(seed).run()

    return run


def single(function: Callable[..., None], *arguments: object, times: int = 1) -> Catcher:
    """Run one test function; where threads must meet, as often as `times`."""

    def run(_: pytest.MonkeyPatch) -> None:
        for _attempt in range(times):
            function(*arguments)

    return run


def stress(runs: int) -> Catcher:
    """Let threads work on registers while servers join and leave, so many times."""

    def run(_: pytest.MonkeyPatch) -> None:
        for seed in range(1, runs + 1):
            assert run_under_load(seed).violations == []

    return run


def histories(sessions: int, *, factor: int = 1, disturbed: bool = False) -> Catcher:
    """Check so many sessions of threaded histories for linearizability."""

    def run(_: pytest.MonkeyPatch) -> None:
        for session in range(sessions):
            verify(Session(session, factor, HISTORIES, disturbed=disturbed).run().histories)

    return run


def on_disk(test: Callable[[Path], None]) -> Catcher:
    """Run a test that is given a directory."""

    def run(_: pytest.MonkeyPatch) -> None:
        with new_place() as place:
            test(place)

    return run


def opening(test: Callable[[Callable[..., KeyValueStore]], None]) -> Catcher:
    """Run a test that opens one data directory again and again."""

    def run(place: Path) -> None:
        with ExitStack() as stores:

            def open_it(**options: Any) -> KeyValueStore:
                store = KeyValueStore(data_dir=place / "data", **options)
                stores.callback(store.close)
                return store

            test(open_it)

    return on_disk(run)


def durable_simulation(seeds: int) -> Catcher:
    """Run so many seeds of the simulation on disk."""

    def run(place: Path) -> None:
        for seed in range(1, seeds + 1):
            DurableSimulation(seed, place / f"{seed}", DURABLE_STEPS).run()

    return on_disk(run)


def impatient(catcher: Catcher, seconds: float = 5.0) -> Catcher:
    """Run a test that waits for threads to end, but wait no longer than `seconds` for each."""

    def run(patch: pytest.MonkeyPatch) -> None:
        join = threading.Thread.join

        def join_soon(thread: threading.Thread, timeout: float | None = None) -> None:
            join(thread, seconds if timeout is None else min(timeout, seconds))

        patch.setattr(threading.Thread, "join", join_soon)
        catcher(patch)

    return run
