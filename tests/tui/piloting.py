"""Driving the dashboard without a terminal."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

from rich.text import Text
from textual import events
from textual.css.query import NoMatches
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widget import Widget

from tests.tui.scenes import Scene
from tui.app import RingtopApp
from tui.screens.dashboard import Dashboard

# Generous: a machine may be busy. Nothing waits for it unless something is broken.
PATIENCE_SECONDS = 30.0
NORMAL = (120, 36)


# From what is done to what is drawn: a widget tells another, that one is laid out anew, and so on.
_MESSAGES_ON_THE_WAY = 20


async def settle(pilot: Pilot[None]) -> None:
    """Let all that was begun be done and drawn, however busy the machine is.

    A pause without a time ends when the process takes none: so it does where another process has
    the processor, and what was told to a widget may not have got to the next one yet.
    """
    for _ in range(_MESSAGES_ON_THE_WAY):
        await pilot.pause(0)


class Driven:
    """A running dashboard, its scene and the pilot."""

    def __init__(self, scene: Scene, app: RingtopApp, pilot: Pilot[None]) -> None:
        self.scene, self.app, self.pilot = scene, app, pilot

    @property
    def dashboard(self) -> Dashboard:
        """The screen with the panels, whatever is above it."""
        return self.app.get_default_screen()

    @property
    def selected(self) -> str | None:
        """The id of the selected server."""
        return self.dashboard.servers.selected

    @property
    def messages(self) -> list[str]:
        """What the user was told, the latest last."""
        return [notification.message for notification in self.app._notifications]

    async def press(self, *keys: str) -> None:
        """Press keys one by one, and let each be seen."""
        for key in keys:
            self._send(key)
            await self.settle()

    async def type(self, text: str) -> None:
        """Type a text as fast as can be."""
        await self.burst(*text)

    async def burst(self, *keys: str) -> None:
        """Press keys as fast as can be."""
        for key in keys:
            self._send(key)
        await self.settle()

    def _send(self, key: str) -> None:
        character = {"space": " "}.get(key, key)
        name = _character_to_key(key) if len(key) == 1 else key
        self.app.post_message(events.Key(name, character if len(character) == 1 else None))

    async def settle(self) -> None:
        """Let all that was begun be done and drawn."""
        await settle(self.pilot)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let the app work until something is so; what it looks at may not be on the screen yet."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(NoMatches):
                    if is_so():
                        return
                await self.pilot.pause()

    def text(self, selector: str | None = None) -> str:
        """Return what can be read on the top screen, or in one of its widgets."""
        screen = self.app.screen
        widget: Widget = screen if selector is None else screen.query_one(selector)
        region = widget.region
        strips = screen._compositor.render_strips()
        lines = [Text.assemble(*((s.text, "") for s in strip)).plain for strip in strips]
        return "\n".join(line[region.x : region.right] for line in lines[region.y : region.bottom])


@asynccontextmanager
async def driving(
    scene: Scene | None = None,
    *,
    size: tuple[int, int] = NORMAL,
    live: bool = False,
    **options: object,
) -> AsyncIterator[Driven]:
    """Run the dashboard of a scene, by default an ordinary one."""
    driven_scene = scene if scene is not None else Scene(keys=400, vnodes=30, loaded=False)
    app = driven_scene.app(live=live, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        driven = Driven(driven_scene, app, pilot)
        await pilot.pause()
        await driven.until(lambda: bool(driven.text("#status").strip()))
        yield driven
    if driven_scene.load.running:
        driven_scene.load.stop()
    driven_scene.close()


def run(test: Coroutine[object, object, None]) -> None:
    """Run a test that waits for the screen."""
    asyncio.run(test)
