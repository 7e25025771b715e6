"""Rates and changes, from the difference of two moments of a store's counters."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.cluster.snapshot import StoreSnapshot

# A rate over less would jump about; over more it would lag behind.
RATE_SECONDS = 1.0
# Over how long the change of a server's keys is told.
DELTA_SECONDS = 10.0
# What one step of the throughput graph stands for, whatever the refresh rate.
GRAPH_SECONDS = 0.5
# Two dots a cell: enough for a graph 200 cells wide.
GRAPH_STEPS = 400
# A step is over a little before its time: a refresh of the same length is never exactly on time.
_EARLY = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """A store's counters at one moment.

    Attributes:
        at: seconds of the store's monotonic clock.
        keys: the keys of each server.
        operations: reads and writes that each server has served since it joined.
    """

    at: float
    keys: Mapping[str, int]
    operations: Mapping[str, int]


def sample_of(snapshot: StoreSnapshot) -> Sample:
    """Return the counters in a snapshot."""
    return Sample(
        at=snapshot.monotonic,
        keys={server.server_id: server.keys for server in snapshot.servers},
        operations={server.server_id: server.reads + server.writes for server in snapshot.servers},
    )


def kept(samples: tuple[Sample, ...], now: Sample) -> tuple[Sample, ...]:
    """Return the samples, `now` included, that later differences can still need."""
    needed = [
        sample
        for sample, following in zip(samples, (*samples[1:], now), strict=True)
        if sample.at < now.at and now.at - following.at < DELTA_SECONDS
    ]
    return (*needed, now)


def earlier(samples: tuple[Sample, ...], seconds: float) -> Sample | None:
    """Return the latest sample that is `seconds` older than the last one, or the oldest there is.

    None when time has not moved on since any of them.
    """
    now = samples[-1].at
    older = [sample for sample in samples if sample.at < now]
    if not older:
        return None
    return next((sample for sample in reversed(older) if now - sample.at >= seconds), older[0])


def operations_per_second(before: Sample, now: Sample) -> dict[str, float]:
    """Return the rate of each server between two moments."""
    seconds = now.at - before.at
    rates: dict[str, float] = {}
    for server_id, count in now.operations.items():
        base = before.operations.get(server_id, 0)
        # A server that left and came back counts from 0 again.
        rates[server_id] = (count - base if count >= base else count) / seconds
    return rates


@dataclass(frozen=True, slots=True)
class Throughput:
    """The history of all servers' operations, in steps of `GRAPH_SECONDS`, oldest first.

    Attributes:
        steps: operations per second in each step.
        ended_at: when the last step ended, on the store's monotonic clock.
        last: the counters at the end of the last step, or soon after it.
    """

    steps: tuple[float, ...]
    ended_at: float
    last: Sample

    def followed_by(self, now: Sample) -> "Throughput":
        """Return the history with the time up to `now`; the same one if no step is over yet."""
        over = int((now.at - self.ended_at) / GRAPH_SECONDS + _EARLY)
        if over < 1:
            return self
        rate = sum(operations_per_second(self.last, now).values())
        steps = (*self.steps, *[rate] * min(over, GRAPH_STEPS))
        return Throughput(steps[-GRAPH_STEPS:], self.ended_at + over * GRAPH_SECONDS, now)
