"""What holds on the dashboard whatever happens to the store meanwhile."""

import threading
import unicodedata
from unittest.mock import patch

import pytest
from rich.style import Style
from textual import events
from textual.css.query import NoMatches
from textual.widgets import Button, Input
from textual.worker import WorkerFailed

from core import InvalidOptionError, KeyValueStore, LoadGenerator, Plan
from core.errors import StoreError
from tests.support import store_with
from tests.tui.piloting import NORMAL, Driven, driving, run, settle
from tests.tui.scenes import Scene
from tui.actions import ACTIONS, PANELS
from tui.app import RingtopApp
from tui.screens.add_server import AddServerDialog
from tui.screens.dashboard import Dashboard
from tui.screens.remove_server import RemoveServerDialog
from tui.view_model import SortColumn

HOSTILE_KEYS = [
    "[/x]",
    "[@click=app.quit]x",
    "[bold red]not markup[/]",
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J\x1b[31mred",
    "abc\u202edef",
    "line\u2028separator\nnewline\ttab",
    "\ue000\u200d\ufeff",
    "👨‍👩‍👧‍👦" * 40,
]


INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


# Rule 1: the selection is a server


def test_the_selection_stays_with_its_server_while_rows_come_go_and_change_places() -> None:
    async def drive() -> None:
        scene = Scene(("bravo", "delta", "foxtrot"), keys=300, vnodes=30, loaded=False)
        async with driving(scene) as driven:
            await driven.press("down")
            assert driven.selected == "delta"
            for change in (
                lambda: scene.store.add_server("alpha"),
                lambda: scene.store.add_server("charlie"),
                lambda: scene.store.remove_server("bravo"),
                lambda: driven.dashboard.servers.sort_by(SortColumn.KEYS),
                lambda: driven.dashboard.servers.reverse(),
                lambda: scene.store.remove_server("alpha"),
                lambda: driven.dashboard.servers.sort_by(SortColumn.SERVER),
            ):
                change()
                scene.pass_time(driven.app, 1)
                await driven.settle()
                assert driven.selected == "delta"
                selected = [line for line in driven.text("#servers").splitlines() if "▸" in line]
                assert len(selected) == 1
                assert "delta" in selected[0]

    run(drive())


def test_when_the_selected_server_is_gone_its_neighbour_is_selected() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("down", "down")
            assert driven.selected == "charlie"
            for gone, selected in (("charlie", "delta"), ("delta", "bravo")):
                driven.scene.store.remove_server(gone)
                driven.app.request_frame()
                assert driven.selected == selected
            driven.scene.store.clear()
            driven.app.request_frame()
            await driven.settle()
            assert driven.selected is None
            await driven.press("down", "d")
            assert driven.messages == ["There is no server to remove."]

    run(drive())


def test_what_is_selected_follows_the_store_while_it_is_not_seen() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("6", "m")
            driven.scene.store.remove_server("alpha")
            driven.app.request_frame()
            assert driven.selected == "bravo"
            await driven.press("d")
            assert isinstance(driven.app.screen, RemoveServerDialog)
            assert "Remove bravo" in driven.text("#plan")

    run(drive())


def test_where_it_is_too_small_from_the_beginning_a_server_is_selected() -> None:
    async def drive() -> None:
        scene = Scene(keys=10, vnodes=5, loaded=False)
        app = scene.app(live=False)
        async with app.run_test(size=(50, 20), notifications=True) as pilot:
            await settle(pilot)
            assert app.get_default_screen().servers.selected == "alpha"
        scene.close()

    run(drive())


def test_the_selection_can_be_seen_among_200_servers() -> None:
    async def drive() -> None:
        names = tuple(f"node-{number:03}" for number in range(200))
        async with driving(Scene(names, keys=400, vnodes=5, loaded=False)) as driven:
            for key, name in (("end", "199"), ("home", "000"), ("s", "000"), ("home", "199")):
                await driven.press(key)
                assert driven.selected == f"node-{name}"
                assert f"node-{name}" in driven.text("#servers")
            driven.scene.store.remove_server("node-150")
            driven.app.request_frame()
            await driven.settle()
            assert driven.selected == "node-199"

    run(drive())


def test_a_click_selects_a_server_and_a_click_on_a_title_sorts() -> None:
    async def drive() -> None:
        async with driving() as driven:
            servers = driven.dashboard.servers
            await driven.pilot.click("#servers", offset=(10, 4))
            assert driven.selected == "charlie"
            title = driven.text("#servers").splitlines()[1].index("Keys")
            await driven.pilot.click("#servers", offset=(title, 1))
            assert servers.sorting.column is SortColumn.KEYS
            assert servers.sorting.descending
            assert driven.selected == "charlie"
            await driven.pilot.click("#servers", offset=(title, 1))
            assert not servers.sorting.descending
            # Below the last row, and on the frame, there is nothing to select.
            await driven.pilot.click("#servers", offset=(10, 9))
            await driven.pilot.click("#servers", offset=(10, 0))
            assert driven.selected == "charlie"

    run(drive())


def test_a_dialog_keeps_the_server_it_was_opened_for() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("down", "d")
            dialog = driven.app.screen
            assert isinstance(dialog, RemoveServerDialog)
            assert dialog.server_id == "bravo"
            driven.dashboard.servers.select("delta")
            driven.dashboard.servers.reverse()
            driven.app.request_frame()
            await driven.press("tab", "enter")
            migration = driven.scene.store.migration
            assert migration is None or migration.wait(30)
            assert driven.scene.store.get_servers() == ["alpha", "charlie", "delta"]

    run(drive())


# Rule 2: destructive actions are previewed, and refused to a reader


def test_a_reader_is_refused_whatever_changes_something() -> None:
    async def drive() -> None:
        scene = Scene(keys=200, vnodes=30, loaded=False)
        scene.begin_to_add("echo", chunks=2)
        async with driving(scene, readonly=True) as driven:
            before = scene.store.snapshot()
            settings = scene.load.settings
            refused = [action for action in ACTIONS if action.destructive]
            for action in refused:
                driven.app.clear_notifications()
                told = ["read only: start without --readonly to change anything"]
                await driven.press(action.keys[0])
                assert isinstance(driven.app.screen, Dashboard)
                assert driven.messages == told, action.id
                driven.app.clear_notifications()
                await driven.app.run_action(action.id)
                await driven.app.run_action(action.id)
                await driven.settle()
                assert driven.messages == told, action.id
            assert scene.store.snapshot() == before
            assert scene.load.settings == settings
            assert not scene.load.running
            assert "READ ONLY" in driven.text("#status")
            assert "Remove" not in driven.text("#hints")

    run(drive())


REFUSED_ADDITIONS = [
    ("", "1", "server id '' is not allowed"),
    ("no spaces", "1", "server id 'no spaces' is not allowed"),
    ("[bold]x[/]", "1", "server id '[bold]x[/]' is not allowed"),
    ("alpha", "1", "alpha is in the ring already: choose another id"),
    ("echo", "", "a weight must be a number above 0 and at most 1000"),
    ("echo", "heavy", "a weight must be a number above 0 and at most 1000"),
    ("echo", "nan", "a weight must be above 0 and at most 1000"),
    ("echo", "0", "a weight must be above 0 and at most 1000"),
    ("echo", "1e9", "a weight must be above 0 and at most 1000"),
]


def test_what_can_not_be_added_is_said_in_the_cores_own_words() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("a")
            screen = driven.app.screen
            for server_id, weight, problem in REFUSED_ADDITIONS:
                screen.query_one("#server-id", Input).value = server_id
                screen.query_one("#weight", Input).value = weight
                await driven.press("enter")
                assert f"✖ {problem}" in driven.text("#plan")
                assert screen.query_one("#confirm", Button).disabled
                assert isinstance(driven.app.screen, AddServerDialog)
            assert driven.scene.store.get_server_count() == 4

    run(drive())


def test_the_weight_that_was_typed_is_planned_and_carried_out() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("a", "tab", "backspace")
            await driven.type("2.5")
            assert "Add echo (weight 2.5):" in driven.text("#plan")
            await driven.press("enter")
            migration = driven.scene.store.migration
            assert migration is None or migration.wait(30)
            assert driven.scene.store.snapshot().view.weights["echo"] == 2.5

    run(drive())


def test_what_is_typed_takes_the_place_of_what_was_suggested() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("a")
            await driven.type("node-7")
            await driven.press("tab")
            await driven.type("2.5")
            assert "Add node-7 (weight 2.5):" in driven.text("#plan")
            await driven.press("shift+tab", "end")
            await driven.type("0")
            assert "Add node-70 (weight 2.5):" in driven.text("#plan")

    run(drive())


def test_the_first_free_name_is_suggested() -> None:
    async def drive() -> None:
        scene = Scene(("alpha", "charlie"), keys=10, vnodes=5, loaded=False)
        async with driving(scene) as driven:
            await driven.press("a")
            assert driven.app.screen.query_one("#server-id", Input).value == "bravo"

    run(drive())


def test_a_plan_that_the_ring_has_outrun_is_made_again_and_not_carried_out() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("a")
            driven.scene.store.remove_server("bravo")
            await driven.press("enter")
            assert isinstance(driven.app.screen, AddServerDialog)
            assert "The ring has changed meanwhile" in driven.text("#plan")
            assert "bravo" not in driven.text("#plan")
            assert driven.scene.store.get_servers() == ["alpha", "charlie", "delta"]
            await driven.press("enter")
            migration = driven.scene.store.migration
            assert migration is None or migration.wait(30)
            assert "echo" in driven.scene.store.get_servers()

    run(drive())


def test_a_change_while_another_is_under_way_is_refused_in_one_line() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("d")
            driven.scene.begin_to_add("echo", chunks=1)
            await driven.press("tab", "enter")
            assert "✖ the migration for echo is paused" in driven.text("#plan")
            assert driven.app.screen.query_one("#confirm", Button).disabled
            await driven.press("escape", "a")
            assert "✖ the migration for echo is paused" in driven.text("#plan")
            await driven.press("escape")
            assert isinstance(driven.app.screen, Dashboard)

    run(drive())


def test_the_last_server_with_keys_can_not_be_removed() -> None:
    async def drive() -> None:
        async with driving(Scene(("alpha",), keys=5, vnodes=5, loaded=False)) as driven:
            await driven.press("d")
            assert "✖ alpha is the last server and holds 5 keys" in driven.text("#plan")
            await driven.press("tab", "enter")
            assert driven.scene.store.get_servers() == ["alpha"]

    run(drive())


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
def test_a_long_plan_can_be_read_to_its_end_and_the_buttons_are_seen(size: tuple[int, int]) -> None:
    async def drive() -> None:
        names = tuple(f"node-{number:02}" for number in range(20))
        async with driving(Scene(names, keys=600, vnodes=20, loaded=False), size=size) as driven:
            for key in ("a", "d"):
                await driven.press(key)
                assert "Cancel" in driven.text()
                assert "in all" not in driven.text("#plan")
                await driven.press(*["pagedown"] * 3)
                assert "in all" in driven.text("#plan")
                assert "Cancel" in driven.text()
                await driven.press("pageup", "up", "escape")
                assert isinstance(driven.app.screen, Dashboard)

    run(drive())


def test_a_dialog_can_be_used_with_the_mouse() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.press("d")
            await driven.pilot.click("#cancel")
            assert isinstance(driven.app.screen, Dashboard)
            await driven.press("d")
            await driven.pilot.click("#confirm")
            migration = driven.scene.store.migration
            assert migration is None or migration.wait(30)
            assert driven.scene.store.get_servers() == ["bravo", "charlie", "delta"]

    run(drive())


# Keys and mouse


def test_a_click_on_the_ring_explains_that_position() -> None:
    async def drive() -> None:
        async with driving() as driven:
            ring = driven.dashboard.ring
            height = ring.scrollable_content_region.height
            await driven.pilot.click("#ring", offset=(ring.size.width // 2 + 2, 1))
            answer = driven.text("#answer")
            # At the top of the ring lie the first positions or the last.
            assert "position 0x0" in answer or "position 0xf" in answer
            await driven.pilot.click("#ring", offset=(ring.size.width // 2 + 2, height))
            answer = driven.text("#answer")
            assert "position 0x7" in answer or "position 0x8" in answer
            position = int(answer.split("0x")[1][:8], 16)
            vnode = driven.scene.store.snapshot().view.vnode_at(position)
            assert f"vnode {vnode.server_id}#{vnode.number}" in answer
            # Beside the ring is nothing to ask for.
            await driven.pilot.click("#ring", offset=(1, 1))
            assert driven.text("#answer") == answer

    run(drive())


def test_a_click_on_a_hint_does_what_it_says() -> None:
    async def drive() -> None:
        async with driving() as driven:
            place = driven.text("#hints").index("Pause")
            await driven.pilot.click("#hints", offset=(place, 0))
            assert "PAUSED" in driven.text("#status")

    run(drive())


def test_keys_can_be_remapped_and_every_list_of_keys_says_so() -> None:
    async def drive() -> None:
        keymap = {"add_server": "n", "remove_server": "delete,z", "back": "f10", "quit": "Q"}
        async with driving(keymap=keymap) as driven:
            await driven.press("a", "d", "q")
            assert isinstance(driven.app.screen, Dashboard)
            assert driven.app.is_running
            assert "n Add" in driven.text("#hints")
            assert "Q Quit" in driven.text("#hints")
            for key, dialog in (
                ("n", AddServerDialog),
                ("z", RemoveServerDialog),
                ("delete", RemoveServerDialog),
            ):
                await driven.press(key)
                assert isinstance(driven.app.screen, dialog)
                # In a dialog too the key for back is the remapped one.
                await driven.press("f10")
                assert isinstance(driven.app.screen, Dashboard)
            await driven.press("?")
            assert "delete, z" in driven.text()
            await driven.press("f10")
            commands = list(driven.app.get_system_commands(driven.app.screen))
            assert any("(delete, z)" in command.help for command in commands)
            # A letter is a letter while one types.
            await driven.type("/nxQ")
            assert driven.dashboard.lookup.input.value == "nxQ"

    run(drive())


@pytest.mark.parametrize(
    ("keymap", "problem"),
    [
        ({"fly": "f"}, "no action is called 'fly'"),
        ({"add_server": "d"}, "the key 'd' can't be both"),
        ({"add_server": ""}, "add_server needs a key"),
        ({"quit": "nope"}, "'nope' is no key"),
        ({"quit": "ctrl+"}, "no key"),
        ({"quit": "\x1b"}, "is no key"),
        ({"quit": "x" * 5_000}, "x…' is no key"),
    ],
)
def test_a_keymap_that_makes_no_sense_is_refused(keymap: dict[str, str], problem: str) -> None:
    store = store_with()
    with pytest.raises(InvalidOptionError, match=problem):
        RingtopApp(store, LoadGenerator(store), keymap=keymap)


def test_every_binding_has_an_id_and_an_action_of_its_name() -> None:
    bindings = [binding for binding in RingtopApp.BINDINGS if not isinstance(binding, tuple)]
    assert [binding.id for binding in bindings] == [action.id for action in ACTIONS]
    for action in ACTIONS:
        assert callable(getattr(RingtopApp, f"action_{action.id}", None)), action.id


BURSTS = [
    ("/daxqtT user:1", "daxqtT user:1", False),
    ("/user:1001\rp", "user:1001", True),
    ("/ab\x7fc", "ac", False),
    ("/abc\x01x\x05y\x15z", "z", False),
    ("/abc\x1bp", "", True),
    ("/abc\r/de\rp", "de", True),
    ("p/abc\rpp", "abc", True),
]
CONTROL_KEYS = {
    "\r": "enter",
    "\x7f": "backspace",
    "\x01": "ctrl+a",
    "\x05": "ctrl+e",
    "\x15": "ctrl+u",
    "\x1b": "escape",
}


@pytest.mark.parametrize(("burst", "key", "paused"), BURSTS)
def test_keys_in_a_burst_act_in_their_order(burst: str, key: str, paused: bool) -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.burst(*[CONTROL_KEYS.get(character, character) for character in burst])
            assert driven.dashboard.lookup.input.value == key
            assert driven.dashboard.lookup.input.has_focus is not paused
            assert ("PAUSED" in driven.text("#status")) is paused
            assert isinstance(driven.app.screen, Dashboard)
            assert driven.scene.store.get_server_count() == 4

    run(drive())


def test_a_dialog_takes_a_burst_in_its_order() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.burst("a", "ctrl+u", *"foz", "backspace", "o", "tab", "backspace", "2")
            assert "Add foo (weight 2):" in driven.text("#plan")

    run(drive())


def test_letters_are_letters_while_one_types_a_key() -> None:
    async def drive() -> None:
        async with driving() as driven:
            letters = "qadpwtTsmPCjkgG123456+-=<>? "
            await driven.type("/" + letters)
            assert driven.dashboard.lookup.input.value == letters
            assert isinstance(driven.app.screen, Dashboard)
            assert not driven.scene.load.running
            await driven.press("left", "home", "end", "escape")
            assert driven.dashboard.servers.has_focus

    run(drive())


# Rule 6: sizes


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (100, 30), (120, 20), (120, 36), (200, 60)])
def test_every_panel_can_be_seen_and_nothing_important_is_clipped(size: tuple[int, int]) -> None:
    async def drive() -> None:
        async with driving(size=size) as driven:
            text = driven.text()
            for number, panel in enumerate(PANELS, start=1):
                assert f"{number} {panel.capitalize()}" in text
                region = driven.app.screen.query_one(f"#{panel}").region
                assert region.right <= size[0]
                assert region.bottom < size[1]
            assert all(name in text for name in ("alpha", "bravo", "charlie", "delta"))
            assert "Type / and a key" in text
            assert "4 up" in text.splitlines()[0]
            assert text.splitlines()[-1].startswith(" ? Help  q Quit  / Lookup  a Add  d Remove")

    run(drive())


def test_where_it_is_too_small_it_is_said_what_is_needed() -> None:
    async def drive() -> None:
        async with driving(Scene(keys=10, vnodes=5, loaded=False)) as driven:
            for width, height in ((59, 24), (80, 15), (50, 20), (20, 5)):
                await driven.pilot.resize_terminal(width, height)
                await driven.settle()
                text = " ".join(driven.text().split())
                assert "60x16" in text
                assert f"{width}x{height}" in text
                assert "Servers" not in text
            await driven.pilot.resize_terminal(*NORMAL)
            await driven.settle()
            assert "1 Servers" in driven.text()

    run(drive())


# Rules 7 and 8: what the terminal gets


def colours_of(driven: Driven) -> set[str]:
    """Return every colour that is on the screen."""
    found: set[str] = set()
    for strip in driven.app.screen._compositor.render_strips():
        for segment in strip:
            style = segment.style or Style()
            for colour in (style.color, style.bgcolor):
                if colour is not None and not colour.is_default:
                    found.add(colour.name)
    return found


def test_no_color_is_honoured() -> None:
    async def drive() -> None:
        with patch.dict("os.environ", {"NO_COLOR": "1"}):
            async with driving() as driven:
                assert colours_of(driven) == set()
                assert "▸a alpha" in driven.text()
                await driven.press("d")
                assert colours_of(driven) == set()

    run(drive())


def test_colours_are_there_otherwise() -> None:
    async def drive() -> None:
        async with driving() as driven:
            assert len(colours_of(driven)) > 8

    run(drive())


def test_ascii_is_honoured_on_every_screen() -> None:
    async def drive() -> None:
        names = tuple(f"node-{number:02}" for number in range(30))
        async with driving(Scene(names, keys=300, vnodes=5), ascii_only=True) as driven:
            driven.scene.pass_time(driven.app, 5)
            for key in ("right", "d", "a", "?", "ctrl+p", "m"):
                await driven.press(key)
                beyond = {character for character in driven.text() if not character.isascii()}
                assert beyond == set(), key
                await driven.press("escape")

    run(drive())


@pytest.mark.parametrize("theme", ["ringtop-dark", "ringtop-light", "nord", "solarized-light"])
def test_themes_can_be_chosen_and_changed(theme: str) -> None:
    async def drive() -> None:
        async with driving(theme=theme) as driven:
            colours = colours_of(driven)
            assert ("#55a4fe" in colours) is driven.app.current_theme.dark
            driven.app.theme = "ringtop-light"
            await driven.settle()
            assert "#485bfe" in colours_of(driven)

    run(drive())


def test_an_unknown_theme_is_refused() -> None:
    store = store_with()
    with pytest.raises(InvalidOptionError, match="no theme is called 'sepia'"):
        RingtopApp(store, LoadGenerator(store), theme="sepia")


def test_hostile_keys_and_values_are_shown_as_plain_visible_text() -> None:
    async def drive() -> None:
        async with driving() as driven:
            for key in HOSTILE_KEYS:
                stored = key[:30]
                driven.scene.store.set(stored, key)
                driven.app._gateway.ask(stored)
                driven.app.request_frame()
                await driven.settle()
                for character in driven.text().replace("\n", ""):
                    assert unicodedata.category(character) not in INVISIBLE, repr(character)
                if key.startswith("["):
                    assert stored in driven.text("#answer")
                # Nothing of it is an action.
                await driven.pilot.click("#answer", offset=(3, 0))
                assert driven.app.is_running

    run(drive())


def test_what_is_pasted_is_typed_as_far_as_it_can_be_seen() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.type("/a")
            driven.app.post_message(events.Paste("b\x1b[2J\u202ec\nsecond line"))
            await driven.settle()
            assert driven.dashboard.lookup.input.value == "ab[2Jc"
            assert driven.messages == ["What can't be shown was left out."]

    run(drive())


def test_an_error_text_is_no_markup_either() -> None:
    async def drive() -> None:
        async with driving() as driven:
            driven.app._complain(StoreError("[/x] [@click=app.quit]y[/] \x1b[2J"))
            await driven.settle()
            assert driven.messages == ["[/x] [@click=app.quit]y[/] \\x1b[2J"]
            assert "[/x] [@click=app.quit]y[/]" in driven.text()

    run(drive())


# Rule 3: frames


def test_a_live_dashboard_follows_the_store_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())

    async def drive() -> None:
        scene = Scene(keys=100, vnodes=10, loaded=False)
        async with driving(scene, live=True, refresh_seconds=0.05) as driven:
            await driven.until(lambda: "100 keys" in driven.text("#status"))
            scene.store.set("one more", "value")
            await driven.until(lambda: "101 keys" in driven.text("#status"))
            await driven.press("a")
            await driven.until(lambda: "Add echo:" in driven.text("#plan"))
            await driven.press("enter")
            await driven.until(lambda: "e echo" in driven.text("#servers"))

    run(drive())
    left = set(threading.enumerate()) - before
    assert {thread.name for thread in left} == set()


def test_a_picture_that_does_not_change_draws_nothing() -> None:
    async def drive() -> None:
        async with driving() as driven:
            await driven.settle()
            drawn: list[int] = []
            with patch.object(
                type(driven.dashboard.servers),
                "redraw_line",
                lambda panel, index: drawn.append(index),
            ):
                driven.app.request_frame()
                driven.app.request_frame()
            assert drawn == []

    run(drive())


class BreakingStore(KeyValueStore):
    """A store that breaks when a plan is asked for."""

    __slots__ = ()

    def plan_remove_server(self, server_id: str) -> Plan:
        raise ZeroDivisionError


def test_an_error_in_a_worker_ends_the_app_with_a_status() -> None:
    apps: list[RingtopApp] = []

    async def drive() -> None:
        scene = Scene(keys=0, vnodes=5, loaded=False)
        scene.store = BreakingStore(5)
        scene.store.add_server("alpha")
        async with driving(scene) as driven:
            apps.append(driven.app)
            await driven.press("d")

    with pytest.raises(WorkerFailed, match="ZeroDivisionError"):
        run(drive())
    assert apps[0].return_code == 1
    assert isinstance(apps[0].failure, ZeroDivisionError)


def test_there_is_no_textual_footer_and_one_palette_key() -> None:
    async def drive() -> None:
        async with driving() as driven:
            with pytest.raises(NoMatches):
                driven.app.screen.query_one("Footer")
            palettes = [
                key
                for key, active in driven.app.active_bindings.items()
                if "palette" in active.binding.action
            ]
            assert palettes == ["ctrl+p"]

    run(drive())
