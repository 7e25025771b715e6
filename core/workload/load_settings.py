"""What a load is to be like, checked."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from core.errors import InvalidOptionError
from core.record import MAX_VALUE_BYTES
from core.workload.distributions import Distribution
from core.workload.ycsb import Workload

Choice = TypeVar("Choice", bound=StrEnum)

MAX_THREADS = 64
MAX_KEY_COUNT = 1_000_000_000
# Less often than once in 1,000 seconds is no load; a thread of Python does not come to a million.
MIN_OPERATIONS_PER_SECOND = 0.001
MAX_OPERATIONS_PER_SECOND = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """What a load is to be like.

    Attributes:
        workload: the mix of operations; the letter of one is taken for it.
        threads: how many worker threads, 1 to 64.
        operations_per_second: the pace of each thread, 0.001 to 1,000,000; None for no pace, each
            thread as fast as it can.
        key_count: how many keys `LoadGenerator.load` sees to, 1 to 1,000,000,000.
        value_size: the length of each value that is written, 1 to 16,777,216 bytes.
        distribution: which keys are popular; None for the workload's own. The name of one is taken
            for it.
        seed: of the random choices: one thread with one seed makes the same operations each time.

    Raises:
        InvalidOptionError: one of them is out of its range.
    """

    workload: Workload = Workload.B
    threads: int = 4
    operations_per_second: float | None = None
    key_count: int = 10_000
    value_size: int = 100
    distribution: Distribution | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        # The only way to give a frozen value another form.
        object.__setattr__(self, "workload", _choice("workload", self.workload, Workload))
        if self.distribution is not None:
            distribution = _choice("distribution", self.distribution, Distribution)
            object.__setattr__(self, "distribution", distribution)
        _check_whole_number("threads", self.threads, MAX_THREADS)
        _check_whole_number("key_count", self.key_count, MAX_KEY_COUNT)
        _check_whole_number("value_size", self.value_size, MAX_VALUE_BYTES)
        if not _is_whole_number(self.seed):
            raise InvalidOptionError("seed must be a whole number")
        if self.operations_per_second is not None:
            _check_rate(self.operations_per_second)

    @property
    def effective_distribution(self) -> Distribution:
        """The distribution that was asked for, or else the workload's own."""
        return self.distribution or self.workload.spec.distribution


def _choice(name: str, wanted: str, choices: type[Choice]) -> Choice:
    try:
        return choices(wanted)
    except ValueError:
        raise InvalidOptionError(f"{name} must be one of {', '.join(choices)}") from None


def _is_whole_number(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _check_whole_number(name: str, number: int, highest: int) -> None:
    if not _is_whole_number(number) or not 1 <= number <= highest:
        raise InvalidOptionError(f"{name} must be a whole number from 1 to {highest:,}")


def _check_rate(rate: float) -> None:
    # Written so that NaN, which is neither more nor less than anything, is refused too.
    if not (isinstance(rate, float) or _is_whole_number(rate)) or not (
        MIN_OPERATIONS_PER_SECOND <= rate <= MAX_OPERATIONS_PER_SECOND
    ):
        raise InvalidOptionError(
            f"operations_per_second must be a number from {MIN_OPERATIONS_PER_SECOND} to "
            f"{MAX_OPERATIONS_PER_SECOND:,.0f}, or None for no pace"
        )
