"""Eight threads work while servers join and leave, and every answer is checked."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core import KeyValueStore
from core.cluster.range_mover import RangeMover
from tests.stress.registers import Interleaver, RegisterWorkers, Report

CHANGES = 24
SERVERS = ("alpha", "bravo", "charlie")


def run(seed: int, changes: int = CHANGES) -> Report:
    """Let eight workers work during `changes` joins and leaves.

    Everything lies in a few stripes, so that the few keys meet the moves again and again.
    """
    interleaver = Interleaver(seed)
    store = KeyValueStore(8, yield_point=interleaver)
    for server_id in SERVERS:
        store.add_server(server_id)
    store.set_many({f"ballast:{number}": "value" for number in range(200)})
    source = random.Random(seed)

    def change() -> None:
        for number in range(changes):
            name = f"extra-{source.randrange(3)}"
            if number % 5 == 4:
                # Now and then a migration is turned back half way.
                servers = store.get_servers()
                plan = (
                    store.plan_remove_server(name)
                    if name in servers
                    else store.plan_add_server(name)
                )
                migration = store.commit(plan)
                migration.cancel()
                migration.wait()
            elif not store.add_server(name):
                store.remove_server(name)

    report = RegisterWorkers(store, seed).run_during(change)
    store.check_invariants()
    assert interleaver.calls > 1_000
    store.close()
    return report


def replay(seed: int) -> str:
    return f"seed {seed}; replay: RINGTOP_SEED={seed} make test ARGS='-k {CURRENT}'"


CURRENT = "test_membership_under_load"


@contextmanager
def no_lock(*_: object) -> Iterator[None]:
    yield


@pytest.mark.parametrize("trial", range(3))
def test_no_acknowledged_write_is_lost_and_no_removed_key_returns(trial: int) -> None:
    seed = int(os.environ.get("RINGTOP_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    report = run(seed)
    assert report.violations == [], replay(seed)
    assert report.overlapping > report.operations * 0.25, replay(seed)
    assert report.operations > 2_000, replay(seed)


def test_a_range_flipped_without_its_lock_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above bites: without the stripe's lock, a write falls between copy and flip."""
    monkeypatch.setattr(RangeMover, "_held", no_lock)
    violations = 0
    for seed in range(1, 21):
        try:
            violations += len(run(seed).violations)
        except AssertionError:
            violations += 1
        if violations:
            return
    pytest.fail("20 runs without the lock went unnoticed")
