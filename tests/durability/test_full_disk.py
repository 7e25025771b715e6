"""A disk that takes nothing: what is told, what goes on, and what is there afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rocksdict")

from tests.verification.seeds import replayable, seeds

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fill(place: Path, replicas: int, sync: str, seed: int) -> None:
    with replayable(seed):
        directory = place / f"data {seed}"
        assert run("tests.durability.full_disk", directory, replicas, sync, seed)
        assert run("tests.durability.full_disk", directory) == "all is there\n"


@pytest.mark.parametrize("sync", ["everysec", "always"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_full_disk_loses_and_tears_nothing_and_all_goes_on_when_there_is_space(
    place: Path, replicas: int, sync: str
) -> None:
    for seed in seeds(2):
        fill(place, replicas, sync, seed)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("sync", ["everysec", "always"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_many_full_disks(place: Path, replicas: int, sync: str) -> None:
    for seed in range(100, 150):
        fill(place, replicas, sync, seed)
