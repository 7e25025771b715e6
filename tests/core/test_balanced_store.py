"""A store whose placement is balanced: its points are those that were planned, and stay."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from core import (
    InvalidOptionError,
    KeyValueStore,
    MigrationFailedError,
    MigrationFinished,
    Placement,
    Plan,
    RingView,
)
from core.cluster.data_directory import DataDirectory
from core.cluster.topology import Topology
from core.ring import hash_ring
from tests.core.test_durable_store import kill
from tests.support import SERVERS, FailingServer, Fuse, content_of, filled, store_with

CHANGES: dict[str, Callable[[KeyValueStore], Plan]] = {
    "join": lambda store: store.plan_add_server("echo", 1.5),
    "leave": lambda store: store.plan_remove_server("bravo"),
    "more": lambda store: store.plan_set_weight("bravo", 2.0),
    "less": lambda store: store.plan_set_weight("bravo", 0.4),
}


def balanced(servers: Iterable[str] = SERVERS, **options: object) -> KeyValueStore:
    return store_with(servers, placement="balanced", **options)


def view_of(store: KeyValueStore) -> RingView:
    return store.snapshot().view


def points_of(store: KeyValueStore) -> list[tuple[int, str]]:
    return [(vnode.position, vnode.server_id) for vnode in view_of(store).vnodes]


def choose_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it fail to choose points once more: another version might choose others."""

    def refuse(*_: object) -> list[int]:
        raise AssertionError("points were chosen once more")

    monkeypatch.setattr(hash_ring, "balanced_positions", refuse)


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("change", CHANGES)
class TestChanges:
    def test_the_ring_becomes_what_was_planned(
        self, change: str, replicas: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = balanced(replication_factor=replicas, virtual_nodes_per_node=20, background=False)
        content = filled(store, 200)
        plan = CHANGES[change](store)
        choose_no_more(monkeypatch)
        migration = store.commit(plan, start=False)
        for _ in range(5):
            assert migration.step()
        store.check_invariants()
        while migration.step():
            pass
        store.check_invariants()
        assert view_of(store) is plan.after
        assert content_of(store) == content
        assert store.doctor().healthy

    def test_a_cancel_leaves_the_points_that_there_were(self, change: str, replicas: int) -> None:
        store = balanced(replication_factor=replicas, virtual_nodes_per_node=20, background=False)
        content, points = filled(store, 200), points_of(store)
        migration = store.commit(CHANGES[change](store), start=False)
        for _ in range(5):
            assert migration.step()
        assert points_of(store) != points
        assert migration.cancel()
        assert migration.wait()
        assert points_of(store) == points
        assert content_of(store) == content
        store.check_invariants()
        # The next change starts from there.
        plan = CHANGES[change](store)
        assert plan.before is view_of(store)
        assert store.commit(plan).wait()
        store.check_invariants()

    def test_a_killed_change_goes_on_for_the_points_that_it_began_with(
        self, change: str, replicas: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("rocksdict")
        store = made_on_disk(tmp_path, replicas)
        content = filled(store, 200)
        plan = CHANGES[change](store)
        migration = store.commit(plan, start=False)
        for _ in range(5):
            assert migration.step()
        kill(store)
        choose_no_more(monkeypatch)
        with KeyValueStore(data_dir=tmp_path, observe=True) as seen:
            assert view_of(seen).vnodes == plan.after.vnodes
            assert content_of(seen) == content
        with KeyValueStore(data_dir=tmp_path) as again:
            while again.migration is not None:
                again.migration.wait()
            assert view_of(again).vnodes == plan.after.vnodes
            assert content_of(again) == content
            again.check_invariants()
            assert again.doctor().healthy
        with KeyValueStore(data_dir=tmp_path) as last:
            assert view_of(last).vnodes == plan.after.vnodes
            assert content_of(last) == content

    def test_a_change_that_was_killed_when_cancelled_goes_back_to_the_points_before(
        self, change: str, replicas: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("rocksdict")
        store = made_on_disk(tmp_path, replicas)
        content, points = filled(store, 200), points_of(store)
        migration = store.commit(CHANGES[change](store), start=False)
        for _ in range(5):
            assert migration.step()
        assert migration.cancel()
        assert migration.step()
        kill(store)
        choose_no_more(monkeypatch)
        with KeyValueStore(data_dir=tmp_path, observe=True) as seen:
            assert points_of(seen) == points
            assert content_of(seen) == content
        with KeyValueStore(data_dir=tmp_path) as again:
            while again.migration is not None:
                again.migration.wait()
            assert points_of(again) == points
            assert content_of(again) == content
            again.check_invariants()


def made_on_disk(path: Path, replicas: int = 1) -> KeyValueStore:
    """Return a store on disk without a background, whose points no names tell."""
    store = KeyValueStore(
        20, data_dir=path, replication_factor=replicas, placement="balanced", background=False
    )
    for server_id in (*SERVERS, "gone"):
        store.add_server(server_id)
    store.remove_server("gone")
    return store


class TestDirectory:
    @pytest.fixture(autouse=True)
    def _has_an_engine(self) -> None:
        pytest.importorskip("rocksdict")

    def test_the_points_are_there_again(self, tmp_path: Path) -> None:
        with made_on_disk(tmp_path) as store:
            content, view = filled(store, 200), view_of(store)
        with KeyValueStore(data_dir=tmp_path) as again:
            assert again.snapshot().placement is Placement.BALANCED
            assert view_of(again).vnodes == view.vnodes
            assert view_of(again).epoch == view.epoch
            assert content_of(again) == content
            again.check_invariants()

    def test_a_directory_keeps_the_placement_that_it_was_made_with(self, tmp_path: Path) -> None:
        made_on_disk(tmp_path / "balanced").close()
        store_with(["alpha"], data_dir=tmp_path / "random").close()
        for was, other in (("balanced", "random"), ("random", "balanced")):
            with pytest.raises(InvalidOptionError, match=f"directory is {was}, not {other}"):
                KeyValueStore(data_dir=tmp_path / was, placement=other)
            with KeyValueStore(data_dir=tmp_path / was, placement=was) as store:
                assert store.snapshot().placement is Placement(was)

    def test_a_directory_from_before_there_was_a_choice_is_random(self, tmp_path: Path) -> None:
        weights = {"alpha": 1.0, "bravo": 2.0}
        with DataDirectory.open(tmp_path) as directory:
            directory.write_topology(Topology(20, 1, 2, weights))
        with KeyValueStore(data_dir=tmp_path) as store:
            store.add_server("charlie")
            assert store.snapshot().placement is Placement.RANDOM
            plain = store_with(["charlie", "bravo"], virtual_nodes_per_node=20)
            plain.set_weight("bravo", 2.0)
            plain.add_server("alpha")
            assert view_of(store).vnodes == view_of(plain).vnodes
        assert b'"version": 1' in (tmp_path / "topology.json").read_bytes()

    def test_everything_removed_leaves_a_balanced_ring_to_begin_anew(self, tmp_path: Path) -> None:
        with made_on_disk(tmp_path) as store:
            store.clear()
        with KeyValueStore(data_dir=tmp_path) as again:
            for server_id in SERVERS:
                again.add_server(server_id)
            assert max(view_of(again).shares().values()) < 0.2501
            again.check_invariants()


def test_a_move_that_fails_leaves_points_that_can_be_gone_back_to() -> None:
    fuse = Fuse()
    store = balanced(create_server=lambda name: FailingServer(name, fuse), background=False)
    content, points = filled(store, 300), points_of(store)
    migration = store.commit(store.plan_add_server("echo"), start=False)
    assert migration.resume()
    fuse.arm(20)
    with pytest.raises(MigrationFailedError):
        migration.wait()
    fuse.disarm()
    assert 0 < migration.progress.fraction < 1
    assert migration.cancel()
    assert migration.wait()
    assert points_of(store) == points
    assert content_of(store) == content
    store.check_invariants()


def test_servers_that_several_threads_add_share_evenly() -> None:
    store = balanced(servers=[], virtual_nodes_per_node=150)
    threads = [threading.Thread(target=store.add_server, args=(f"s{n}",)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(view_of(store).shares().values()) < 0.1001
    assert sum(isinstance(event, MigrationFinished) for event in store.events()) == 10
    store.check_invariants()


def test_keys_are_even_too() -> None:
    store = balanced(servers=map(str, range(10)), virtual_nodes_per_node=150)
    filled(store, 50_000)
    assert store.snapshot().peak_to_average < 1.05
    assert store_with(map(str, range(10)), virtual_nodes_per_node=150).snapshot().placement is (
        Placement.RANDOM
    )


@pytest.mark.parametrize("placement", ["even", "", 1, "Balanced"])
def test_what_is_no_placement_is_refused(placement: object) -> None:
    with pytest.raises(InvalidOptionError, match="'random' or 'balanced'"):
        KeyValueStore(placement=placement)  # type: ignore[arg-type]
