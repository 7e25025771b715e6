"""A process that is killed at any moment leaves what it acknowledged, and nothing by half."""

from pathlib import Path

import pytest

pytest.importorskip("rocksdict")

from tests.durability.killing import Killing
from tests.durability.ledger import Ledger
from tests.durability.victim import Life
from tests.verification.seeds import replayable, seeds

# 10 directories, 16 kills each.
DIRECTORIES = range(10)
KILLS = 16
SOAK_DIRECTORIES = 50
SOAK_KILLS = 42


def kill_again_and_again(directory: Path, seed: int, kills: int, *, coarse: bool = True) -> None:
    sync = "always" if seed % 4 >= 2 else "everysec"
    life = Life(str(directory), seed, replicas=1 + seed % 2 * 2, sync=sync, coarse=coarse)
    with replayable(seed):
        killing = Killing(life, Ledger())
        killing.run(kills)
        assert killing.killed == kills
        assert killing.opened >= kills / 2
        assert killing.ledger.acknowledged >= kills / 2


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_what_was_acknowledged_survives_a_kill_at_any_moment(place: Path, directory: int) -> None:
    for seed in seeds(1):
        kill_again_and_again(place / "data", seed or directory, KILLS)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("directory", range(SOAK_DIRECTORIES))
def test_what_was_acknowledged_survives_2_000_kills(place: Path, directory: int) -> None:
    seed = 1_000 + directory
    coarse = directory % 5 > 0
    kill_again_and_again(place / "data", seed, SOAK_KILLS, coarse=coarse)
