"""A server that is down is seen as such in the table, the bars, the ring and the status line."""

from dataclasses import replace

import pytest

from core import FaultInjector, KeyValueStore, ManualClock
from tests.support import filled, store_with
from tests.tui.renderables.support import cells_of, is_braille, lines_of
from tui.renderables.bars import draw_bars
from tui.renderables.look import DARK
from tui.renderables.ring import draw_ring, position_at
from tui.renderables.ring_geometry import ring_geometry
from tui.renderables.status import ScreenState, draw_status
from tui.renderables.table import Sorting, draw_row, draw_titles, lay_out
from tui.view_model import DashboardView, explain_position, fold

MONOCHROME = replace(DARK, monochrome=True)
ASCII = replace(DARK, ascii_only=True)
STATE = ScreenState("21:04:11", 0.004)


@pytest.fixture
def store() -> KeyValueStore:
    store = store_with(
        clock=ManualClock(),
        replication_factor=3,
        background=False,
        faults=FaultInjector(ManualClock()),
        virtual_nodes_per_node=4,
    )
    filled(store, 900)
    return store


@pytest.fixture
def view(store: KeyValueStore) -> DashboardView:
    store.crash_server("charlie")
    return fold(store.snapshot())


def table(view: DashboardView, width: int) -> list[str]:
    layout = lay_out(view.servers, Sorting(), width)
    titles = draw_titles(layout, Sorting(), DARK).plain
    return [titles, *(draw_row(row, layout, DARK).plain for row in view.servers)]


def test_its_row_has_a_sign_and_no_figures(view: DashboardView) -> None:
    row = table(view, 80)[3].split()
    assert row[:4] == ["c", "charlie", "✖", "down"]
    assert row[-3:] == ["–", "–", "–"]


def test_hints_have_a_column_while_some_wait(store: KeyValueStore) -> None:
    assert "Hints" not in table(fold(store.snapshot()), 100)[0]
    assert store.faults is not None
    store.faults.partition("bravo")
    filled(store, 300)
    view = fold(store.snapshot())
    hints = next(row.hints for row in view.servers if row.server_id == "bravo")
    for width in (58, 100):
        titles, _, bravo, charlie, _ = table(view, width)
        assert titles.split()[-1] == "Hints"
        assert bravo.split()[-1] == str(hints)
        assert not charlie.endswith("0")


@pytest.mark.parametrize("look", [DARK, MONOCHROME, ASCII])
def test_its_bar_is_what_it_would_hold_and_says_so(view: DashboardView, look: object) -> None:
    assert isinstance(look, type(DARK))
    sign, shade = ("x", ".") if look.ascii_only else ("✖", "░")
    line = lines_of(draw_bars(view.bars, 60, look))[2]
    assert f"{shade} " in line
    assert line.split()[-2:] == [sign, "down"]
    # Where there is no room for words, the sign is still there.
    assert sign in lines_of(draw_bars(view.bars, 26, look))[2]


def test_its_part_of_the_ring_is_hatched_and_its_letter_has_a_sign(view: DashboardView) -> None:
    whole = replace(view.ring, down=frozenset())
    drawn, before = (cells_of(draw_ring(ring, 40, 20, DARK)) for ring in (view.ring, whole))
    for (row, column), cell in drawn.items():
        position = position_at(column, row, 40, 20)
        if position is None or not is_braille(cell):
            continue
        dead = view.ring.view.vnode_at(position).server_id == "charlie"
        if not dead:
            assert cell == before[row, column]
    changed = sum(cell != before.get(place) for place, cell in drawn.items() if is_braille(cell))
    assert changed > 10
    assert "✖c" in draw_ring(view.ring, 40, 20, DARK).plain
    assert "✖" not in draw_ring(whole, 40, 20, DARK).plain


@pytest.mark.parametrize(("look", "sign"), [(MONOCHROME, "✖"), (ASCII, "x")])
def test_without_colours_too(view: DashboardView, look: object, sign: str) -> None:
    assert isinstance(look, type(DARK))
    assert sign in draw_ring(view.ring, 40, 20, look).plain
    assert sign not in draw_ring(replace(view.ring, down=frozenset()), 40, 20, look).plain


def test_a_place_on_the_ring_says_that_its_server_is_down(view: DashboardView) -> None:
    for position in ring_geometry(40, 20).spokes:
        found = explain_position(view.ring, position)
        assert found is not None
        assert found.down is (found.primary == "charlie")


def test_the_status_line_says_what_is_wrong_first(view: DashboardView) -> None:
    short = view.status.under_replicated_keys
    wide = draw_status(view.status, STATE, 120, DARK).plain
    assert f"● 3 up  ✖ 1 down  N=3 strong  {short} under-replicated  900 keys" in wide
    narrow = draw_status(view.status, STATE, 62, DARK).plain
    assert f"✖ 1 down  {short} under-replicated" in narrow
    assert "N=3" not in narrow


def test_the_status_line_follows_a_recovery(store: KeyValueStore) -> None:
    store.crash_server("charlie")
    recovery = store.begin_recovery("charlie")
    assert recovery is not None
    recovery.step()
    status = fold(store.snapshot()).status
    for width in (62, 80, 120):
        line = draw_status(status, STATE, width, DARK).plain
        assert "● 3 up  ↻ charlie catching up 0 %" in line
        assert "down" not in line
