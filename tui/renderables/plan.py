"""A plan in words and figures, for dialogs and for the command line."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from rich.text import Text

from core.cluster.plan import ChangeKind, Plan, Transfer
from tui.formatting import byte_size, counted, percent, ratio, safe, safe_text, whole
from tui.renderables.look import DIM, PLAIN, Look
from tui.view_model import Mark, Tone

# In cells. An id may have 64 characters; beside figures, its beginning has to do.
_ID_CELLS = 64
_COLUMN_CELLS = 24
_WARNING_CELLS = 300
_WORDS = {
    ChangeKind.ADD: ("Add", "from"),
    ChangeKind.REMOVE: ("Remove", "to"),
    ChangeKind.REWEIGH: ("Reweigh", "from or to"),
}
_NO_MARKS: Mapping[str, Mark] = MappingProxyType({})


def plan_sentence(plan: Plan, look: Look) -> str:
    """Return what a plan does, in one sentence.

    For example ``Remove charlie: 10,102 keys (25.1 %, ideal 25.0 %) move to 3 servers; peak/avg
    1.07 → 1.12``. With several replicas, copies move: ``12,004 of 60,000 copies of keys``.
    """
    verb, way = _WORDS[plan.kind]
    who = safe(plan.server_id, _ID_CELLS)
    if plan.weight != 1:
        who += f" (weight {plan.weight:g})"
    if not (plan.before.weights and plan.after.weights):
        which = "first" if plan.kind is ChangeKind.ADD else "last"
        return f"{verb} {who}: it is the {which} server, and no keys move"
    if not plan.transfers and plan.keys_lost:
        return f"{verb} {who}: it is down, and nothing is left that could move"
    if not plan.transfers:
        return f"{verb} {who}: {_why_nothing_moves(plan)}"
    fraction = percent(plan.fraction_moved / plan.replicas)
    ideal = percent(plan.ideal_fraction / plan.replicas)
    if plan.keys_moved and plan.replicas > 1:
        copies = whole(plan.total_keys * plan.replicas)
        what = f"{whole(plan.keys_moved)} of {copies} copies of keys ({fraction}, ideal {ideal})"
    elif plan.keys_moved:
        what = f"{counted(plan.keys_moved, 'key')} ({fraction}, ideal {ideal})"
    else:
        what = f"{fraction} of the ring (ideal {ideal}), without keys,"
    one = plan.keys_moved <= 1
    peaks = f"{ratio(plan.peak_to_average_before)} {look.arrow} {ratio(plan.peak_to_average_after)}"
    servers = counted(len(plan.peers), "server")
    return f"{verb} {who}: {what} move{'s' if one else ''} {way} {servers}; peak/avg {peaks}"


def _why_nothing_moves(plan: Plan) -> str:
    if plan.kind is ChangeKind.REMOVE:
        return "no copies have to move, the others have them all"
    if plan.changes:
        return "nothing can move to it, for no server that has keys is up"
    return "so small a change moves nothing"


def draw_plan(
    plan: Plan,
    look: Look,
    *,
    marks: Mapping[str, Mark] = _NO_MARKS,
    limit: int | None = None,
) -> Text:
    """Return a plan as a sentence, its warnings, and a table of who gives what to whom.

    The sentence and the warnings are one line each, to be wrapped by whoever shows them.

    Args:
        plan: what would be done.
        look: colours, and whether to draw in ASCII.
        marks: the letters and colours of the servers, as far as they have any.
        limit: how many transfers to list at most, the rest being summed up; None for all.
    """
    text = Text(plan_sentence(plan, look), end="")
    # Before the table: that may be long, and they are not to be scrolled out of sight.
    for index, warning in enumerate(plan.warnings):
        text.append("\n" if index else "\n\n")
        # Of what is lost for good the plan warns first.
        tone = Tone.BAD if plan.keys_lost and not index else Tone.WARNING
        text.append(f"Warning: {safe(warning, _WARNING_CELLS)}", look.tone(tone))
    if plan.transfers:
        text.append("\n\n").append_text(_table(plan.transfers, look, marks, limit))
    return look.finish(text)


class _Row(NamedTuple):
    """A line of the table."""

    source: Text
    arrow: str
    target: Text
    keys: str
    size: str


def _table(
    transfers: Sequence[Transfer], look: Look, marks: Mapping[str, Mark], limit: int | None
) -> Text:
    def server(server_id: str) -> Text:
        return safe_text(server_id, _COLUMN_CELLS, look.server(marks.get(server_id)))

    def summed(name: str, some: Sequence[Transfer]) -> _Row:
        keys = sum(transfer.keys for transfer in some)
        size = sum(transfer.bytes for transfer in some)
        return _Row(Text(name, DIM), "", Text(), whole(keys), byte_size(size))

    listed = transfers if limit is None or len(transfers) <= limit else transfers[: limit - 1]
    rows = [_Row(Text("from", DIM), "", Text("to", DIM), "keys", "size")]
    for source, target, keys, size in listed:
        rows.append(_Row(server(source), look.arrow, server(target), whole(keys), byte_size(size)))
    if others := transfers[len(listed) :]:
        rows.append(summed(f"{whole(len(others))} more", others))
    if len(transfers) > 1:
        rows.append(summed("in all", transfers))

    source_width = max(row.source.cell_len for row in rows)
    target_width = max(row.target.cell_len for row in rows)
    keys_width = max(len(row.keys) for row in rows)
    size_width = max(len(row.size) for row in rows)
    lines: list[Text] = []
    for row in rows:
        row.source.truncate(source_width, pad=True)
        row.target.truncate(target_width, pad=True)
        line = Text.assemble(row.source, f" {row.arrow:<{len(look.arrow)}} ", row.target, end="")
        figures = f"  {row.keys:>{keys_width}}  {row.size:>{size_width}}"
        lines.append(line.append(figures, DIM if row is rows[0] else PLAIN))
    return Text("\n", no_wrap=True, end="").join(lines)
