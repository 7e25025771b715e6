"""Settings are checked when they are made."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from core.errors import InvalidOptionError
from core.workload.distributions import Distribution
from core.workload.load_settings import LoadSettings
from core.workload.ycsb import Workload


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": 1},
        {"threads": 64},
        {"operations_per_second": 0.001},
        {"operations_per_second": 500},
        {"operations_per_second": 1_000_000.0},
        {"operations_per_second": None},
        {"key_count": 1},
        {"key_count": 1_000_000_000},
        {"value_size": 1},
        {"value_size": 16 * 1_024 * 1_024},
        {"seed": -1},
        {"distribution": Distribution.UNIFORM},
    ],
)
def test_what_is_in_range_is_taken(changes: dict[str, Any]) -> None:
    settings = LoadSettings(**changes)
    assert {name: getattr(settings, name) for name in changes} == changes


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": 0},
        {"threads": 65},
        {"threads": 1.5},
        {"threads": True},
        {"threads": "8"},
        {"operations_per_second": 0},
        {"operations_per_second": -1.0},
        {"operations_per_second": 1_000_001},
        {"operations_per_second": float("nan")},
        {"operations_per_second": float("inf")},
        {"operations_per_second": True},
        {"operations_per_second": "fast"},
        {"key_count": 0},
        {"key_count": 1_000_000_001},
        {"key_count": 10**5_000},
        {"value_size": 0},
        {"value_size": 16 * 1_024 * 1_024 + 1},
        {"seed": "lucky"},
        {"seed": 0.5},
        {"workload": "Z"},
        {"workload": 1},
        {"distribution": "zipf"},
    ],
)
def test_what_is_out_of_range_is_refused_in_one_line(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        LoadSettings(**changes)
    message = str(caught.value)
    assert message.startswith(next(iter(changes)))
    assert "\n" not in message
    assert len(message) < 120


def test_settings_stand_still() -> None:
    settings = LoadSettings()
    with pytest.raises(FrozenInstanceError):
        settings.threads = 2  # type: ignore[misc]


def test_the_workload_brings_its_distribution_unless_another_is_asked_for() -> None:
    assert LoadSettings(workload=Workload.D).effective_distribution is Distribution.LATEST
    assert LoadSettings(workload=Workload.A).effective_distribution is Distribution.ZIPFIAN
    asked = LoadSettings(workload=Workload.D, distribution=Distribution.UNIFORM)
    assert asked.effective_distribution is Distribution.UNIFORM


def test_a_workload_and_a_distribution_are_known_by_their_names_too() -> None:
    names: dict[str, Any] = {"workload": "D", "distribution": "uniform"}
    settings = LoadSettings(**names)
    assert settings.workload is Workload.D
    assert settings.distribution is Distribution.UNIFORM
    assert settings == LoadSettings(workload=Workload.D, distribution=Distribution.UNIFORM)
