"""What an observer gets to see of a load: frozen values that hold nothing live."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.metrics import LatencyHistogram, LatencySummary
from core.workload.load_settings import LoadSettings
from core.workload.ycsb import OperationKind


@dataclass(frozen=True, slots=True)
class LoadSnapshot:
    """A load at one moment. What is counted is counted since the generator was made.

    Attributes:
        running: whether its threads are at work.
        settings: the settings in force, or to be when it is started.
        monotonic: when it was taken, in seconds of the generator's clock.
        keys: how many keys the load chooses from: those it began with, and those it inserted.
        checked_keys: while `load` runs, how many of the first keys are certain to exist; else None.
        histograms: how long the operations took that succeeded, by kind; every kind is there.
        misses: how many of their reads found no value.
        errors: how many operations failed, by the name of the exception's type.
        last_error: the type and text of the last of these, safe to show; None without one.
        failure: the same of the exception that ended the load, which is a bug; None without one.
    """

    running: bool
    settings: LoadSettings
    monotonic: float
    keys: int
    checked_keys: int | None
    histograms: Mapping[OperationKind, LatencyHistogram] = field(repr=False)
    misses: int
    errors: Mapping[str, int]
    last_error: str | None
    failure: str | None

    @property
    def operations_by_kind(self) -> dict[OperationKind, int]:
        """How many operations succeeded, by kind. O(kinds x buckets)."""
        return {kind: histogram.count for kind, histogram in self.histograms.items()}

    @property
    def operations(self) -> int:
        """How many operations succeeded. O(kinds x buckets)."""
        return sum(self.operations_by_kind.values())

    @property
    def failed_operations(self) -> int:
        """How many operations failed."""
        return sum(self.errors.values())

    @property
    def latency(self) -> LatencySummary:
        """How long the operations of all kinds took. O(kinds x buckets)."""
        return LatencyHistogram.merged(self.histograms.values()).summary()

    def since(self, earlier: "LoadSnapshot") -> "LoadInterval":
        """Return what happened between an earlier snapshot of the same generator and this one.

        O(kinds x buckets).

        Raises:
            ValueError: `earlier` is later, or of another generator.
        """
        seconds = self.monotonic - earlier.monotonic
        histogram = LatencyHistogram.merged(self.histograms.values()) - LatencyHistogram.merged(
            earlier.histograms.values()
        )
        return LoadInterval(
            seconds=seconds,
            operations=histogram.count,
            failed_operations=self.failed_operations - earlier.failed_operations,
            misses=self.misses - earlier.misses,
            latency=histogram.summary(),
        )


@dataclass(frozen=True, slots=True)
class LoadInterval:
    """What a load did between two snapshots.

    Attributes:
        seconds: how long the interval was.
        operations: how many operations succeeded.
        failed_operations: how many failed.
        misses: how many reads found no value.
        latency: how long the successful operations took.
    """

    seconds: float
    operations: int
    failed_operations: int
    misses: int
    latency: LatencySummary

    @property
    def operations_per_second(self) -> float:
        """How many operations succeeded in a second; 0 for an interval of no length."""
        return self.operations / self.seconds if self.seconds > 0 else 0.0
