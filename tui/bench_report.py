"""What a bench measured, as the command line prints it."""

from collections.abc import Iterable

from rich.cells import cell_len
from rich.text import Text

from core.cluster.snapshot import StoreSnapshot
from core.metrics import LatencySummary
from tui.bench import BenchResult
from tui.formatting import byte_size, compact, counted, duration, latency, safe, whole
from tui.renderables.look import BOLD, DIM, PLAIN, Look
from tui.view_model import Tone

_TITLES = ("kind", "operations", "ops/s", "mean", "p50", "p99", "p99.9", "max")
_NANOSECOND = 1e-9
_ERROR_CELLS = 200


def draw_bench_report(result: BenchResult, store: StoreSnapshot, look: Look) -> Text:
    """Return a bench's settings, a table of its operations by kind, and its errors.

    Args:
        result: what was measured.
        store: the store that it ran on.
        look: colours, and whether to draw in ASCII.
    """
    interval = result.interval
    rows = [_row(kind.value, summary, interval.seconds) for kind, summary in result.kinds.items()]
    rows.append(_row("all", interval.latency, interval.seconds))
    lines = [*_settings(result, store), Text(), *_table(rows), Text(), *_outcome(result, look)]
    return look.finish(Text("\n", end="").join(lines))


def _settings(result: BenchResult, store: StoreSnapshot) -> list[Text]:
    settings = result.load.settings
    pace = settings.operations_per_second
    return [
        Text(f"YCSB {settings.workload.value}  {settings.workload.spec.description}", style=BOLD),
        Text(
            f"{counted(settings.threads, 'thread')}, "
            f"{'unpaced' if pace is None else f'{compact(pace)} ops/s each'}, "
            f"{settings.effective_distribution.value}; "
            f"{counted(settings.key_count, 'key')} of {byte_size(settings.value_size)} on "
            f"{counted(len(store.servers), 'server')}; seed {settings.seed}" + _replicated(store),
            style=DIM,
        ),
    ]


def _replicated(store: StoreSnapshot) -> str:
    if store.replication_factor == 1:
        return ""
    return f"; {store.replication_factor} replicas, {store.consistency.value}"


def _row(name: str, summary: LatencySummary, seconds: float) -> tuple[str, ...]:
    per_second = summary.count / seconds if seconds > 0 else 0.0
    figures = (
        summary.mean_ns,
        summary.p50_ns,
        summary.p99_ns,
        summary.p999_ns,
        summary.maximum_ns,
    )
    return (
        name,
        whole(summary.count),
        whole(round(per_second)),
        *(latency(figure * _NANOSECOND) if summary.count else "-" for figure in figures),
    )


def _table(rows: Iterable[tuple[str, ...]]) -> list[Text]:
    table = [_TITLES, *rows]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    lines: list[Text] = []
    for row in table:
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append(Text("  ".join(cells), style=DIM if row is _TITLES else PLAIN, no_wrap=True))
    lines[-1].stylize(BOLD)
    return lines


def _outcome(result: BenchResult, look: Look) -> list[Text]:
    interval, load = result.interval, result.load
    lines = [Text(f"{duration(interval.seconds)}, {whole(interval.misses)} reads found nothing")]
    bad = look.tone(Tone.BAD)
    if not result.had_errors:
        lines[0].append(", no errors")
    for name, count in sorted(load.errors.items()):
        lines.append(Text(f"{counted(count, 'error')}: {name}", style=bad))
    if load.last_error is not None:
        lines.append(Text(f"the last: {safe(load.last_error, _ERROR_CELLS)}", style=bad))
    if load.failure is not None:
        ended = f"ended by a bug: {safe(load.failure, _ERROR_CELLS)}"
        lines.append(Text(ended, style=bad))
    return lines
