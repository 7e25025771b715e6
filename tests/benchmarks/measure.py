"""Timing that holds on a noisy machine: candidates take turns, and one run's ratios count."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

REPEATS = 9


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        name: what was measured.
        value: the figure.
        unit: what it is counted in; ``x`` for a ratio.
        bar: what the figure is to be, as text; empty for a figure that has none.
        met: whether it is; None where there is no bar.
    """

    name: str
    value: float
    unit: str
    bar: str = ""
    met: bool | None = None


def at_most(name: str, value: float, limit: float, unit: str = "x") -> Figure:
    """Return a figure that is to be no more than `limit`."""
    return Figure(name, value, unit, f"<= {limit:g} {unit}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str = "x") -> Figure:
    """Return a figure that is to be no less than `limit`."""
    return Figure(name, value, unit, f">= {limit:g} {unit}", value >= limit)


def equal(name: str, value: float, expected: float, unit: str) -> Figure:
    """Return a figure that is to be exactly `expected`."""
    return Figure(name, value, unit, f"= {expected:g} {unit}", value == expected)


def interleaved(
    candidates: Mapping[str, Callable[[], object]], repeats: int = REPEATS
) -> dict[str, float]:
    """Return the median seconds of each candidate, measured in turns so that noise falls on all.

    The garbage collector is off: where it strikes is chance, and its walk over all that the
    benchmark keeps would empty the caches for whoever comes next.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, run in candidates.items():
                began = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - began)
    finally:
        gc.enable()
    return {name: statistics.median(measured) for name, measured in seconds.items()}


def resident_bytes() -> int:
    """Return how much memory the process has."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        kib = next(line for line in lines if line.startswith("VmRSS")).split()[1]
    return int(kib) * 1_024
