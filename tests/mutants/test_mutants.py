"""Each seeded fault is caught by the test that is there for it."""

from pathlib import Path

import pytest

from core import StoreError
from tests.mutants.registry import MUTANTS, Mutant, table
from tests.simulation.coarse import COARSE
from tests.simulation.simulation import Simulation

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
# How a test says that something is wrong. Anything else is a mutant that does not even run.
FINDINGS = (AssertionError, pytest.fail.Exception, StoreError, COARSE.StoreError)


# A thread of a test that fails may die of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.switch_on(monkeypatch)
    with pytest.raises(FINDINGS) as caught:
        mutant.catcher(monkeypatch)
    reason = caught.value.__cause__ or caught.value
    assert isinstance(reason, FINDINGS), f"it does not run: {reason!r}"


def test_a_mutant_is_gone_when_its_test_is_over() -> None:
    with pytest.MonkeyPatch.context() as patch:
        MUTANTS[0].switch_on(patch)
    Simulation(1).run()


def test_a_mutant_whose_place_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Mutant("", "", "", MUTANTS[0].catcher, "cluster.replica:Replica.miss", (("xyz", ""),))
    with pytest.raises(AssertionError, match="'xyz' is 0 times in"):
        gone.switch_on(monkeypatch)


def test_contributing_lists_every_mutant() -> None:
    assert table() in CONTRIBUTING.read_text(), f"put this into CONTRIBUTING.md:\n{table()}"
