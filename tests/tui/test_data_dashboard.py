"""The dashboard on a data directory: where it is, whose keys the load writes, and who may write."""

import os
import signal
import sys
from pathlib import Path

import pytest

from core import KeyValueStore
from tests.terminal import Terminal
from tests.tui.command_line import environment
from tests.tui.piloting import Driven, driving, run
from tests.tui.scenes import SHOWN_PATH, Scene
from tui.screens.dashboard import Dashboard
from tui.screens.remove_load import RemoveLoadDialog

pytest.importorskip("rocksdict")

REFUSED = 3
ALTERNATE_SCREEN = 1049
# Makes the terminal its own, as a shell does for what it starts, and becomes ringtop.
LAUNCHER = (
    "import fcntl, runpy, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "sys.argv[0] = 'ringtop'\n"
    "runpy.run_module('tui', run_name='__main__', alter_sys=True)"
)


def on_disk() -> Scene:
    scene = Scene(("alpha", "bravo"), keys=40, vnodes=30, loaded=False, on_disk=True)
    scene.load.change(key_count=50, threads=1, operations_per_second=1.0)
    return scene


def opened(*arguments: str) -> Terminal:
    """Open ringtop on a terminal."""
    return Terminal([sys.executable, "-c", LAUNCHER, *arguments], environment={**environment()})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    with KeyValueStore(data_dir=path) as store:
        store.add_server("alpha")
        store.set("mine", "1")
    return path


async def start_the_load(driven: Driven) -> None:
    await driven.press("space")
    await driven.until(lambda: driven.scene.load.running)
    driven.app.request_frame()
    await driven.pilot.pause()
    assert driven.scene.store.get_total_entries() == 90


# In this process


def test_the_servers_say_where_they_keep_their_data() -> None:
    async def drive() -> None:
        async with driving(on_disk()) as driven:
            assert f"1 Servers in {SHOWN_PATH}, everysec" in driven.text()
        async with driving() as driven:
            assert "1 Servers ─" in driven.text()

    run(drive())


def test_a_directory_is_never_taken_as_markup() -> None:
    async def drive() -> None:
        from core import Storage

        scene = on_disk()
        scene.store._storage = Storage("/tmp/[@click=app.quit]x[/]\x1b[2J", "always")  # noqa: S108
        async with driving(scene) as driven:
            assert r"[@click=app.quit]x[/]\x1b[2J, always" in driven.text()

    run(drive())


def test_a_load_that_stops_offers_to_remove_what_it_wrote() -> None:
    async def drive() -> None:
        async with driving(on_disk()) as driven:
            store = driven.scene.store
            await start_the_load(driven)
            await driven.press("space")
            await driven.until(lambda: isinstance(driven.app.screen, RemoveLoadDialog))
            await driven.until(lambda: "50 keys of loads" in driven.text())
            assert not driven.scene.load.running
            await driven.press("tab", "enter")
            await driven.until(lambda: isinstance(driven.app.screen, Dashboard))
            assert sorted(store.keys()) == sorted(driven.scene.names)
            await driven.press("q")  # nothing is left to be asked about
            assert driven.app._exit

    run(drive())


@pytest.mark.parametrize(("keys", "left"), [(("enter",), 90), (("tab", "enter"), 40)])
def test_who_leaves_is_asked_about_what_the_load_wrote(keys: tuple[str, ...], left: int) -> None:
    async def drive() -> None:
        async with driving(on_disk()) as driven:
            store = driven.scene.store
            await start_the_load(driven)
            await driven.press("q")
            await driven.until(lambda: "50 keys of loads" in driven.text())
            await driven.press("escape")
            assert isinstance(driven.app.screen, Dashboard)
            assert driven.scene.load.running
            await driven.press("q")
            await driven.until(lambda: "50 keys of loads" in driven.text())
            await driven.press(*keys)
            await driven.until(lambda: driven.app._exit)
            assert store.get_total_entries() == left

    run(drive())


def test_in_memory_nobody_is_asked() -> None:
    async def drive() -> None:
        async with driving() as driven:
            driven.scene.load.change(key_count=50, threads=1, operations_per_second=1.0)
            await driven.press("space")
            await driven.press("space")
            assert isinstance(driven.app.screen, Dashboard)
            await driven.press("q")
            assert driven.app._exit

    run(drive())


def test_who_observes_sees_what_is_written_and_changes_nothing() -> None:
    async def drive() -> None:
        scene = on_disk()
        assert scene.data is not None
        path = scene.data
        holder = scene.store
        scene.store = KeyValueStore(data_dir=path, observe=True, clock=scene.clock)

        def look_again() -> KeyValueStore:
            return KeyValueStore(data_dir=path, observe=True, clock=scene.clock)

        async with driving(scene, look_again=look_again) as driven:
            assert " OBSERVING " in driven.text("#status")
            assert "40 keys" in driven.text("#status")
            assert f"{Path(path).name}, observed" in driven.text()
            holder.set("one more", "1")
            driven.scene.clock.advance(2)
            driven.app.request_frame()
            await driven.pilot.pause()
            assert "41 keys" in driven.text("#status")
            for key in ("a", "d", "x", "space", "D"):
                await driven.press(key)
                assert driven.messages[-1].startswith("the data directory was opened to be obs")
                assert isinstance(driven.app.screen, Dashboard)
            await driven.app.on_unmount()
            scene.store = holder

    run(drive())


def test_who_can_not_look_again_is_told_that_the_picture_is_old() -> None:
    async def drive() -> None:
        from core import DataDirectoryError

        scene = on_disk()
        works = False

        def look_again() -> KeyValueStore:
            if not works:
                raise DataDirectoryError("data directory x", "has gone", "look for it")
            assert scene.data is not None
            return KeyValueStore(data_dir=scene.data, observe=True, clock=scene.clock)

        async with driving(scene, look_again=look_again) as driven:
            driven.scene.clock.advance(2)
            driven.app.request_frame()
            await driven.pilot.pause()
            assert "out of date" in driven.text("#status")
            works = True
            driven.scene.clock.advance(2)
            driven.app.request_frame()
            await driven.pilot.pause()
            assert "out of date" not in driven.text("#status")
            await driven.app.on_unmount()

    run(drive())


# On a real terminal


def test_the_dashboard_opens_without_a_load_and_leaves_the_directory_whole(data: Path) -> None:
    with opened("--data", str(data), "--servers", "5") as terminal:
        terminal.wait_for(", everysec")
        terminal.wait_for("○ off")
        # What differs from the command line is said where it can be seen.
        terminal.wait_for("keeps its 1 server")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.screen.modes[ALTERNATE_SCREEN] is False
    with KeyValueStore(data_dir=data) as store:
        assert store.keys() == ["mine"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ended_from_outside_the_directory_opens_again(data: Path, number: signal.Signals) -> None:
    arguments = ("--load", "--keys", "30", "--threads", "1", "--rate", "5")
    with opened("--data", str(data), *arguments) as terminal:
        terminal.wait_for("● on")
        os.kill(terminal.process.pid, number)
        status = terminal.wait_for_exit()
        if number is signal.SIGTERM:
            assert status == 128 + number
            assert "rm --prefix load:" in terminal.screen.written
    with KeyValueStore(data_dir=data) as store:
        assert store.get("mine") == "1"
        assert len(store.keys("load:user")) >= 30
        store.check_invariants()


def test_a_second_dashboard_is_refused_in_a_line_and_observes_when_asked(data: Path) -> None:
    with KeyValueStore(data_dir=data) as store:
        with opened("--data", str(data)) as terminal:
            assert terminal.wait_for_exit() == REFUSED
            assert f"in use by process {os.getpid()}" in terminal.screen.written
            assert ALTERNATE_SCREEN not in terminal.screen.modes
        with opened("--data", str(data), "--observe") as terminal:
            terminal.wait_for("OBSERVING")
            terminal.wait_for(" 1 key ")
            store.set_many({f"more {number}": "x" for number in range(41)})
            terminal.wait_for("42 keys")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0


def test_what_takes_long_is_shown_on_a_terminal_and_leaves_nothing_there() -> None:
    program = (
        "import sys\n"
        "from tui.progress import shown_if_slow\n"
        "with shown_if_slow('Opening it', 0.01): sys.stdin.readline()\n"
        "with shown_if_slow('Quick', 60): pass\n"
        "print('done')"
    )
    with Terminal([sys.executable, "-c", program], environment={**environment()}) as terminal:
        terminal.wait_for("Opening it")
        terminal.press("\r")
        assert terminal.wait_for_exit() == 0
        assert "done" in terminal.screen.text
        assert "Quick" not in terminal.screen.written
