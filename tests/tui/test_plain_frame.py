"""One picture as text has everything that the dashboard shows, in whatever width there is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC

import pytest
from rich.cells import cell_len

from core import KeyValueStore, LoadGenerator, LoadSettings, ManualClock, NoServersError
from tests.support import filled, store_with
from tests.tui.renderables.support import lines_of
from tui.plain_frame import draw_frame
from tui.renderables.look import DARK
from tui.view_model import DashboardView, fold, load_view

MONOCHROME = replace(DARK, monochrome=True)
ASCII = replace(MONOCHROME, ascii_only=True)
WIDTHS = (40, 60, 79, 92, 93, 100, 120, 132, 200)


def view_of(store: KeyValueStore) -> DashboardView:
    return fold(store.snapshot(), load_view(LoadGenerator(store).snapshot()), zone=UTC)


def frame(view: DashboardView, width: int = 100) -> list[str]:
    return lines_of(draw_frame(view, width, MONOCHROME, zone=UTC))


@pytest.fixture
def store() -> KeyValueStore:
    store = store_with(["node1", "node2", "node10"], clock=ManualClock())
    filled(store, 1_200)
    return store


def full_ring() -> KeyValueStore:
    return store_with([f"node{number}" for number in range(70)], virtual_nodes_per_node=3)


def moving_ring() -> KeyValueStore:
    store = store_with()
    filled(store, 1_000)
    migration = store.commit(store.plan_add_server("echo"), start=False)
    for _ in range(5):
        migration.step()
    return store


def test_it_says_what_the_dashboard_says(store: KeyValueStore) -> None:
    view = view_of(store)
    lines = frame(view)
    assert lines[0].startswith("ringtop  ● 3 up  N=1 strong  1,200 keys")
    assert lines[0].endswith("22:13:20")
    rows = [line.split() for line in lines[3:6]]
    # In the order in which people count.
    assert [row[1] for row in rows] == ["node1", "node2", "node10"]
    for row, server in zip(rows, view.servers, strict=True):
        assert f"{server.keys:,}" in row
        assert f"{server.share * 100:.1f}" in row
    for title in ("Keys", "Load", "Events"):
        assert any(line.startswith(title) for line in lines)
    assert any("YCSB B" in line for line in lines)
    assert lines[-1] == " 22:13:20 node10 joined: no keys had to move"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "make", [KeyValueStore, lambda: store_with(["a" * 64]), moving_ring, full_ring]
)
def test_no_line_is_longer_than_the_width(make: Callable[[], KeyValueStore], width: int) -> None:
    view = view_of(make())
    for look in (MONOCHROME, ASCII):
        lines = lines_of(draw_frame(view, width, look, zone=UTC))
        assert max(map(cell_len, lines)) <= min(width, 132)
        assert all(line == line.rstrip() for line in lines)


def test_the_ring_is_beside_the_servers_where_there_is_room(store: KeyValueStore) -> None:
    view = view_of(store)
    beside, below = frame(view, 93), frame(view, 92)
    assert "Ring" not in beside
    assert "Ring" in below
    assert len(beside) < len(below)
    for lines in (beside, below):
        assert any("3 servers" in line for line in lines)
        assert any("90 vnodes" in line for line in lines)


def test_only_the_last_events_are_shown() -> None:
    store = store_with([f"n{number}" for number in range(20)], virtual_nodes_per_node=3)
    lines = frame(view_of(store))
    events = lines[lines.index("Events") + 1 :]
    assert len(events) == 8
    assert "n19 joined" in events[-1]


def test_an_error_of_the_load_is_shown(store: KeyValueStore) -> None:
    class Failing:
        def get(self, key: str) -> None:
            raise NoServersError

        def set(self, key: str, value: str | bytes) -> bool:
            raise NoServersError

        def scan(self, start_key: str, count: int) -> list[tuple[str, str | bytes]]:
            raise NoServersError

    with LoadGenerator(Failing(), LoadSettings(threads=1)) as load:
        load.start()
        while not load.snapshot().failed_operations:
            pass
    view = fold(store.snapshot(), load_view(load.snapshot()), zone=UTC)
    lines = frame(view, 132)
    assert any("NoServersError: the ring has no server" in line for line in lines)
    # And the figures are still there.
    assert any("0 ops/s" in line for line in lines[1:])


@pytest.mark.parametrize("width", WIDTHS)
def test_in_ascii_everything_is_ascii(width: int) -> None:
    assert draw_frame(view_of(moving_ring()), width, ASCII).plain.isascii()
