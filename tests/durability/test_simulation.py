"""A simulated cluster on disk, closed, killed and opened again at random."""

import os
from pathlib import Path

import pytest

pytest.importorskip("rocksdict")

from tests.simulation.durable import DurableSimulation

SEEDS = 60
SOAK_SEEDS = 3_000
SEEDS_A_TEST = 10
STEPS = 30
SOAK_STEPS = 60

GIVEN = int(os.environ.get("RINGTOP_SEED", "0"))


def chunks(first: int, count: int) -> list[range]:
    if GIVEN:
        return [range(GIVEN, GIVEN + 1)]
    return [range(seed, seed + SEEDS_A_TEST) for seed in range(first, first + count, SEEDS_A_TEST)]


@pytest.mark.parametrize("seeds", chunks(1, SEEDS), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_nothing_is_lost_revived_or_refused_by_servers_on_disk(place: Path, seeds: range) -> None:
    for seed in seeds:
        DurableSimulation(seed, place / f"{seed}", STEPS).run()


@pytest.mark.parametrize("seed", [1_343, 1_467])
def test_what_was_removed_stays_so_though_a_move_has_left_it_on_another_disk(
    place: Path, seed: int
) -> None:
    """In these the server that a range had left did not discard it, and the process was killed."""
    DurableSimulation(seed, place / f"{seed}", SOAK_STEPS).run()


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "seeds", chunks(1_001, SOAK_SEEDS), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}"
)
def test_nothing_is_lost_revived_or_refused_in_the_long_run(place: Path, seeds: range) -> None:
    for seed in seeds:
        DurableSimulation(seed, place / f"{seed}", SOAK_STEPS).run()
