"""Crashes, recoveries and faults on the dashboard: previewed, refused to a reader, and seen."""

from textual.widgets import Button, OptionList

from core import KeyValueStore, LoadGenerator, ServerState
from tests.tui.piloting import Driven, driving, run
from tests.tui.scenes import Scene
from tui.screens.crash_server import CrashServerDialog
from tui.screens.dashboard import Dashboard
from tui.screens.faults import FaultsDialog
from tui.screens.remove_server import RemoveServerDialog


def replicated(**options: object) -> Scene:
    return Scene(**{"keys": 400, "vnodes": 30, "loaded": False, "replicas": 3, **options})  # type: ignore[arg-type]


def alone() -> Scene:
    return Scene(keys=400, vnodes=30, loaded=False)


def state_of(driven: Driven, server_id: str) -> ServerState:
    servers = driven.scene.store.snapshot().servers
    return next(server.state for server in servers if server.server_id == server_id)


# Crash


def test_a_crash_says_first_what_would_be_lost_and_cancels_by_default() -> None:
    async def drive() -> None:
        async with driving(alone()) as driven:
            lost = driven.scene.store.get_stats()["alpha"]
            await driven.press("x")
            assert f"✖ {lost} keys have no other replica and will be lost." in driven.text("#plan")
            assert driven.app.screen.query_one("#cancel", Button).has_focus
            for key in ("enter", "x", "escape"):
                await driven.press(key)
            assert isinstance(driven.app.screen, Dashboard)
            assert state_of(driven, "alpha") is ServerState.UP
            assert driven.scene.store.get_total_entries() == 400

    run(drive())


def test_a_crash_hits_the_server_that_the_dialog_was_opened_for() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            await driven.press("down", "x")
            dialog = driven.app.screen
            assert isinstance(dialog, CrashServerDialog)
            assert dialog.server_id == "bravo"
            assert "● No key is lost: others hold them all." in driven.text("#plan")
            driven.dashboard.servers.select("delta")
            driven.dashboard.servers.reverse()
            driven.app.request_frame()
            await driven.press("tab", "enter")
            assert isinstance(driven.app.screen, Dashboard)
            assert state_of(driven, "bravo") is ServerState.DOWN
            assert state_of(driven, "delta") is ServerState.UP
            assert "✖ down" in driven.text("#servers")
            assert "✖ 1 down" in driven.text("#status")
            assert "bravo crashed: others hold its" in driven.text("#events")
            # What brings it back is now among the first keys.
            assert driven.text("#hints").split()[:6] == ["?", "Help", "q", "Quit", "r", "Recover"]

    run(drive())


def test_a_crash_that_has_become_worse_meanwhile_is_asked_about_again() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            await driven.press("x")
            assert "can't be written" not in driven.text("#plan")
            driven.scene.store.crash_server("bravo")
            await driven.press("tab", "enter")
            assert isinstance(driven.app.screen, CrashServerDialog)
            assert "More is at stake than a moment ago:" in driven.text("#plan")
            assert "keys can't be written until it is back." in driven.text("#plan")
            assert state_of(driven, "alpha") is ServerState.UP
            assert driven.app.screen.query_one("#cancel", Button).has_focus
            confirm = driven.app.screen.query_one("#confirm", Button)
            await driven.until(lambda: not confirm.has_class("-active"))
            await driven.press("tab", "enter")
            await driven.until(lambda: isinstance(driven.app.screen, Dashboard))
            assert state_of(driven, "alpha") is ServerState.DOWN

    run(drive())


def test_a_server_that_is_down_can_not_crash_again() -> None:
    told = "alpha is down already: recover it first"

    async def drive() -> None:
        async with driving(replicated()) as driven:
            driven.scene.lose("alpha")
            # The screen does not know it yet.
            await driven.press("x")
            assert f"✖ {told}" in driven.text("#plan")
            assert driven.app.screen.query_one("#confirm", Button).disabled
            await driven.press("escape", "x")
            assert isinstance(driven.app.screen, Dashboard)
            assert driven.messages == [told]

    run(drive())


# Recovery


def test_a_recovery_goes_on_in_the_background_and_is_seen() -> None:
    async def drive() -> None:
        scene = replicated(background=True)
        async with driving(scene, live=True, refresh_seconds=0.05) as driven:
            scene.lose("alpha", writes=50)
            await driven.until(lambda: "✖ 1 down" in driven.text("#status"))
            await driven.press("r")
            await driven.until(lambda: "alpha begins to catch up" in driven.text("#events"))
            await driven.until(lambda: "alpha has caught up" in driven.text("#events"))
            await driven.until(lambda: "● 4 up" in driven.text("#status"))
            report = scene.store.doctor()
            assert report.healthy
            assert not report.unreachable

    run(drive())


def test_how_far_a_recovery_is_stands_in_the_table_and_in_the_status_line() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            driven.scene.lose("alpha")
            await driven.press("r")
            recovery = driven.scene.store.begin_recovery("alpha")
            assert recovery is not None
            for _ in range(recovery.progress.stripes_total // 2):
                recovery.step()
            driven.app.request_frame()
            await driven.settle()
            for panel in ("#servers", "#status"):
                assert "catching up 50 %" in driven.text(panel)
            assert "↻ 50 %" in driven.text("#keys")

    run(drive())


def test_a_server_that_is_well_says_so_in_one_line() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            await driven.press("r")
            assert driven.messages == ["alpha is well: there is nothing to recover"]

    run(drive())


# Faults


def test_each_fault_of_the_menu_does_what_it_says_and_is_seen() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            faults = driven.scene.faults
            await driven.press("down")
            for steps, seen in (
                (1, "! slow 50 ms"),
                (2, "! slow 200 ms"),
                (3, "! slow 200 ms, fails 100"),
                (4, "! cut off"),
            ):
                await driven.press("f", *["down"] * steps, "enter")
                assert isinstance(driven.app.screen, Dashboard)
                await driven.settle()
                assert seen in driven.text("#servers")
            given = faults.faults_of("bravo")
            assert (given.slow_seconds, given.failing_calls, given.partitioned) == (0.2, 100, True)
            assert faults.faulty() == ("bravo",)
            await driven.press("f")
            assert "bravo  ! cut off" in driven.text("#fault-state")
            # What is chosen first does no harm.
            await driven.press("enter")
            assert faults.faulty() == ()
            await driven.press("f")
            assert "bravo  no faults" in driven.text("#fault-state")
            await driven.press("down", "escape")
            assert faults.faulty() == ()

    run(drive())


def test_the_menu_keeps_its_server_and_says_when_that_has_left() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            await driven.press("f")
            assert isinstance(driven.app.screen, FaultsDialog)
            assert driven.app.screen.query_one("#faults", OptionList).has_focus
            driven.scene.store.remove_server("alpha")
            driven.app.request_frame()
            await driven.press("end", "enter")
            assert "✖ no server 'alpha' in the ring" in driven.text("#plan-text")
            assert driven.scene.faults.faulty() == ()

    run(drive())


def test_a_store_without_an_injector_says_how_to_get_one() -> None:
    async def drive() -> None:
        scene = alone()
        scene.store = KeyValueStore(5, clock=scene.clock)
        scene.store.add_server("alpha")
        scene.load = LoadGenerator(scene.store, clock=scene.clock)
        async with driving(scene) as driven:
            await driven.press("f", "down", "enter")
            assert "✖ this store can't simulate faults" in driven.text("#plan-text")

    run(drive())


def test_leaving_waits_for_no_slow_server() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            driven.scene.faults.slow("alpha", 60.0)
            await driven.press("q")
            await driven.until(lambda: not driven.app.is_running)
        assert driven.scene.faults.faulty() == ()

    run(drive())


# Removing a dead server


def test_keys_are_given_up_only_by_the_button_that_says_so() -> None:
    async def drive() -> None:
        async with driving(alone()) as driven:
            lost = driven.scene.store.get_stats()["alpha"]
            driven.scene.lose("alpha")
            driven.app.request_frame()
            await driven.press("d")
            dialog = driven.app.screen
            assert isinstance(dialog, RemoveServerDialog)
            assert f"{lost} keys have no other replica and will be lost" in driven.text("#plan")
            assert dialog.query_one("#cancel", Button).has_focus
            assert not dialog.query_one("#confirm", Button).display
            force = dialog.query_one("#force", Button)
            assert str(force.label) == f"Remove, losing {lost} keys"
            dialog.confirm()
            await driven.settle()
            assert "meanwhile" not in driven.text("#plan")
            await driven.press("enter")
            assert "alpha" in driven.scene.store.get_servers()
            await driven.press("d", "tab", "enter")
            migration = driven.scene.store.migration
            assert migration is None or migration.wait(30)
            assert driven.scene.store.get_servers() == ["bravo", "charlie", "delta"]

    run(drive())


def test_a_crash_while_a_plan_is_shown_brings_the_loss_up_before_anything_is_done() -> None:
    async def drive() -> None:
        async with driving(alone()) as driven:
            await driven.press("d")
            driven.scene.store.crash_server("alpha")
            await driven.press("tab", "enter")
            assert isinstance(driven.app.screen, RemoveServerDialog)
            assert "A server has crashed meanwhile." in driven.text("#plan")
            assert "will be lost" in driven.text("#plan")
            assert driven.app.screen.query_one("#cancel", Button).has_focus
            assert "alpha" in driven.scene.store.get_servers()

    run(drive())


def test_a_dead_server_whose_keys_others_hold_leaves_without_force() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            driven.scene.lose("alpha")
            await driven.press("d")
            assert not driven.app.screen.query_one("#force", Button).display
            await driven.press("tab", "enter")
            migration = driven.scene.store.migration
            assert migration is None or migration.wait(30)
            assert driven.scene.store.get_servers() == ["bravo", "charlie", "delta"]
            assert driven.scene.store.get_total_entries() == 400

    run(drive())


# The lookup


def test_the_time_that_a_key_has_left_is_counted_down_in_every_frame() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            driven.scene.store.set("session:7", "basket", ttl=30.0)
            await driven.type("/session:7")
            assert "ttl 30 s" in driven.text("#answer")
            driven.scene.clock.advance(21.5)
            driven.app.request_frame()
            await driven.settle()
            assert "ttl 8.5 s" in driven.text("#answer")
            driven.scene.clock.advance(9)
            driven.app.request_frame()
            await driven.settle()
            assert "missing" in driven.text("#answer")

    run(drive())


def test_a_replica_that_does_not_answer_is_named() -> None:
    async def drive() -> None:
        async with driving(replicated()) as driven:
            second = driven.scene.store.explain("user:1").replicas[1]
            driven.scene.store.set("user:1", "here")
            driven.scene.lose(second)
            await driven.type("/user:1")
            assert f"✖ {second} no answer" in driven.text("#answer")
            assert '"here"' in driven.text("#answer")

    run(drive())
