"""Running a load without a screen, and measuring it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from core.metrics import LatencySummary
from core.workload.load_generator import LoadGenerator
from core.workload.load_snapshot import LoadInterval, LoadSnapshot
from core.workload.ycsb import OperationKind
from tui.formatting import rate
from tui.progress import shown_progress

# How often it is looked whether the end has come. A snapshot of 64 threads takes 3 ms.
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class BenchResult:
    """What a load did while it was measured.

    Attributes:
        load: the load at the end.
        interval: all that it did.
        kinds: how long its operations took, by kind; without kinds that there were none of.
    """

    load: LoadSnapshot
    interval: LoadInterval
    kinds: Mapping[OperationKind, LatencySummary]

    @property
    def had_errors(self) -> bool:
        """Whether anything failed."""
        return self.load.failure is not None or self.interval.failed_operations > 0


def run_bench(load: LoadGenerator, seconds: float | None, operations: int | None) -> BenchResult:
    """Run a load until its time is over, its operations are carried out, or a bug has ended it.

    Args:
        load: the load, with its keys stored.
        seconds: how long to run at most; None for no limit.
        operations: after how many operations to end, or a little more; None for no limit.
    """
    before = load.snapshot()
    load.start()
    try:
        with shown_progress("Running", 1.0) as advance:
            while True:
                now = load.snapshot()
                done = now.since(before)
                over = max(
                    done.seconds / seconds if seconds is not None else 0.0,
                    done.operations / operations if operations is not None else 0.0,
                )
                if over >= 1.0 or not now.running:
                    break
                advance(over, rate(done.operations_per_second))
                left = _LOOK_SECONDS if seconds is None else seconds - done.seconds
                time.sleep(min(_LOOK_SECONDS, left))
    finally:
        stop_load(load)
    kinds = {
        kind: (histogram - before.histograms[kind]).summary()
        for kind, histogram in now.histograms.items()
    }
    return BenchResult(
        now, done, {kind: summary for kind, summary in kinds.items() if summary.count}
    )


def stop_load(load: LoadGenerator) -> None:
    """Stop a load; a bug that has ended it is in its snapshot, and is reported from there."""
    try:
        load.stop()
    except Exception as error:
        if error is not load.failure:
            raise
