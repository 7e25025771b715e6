"""Draws screenshots/: ``python -m tests.screenshots`` runs the dashboard on seeded scenes.

The same pictures come out of every run: the clock is moved by hand, and no thread runs.
"""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ["TEXTUAL_ANIMATIONS"] = "none"  # before Textual is imported

from tests.tui.piloting import settle
from tests.tui.scenes import Scene
from tui.app import RingtopApp

FOLDER = Path(__file__).parent.parent / "screenshots"
NORMAL, SMALL = (120, 36), (80, 24)
_CHUNKS = 240


def _nothing(scene: Scene, app: RingtopApp) -> None:
    """Leave the scene as it is."""


def _migration(scene: Scene, app: RingtopApp) -> None:
    scene.be_adding("echo", _CHUNKS)


def _crash(scene: Scene, app: RingtopApp) -> None:
    scene.lose("bravo", writes=200)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        name: its file's, without the ending.
        size: columns and lines.
        prepare: what happens to the scene first.
        keys: what is pressed then.
        theme: in which theme.
        replicas: on how many servers each key lies.
    """

    name: str
    size: tuple[int, int] = NORMAL
    prepare: Callable[[Scene, RingtopApp], None] = _nothing
    keys: Sequence[str] = ()
    theme: str = "ringtop-dark"
    replicas: int = 1


PICTURES = (
    Picture("dashboard"),
    Picture("dashboard-80x24", SMALL),
    Picture("migration", prepare=_migration),
    Picture("remove-server", keys=("down", "down", "d")),
    Picture("crash", prepare=_crash, replicas=3, keys=("slash", *"user:1001", "enter")),
    Picture("lookup", keys=("slash", *"user:1001", "enter")),
    Picture("light", keys=("slash", *"user:1001", "enter"), theme="ringtop-light"),
)


async def draw(picture: Picture) -> str:
    """Return a picture as SVG."""
    scene = Scene(replicas=picture.replicas)
    app = scene.app(theme=picture.theme)
    async with app.run_test(size=picture.size) as pilot:
        scene.pass_time(app, frames=90)
        picture.prepare(scene, app)
        scene.pass_time(app, frames=1)
        await pilot.press(*picture.keys)
        await settle(pilot)
        svg = app.export_screenshot(title="ringtop")
    scene.store.close()
    # The exporter makes up a new id for each picture.
    return re.sub(r"\bterminal-\d+-", "terminal-", svg)


def main() -> int:
    """Draw all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for picture in PICTURES:
        path = FOLDER / f"{picture.name}.svg"
        path.write_text(asyncio.run(draw(picture)), encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(FOLDER.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
