"""A membership change whose process is killed at any of its steps can be finished, or taken back.

At each step the directory is copied, as it is on the disk for whoever comes next. Each copy is
opened and its change finished or cancelled: nothing may be lost, be there twice, or lie around.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rocksdict")

from core.cluster.commit_notes import noted_commits
from tests.durability.steps import abandon, copy_of, opened, steps_told

SERVERS = ("s0", "s1", "s2", "s3")
JOINER = "s4"
KEYS = 40
# Chosen points are spread over the ring, an eighth of which has all keys.
VNODES = {"random": 1, "balanced": 8}
# Of the images whose change was not over, each so many-th is killed once more in the next change.
ALSO_KILLED_LATER = 5


@dataclass(frozen=True, slots=True)
class Image:
    """What a kill at one step leaves.

    Attributes:
        number: which step it was, from 0 on.
        step: its name.
        directory: a copy of the data directory.
        content: what had been acknowledged.
    """

    number: int
    step: str
    directory: Path
    content: dict[str, str]


Change = Callable[[Any], Any]

CHANGES: dict[str, Change] = {
    "join": lambda store: store.plan_add_server(JOINER, 2.0),
    "leave": lambda store: store.plan_remove_server("s2"),
    "reweigh": lambda store: store.plan_set_weight("s1", 3.0),
}


class Recording:
    """A membership change, and an image of each of its steps."""

    def __init__(self, place: Path, replicas: int, placement: str) -> None:
        self.place = place
        self.images: list[Image] = []
        self.content = {f"key {number}": f"value {number}" for number in range(KEYS)}
        self.steps = 0
        self.store = opened(
            place / "data",
            replicas,
            yield_point=self._note,
            placement=placement,
            virtual_nodes_per_node=VNODES[placement],
        )
        self._telling = False
        for server_id in SERVERS:
            self.store.add_server(server_id)
        self.store.set_many(self.content)
        self.store.remove("key 0")
        del self.content["key 0"]

    def run(self, change: Change, *, cancelled_after: int | None) -> list[Image]:
        with steps_told(self._note):
            self._telling = True
            migration = self.store.commit(change(self.store), start=False)
            chunks = 0
            while True:
                if chunks == cancelled_after:
                    assert migration.cancel()
                self._write(chunks)
                chunks += 1
                if not migration.step():
                    break
            self._telling = False
        self.store.check_invariants()
        assert chunks > 1
        abandon(self.store)
        return self.images

    def _write(self, chunks: int) -> None:
        self._telling = False
        key = f"key {1 + 7 * chunks % (KEYS - 1)}"
        self.store.set(key, f"written after {chunks}")
        self.content[key] = f"written after {chunks}"
        self._telling = True

    def _note(self, step: str) -> None:
        if not self._telling:
            return
        number = len(self.images)
        directory = copy_of(self.place / "data", self.place / f"image {number}")
        self.images.append(Image(number, step, directory, dict(self.content)))


def check(store: Any, content: dict[str, str], directory: Path) -> None:
    """Assert that nothing is lost, there twice, or left behind."""
    store.check_invariants()
    assert {key: store.get(key) for key in store.keys()} == content
    assert len(store) == len(content)
    on_disk = sorted(path.name for path in (directory / "servers").iterdir())
    assert on_disk == store.get_servers()
    journal = store._membership._persistence.journal
    assert journal.moved() == []
    assert noted_commits(store._shards) == {}


def go_on(image: Image) -> None:
    """Open an image, and finish its change or take it back; kill some in the next change too."""
    store = opened(image.directory)
    for server_id in store.get_servers():
        assert server_id in {*SERVERS, JOINER}
    was_over = store.migration is None
    if not was_over:
        if image.number % 2:
            store.migration.cancel()
        store.migration.wait()
    check(store, image.content, image.directory)
    if not was_over and image.number % ALSO_KILLED_LATER:
        abandon(store)
        return
    migration = store.commit(store.plan_set_weight("s0", 4.0), start=False)
    assert migration.step()
    abandon(store)
    store = opened(image.directory)
    store.migration.wait()
    check(store, image.content, image.directory)
    abandon(store)


@pytest.mark.parametrize("cancelled", [False, True], ids=["finished", "cancelled"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_change_that_was_killed_at_any_step_can_be_gone_on_with(
    place: Path, replicas: int, change: str, cancelled: bool
) -> None:
    kill_at_every_step(place, replicas, change, cancelled=cancelled)


@pytest.mark.parametrize("cancelled", [False, True], ids=["finished", "cancelled"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_balanced_ring_that_was_killed_goes_on_for_the_same_points(
    place: Path, change: str, cancelled: bool
) -> None:
    # What differs is for which points a change goes on: of every third moment.
    kill_at_every_step(place, 1, change, cancelled=cancelled, placement="balanced", every=3)


def kill_at_every_step(
    place: Path,
    replicas: int,
    change: str,
    *,
    cancelled: bool,
    placement: str = "random",
    every: int = 1,
) -> None:
    recording = Recording(place, replicas, placement)
    images = recording.run(CHANGES[change], cancelled_after=2 if cancelled else None)
    steps = {image.step for image in images}
    assert steps >= {"write_topology", "note_move", "forget_moves", "move.flipped", "discard"}
    for image in images[::every]:
        try:
            go_on(image)
        except Exception as error:
            error.add_note(f"killed at step {image.number} of {len(images)}, {image.step}")
            raise
