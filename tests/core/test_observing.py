"""A data directory is seen beside the process that holds it, and never changed by who looks."""

import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core import (
    Clock,
    DataDirectoryError,
    InvalidOptionError,
    KeyValueStore,
    ManualClock,
    MigrationInProgressError,
    ObservingError,
    ServerState,
    ServerUnavailableError,
)
from core.cluster.data_directory import DataDirectory
from core.cluster.topology import Topology

pytest.importorskip("rocksdict")

SERVERS = ("alpha", "bravo", "charlie")


def filled(
    path: Path, keys: int = 500, replication_factor: int = 1, clock: Clock | None = None
) -> KeyValueStore:
    # At once: three joins would take seconds.
    with DataDirectory.open(path) as directory:
        directory.write_topology(
            Topology(40, replication_factor, len(SERVERS), dict.fromkeys(SERVERS, 1.0))
        )
    store = KeyValueStore(data_dir=path, background=False, clock=clock)
    store.set_many({f"key {number}": f"value {number}" for number in range(keys)})
    return store


def observed(path: Path) -> KeyValueStore:
    return KeyValueStore(data_dir=path, observe=True)


def state_of(path: Path) -> dict[str, tuple[int, int, int]]:
    """Return what there is to see of a directory's files from outside."""
    return {
        str(file.relative_to(path)): (status.st_size, status.st_mtime_ns, status.st_mode)
        for file in sorted(path.rglob("*"))
        for status in [file.stat()]
    }


@pytest.mark.parametrize("replicas", [1, 3])
def test_all_that_was_acknowledged_is_seen_beside_the_holder(tmp_path: Path, replicas: int) -> None:
    with filled(tmp_path / "data", replication_factor=replicas) as store:
        store.remove("key 3")
        store.set("bytes", b"\x00", ttl=1_000)
        with observed(tmp_path / "data") as seen:
            assert {item.key: item.value for item in seen.items()} == {
                item.key: item.value for item in store.items()
            }
            assert seen.get_stats() == store.get_stats()
            assert seen.get("key 3") is None
            assert seen.ttl("bytes") == pytest.approx(1_000, abs=10)
            assert seen.explain("key 1").located_on == store.explain("key 1").located_on
            snapshot = seen.snapshot()
            assert snapshot.storage is not None
            assert snapshot.storage.observing
            assert seen.doctor().healthy
            seen.check_invariants()
            store.set("key 1", "newer")
            assert seen.get("key 1") == "value 1"  # as it was when it was opened
        with observed(tmp_path / "data") as seen:
            assert seen.get("key 1") == "newer"


def test_a_directory_that_nobody_holds_can_be_observed_and_held_meanwhile(tmp_path: Path) -> None:
    filled(tmp_path / "data").close()
    with observed(tmp_path / "data") as seen, KeyValueStore(data_dir=tmp_path / "data") as store:
        store.set("key 1", "newer")
        assert seen.get("key 1") == "value 1"
        assert len(seen) == 500


def test_looking_changes_no_file(tmp_path: Path) -> None:
    filled(tmp_path / "data").close()
    for file in (tmp_path / "data" / "servers").rglob("*"):
        os.utime(file, (1, 1))
    before = state_of(tmp_path / "data")
    with observed(tmp_path / "data") as seen:
        assert len(list(seen.items())) == 500
        seen.doctor()
    assert state_of(tmp_path / "data") == before


CHANGES: dict[str, Callable[[KeyValueStore], object]] = {
    "set": lambda store: store.set("key 1", "newer"),
    "set with options": lambda store: store.set("key 1", "newer", ttl=3),
    "remove": lambda store: store.remove("key 1"),
    "expire": lambda store: store.expire("key 1", 3),
    "transaction": lambda store: store.run_transaction(lambda tx: tx.set("key 1", "newer")),
    "add": lambda store: store.add_server("delta"),
    "leave": lambda store: store.remove_server("alpha"),
    "weight": lambda store: store.set_weight("alpha", 2.0),
    "commit": lambda store: store.commit(store.plan_add_server("delta")),
    "crash": lambda store: store.crash_server("alpha"),
    "recover": lambda store: store.recover_server("alpha"),
    "repair": lambda store: store.doctor(repair=True),
    "clear": lambda store: store.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_refused_and_nothing_is_done(tmp_path: Path, change: str) -> None:
    filled(tmp_path / "data", 50).close()
    before = state_of(tmp_path / "data")
    with observed(tmp_path / "data") as seen:
        with pytest.raises(ObservingError, match="without observe"):
            CHANGES[change](seen)
        assert seen.get("key 1") == "value 1"
        assert seen.get_servers() == list(SERVERS)
        assert not seen.maintain()
    assert state_of(tmp_path / "data") == before


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("cancelled", [False, True], ids=["going on", "going back"])
@pytest.mark.parametrize("change", ["add", "remove", "reweigh"])
def test_no_key_is_missing_while_keys_move(
    tmp_path: Path, change: str, cancelled: bool, replicas: int
) -> None:
    with filled(tmp_path / "data", 300, replication_factor=replicas) as store:
        plan = {
            "add": lambda: store.plan_add_server("delta"),
            "remove": lambda: store.plan_remove_server("bravo"),
            "reweigh": lambda: store.plan_set_weight("alpha", 3.0),
        }[change]()
        migration = store.commit(plan, start=False)
        expected = {item.key: item.value for item in store.items()}
        for _ in range(50):
            migration.step()
        if cancelled:
            migration.cancel()
            for _ in range(15):
                migration.step()
        with observed(tmp_path / "data") as seen:
            assert {item.key: item.value for item in seen.items()} == expected
            assert all(seen.get(key) == value for key, value in expected.items())
            assert len(seen) == 300
            progress = seen.snapshot().migration
            assert progress is not None
            assert progress.fraction == pytest.approx(migration.progress.fraction, abs=0.01)
            assert progress.cancelling == cancelled
            states = {server.server_id: server.state for server in seen.snapshot().servers}
            if change == "add":
                assert states["delta"] is not ServerState.UP
            with pytest.raises(MigrationInProgressError):
                seen.doctor()


_OBSERVER = """
import sys
from core import KeyValueStore
with KeyValueStore(data_dir=sys.argv[1], observe=True) as seen:
    print(len(seen), seen.migration is not None)
"""


@pytest.mark.parametrize("kind", [5, 6, 7, 8, 11])
def test_logs_that_are_torn_are_observed_up_to_there(tmp_path: Path, kind: int) -> None:
    """In a process of its own: RocksDB would read such a log for ever, and let nobody else run."""
    torn = tmp_path / "torn"
    with filled(tmp_path / "data", 300) as store:
        migration = store.commit(store.plan_add_server("delta"), start=False)
        for _ in range(20):
            migration.step()
        shutil.copytree(tmp_path / "data", torn, ignore=shutil.ignore_patterns("LOG*"))
    for log in torn.rglob("*.log"):
        with log.open("ab") as file:
            file.write(b"sums" + struct.pack("<HB", 90, kind) + bytes(90))
    before = state_of(torn)
    run = subprocess.run(
        [sys.executable, "-c", _OBSERVER, os.fspath(torn)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout == "300 True\n", run.stderr
    assert state_of(torn) == before


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_server_whose_disk_is_gone_is_seen_as_down(tmp_path: Path, replicas: int) -> None:
    with filled(tmp_path / "data", 100, replication_factor=replicas) as store:
        holder = store.get_server_for_key("key 1")
    shutil.rmtree(tmp_path / "data" / "servers" / holder)
    with observed(tmp_path / "data") as seen:
        states = {server.server_id: server.state for server in seen.snapshot().servers}
        assert states[holder] is ServerState.DOWN
        if replicas == 2:
            assert len(seen.keys()) == 100
            assert seen.get("key 1") == "value 1"
            return
        with pytest.raises(ServerUnavailableError, match=holder):
            seen.get("key 1")
        with pytest.raises(ServerUnavailableError, match=holder):
            seen.keys()


def test_what_has_expired_is_not_seen(tmp_path: Path) -> None:
    clock = ManualClock()
    with filled(tmp_path / "data", 10, clock=clock) as store:
        store.set("short", "lived", ttl=5)
        seen = KeyValueStore(data_dir=tmp_path / "data", observe=True, clock=clock)
        assert seen.get("short") == "lived"
        clock.advance(6)
        assert seen.get("short") is None
        assert "short" not in {item.key for item in seen.items()}
        seen.get_stats()
        seen.close()


def test_what_can_not_be_observed_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="does not exist"):
        observed(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataDirectoryError, match="nothing to observe"):
        observed(tmp_path / "empty")
    with pytest.raises(InvalidOptionError, match="needs a data_dir"):
        KeyValueStore(observe=True)
    assert not (tmp_path / "missing").exists()
    assert list((tmp_path / "empty").iterdir()) == []


def test_no_key_is_missing_while_another_thread_moves_them(tmp_path: Path) -> None:
    """Looks fall into the middle of a migration: the holder goes on while servers are opened."""
    path = tmp_path / "data"
    keys = {f"key {number}" for number in range(1_000)}
    looks: list[float] = []
    with filled(path, 1_000) as store:
        ended = threading.Event()

        def move() -> None:
            for _ in range(20):  # until enough looks fell in between, however busy the machine
                for plan in (store.plan_add_server, store.plan_remove_server):
                    store.commit(plan("delta"), keys_per_second=100).wait()
                if len({round(fraction, 2) for fraction in looks}) > 5:
                    break
            ended.set()

        mover = threading.Thread(target=move)
        mover.start()
        while not ended.is_set():
            with observed(path) as seen:
                migration = seen.migration
                if migration is not None:
                    looks.append(migration.progress.fraction)
                assert {item.key for item in seen.items()} == keys
                assert len(seen) == 1_000
        mover.join()
    assert len({round(fraction, 2) for fraction in looks}) > 5, "hardly any look was in between"
