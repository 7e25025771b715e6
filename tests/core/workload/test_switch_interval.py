"""The interpreter's switch interval while loads run, and after."""

import sys
from collections.abc import Iterator

import pytest

from core.workload.switch_interval import LOAD_SWITCH_INTERVAL_SECONDS, finer_switching


@pytest.fixture(autouse=True)
def usual_interval() -> Iterator[float]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield 0.005
    sys.setswitchinterval(before)


def test_it_is_finer_until_the_last_user_leaves(usual_interval: float) -> None:
    with finer_switching:
        with finer_switching:
            assert sys.getswitchinterval() == pytest.approx(LOAD_SWITCH_INTERVAL_SECONDS)
        assert sys.getswitchinterval() == pytest.approx(LOAD_SWITCH_INTERVAL_SECONDS)
    assert sys.getswitchinterval() == pytest.approx(usual_interval)


def test_it_is_restored_after_an_error(usual_interval: float) -> None:
    with pytest.raises(KeyError), finer_switching:
        raise KeyError
    assert sys.getswitchinterval() == pytest.approx(usual_interval)


def test_a_finer_one_stays() -> None:
    sys.setswitchinterval(0.0001)
    finer = sys.getswitchinterval()
    for _ in range(3):
        with finer_switching:
            assert sys.getswitchinterval() == finer
        assert sys.getswitchinterval() == finer


@pytest.mark.parametrize("microseconds", [510, 999, 1_001, 5_000, 123_457])
def test_any_interval_is_restored_to_the_microsecond(microseconds: int) -> None:
    sys.setswitchinterval(microseconds / 1_000_000)
    before = sys.getswitchinterval()
    with finer_switching:
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_one_that_somebody_else_sets_meanwhile_stays() -> None:
    with finer_switching:
        sys.setswitchinterval(0.02)
    assert sys.getswitchinterval() == pytest.approx(0.02)
