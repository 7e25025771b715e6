"""What ``--json`` prints, for scripts.

Fields may be added in later versions; none is renamed or removed, and none gets another type. Every
value is a whole number, a decimal number, a string, a list or an object: no null, no true or false.
Fractions go from 0 to 1; ``_ms`` is milliseconds since 1970-01-01 UTC, ``_ns`` nanoseconds. Text
from outside has its invisible characters spelled out.

`SNAPSHOT_FIELDS`, `PLAN_FIELDS`, `BENCH_FIELDS` and `FAULT_BENCH_FIELDS` list what there is, for
the help.
"""

from collections.abc import Mapping

from core import __version__
from core.cluster.plan import Plan
from core.cluster.snapshot import StoreSnapshot
from core.metrics import LatencySummary
from core.safe_text import visible
from core.workload.load_settings import LoadSettings
from core.workload.load_snapshot import LoadSnapshot
from tui.bench import BenchResult
from tui.fault_bench import FaultBenchResult
from tui.observation import Observation
from tui.output import Json
from tui.view_model import event_line

_LATENCY_FIELDS = "mean_ns, p50_ns, p99_ns, p999_ns, maximum_ns"

SNAPSHOT_FIELDS = f"""\
ringtop, taken_at_ms, epoch, virtual_nodes_per_node,
placement (random, balanced), replication_factor, consistency (strong,
eventual), total_keys, under_replicated_keys, peak_to_average
servers[]: id, state (up, joining, leaving, catching up, down), weight,
  vnodes, share, keys, reads, writes, operations_per_second, hints,
  stripes_behind, faults {{slow_ms, failing_calls, partitioned (0, 1)}},
  trouble (of its disk)
recoveries[]: server_id, state (running, waiting, finished), fraction,
  hints, compared, copied, seconds, error
storage: path (empty in memory), sync (everysec, always), observing (0, 1),
  trouble (of its journal)
load: state (running, stopped, failed), workload, distribution,
  threads, rate_per_thread (0: max), keys, seconds, operations,
  failed_operations, misses, operations_per_second,
  {_LATENCY_FIELDS},
  errors {{type: count}}
events[]: sequence, at_ms, type, text"""

PLAN_FIELDS = """\
ringtop, change (add, remove), server_id, weight, keys_from (sample,
  file, standard input), replication_factor, total_keys, keys_moved
  (each copy of a key that moves), bytes_moved, keys_lost,
  fraction_moved, ideal_fraction (of all keys; above 1 with several
  replicas), peak_to_average_before, peak_to_average_after
servers[]: id, keys_before, keys_after
transfers[]: source, target, keys, bytes
warnings[]: text"""

BENCH_FIELDS = f"""\
ringtop, workload, distribution, threads, rate_per_thread (0: max),
  servers, virtual_nodes_per_node, placement, replication_factor,
  consistency, keys, value_size, seed, seconds, operations,
  failed_operations, misses, operations_per_second,
  {_LATENCY_FIELDS}
kinds {{kind: ...}}: operations, operations_per_second,
  {_LATENCY_FIELDS}
errors {{type: count}}"""

FAULT_BENCH_FIELDS = """\
ringtop, workload, distribution, threads, rate_per_thread (0: max),
  servers, virtual_nodes_per_node, placement, replication_factor,
  consistency, keys, value_size, seed, crashed
phases[]: name (before, down, catching up, after), seconds, operations,
  operations_per_second, failed_operations, p99_ns, maximum_ns
failed_before_detection, failed_after_detection (0 is promised),
  acknowledged_writes, lost_writes (0 is promised)
recovery: seconds, copied, hints, compared, finished (0, 1)
replicas_equal (0, 1), keys_compared, under_replicated_keys
broken[]: the promises that were broken, in words"""

# Of an error's text; the core has cut it already.
_TEXT_CHARACTERS = 300
# As long as the system takes one, and each character of it spelled out.
_PATH_CHARACTERS = 4_096 * 10
_MILLISECONDS = 1_000


def snapshot_document(seen: Observation) -> dict[str, Json]:
    """Return a store and its load at one moment, with the rates of the last second."""
    store = seen.store
    rates = {row.server_id: row.operations_per_second for row in seen.view.servers}
    return {
        "ringtop": __version__,
        "taken_at_ms": store.taken_at_ms,
        "epoch": store.epoch,
        "virtual_nodes_per_node": store.virtual_nodes_per_node,
        "placement": store.placement.value,
        "replication_factor": store.replication_factor,
        "consistency": store.consistency.value,
        "total_keys": store.total_keys,
        "under_replicated_keys": store.under_replicated_keys,
        "peak_to_average": float(store.peak_to_average),
        "servers": [
            {
                "id": server.server_id,
                "state": server.state.value,
                "weight": float(server.weight),
                "vnodes": server.vnodes,
                "share": server.share,
                "keys": server.keys,
                "reads": server.reads,
                "writes": server.writes,
                "operations_per_second": rates.get(server.server_id) or 0.0,
                "hints": server.hints,
                "stripes_behind": server.stripes_behind,
                "faults": {
                    "slow_ms": float(server.faults.slow_seconds * _MILLISECONDS),
                    "failing_calls": server.faults.failing_calls,
                    "partitioned": int(server.faults.partitioned),
                },
                "trouble": visible(server.trouble or "", _TEXT_CHARACTERS),
            }
            for server in store.servers
        ],
        "recoveries": [
            {
                "server_id": recovery.server_id,
                "state": recovery.state.value,
                "fraction": float(recovery.fraction),
                "hints": recovery.hints,
                "compared": recovery.compared,
                "copied": recovery.copied,
                "seconds": float(recovery.seconds),
                "error": recovery.error or "",
            }
            for recovery in store.recoveries
        ],
        "storage": _storage(store),
        "load": _load(seen),
        "events": [
            {
                "sequence": event.sequence,
                "at_ms": event.at_ms,
                "type": type(event).__name__,
                "text": event_line(event).sentence,
            }
            for event in store.events
        ],
    }


def plan_document(plan: Plan, keys_from: str, replication_factor: int = 1) -> dict[str, Json]:
    """Return what a plan would move.

    Args:
        plan: the plan.
        keys_from: whose keys it counts.
        replication_factor: on how many servers each key is to lie.
    """
    return {
        "ringtop": __version__,
        "change": plan.kind.value,
        "server_id": plan.server_id,
        "weight": float(plan.weight),
        "keys_from": keys_from,
        "replication_factor": replication_factor,
        "total_keys": plan.total_keys,
        "keys_moved": plan.keys_moved,
        "bytes_moved": plan.bytes_moved,
        "keys_lost": plan.keys_lost,
        "fraction_moved": float(plan.fraction_moved),
        "ideal_fraction": float(plan.ideal_fraction),
        "peak_to_average_before": float(plan.peak_to_average_before),
        "peak_to_average_after": float(plan.peak_to_average_after),
        "servers": [
            {
                "id": server_id,
                "keys_before": plan.keys_before.get(server_id, 0),
                "keys_after": plan.keys_after.get(server_id, 0),
            }
            for server_id in sorted({*plan.keys_before, *plan.keys_after})
        ],
        "transfers": [dict(transfer._asdict()) for transfer in plan.transfers],
        "warnings": [visible(warning, _TEXT_CHARACTERS) for warning in plan.warnings],
    }


def bench_document(result: BenchResult, store: StoreSnapshot) -> dict[str, Json]:
    """Return what a bench measured on a store."""
    settings = result.load.settings
    interval = result.interval
    return {
        "ringtop": __version__,
        **_settings(settings),
        "servers": len(store.servers),
        "virtual_nodes_per_node": store.virtual_nodes_per_node,
        "placement": store.placement.value,
        "replication_factor": store.replication_factor,
        "consistency": store.consistency.value,
        "keys": settings.key_count,
        "value_size": settings.value_size,
        "seed": settings.seed,
        "seconds": interval.seconds,
        "operations": interval.operations,
        "failed_operations": interval.failed_operations,
        "misses": interval.misses,
        "operations_per_second": interval.operations_per_second,
        **_latency(interval.latency),
        "kinds": {
            kind.value: {
                "operations": latency.count,
                "operations_per_second": _per_second(latency.count, interval.seconds),
                **_latency(latency),
            }
            for kind, latency in result.kinds.items()
        },
        "errors": _errors(result.load.errors),
    }


def fault_bench_document(result: FaultBenchResult, store: StoreSnapshot) -> dict[str, Json]:
    """Return what losing a server under load meant."""
    settings, recovery = result.settings, result.recovery
    return {
        "ringtop": __version__,
        **_settings(settings),
        "servers": len(store.servers),
        "virtual_nodes_per_node": store.virtual_nodes_per_node,
        "placement": store.placement.value,
        "replication_factor": store.replication_factor,
        "consistency": store.consistency.value,
        "keys": settings.key_count,
        "value_size": settings.value_size,
        "seed": settings.seed,
        "crashed": result.crashed,
        "phases": [
            {
                "name": name,
                "seconds": interval.seconds,
                "operations": interval.operations,
                "operations_per_second": float(interval.operations_per_second),
                "failed_operations": interval.failed_operations,
                "p99_ns": interval.latency.p99_ns,
                "maximum_ns": interval.latency.maximum_ns,
            }
            for name, interval in result.phases.items()
        ],
        "failed_before_detection": result.failed_before_detection,
        "failed_after_detection": result.failed_after_detection,
        "acknowledged_writes": result.acknowledged_writes,
        "lost_writes": result.lost_writes,
        "recovery": {
            "seconds": float(recovery.seconds),
            "copied": recovery.copied,
            "hints": recovery.hints,
            "compared": recovery.compared,
            "finished": int(result.recovered),
        },
        "replicas_equal": int(result.replicas_equal),
        "keys_compared": result.doctor.keys,
        "under_replicated_keys": result.under_replicated_keys,
        "broken": list(result.broken),
    }


def _load(seen: Observation) -> dict[str, Json]:
    load, interval = seen.load, seen.interval
    return {
        "state": _state(load),
        **_settings(load.settings),
        "keys": load.keys,
        "seconds": interval.seconds,
        "operations": interval.operations,
        "failed_operations": interval.failed_operations,
        "misses": interval.misses,
        "operations_per_second": interval.operations_per_second,
        **_latency(interval.latency),
        "errors": _errors(load.errors),
    }


def _storage(store: StoreSnapshot) -> dict[str, Json]:
    storage = store.storage
    if storage is None:
        return {"path": "", "sync": "", "observing": 0, "trouble": ""}
    return {
        "path": visible(storage.path, _PATH_CHARACTERS),
        "sync": storage.sync,
        "observing": int(storage.observing),
        "trouble": visible(storage.trouble or "", _TEXT_CHARACTERS),
    }


def _state(load: LoadSnapshot) -> str:
    if load.failure is not None:
        return "failed"
    return "running" if load.running else "stopped"


def _settings(settings: LoadSettings) -> dict[str, Json]:
    return {
        "workload": settings.workload.value,
        "distribution": settings.effective_distribution.value,
        "threads": settings.threads,
        "rate_per_thread": float(settings.operations_per_second or 0),
    }


def _per_second(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _latency(latency: LatencySummary) -> dict[str, Json]:
    return {
        "mean_ns": float(latency.mean_ns),
        "p50_ns": latency.p50_ns,
        "p99_ns": latency.p99_ns,
        "p999_ns": latency.p999_ns,
        "maximum_ns": latency.maximum_ns,
    }


def _errors(errors: Mapping[str, int]) -> dict[str, Json]:
    return dict(sorted(errors.items()))
