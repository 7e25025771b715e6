"""After a loss of power at any moment a store has what it said was safe.

A run is recorded: at every sync of any log, of a server or of the journal, an image is made in
which each log has kept what was synced and nobody knows how much of the rest.
"""

import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rocksdict")

from core import ManualClock
from tests.durability.power import Histories, SyncedLogs
from tests.durability.steps import abandon, opened
from tests.verification.seeds import replayable, seeds

OPERATIONS = 50
KEYS = 16
GROUP = tuple(f"group {index}" for index in range(4))
SERVERS = ("s0", "s1", "s2", "s3", "s4")
# The images of a run of which every one, at an even distance, is looked at.
LOOKED_AT = 30
SOAK_LOOKED_AT = 400


# Of a short run every image is looked at, and at each sync so many are made.
SHORT_RUN = 12
DAMAGES = 3


class Run:
    """A store that works, and the images of it.

    Args:
        operations: how much work it does.
        damages: how many images are made at each sync, each damaged in another way.
    """

    def __init__(
        self,
        place: Path,
        seed: int,
        replicas: int,
        sync: str,
        *,
        operations: int = OPERATIONS,
        damages: int = 1,
    ) -> None:
        self.place = place
        self.random = random.Random(seed)
        self.sync = sync
        self.clock = ManualClock()
        self.histories = Histories()
        self.logs = SyncedLogs(self._note)
        self.images: list[tuple[Path, Histories, str]] = []
        self.doing = "begin"
        self.replicas = replicas
        self.written = 0
        self.operations = operations
        self.damages = damages

    def record(self) -> None:
        with self.logs.noted():
            self.store = opened(
                self.place / "data", self.replicas, sync=self.sync, clock=self.clock
            )
            for server_id in SERVERS[:3]:
                self.store.add_server(server_id)
            for _ in range(self.operations):
                step = self.random.choices(
                    (self._set, self._remove, self._commit, self._move, self._sync, self._crash),
                    (8, 3, 4, 8, 2, 1),
                )[0]
                self.doing = step.__name__
                step()
                self._note("done")
            self.doing = "close"
            lengths = self.histories.lengths()
            self.store.close()
            self.histories.must_have(lengths)
            self._note("done")

    def check(self, looked_at: int) -> int:
        """Open images, and assert that they have what they must; return how many there were."""
        for path, histories, name in self.images[:: max(1, len(self.images) // looked_at)]:
            try:
                self._check_one(path, histories)
            except Exception as error:
                error.add_note(f"power was lost {name}, image {path.name}")
                raise
        return len(self.images)

    def _check_one(self, path: Path, histories: Histories) -> None:
        store = opened(path, sync=self.sync, clock=self.clock)
        store.check_invariants()
        content = {key: store.get(key) for key in store.keys()}
        histories.check(content, GROUP)
        assert len(store) == len(content)
        if store.migration is not None:
            store.migration.wait()
        store.check_invariants()
        assert {key: store.get(key) for key in store.keys()} == content
        abandon(store)

    def _note(self, what: str) -> None:
        if not self.histories.written:
            return
        for _ in range(self.damages):
            path = self.place / f"image {len(self.images)}"
            self.logs.image(self.place / "data", path, self.random)
            name = f"in {self.doing} ({what})"
            self.images.append((path, self.histories.copy(), name))

    def _write(self, changes: dict[str, str | None], write: Any) -> None:
        self.histories.try_to(changes, write)
        if self.sync == "always":
            self.histories.must_have(self.histories.lengths())

    def _value(self) -> str:
        self.written += 1
        return f"{self.written}" + "-" * self.random.choice((0, 0, 6_000))

    def _set(self) -> None:
        key, value = f"key {self.random.randrange(KEYS)}", self._value()
        self._write({key: value}, lambda: self.store.set(key, value))

    def _remove(self) -> None:
        key = f"key {self.random.randrange(KEYS)}"
        self._write({key: None}, lambda: self.store.remove(key))

    def _commit(self) -> None:
        changes: dict[str, str | None] = {
            key: self._value() if self.random.random() < 0.8 else None for key in GROUP
        }

        def commit() -> None:
            with self.store.transaction() as tx:
                for key, value in changes.items():
                    tx.remove(key) if value is None else tx.set(key, value)

        self._write(changes, commit)

    def _move(self) -> None:
        migration = self.store.migration
        if migration is None:
            servers = self.store.get_servers()
            free = [server_id for server_id in SERVERS if server_id not in servers]
            if free and self.random.random() < 0.5:
                plan = self.store.plan_add_server(self.random.choice(free))
            elif len(servers) > 3:
                plan = self.store.plan_remove_server(self.random.choice(servers))
            else:
                plan = self.store.plan_set_weight(
                    self.random.choice(servers), self.random.choice((1.0, 2.0, 3.0))
                )
            self.store.commit(plan, start=False)
            return
        if self.random.random() < 0.1:
            migration.cancel()
        migration.step()

    def _sync(self) -> None:
        self.clock.advance(1.5)
        lengths = self.histories.lengths()
        self.store.maintain()
        self.histories.must_have(lengths)

    def _crash(self) -> None:
        """Let a server crash, miss something and recover."""
        if self.replicas == 1 or self.store.migration is not None:
            return
        server_id = self.random.choice(self.store.get_servers())
        self.store.crash_server(server_id)
        for step in (self._set, self._remove, self._remove):
            step()
        self.store.recover_server(server_id)


def lose_power(place: Path, seed: int, replicas: int, sync: str, looked_at: int) -> None:
    with replayable(seed):
        place.mkdir(exist_ok=True)
        run = Run(place, seed, replicas, sync)
        run.record()
        assert run.check(looked_at) > LOOKED_AT


@pytest.mark.parametrize("sync", ["always", "everysec"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_what_was_synced_survives_every_sync_of_a_run_damaged_in_several_ways(
    place: Path, replicas: int, sync: str
) -> None:
    with replayable(replicas):
        run = Run(place, replicas, replicas, sync, operations=SHORT_RUN, damages=DAMAGES)
        run.record()
        assert run.check(len(run.images)) > LOOKED_AT


@pytest.mark.parametrize("sync", ["always", "everysec"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_what_was_synced_survives_a_loss_of_power(place: Path, replicas: int, sync: str) -> None:
    for seed in seeds(1):
        lose_power(place / str(seed), seed, replicas, sync, LOOKED_AT)


def test_what_was_removed_stays_so_when_one_server_alone_loses_that_it_was(place: Path) -> None:
    clock = ManualClock()
    logs = SyncedLogs(lambda _: None)

    def sync() -> None:
        clock.advance(1.5)
        store.maintain()

    with logs.noted():
        store = opened(place / "data", 3, clock=clock)
        for server_id in SERVERS[:3]:
            store.add_server(server_id)
        store.set("key", "value")
        sync()
        store.crash_server("s1")
        store.remove("key")
        sync()
        store.recover_server("s1")  # it learns of the removal, and all forget that it was one
        image = logs.image_without("s1", place / "data", place / "image")
        abandon(store)
    again = opened(image)
    assert again.get("key") is None
    again.check_invariants()
    abandon(again)


@pytest.mark.parametrize("synced_after", [False, True])
def test_a_transaction_is_whole_when_one_server_alone_loses_its_part(
    place: Path, synced_after: bool
) -> None:
    clock = ManualClock()
    logs = SyncedLogs(lambda _: None)
    with logs.noted():
        store = opened(place / "data", 1, clock=clock)
        for server_id in SERVERS[:3]:
            store.add_server(server_id)
        commit(store, dict.fromkeys(GROUP, "old"))
        clock.advance(1.5)
        store.maintain()
        commit(store, dict.fromkeys(GROUP, "new"))
        store.remove(GROUP[0])
        if synced_after:  # all of it is on the disk, and perhaps not that it need not be noted
            clock.advance(1.5)
            store.maintain()
        images = [
            logs.image_without(server_id, place / "data", place / f"image {server_id}")
            for server_id in SERVERS[:3]
            if any(store.get_server_for_key(key) == server_id for key in GROUP)
        ]
        abandon(store)
    assert len(images) > 1
    for image in images:
        again = opened(image)
        first, *others = (again.get(key) for key in GROUP)
        assert set(others) in ({"new"}, set() if synced_after else {"old"})
        assert first is None if synced_after else first in (*set(others), None)
        again.check_invariants()
        abandon(again)


@pytest.mark.parametrize("hints", [100, 0], ids=["hints", "compared"])
def test_a_transaction_is_whole_when_only_who_missed_its_part_keeps_it(
    place: Path, hints: int
) -> None:
    """The others lose it and its notes; who was down for it has no note, and the part it got."""
    clock = ManualClock()
    logs = SyncedLogs(lambda _: None)
    with logs.noted():
        store = opened(place / "data", 2, clock=clock, hints_kept=hints, consistency="eventual")
        for server_id in SERVERS[:3]:
            store.add_server(server_id)
        commit(store, dict.fromkeys(GROUP, "old"))
        clock.advance(1.5)
        store.maintain()
        down = next(
            server_id
            for server_id in SERVERS[:3]
            if 0 < sum(server_id in store.explain(key).replicas for key in GROUP) < len(GROUP)
        )
        store.crash_server(down)
        commit(store, dict.fromkeys(GROUP, "new"))
        store.recover_server(down)
        image = logs.image_of(down, place / "data", place / "image")
        abandon(store)
    again = opened(image, consistency="eventual")
    assert len({again.get(key) for key in GROUP}) == 1
    again.check_invariants()
    abandon(again)


def commit(store: Any, changes: dict[str, str]) -> None:
    with store.transaction() as tx:
        for key, value in changes.items():
            tx.set(key, value)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(100, 125))
@pytest.mark.parametrize("sync", ["always", "everysec"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_what_was_synced_survives_many_losses_of_power(
    place: Path, replicas: int, sync: str, seed: int
) -> None:
    lose_power(place, seed, replicas, sync, SOAK_LOOKED_AT)
