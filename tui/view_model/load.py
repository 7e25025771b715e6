"""What the screen shows of a load, from two snapshots of its generator."""

from core.metrics import LatencySummary
from core.workload.load_snapshot import LoadSnapshot
from tui.view_model.display import LoadView

_NANOSECONDS = 1e9


def load_view(now: LoadSnapshot, before: LoadSnapshot | None = None) -> LoadView:
    """Return what there is to show of a load. Pure; O(buckets).

    Args:
        now: the load now.
        before: the same load about a second ago: rates and percentiles are of the time between;
            None for all the time there was, and no rate.
    """
    interval = now.since(before) if before is not None else None
    latency = interval.latency if interval is not None else now.latency
    workload = now.settings.workload
    checked = now.checked_keys
    return LoadView(
        running=now.running,
        workload=workload.value,
        description=workload.spec.description,
        threads=now.settings.threads,
        distribution=now.settings.effective_distribution.value,
        keys=now.keys,
        rate_per_thread=now.settings.operations_per_second,
        operations_per_second=interval.operations_per_second if interval is not None else 0.0,
        p50=_seconds(latency, latency.p50_ns),
        p99=_seconds(latency, latency.p99_ns),
        p999=_seconds(latency, latency.p999_ns),
        maximum=_seconds(latency, latency.maximum_ns),
        preparing=None if checked is None else checked / now.settings.key_count,
        misses=interval.misses if interval is not None else now.misses,
        errors=tuple(sorted(now.errors.items())),
        last_error=now.failure if now.failure is not None else now.last_error,
    )


def _seconds(latency: LatencySummary, nanoseconds: float) -> float | None:
    """Return a figure in seconds; None where nothing was measured."""
    return nanoseconds / _NANOSECONDS if latency.count else None
