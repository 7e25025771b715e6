"""What losing a server under load meant, as the command line prints it."""

from rich.cells import cell_len
from rich.text import Text

from core.cluster.snapshot import StoreSnapshot
from tui.fault_bench import FaultBenchResult
from tui.formatting import byte_size, compact, counted, duration, latency, safe, whole
from tui.renderables.look import BOLD, DIM, PLAIN, Look
from tui.view_model import Tone

_TITLES = ("phase", "seconds", "operations", "ops/s", "p99", "max", "failed")
_NANOSECOND = 1e-9
_ID_CELLS = 64
_ERROR_CELLS = 200


def draw_fault_bench_report(result: FaultBenchResult, store: StoreSnapshot, look: Look) -> Text:
    """Return the settings, a table of the phases, what the recovery did, and each promise.

    Args:
        result: what happened.
        store: the store that it happened to.
        look: colours, and whether to draw in ASCII.
    """
    lines = [
        *_settings(result, store),
        Text(),
        *_table(result),
        Text(),
        *_recovery(result),
        Text(),
        *_promises(result, look),
    ]
    return look.finish(Text("\n", end="").join(lines))


def _settings(result: FaultBenchResult, store: StoreSnapshot) -> list[Text]:
    settings = result.settings
    pace = settings.operations_per_second
    crashed = safe(result.crashed, _ID_CELLS)
    return [
        Text(
            f"YCSB {settings.workload.value} while {crashed}, one of "
            f"{counted(len(store.servers), 'server')}, crashes and recovers",
            style=BOLD,
        ),
        Text(
            f"{store.replication_factor} replicas, {store.consistency.value}; "
            f"{counted(settings.threads, 'thread')}, "
            f"{'unpaced' if pace is None else f'{compact(pace)} ops/s each'}; "
            f"{counted(settings.key_count, 'key')} of {byte_size(settings.value_size)}; "
            f"seed {settings.seed}",
            style=DIM,
        ),
    ]


def _table(result: FaultBenchResult) -> list[Text]:
    rows: list[tuple[str, ...]] = [_TITLES]
    for name, interval in result.phases.items():
        figures = (interval.latency.p99_ns, interval.latency.maximum_ns)
        rows.append(
            (
                name,
                f"{interval.seconds:.2f}",
                whole(interval.operations),
                whole(round(interval.operations_per_second)),
                *(latency(ns * _NANOSECOND) if interval.operations else "-" for ns in figures),
                whole(interval.failed_operations),
            )
        )
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines: list[Text] = []
    for row in rows:
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append(Text("  ".join(cells), style=DIM if row is _TITLES else PLAIN, no_wrap=True))
    return lines


def _recovery(result: FaultBenchResult) -> list[Text]:
    done = result.recovery
    verb = "caught up in" if result.recovered else "had not caught up after"
    lines = [
        Text(
            f"{safe(result.crashed, _ID_CELLS)} {verb} {duration(done.seconds)}: "
            f"{counted(done.copied, 'record')} copied, {counted(done.hints, 'hint')} delivered, "
            f"{counted(done.compared, 'range')} compared"
        )
    ]
    if result.failed_before_detection:
        failed = counted(result.failed_before_detection, "operation")
        lines.append(Text(f"{failed} failed before the crash was detected"))
    return lines


def _promises(result: FaultBenchResult, look: Look) -> list[Text]:
    written = counted(result.acknowledged_writes, "acknowledged write")
    checked = counted(result.doctor.keys, "key")
    promises = (
        (
            not result.failed_after_detection,
            f"{counted(result.failed_after_detection, 'operation')} failed "
            "after the crash was detected",
        ),
        (not result.lost_writes, f"{whole(result.lost_writes)} of {written} lost"),
        (
            result.replicas_equal,
            f"{checked} compared: "
            + ("all replicas are equal" if result.replicas_equal else _found(result)),
        ),
        (
            not result.under_replicated_keys,
            f"{counted(result.under_replicated_keys, 'key')} under-replicated at the end",
        ),
    )
    lines = [
        Text(f"{'●' if kept else '✖'} {words}", look.tone(Tone.GOOD if kept else Tone.BAD))
        for kept, words in promises
    ]
    if result.last_error is not None:
        lines.append(Text(f"the last error: {safe(result.last_error, _ERROR_CELLS)}"))
    if result.failure is not None:
        ended = f"✖ ended by a bug: {safe(result.failure, _ERROR_CELLS)}"
        lines.append(Text(ended, style=look.tone(Tone.BAD)))
    if result.broken:
        lines.append(Text(f"Broken: {'; '.join(result.broken)}", style=look.tone(Tone.BAD)))
    return lines


def _found(result: FaultBenchResult) -> str:
    found = [f"{whole(count)} {fault.value}" for fault, count in result.doctor.counts.items()]
    if result.doctor.unreachable:
        names = ", ".join(safe(name, _ID_CELLS) for name in result.doctor.unreachable)
        found.append(f"{names} not asked")
    return ", ".join(found)
