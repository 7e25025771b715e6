"""A printed plan says what moves, how full each server gets, and whose keys were counted."""

from dataclasses import replace

from rich.cells import cell_len

from tests.support import filled, store_with
from tests.tui.renderables.support import lines_of
from tui.plan_report import draw_plan_report
from tui.renderables.look import DARK
from tui.renderables.plan import plan_sentence

ASCII = replace(DARK, ascii_only=True)
WHOSE = "Counted with 3,000 keys."


def figures_of(line: str) -> tuple[int, int]:
    """Return what a bar's line says: keys before and after."""
    before, _, after = line.replace(",", "").rpartition("→")
    return int(before.split()[-1]), int(after)


def test_the_bars_lead_from_the_keys_before_to_those_after() -> None:
    store = store_with(["node1", "node2", "node10"])
    filled(store, 3_000)
    plan = store.plan_add_server("node11")
    lines = lines_of(draw_plan_report(plan, WHOSE, 100, DARK))
    assert lines[0] == plan_sentence(plan, DARK)
    bars = lines[-6:-2]
    # In the order in which people count.
    assert [line.split()[1] for line in bars] == ["node1", "node2", "node10", "node11"]
    for line in bars:
        name = line.split()[1]
        assert figures_of(line) == (plan.keys_before.get(name, 0), plan.keys_after[name])
    assert lines[-2:] == ["", WHOSE]


def test_a_server_that_leaves_goes_to_nothing() -> None:
    store = store_with(["alpha", "bravo", "charlie"])
    filled(store, 3_000)
    plan = store.plan_remove_server("bravo")
    lines = lines_of(draw_plan_report(plan, WHOSE, 100, DARK))
    leaving = next(line for line in lines if line.startswith("b bravo"))
    assert figures_of(leaving) == (plan.keys_before["bravo"], 0)


def test_without_keys_there_are_no_bars() -> None:
    plan = store_with(["alpha"]).plan_add_server("bravo")
    report = draw_plan_report(plan, WHOSE, 100, DARK).plain
    assert "a alpha" not in report
    assert report.endswith(f"\n\n{WHOSE}")
    assert "\n\n\n" not in report


def test_bars_keep_to_the_width_and_to_100_cells() -> None:
    store = store_with(["alpha", "bravo"])
    filled(store, 500)
    plan = store.plan_add_server("charlie")
    for width in (40, 80, 300):
        lines = lines_of(draw_plan_report(plan, WHOSE, width, DARK))
        assert max(cell_len(line) for line in lines[-5:-2]) <= min(width, 100)


def test_in_ascii_everything_is_ascii() -> None:
    store = store_with(["alpha", "bravo"])
    filled(store, 500)
    whose = "from 'schlüssel.txt'"
    assert draw_plan_report(store.plan_add_server("charlie"), whose, 80, ASCII).plain.isascii()
