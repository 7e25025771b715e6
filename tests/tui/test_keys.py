"""Every key of the registry does what it says: each has a test here, or this file fails."""

import re
from collections.abc import Callable, Coroutine

import pytest
from textual.command import CommandPalette
from textual.widget import Widget

from core import ServerState, Workload
from tests.tui.piloting import Driven, driving, run
from tests.tui.scenes import Scene
from tui.actions import ACTIONS, PANELS
from tui.screens.add_server import AddServerDialog
from tui.screens.crash_server import CrashServerDialog
from tui.screens.dashboard import Dashboard
from tui.screens.faults import FaultsDialog
from tui.screens.help import HelpScreen
from tui.screens.remove_load import RemoveLoadDialog
from tui.screens.remove_server import RemoveServerDialog
from tui.view_model import SortColumn
from tui.widgets.lookup_panel import LookupPanel

KEYS = {action.id: action.keys for action in ACTIONS}
PilotTest = Callable[[Driven], Coroutine[object, object, None]]
PILOTED: dict[str, PilotTest] = {}


def piloted(action_id: str) -> Callable[[PilotTest], PilotTest]:
    """Note that a function tests an action."""

    def note(test: PilotTest) -> PilotTest:
        PILOTED[action_id] = test
        return test

    return note


def test_every_action_has_a_pilot_test() -> None:
    assert set(PILOTED) == {action.id for action in ACTIONS}


@pytest.mark.parametrize("action_id", [action.id for action in ACTIONS])
def test_the_key_does_what_it_says(action_id: str) -> None:
    async def drive() -> None:
        async with driving(Scene(keys=400, vnodes=30, loaded=False)) as driven:
            await PILOTED[action_id](driven)

    run(drive())


@piloted("help")
async def _help(driven: Driven) -> None:
    await driven.press("?")
    assert isinstance(driven.app.screen, HelpScreen)
    assert "Remove the selected server" in driven.text()
    await driven.press("escape")
    assert isinstance(driven.app.screen, Dashboard)


@piloted("quit")
async def _quit(driven: Driven) -> None:
    await driven.press("q")
    await driven.until(lambda: not driven.app.is_running)
    assert driven.app.return_code == 0


@piloted("interrupt")
async def _interrupt(driven: Driven) -> None:
    await driven.press("a", "q")
    assert isinstance(driven.app.screen, AddServerDialog)
    await driven.press("ctrl+c")
    await driven.until(lambda: not driven.app.is_running)
    assert driven.app.return_code == 0


@piloted("palette")
async def _palette(driven: Driven) -> None:
    await driven.press("ctrl+p")
    assert isinstance(driven.app.screen, CommandPalette)
    await driven.type("remove")
    await driven.until(lambda: "Remove the selected server" in driven.text())
    await driven.press("down", "enter")
    await driven.until(lambda: isinstance(driven.app.screen, RemoveServerDialog))


@piloted("back")
async def _back(driven: Driven) -> None:
    dashboard = driven.dashboard
    await driven.type("/user:1")
    assert _is_focused(dashboard.lookup.input)
    assert "→" in driven.text("#answer")
    await driven.press("escape")
    assert _is_focused(dashboard.servers)
    assert "Type / and a key" in driven.text("#answer")
    await driven.press("m")
    assert dashboard.maximized is dashboard.servers
    await driven.press("escape")
    assert dashboard.maximized is None
    await driven.press("right")
    assert "position" in driven.text("#answer")
    await driven.press("escape")
    assert "Type / and a key" in driven.text("#answer")


@piloted("lookup")
async def _lookup(driven: Driven) -> None:
    dashboard = driven.dashboard
    await driven.type("/user:7")
    owner = driven.scene.store.get_server_for_key("user:7")
    assert f"→ {owner[0]} {owner}" in driven.text("#answer")
    assert '"value of user:7"' in driven.text("#answer")
    await driven.press("enter")
    assert dashboard.focused is dashboard.servers
    assert '"value of user:7"' in driven.text("#answer")
    # The next key takes the place of the one before.
    await driven.type("/x")
    assert dashboard.lookup.input.value == "x"
    assert "missing" in driven.text("#answer")


@piloted("keep_lookup")
async def _keep_lookup(driven: Driven) -> None:
    await driven.type("/user:7")
    await driven.press("enter")
    assert _is_focused(driven.dashboard.servers)
    assert driven.dashboard.lookup.input.value == "user:7"
    assert '"value of user:7"' in driven.text("#answer")
    # Elsewhere the key means nothing.
    assert not driven.app.check_action("keep_lookup", ())


def _is_focused(widget: Widget) -> bool:
    return widget.has_focus


def _focuses(panel: str) -> PilotTest:
    async def test(driven: Driven) -> None:
        for other in PANELS:
            if other != panel:
                driven.dashboard.go_to(other)
                break
        await driven.press(KEYS[f"focus_{panel}"][0])
        focused = driven.dashboard.focused
        assert focused is not None
        assert panel in [node.id for node in focused.ancestors_with_self]
        assert not isinstance(focused, LookupPanel)
        # Typing goes on in no input: the number is no text.
        assert driven.dashboard.lookup.input.value == ""

    return test


for _panel in PANELS:
    PILOTED[f"focus_{_panel}"] = _focuses(_panel)


@piloted("next_panel")
async def _next_panel(driven: Driven) -> None:
    dashboard = driven.dashboard
    seen = []
    for _ in range(7):
        await driven.press("tab")
        seen.append(dashboard.focused)
    assert seen == [
        dashboard.ring,
        dashboard.keys,
        dashboard.load,
        dashboard.lookup.input,
        dashboard.lookup.answer,
        dashboard.events,
        dashboard.servers,
    ]


@piloted("previous_panel")
async def _previous_panel(driven: Driven) -> None:
    await driven.press("shift+tab")
    assert driven.dashboard.focused is driven.dashboard.events


@piloted("line_down")
async def _line_down(driven: Driven) -> None:
    for key, selected in (("down", "bravo"), ("j", "charlie"), ("j", "delta"), ("down", "delta")):
        await driven.press(key)
        assert driven.selected == selected


@piloted("line_up")
async def _line_up(driven: Driven) -> None:
    driven.dashboard.servers.select("charlie")
    for key, selected in (("up", "bravo"), ("k", "alpha"), ("up", "alpha")):
        await driven.press(key)
        assert driven.selected == selected


@piloted("page_down")
async def _page_down(driven: Driven) -> None:
    await driven.press("pagedown")
    assert driven.selected == "delta"


@piloted("page_up")
async def _page_up(driven: Driven) -> None:
    driven.dashboard.servers.select("delta")
    await driven.press("pageup")
    assert driven.selected == "alpha"


@piloted("last_line")
async def _last_line(driven: Driven) -> None:
    for key in ("end", "G"):
        driven.dashboard.servers.select("alpha")
        await driven.press(key)
        assert driven.selected == "delta"


@piloted("first_line")
async def _first_line(driven: Driven) -> None:
    for key in ("home", "g"):
        driven.dashboard.servers.select("delta")
        await driven.press(key)
        assert driven.selected == "alpha"


@piloted("ring_forward")
async def _ring_forward(driven: Driven) -> None:
    await driven.press("right")
    first = driven.text("#answer")
    await driven.press("right")
    second = driven.text("#answer")
    assert "position 0x" in first
    assert "range" in first
    assert first != second
    assert "◆" in driven.text("#ring")


@piloted("ring_back")
async def _ring_back(driven: Driven) -> None:
    await driven.press("right")
    first = driven.text("#answer")
    await driven.press("right", "left")
    assert driven.text("#answer") == first
    await driven.press("left")
    # Before the first place comes the last.
    assert "position 0xf" in driven.text("#answer")


@piloted("maximize")
async def _maximize(driven: Driven) -> None:
    dashboard = driven.dashboard
    await driven.press("2", "m")
    assert dashboard.ring.has_class("-maximized")
    assert dashboard.ring.region.width == 120
    assert "? Help" in driven.text()
    await driven.press("3")
    assert dashboard.keys.has_class("-maximized")
    await driven.press("m")
    assert dashboard.maximized is None
    await driven.press("/", "tab", "m")
    assert dashboard.lookup.has_class("-maximized")
    # With the whole screen for it, the explanation has a line for each thing it says.
    await driven.press("escape", "right", "5", "m")
    assert re.search(r"│ vnode +\w+#\d+ at 0x", driven.text())


@piloted("pause_picture")
async def _pause_picture(driven: Driven) -> None:
    store = driven.scene.store
    await driven.press("p")
    assert "PAUSED" in driven.text("#status")
    for number in range(1_000):
        store.set(f"new:{number}", "value")
    driven.scene.pass_time(driven.app, frames=4)
    await driven.settle()
    assert "400 keys" in driven.text("#status")
    # What is asked for is answered all the same.
    await driven.type("/new:7")
    await driven.press("enter")
    assert '"value"' in driven.text("#answer")
    await driven.press("p")
    assert "PAUSED" not in driven.text("#status")
    assert "1,400 keys" in driven.text("#status")
    # The graph has gone on meanwhile.
    assert "⣿" in driven.text("#load")


@piloted("refresh_faster")
async def _refresh_faster(driven: Driven) -> None:
    for key, told in (("+", "200 ms"), ("=", "100 ms")):
        await driven.press(key)
        # Only the last message stays.
        assert driven.messages == [f"A picture every {told}."]


@piloted("refresh_slower")
async def _refresh_slower(driven: Driven) -> None:
    # There is a slowest.
    for told in ("1.00 s", "2.00 s", "5.00 s", "5.00 s"):
        await driven.press("-")
        assert driven.messages == [f"A picture every {told}."]


@piloted("sort_next")
async def _sort_next(driven: Driven) -> None:
    servers = driven.dashboard.servers
    seen = []
    for _ in range(len(SortColumn) - 1):
        await driven.press(">")
        seen.append(servers.sorting.column)
    # That of hints is there while some wait.
    shown = [column for column in SortColumn if column is not SortColumn.HINTS]
    assert seen == [*shown[1:], SortColumn.SERVER]


@piloted("sort_previous")
async def _sort_previous(driven: Driven) -> None:
    await driven.press("<")
    assert "Ops/s▾" in driven.text("#servers")
    await driven.press("<", "<")
    assert "Keys▾" in driven.text("#servers")
    keys = [row.keys or 0 for row in driven.dashboard.servers.rows]
    assert keys == sorted(keys, reverse=True)


@piloted("sort_reverse")
async def _sort_reverse(driven: Driven) -> None:
    await driven.press("s")
    assert "Server▾" in driven.text("#servers")
    assert [row.server_id for row in driven.dashboard.servers.rows] == [
        *("delta", "charlie", "bravo", "alpha")
    ]
    # The selection went along with its server.
    assert driven.selected == "alpha"
    await driven.press("up")
    assert driven.selected == "bravo"


@piloted("add_server")
async def _add_server(driven: Driven) -> None:
    store = driven.scene.store
    await driven.press("a")
    dialog = driven.app.screen
    assert isinstance(dialog, AddServerDialog)
    planned = store.plan_add_server("echo").keys_moved
    assert f"Add echo: {planned} keys" in driven.text("#plan")
    assert store.get_server_count() == 4
    await driven.press("enter")
    assert isinstance(driven.app.screen, Dashboard)
    migration = store.migration
    assert migration is None or migration.wait(30)
    assert "echo" in store.get_servers()
    driven.app.request_frame()
    await driven.settle()
    assert "e echo" in driven.text("#servers")
    assert f"echo joined: {planned} keys moved" in driven.text("#events")


@piloted("crash_server")
async def _crash_server(driven: Driven) -> None:
    store = driven.scene.store
    driven.dashboard.servers.select("bravo")
    held = store.get_stats()["bravo"]
    await driven.press("x")
    assert isinstance(driven.app.screen, CrashServerDialog)
    assert f"{held} keys" in driven.text("#plan")
    # Cancel has the focus: what is pressed without looking changes nothing.
    await driven.press("enter")
    assert isinstance(driven.app.screen, Dashboard)
    assert store.get_total_entries() == 400
    await driven.press("x", "tab", "enter")
    assert store.get_total_entries() == 400 - held
    assert not store.crash_server("bravo")  # it is down already


@piloted("recover_server")
async def _recover_server(driven: Driven) -> None:
    store = driven.scene.store
    driven.dashboard.servers.select("bravo")
    store.crash_server("bravo")
    await driven.press("r")
    assert store.crash_server("bravo")  # it was back


@piloted("inject_fault")
async def _inject_fault(driven: Driven) -> None:
    driven.dashboard.servers.select("bravo")
    await driven.press("f")
    assert isinstance(driven.app.screen, FaultsDialog)
    assert "bravo" in driven.text()
    await driven.press("escape")
    assert isinstance(driven.app.screen, Dashboard)


@piloted("remove_server")
async def _remove_server(driven: Driven) -> None:
    store = driven.scene.store
    driven.dashboard.servers.select("bravo")
    held = store.get_stats()["bravo"]
    await driven.press("d")
    assert isinstance(driven.app.screen, RemoveServerDialog)
    assert f"Remove bravo: {held} keys" in driven.text("#plan")
    # Cancel has the focus: what is pressed without looking changes nothing.
    await driven.press("enter")
    assert isinstance(driven.app.screen, Dashboard)
    assert store.get_server_count() == 4
    assert store.migration is None
    await driven.press("d", "tab", "enter")
    migration = store.migration
    assert migration is None or migration.wait(30)
    assert store.get_servers() == ["alpha", "charlie", "delta"]
    assert store.get_total_entries() == 400


@piloted("toggle_migration")
async def _toggle_migration(driven: Driven) -> None:
    store = driven.scene.store
    await driven.press("P")
    assert driven.messages[-1] == "nothing is moving: no migration is under way"
    driven.scene.begin_to_add("echo", chunks=3)
    driven.app.request_frame()
    await driven.settle()
    assert "P Hold move" in driven.text()
    assert "○ joining" in driven.text("#servers")
    migration = store.migration
    assert migration is not None
    await driven.press("P")
    assert migration.wait(30)
    assert "echo" in store.get_servers()


@piloted("cancel_migration")
async def _cancel_migration(driven: Driven) -> None:
    store = driven.scene.store
    await driven.press("C")
    assert driven.messages[-1] == "nothing is moving: no migration is under way"
    driven.scene.begin_to_add("echo", chunks=3)
    migration = store.migration
    assert migration is not None
    await driven.press("C")
    assert migration.wait(30)
    assert "echo" not in store.get_servers()
    driven.app.request_frame()
    await driven.settle()
    assert "echo did not join" in driven.text("#events")


@piloted("toggle_load")
async def _toggle_load(driven: Driven) -> None:
    load = driven.scene.load
    load.change(key_count=50, threads=1, operations_per_second=1.0)
    await driven.press("space")
    assert load.running
    assert "● on" in driven.text("#load")
    assert driven.scene.store.get_total_entries() == 450
    await driven.press("space")
    assert not load.running
    assert "○ off" in driven.text("#load")


@piloted("remove_load")
async def _remove_load(driven: Driven) -> None:
    store = driven.scene.store
    store.set_many({f"load:user{number}": "x" for number in range(30)} | {"load:mine": "1"})
    await driven.press("D")
    assert isinstance(driven.app.screen, RemoveLoadDialog)
    assert "30 keys of loads" in driven.text("#plan")
    # Keep has the focus: what is pressed without looking changes nothing.
    await driven.press("enter")
    assert isinstance(driven.app.screen, Dashboard)
    assert store.get_total_entries() == 431
    driven.scene.load.start()
    await driven.press("D", "tab", "enter")
    await driven.pilot.pause()
    assert isinstance(driven.app.screen, Dashboard)
    assert not driven.scene.load.running
    assert store.get_total_entries() == 401
    assert store.exists("load:mine")


@piloted("next_workload")
async def _next_workload(driven: Driven) -> None:
    for workload in (Workload.C, Workload.D, Workload.E, Workload.F, Workload.A):
        await driven.press("w")
        assert driven.scene.load.settings.workload is workload
        assert f"YCSB {workload}" in driven.text("#load")


@piloted("more_threads")
async def _more_threads(driven: Driven) -> None:
    await driven.press("t", "t")
    assert driven.scene.load.settings.threads == 6
    assert "6 threads" in driven.text("#load")


@piloted("fewer_threads")
async def _fewer_threads(driven: Driven) -> None:
    await driven.press(*"TTTTT")
    assert driven.scene.load.settings.threads == 1
    assert "1 thread " in driven.text("#load")


def test_a_joining_server_is_seen_as_such_in_the_table_the_bars_and_the_events() -> None:
    async def drive() -> None:
        async with driving() as driven:
            driven.scene.begin_to_add("echo", chunks=20)
            driven.app.request_frame()
            await driven.settle()
            snapshot = driven.scene.store.snapshot()
            echo = next(server for server in snapshot.servers if server.server_id == "echo")
            assert echo.state is ServerState.JOINING
            assert "joining" in driven.text("#servers")
            assert re.search(rf" {echo.keys} +→ +{echo.target_keys} ", driven.text("#keys"))
            assert "echo joins:" in driven.text("#events")
            assert "echo joining" in driven.text("#status")

    run(drive())
