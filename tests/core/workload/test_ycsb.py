"""The workloads against the table of the paper."""

import pytest

from core.workload.distributions import Distribution
from core.workload.ycsb import MAX_SCAN_LENGTH, Workload

MIXES = {
    "A": {"read": 50, "update": 50},
    "B": {"read": 95, "update": 5},
    "C": {"read": 100},
    "D": {"read": 95, "insert": 5},
    "E": {"scan": 95, "insert": 5},
    "F": {"read": 50, "read-modify-write": 50},
}


def test_there_are_the_six_core_workloads() -> None:
    assert [workload.value for workload in Workload] == list(MIXES)


@pytest.mark.parametrize("workload", Workload)
def test_a_workload_has_the_published_mix(workload: Workload) -> None:
    assert {str(kind): percent for kind, percent in workload.spec.mix} == MIXES[workload]


@pytest.mark.parametrize("workload", Workload)
def test_a_workload_has_the_published_distribution(workload: Workload) -> None:
    latest = workload is Workload.D
    expected = Distribution.LATEST if latest else Distribution.ZIPFIAN
    assert workload.spec.distribution is expected


@pytest.mark.parametrize("workload", Workload)
def test_a_description_fits_a_line(workload: Workload) -> None:
    description = workload.spec.description
    assert description.isprintable()
    assert 20 <= len(description) <= 72


def test_scans_are_of_up_to_100_keys() -> None:
    assert MAX_SCAN_LENGTH == 100
