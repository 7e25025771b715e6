"""Pictures of the whole screen, compared cell by cell: each state and each dialog in two sizes.

They are in __snapshots__/, one file a picture. After a change that is meant, look at them anew:
``python -m pytest tests/tui/test_pictures.py --snapshot-update`` draws them, and a browser shows
them. A failure writes snapshot_report.html, with what was and what is side by side.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from textual import events
from textual.pilot import Pilot

from core import DataDirectoryError, KeyValueStore, Storage
from tests.tui.piloting import Driven, settle
from tests.tui.scenes import SHOWN_PATH, Scene

Size = tuple[int, int]
Compare = Callable[..., bool]
Step = Callable[[Driven], Awaitable[None]]

SMALL, NORMAL = (80, 24), (120, 36)
SIZES = (SMALL, NORMAL)
# Enough for the graph to have a shape.
_FRAMES = 6
_CHUNKS = 240

LONGEST_ID = "cache-7.eu-west-1.example.internal:6379_" + "x" * 24
HOSTILE = {
    "markup": "[@click=app.quit]x[/] [/x] [bold red]red",
    "clipboard": "\x1b]52;c;aGk=\x07",
    "clear": "\x1b[2J\x1b[31mred\nnext line\ttab",
    "bidi": "abc\u202edef\u2066\u200d\ufeff\ue000",
}
# 1,024 bytes, as long as a key may be: 256 characters, each two cells wide.
EMOJI_KEY = "🦊" * 256
FAMILIES = "👨‍👩‍👧‍👦" * 40


@dataclass(frozen=True, slots=True)
class State:
    """Something to look at.

    Attributes:
        scene: makes the store and its load.
        steps: what is done, one after the other, once some time has passed.
        options: of the app.
    """

    scene: Callable[[], Scene] = lambda: Scene(keys=4_000)
    steps: tuple[Step, ...] = ()
    options: dict[str, object] = field(default_factory=dict)


def presses(*keys: str) -> Step:
    """Return the step of pressing keys."""
    return lambda driven: driven.press(*keys)


def types(text: str) -> Step:
    """Return the step of typing a text."""
    return lambda driven: driven.type(text)


def asks(key: str, value: str = "") -> Step:
    """Return the step of asking for a key that can't be typed, stored first if it has a value."""

    async def ask(driven: Driven) -> None:
        if value:
            driven.scene.store.set(key, value)
        driven.app._ask(key)

    return ask


async def _join(driven: Driven) -> None:
    driven.scene.be_adding("echo", _CHUNKS)
    driven.scene.pass_time(driven.app, 4)


async def _leave(driven: Driven) -> None:
    driven.scene.be_removing("charlie", _CHUNKS)
    driven.scene.pass_time(driven.app, 4)


async def _ask_for_a_moving_key(driven: Driven) -> None:
    store = driven.scene.store
    await driven.type("/" + next(key for key in driven.scene.names if store.explain(key).moving_to))


async def _some_time(driven: Driven) -> None:
    driven.scene.pass_time(driven.app, 5)


async def _paste_a_hostile_id(driven: Driven) -> None:
    driven.app.post_message(events.Paste("[/x] [@click=app.quit]x\u202e 🦊"))
    await driven.settle()
    driven.app.clear_notifications()
    await driven.settle()


def _replicated() -> Scene:
    return Scene(keys=4_000, replicas=3)


async def _crash(driven: Driven) -> None:
    driven.scene.lose("charlie", writes=300)
    driven.scene.pass_time(driven.app, 4)


async def _crash_and_come_back(driven: Driven) -> None:
    await _crash(driven)
    driven.scene.catch_up("charlie", steps=600)
    driven.scene.pass_time(driven.app, 2)


async def _put_faults(driven: Driven) -> None:
    driven.scene.faults.partition("delta")
    for name in driven.scene.names[:300]:
        driven.scene.store.set(name, "a new value")
    driven.scene.faults.slow("alpha", 0.05)
    driven.scene.faults.fail_next("bravo", 100)
    driven.app.request_frame()


async def _ask_for_troubled_replicas(driven: Driven) -> None:
    store = driven.scene.store
    await _crash_and_come_back(driven)
    behind = (
        name
        for name in driven.scene.names
        if any(copy.answers and not copy.current for copy in store.explain(name).copies)
    )
    key = next(behind)
    store.expire(key, 90.0)
    await driven.type(f"/{key}")


async def _ask_for_a_lost_key(driven: Driven) -> None:
    store = driven.scene.store
    key = next(key for key in driven.scene.names if store.get_server_for_key(key) == "charlie")
    await _crash(driven)
    await driven.type(f"/{key}")


def _on_disk() -> Scene:
    return Scene(keys=4_000, replicas=3, on_disk=True)


def _alone_on_disks() -> Scene:
    return Scene(keys=4_000, on_disk=True)


async def _come_back_from_disk(driven: Driven) -> None:
    driven.scene.lose("charlie", writes=6)
    driven.scene.catch_up("charlie", steps=2_000)
    driven.scene.pass_time(driven.app, 2)


async def _fill_a_disk(driven: Driven) -> None:
    driven.scene.fill_disk("bravo")
    driven.scene.pass_time(driven.app, 2)


async def _leave_the_loads_keys(driven: Driven) -> None:
    driven.scene.store.set_many({f"load:user{number}": "x" for number in range(1_200)})
    driven.app._gateway._load_wrote = True
    await driven.press("q")


def _observed() -> Scene:
    scene = _on_disk()
    scene.store._storage = Storage(SHOWN_PATH, "", observing=True)
    return scene


def _can_not_look() -> KeyValueStore:
    raise DataDirectoryError("data directory /srv/ringtop", "can't be used", "look at its disk")


def _long_names() -> Scene:
    return Scene((LONGEST_ID, f"{LONGEST_ID[:-1]}y", "10.0.12.31:6379", "b"), keys=2_000)


def _many() -> Scene:
    return Scene(tuple(f"node-{number:03}" for number in range(200)), keys=4_000, vnodes=1)


def _a_long_plan() -> Scene:
    return Scene(tuple(f"node-{number:02}" for number in range(20)), keys=4_000, vnodes=20)


def _alone() -> Scene:
    return Scene(("alpha",), keys=1_500)


def _empty() -> Scene:
    return Scene((), keys=0, loaded=False)


def _drained() -> Scene:
    return Scene(keys=0, loaded=False)


# What issue and rules ask for in both sizes, and what has its pitfalls in one of them.
STATES: dict[str, State] = {
    "add": State(steps=(presses("a"),)),
    "remove": State(steps=(presses("down", "down", "d"),)),
    "remove_long_plan": State(_a_long_plan, (presses("end", "d"),)),
    "help": State(steps=(presses("?"),)),
    "lookup_hit": State(steps=(types("/user:1001"),)),
    "lookup_miss": State(steps=(types("/no such key"),)),
    "lookup_while_moving": State(steps=(_join, _ask_for_a_moving_key)),
    "joining": State(steps=(_join,)),
    "leaving": State(steps=(_leave,)),
    "move_held": State(steps=(_join, presses("P"))),
    "paused": State(steps=(presses("p"), _some_time)),
    "empty": State(_empty),
    "one_server": State(_alone),
    "many_servers": State(_many, (presses("pagedown"),)),
    "hostile_markup": State(steps=(asks(HOSTILE["markup"], HOSTILE["markup"]),)),
    "hostile_control": State(steps=(asks(HOSTILE["clipboard"], HOSTILE["clear"]),)),
    "hostile_emoji": State(steps=(asks(EMOJI_KEY, FAMILIES), presses("5", "m"))),
    "hostile_id": State(steps=(presses("a", "ctrl+a", "ctrl+k"), _paste_a_hostile_id)),
    "long_names": State(_long_names, (types("/user:7"),)),
    "crash": State(steps=(presses("down", "x"),)),
    "crash_replicated": State(_replicated, (presses("down", "x"),)),
    "down": State(_replicated, (_crash,)),
    "down_alone": State(steps=(_crash,)),
    "catching_up": State(_replicated, (_crash_and_come_back,)),
    "remove_dead": State(steps=(_crash, presses("down", "down", "d"))),
    "faults_menu": State(_replicated, (_put_faults, presses("f"))),
    "faulty": State(_replicated, (_put_faults,)),
    "lookup_replicas": State(_replicated, (_ask_for_troubled_replicas,)),
    "crash_on_disk": State(_on_disk, (presses("down", "x"),)),
    "disk_full": State(_on_disk, (_fill_a_disk,)),
    "leaving_load_keys": State(_on_disk, (_leave_the_loads_keys,)),
    "light": State(steps=(types("/user:1001"),), options={"theme": "ringtop-light"}),
}
SMALL_STATES: dict[str, State] = {
    "add_to_an_empty_ring": State(_empty, (presses("a"),)),
    "remove_last": State(_alone, (presses("d"),)),
    "remove_long_names": State(_long_names, (presses("end", "d"),)),
    "remove_light": State(steps=(presses("d"),), options={"theme": "ringtop-light"}),
    "crash_last_quorum": State(_replicated, (_crash, presses("x"))),
    "lookup_replicas_maximized": State(
        _replicated, (_ask_for_troubled_replicas, presses("enter", "5", "m"))
    ),
    "lookup_lost": State(steps=(_ask_for_a_lost_key,)),
    "down_ascii": State(_replicated, (_crash,), {"ascii_only": True}),
    "down_light": State(_replicated, (_crash,), {"theme": "ringtop-light"}),
    "lookup_position": State(steps=(presses("right", "right"),)),
    "lookup_maximized": State(steps=(types("/user:1001"), presses("enter", "5", "m"))),
    "hostile_missing": State(steps=(asks(HOSTILE["bidi"]),)),
    "no_keys": State(_drained),
    "readonly": State(options={"readonly": True}),
    "crash_only_copy_on_disk": State(_alone_on_disks, (presses("down", "x"),)),
    "recovered_from_disk": State(_on_disk, (_come_back_from_disk,)),
    "observing": State(_observed, (_some_time,), {"look_again": _can_not_look}),
    "ascii": State(steps=(_join,), options={"ascii_only": True}),
}


def compared(compare: Compare, state: State, size: Size) -> bool:
    """Return whether a state looks as it did."""
    scene = state.scene()
    app = scene.app(live=False, **state.options)

    async def act(pilot: Pilot[None]) -> None:
        driven = Driven(scene, app, pilot)
        await settle(pilot)
        scene.pass_time(app, _FRAMES)
        await settle(pilot)
        for step in state.steps:
            await step(driven)
            await settle(pilot)

    try:
        return compare(app, terminal_size=size, run_before=act)
    finally:
        scene.close()


@pytest.mark.parametrize("size", [(50, 20), SMALL, NORMAL, (200, 60)], ids="{0[0]}x{0[1]}".format)
def test_dashboard(snap_compare: Compare, size: Size) -> None:
    assert compared(snap_compare, State(), size)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("name", STATES)
def test_state(snap_compare: Compare, name: str, size: Size) -> None:
    assert compared(snap_compare, STATES[name], size)


@pytest.mark.parametrize("name", SMALL_STATES)
def test_small_state(snap_compare: Compare, name: str) -> None:
    assert compared(snap_compare, SMALL_STATES[name], SMALL)
