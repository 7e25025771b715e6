"""A plan as the command line prints it: what moves, how full each server gets, and whose keys."""

from rich.text import Text

from core.cluster.plan import Plan
from tui.renderables.bars import draw_bars
from tui.renderables.look import DIM, Look
from tui.renderables.plan import draw_plan
from tui.view_model import KeyBar
from tui.view_model.marks import assign_marks
from tui.view_model.sorting import natural

# Longer bars are no easier to compare.
_WIDEST_BARS = 100


def draw_plan_report(plan: Plan, keys: str, width: int, look: Look) -> Text:
    """Return a plan, a bar for each server, and whose keys were counted.

    Args:
        plan: what would be done.
        keys: the keys that it counts, in words.
        width: cells across that bars may take; other lines may be longer.
        look: colours, and whether to draw in ASCII.
    """
    bars = _bars(plan)
    marks = {bar.server_id: bar.mark for bar in bars}
    text = Text(end="").append_text(draw_plan(plan, look, marks=marks))
    if plan.total_keys:
        text.append("\n\n").append_text(draw_bars(bars, min(width, _WIDEST_BARS), look))
    return text.append("\n\n").append_text(look.finish(Text(keys, style=DIM)))


def _bars(plan: Plan) -> list[KeyBar]:
    """Return how full each server is and would be, in the natural order of their ids."""
    server_ids = sorted({*plan.before.weights, *plan.after.weights}, key=natural)
    marks = assign_marks({}, server_ids)
    longest = max(*plan.keys_before.values(), *plan.keys_after.values(), 1)
    bars: list[KeyBar] = []
    for server_id in server_ids:
        now, then = plan.keys_before.get(server_id, 0), plan.keys_after.get(server_id, 0)
        bars.append(
            KeyBar(
                server_id=server_id,
                mark=marks[server_id],
                keys=now,
                fraction=now / longest,
                deviation=None,
                target_keys=then if then != now else None,
                target_fraction=then / longest if then != now else None,
            )
        )
    return bars
