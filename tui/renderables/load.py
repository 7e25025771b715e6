"""The load: what it is like, how fast and how quick it is, and the throughput of late."""

from collections.abc import Sequence

from rich.text import Text

from tui.formatting import compact, counted, latency, percent, rate, safe, whole
from tui.renderables.graph import draw_graph, draw_sparkline
from tui.renderables.look import BOLD, DIM, PLAIN, Look
from tui.renderables.parts import Part, fitting, part
from tui.view_model import LoadView, Tone

_ERROR_CELLS = 200
# Below this an area says no more than a sparkline.
_LOWEST_GRAPH = 2


def draw_load(
    load: LoadView | None, throughput: Sequence[float], width: int, height: int, look: Look
) -> Text:
    """Return the load in at most `height` lines of at most `width` cells. O(cells).

    Args:
        load: the load; None when there is none.
        throughput: what all servers served, oldest first, as `DashboardView` has it.
        width: cells across.
        height: lines; what is left below the words is the graph's.
        look: colours, and whether to draw in ASCII.
    """
    lines = _words(load, width, look)
    if height - len(lines) < _LOWEST_GRAPH:
        del lines[max(1, height - 1) :]
    else:
        # The description is the first to go when it would be cut, or the graph get low.
        spare = height - len(lines) - _LOWEST_GRAPH
        if load is not None and spare >= 1 and len(load.description) <= width:
            lines.insert(1, Text(load.description, style=DIM))
    room = height - len(lines)
    if room >= _LOWEST_GRAPH:
        lines.append(draw_graph(throughput, width, room, look))
    elif room == 1:
        lines.append(draw_sparkline(throughput, width, look))
    return look.finish(Text("\n", no_wrap=True, end="").join(lines[:height]))


def _words(load: LoadView | None, width: int, look: Look) -> list[Text]:
    if load is None:
        return [Text("no load", style=DIM)]
    lines = [_settings(load, width, look), _figures(load, width)]
    if load.last_error is not None:
        count = sum(number for _, number in load.errors)
        words = f"✖ {counted(count, 'error')}: {safe(load.last_error, _ERROR_CELLS)}"
        error = Text(words, style=look.tone(Tone.BAD), no_wrap=True)
        error.truncate(width, overflow="ellipsis")
        lines.insert(1, error)
    return lines


def _settings(load: LoadView, width: int, look: Look) -> Text:
    if load.preparing is not None:
        state = part(f"↻ preparing {percent(load.preparing, 0)}", look.tone(Tone.WARNING))
    elif load.running:
        state = part("● on", look.tone(Tone.GOOD))
    else:
        state = part("○ off", DIM)
    pace = "unpaced" if load.rate_per_thread is None else f"{compact(load.rate_per_thread)}/s each"
    return fitting(
        [
            state,
            part(f"YCSB {load.workload}", BOLD),
            part(counted(load.threads, "thread"), PLAIN, 1),
            part(pace, PLAIN, 2),
            part(load.distribution, DIM, 3),
            part(counted(load.keys, "key"), DIM, 4),
        ],
        width,
    )


def _figures(load: LoadView, width: int) -> Text:
    parts = [part(rate(load.operations_per_second), BOLD, 3)]
    for name, seconds, rank in (
        ("p50", load.p50, 2),
        ("p99", load.p99, 1),
        ("p99.9", load.p999, 5),
        ("max", load.maximum, 4),
    ):
        if seconds is not None:
            parts.append(Part(Text.assemble((f"{name} ", DIM), latency(seconds)), rank))
    if load.misses:
        parts.append(part(f"{whole(load.misses)} missing", DIM, 6))
    return fitting(parts, width)
