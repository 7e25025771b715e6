"""A store in a data directory: what is there again when it is opened the next time."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from core import (
    CorruptJournalError,
    CorruptRecordError,
    DataDirectoryError,
    DataDirectoryLockedError,
    DiskFullError,
    DiskRecovered,
    DiskTroubled,
    Entry,
    Fault,
    FaultInjector,
    InvalidOptionError,
    Item,
    KeyValueStore,
    LastServerError,
    ManualClock,
    MigrationFailedError,
    NoServersError,
    QuorumError,
    RecoveryFinished,
    RocksDBServer,
    ServerCrashed,
    ServerUnavailableError,
    StorageError,
    StoreClosedError,
    StoreError,
)
from core.cluster import persistence
from core.cluster.commit_notes import durable_servers
from core.cluster.failover import Failover
from core.cluster.journal import Journal
from core.cluster.persistence import tallies_of
from core.cluster.replica import Replica
from core.cluster.routing import RoutingTable
from core.servers.record_codec import disk_key_of
from core.stripes import LAST_POSITION, stripe_of

pytest.importorskip("rocksdict")

SERVERS = ("alpha", "bravo", "charlie")

Open = Callable[..., KeyValueStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open the same data directory, again and again; the one before must have been closed."""
    stores: list[KeyValueStore] = []

    def open_it(**options: object) -> KeyValueStore:
        stores.append(KeyValueStore(data_dir=tmp_path / "data", **options))  # type: ignore[arg-type]
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def filled(opened: Open, keys: int = 500, **options: object) -> KeyValueStore:
    store = opened(**options)
    for server_id in SERVERS:
        store.add_server(server_id)
    store.set_many({f"key {number}": f"value {number}" for number in range(keys)})
    return store


def kill(store: KeyValueStore) -> None:
    """Let go of a store's directory as the end of its process would: nothing more is written."""
    store._maintenance.stop()
    migration = store.migration
    if migration is not None:
        migration.stop()
    store._membership._closed = True
    store._membership._persistence.abandon()  # type: ignore[attr-defined]
    for replica in store._shards.replicas.values():
        server = replica.server
        if not replica.down:
            server._database.close()  # type: ignore[attr-defined]
            server._database = None  # type: ignore[attr-defined]


def test_everything_is_there_again(opened: Open) -> None:
    store = filled(opened)
    store.set("bytes", b"\x00\xff")
    store.set_weight("bravo", 2.0)
    store.remove("key 7")
    expected = {key: store.get(key) for key in store.keys()}
    stats, epoch = store.get_stats(), store.snapshot().epoch
    store.close()

    again = opened()
    assert again.get_servers() == list(SERVERS)
    assert {key: again.get(key) for key in again.keys()} == expected
    assert again.get_stats() == stats
    assert again.snapshot().epoch == epoch
    assert again.get("bytes") == b"\x00\xff"
    assert again.get("key 7") is None
    again.check_invariants()


def test_versions_go_on_where_they_were(opened: Open) -> None:
    store = filled(opened)
    found = store.get_with_version("key 1")
    assert found is not None
    store.close()
    again = opened()
    assert again.get_with_version("key 1") == found
    again.set("key 1", "newer")
    newer = again.get_with_version("key 1")
    assert newer is not None
    assert newer[1] > found[1]
    assert again.set("key 1", "newest", expected_version=newer[1])


def test_what_expires_does_so_after_a_restart(opened: Open) -> None:
    clock = ManualClock()
    store = filled(opened, clock=clock, background=False)
    store.set("short", "lived", ttl=10)
    store.set("long", "lived", ttl=1_000)
    clock.advance(5)
    store.close()
    again = opened(clock=clock, background=False)
    assert again.ttl("short") == pytest.approx(5, abs=0.01)
    clock.advance(6)
    assert again.get("short") is None
    assert again.ttl("long") == pytest.approx(989, abs=0.01)
    assert again.get_total_entries() == 501
    again.check_invariants()


def test_a_clock_that_was_set_back_between_two_runs_revives_nothing(opened: Open) -> None:
    clock = ManualClock()
    store = filled(opened, clock=clock, background=False)
    store.set("short", "lived", ttl=10)
    clock.advance(20)
    store.close()
    earlier = ManualClock(now_ms=clock.now_ms() - 3_600_000)
    again = opened(clock=earlier, background=False)
    assert again.get("short") is None
    again.set("next", "one", ttl=10)
    assert again.ttl("next") == pytest.approx(10, abs=0.01)
    earlier.advance(11)
    assert again.get("next") is None


def test_a_data_directory_has_servers_and_positions_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="leave create_server"):
        KeyValueStore(data_dir=tmp_path / "data", hash_function=lambda key, seed, signed: 7)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_kill_loses_nothing(opened: Open, replicas: int) -> None:
    store = filled(opened, replication_factor=replicas)
    store.remove("key 3")
    kill(store)
    again = opened()
    assert len(again) == 499
    assert again.get("key 3") is None
    assert all(again.get(f"key {number}") == f"value {number}" for number in range(4, 500))
    again.check_invariants()


@pytest.mark.parametrize("ends", ["closed", "killed"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_migration_goes_on_where_it_stopped(opened: Open, replicas: int, ends: str) -> None:
    store = filled(opened, 2_000, replication_factor=replicas)
    migration = store.commit(store.plan_add_server("delta"), start=False)
    for _ in range(200):
        migration.step()
    moved = migration.progress.fraction
    assert 0 < moved < 1
    store.set("written meanwhile", "yes")
    kill(store) if ends == "killed" else store.close()

    again = opened()
    resumed = again.migration
    if resumed is not None:
        assert resumed.progress.fraction >= moved
        assert resumed.wait(30)
    assert again.get_servers() == [*SERVERS, "delta"]
    assert again.get("written meanwhile") == "yes"
    assert len(again) == 2_001
    again.check_invariants()
    again.close()
    opened().check_invariants()


@pytest.mark.parametrize("ends", ["closed", "killed"])
def test_a_migration_can_be_cancelled_after_a_restart(opened: Open, ends: str) -> None:
    store = filled(opened, 2_000, background=False)
    migration = store.commit(store.plan_add_server("delta"), start=False)
    for _ in range(200):
        migration.step()
    kill(store) if ends == "killed" else store.close()
    again = opened(background=False)
    resumed = again.migration
    assert resumed is not None
    assert resumed.cancel()
    for _ in range(50):
        resumed.step()
    kill(again) if ends == "killed" else again.close()  # in the middle of going back
    third = opened(background=False)
    assert third.migration is not None
    assert third.migration.progress.cancelling
    third.migration.wait()
    assert third.get_servers() == list(SERVERS)
    assert len(third) == 2_000
    third.check_invariants()
    third.close()
    assert opened().get_servers() == list(SERVERS)


def test_a_move_that_may_or_may_not_be_written_down_loses_no_write(opened: Open) -> None:
    store = filled(opened, 2_000, background=False)
    migration = store.commit(store.plan_add_server("delta"), start=False)
    journal = store._membership._persistence.journal  # type: ignore[attr-defined]
    note = type(journal).note_move

    positions = {key: store.explain(key).position for key in store.keys()}
    undecided: list[str] = []

    def note_and_fail(
        self: object, low: int, high: int, *, back: bool, empty: bool = False
    ) -> None:
        note(self, low, high, back=back)
        undecided.extend(key for key, position in positions.items() if low <= position <= high)
        if undecided:
            raise StorageError("journal", "the sync failed", "try again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(journal), "note_move", note_and_fail)
        migration.start()
        with pytest.raises(MigrationFailedError):
            migration.wait()
    store.set_many(dict.fromkeys(undecided, "newer"))
    kill(store)
    again = opened(background=False)
    assert again.get_many(undecided) == dict.fromkeys(undecided, "newer")
    assert len(again) == 2_000
    again.check_invariants()


def test_a_server_that_leaves_takes_its_directory_along(opened: Open, tmp_path: Path) -> None:
    store = filled(opened)
    assert len(list((tmp_path / "data" / "servers").iterdir())) == 3
    store.remove_server("bravo")
    assert len(list((tmp_path / "data" / "servers").iterdir())) == 2
    store.close()
    again = opened()
    assert again.get_servers() == ["alpha", "charlie"]
    assert len(again) == 500


def test_clearing_leaves_an_empty_directory(opened: Open) -> None:
    store = filled(opened)
    store.clear()
    store.close()
    again = opened()
    assert again.get_servers() == []
    assert len(again) == 0


def test_a_crashed_server_keeps_its_disk_and_needs_only_what_it_missed(opened: Open) -> None:
    store = filled(opened, 1_000, replication_factor=3, background=False)
    store.crash_server("bravo")
    for number in range(5):
        store.set(f"key {number}", "newer")
    store.remove("key 9")
    recovery = store.begin_recovery("bravo")
    assert recovery is not None
    while recovery.step():
        pass
    assert recovery.progress.hints == 6
    assert recovery.progress.copied == 0
    store.check_invariants()
    copies = {copy.server_id: copy for copy in store.explain("key 4").copies}
    assert copies["bravo"].version == copies["alpha"].version


def test_the_only_copy_waits_for_its_server_and_is_not_given_up(opened: Open) -> None:
    from core import DataLossError, StoreError

    store = filled(opened)
    on_bravo = store.get_keys_for_server("bravo")
    store.crash_server("bravo")
    with pytest.raises(StoreError):
        store.get(on_bravo[0])
    with pytest.raises(DataLossError):
        store.remove_server("bravo")
    store.recover_server("bravo")
    assert store.get(on_bravo[0]) is not None
    assert len(store) == 500
    store.check_invariants()


def test_a_server_that_was_down_at_the_end_is_made_equal_at_the_next_open(opened: Open) -> None:
    store = filled(opened, replication_factor=3, background=False)
    store.crash_server("bravo")
    store.set("key 1", "newer")
    store.remove("key 2")
    store.close()
    again = opened()
    assert again.get("key 1") == "newer"
    assert again.get("key 2") is None
    assert len(again) == 499
    again.check_invariants()


def test_a_directory_belongs_to_one_store(opened: Open, tmp_path: Path) -> None:
    filled(opened)
    with pytest.raises(DataDirectoryLockedError, match="in use"):
        KeyValueStore(data_dir=tmp_path / "data")


def test_a_write_that_comes_while_the_store_closes_is_counted(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(opened, 10)
    acknowledged: list[str] = []

    def write() -> None:
        with suppress(StoreClosedError):
            store.set("late", "but in time")
            acknowledged.append("late")

    writer = threading.Thread(target=write)

    def count_and_write(routing: RoutingTable) -> bytes:
        counted = tallies_of(routing)
        writer.start()
        writer.join(0.2)  # it can't be waited for: it may have to wait itself
        return counted

    monkeypatch.setattr(persistence, "tallies_of", count_and_write)
    store.close()
    writer.join()
    again = opened()
    assert len(again) == 10 + len(acknowledged)
    again.check_invariants()


def test_a_server_that_is_about_to_crash_answers_with_nothing_old(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(opened, replication_factor=3, background=False)
    key = next(key for key in store.keys() if store.get_server_for_key(key) == "alpha")
    seen: list[object] = []
    crash_in_stripe = Failover._crash_locked

    def write_meanwhile(failover: Failover, replica: Replica, stripe: int, *, keeps: bool) -> Any:
        if not seen:
            store.set(key, "newer")
            seen.append(store.get(key))
        return crash_in_stripe(failover, replica, stripe, keeps=keeps)

    monkeypatch.setattr(Failover, "_crash_locked", write_meanwhile)
    assert stripe_of(store.explain(key).position) > 0  # the first stripe to crash is locked
    store.crash_server("alpha")
    assert seen == ["newer"]
    store.recover_server("alpha")
    assert store.get(key) == "newer"
    store.check_invariants()


def test_what_a_directory_was_made_with_stays(opened: Open) -> None:
    filled(opened, replication_factor=2, virtual_nodes_per_node=40).close()
    with pytest.raises(InvalidOptionError, match="2 replicas"):
        opened(replication_factor=3)
    with pytest.raises(InvalidOptionError, match="40 virtual nodes"):
        opened(virtual_nodes_per_node=50)
    assert opened().snapshot().replication_factor == 2


def test_a_transaction_is_there_again(opened: Open) -> None:
    store = filled(opened)
    with store.transaction() as tx:
        for number in range(10):
            tx.set(f"key {number}", "together")
    kill(store)
    again = opened()
    assert all(again.get(f"key {number}") == "together" for number in range(10))


def test_a_transaction_that_was_interrupted_is_finished(opened: Open) -> None:
    class Killed(BaseException):
        pass

    def stop_after_the_first(step: str) -> None:
        if step == "transaction.applied":
            raise Killed

    store = filled(opened)
    store.close()
    store = opened(yield_point=stop_after_the_first)
    tx = store.transaction()
    tx.set("key 1", "together")
    tx.set("key 2", "together")
    tx.remove("key 3")
    with pytest.raises(Killed):
        tx.commit()
    kill(store)
    again = opened()
    assert (again.get("key 1"), again.get("key 2"), again.get("key 3")) == (
        "together",
        "together",
        None,
    )
    again.check_invariants()


def test_the_moves_of_one_change_are_never_taken_for_those_of_the_next(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(opened, replication_factor=1, background=False)
    with monkeypatch.context() as patch:  # the process ends before the moves are forgotten
        patch.setattr(Journal, "forget_moves", lambda journal: None)
        store.add_server("delta")
    kill(store)
    store = opened(background=False)
    store.commit(store.plan_remove_server("delta"), start=False)
    kill(store)  # before anything has moved
    store = opened(background=False)
    assert len(store) == 500
    assert store.migration is not None
    assert store.migration.progress.fraction == 0
    assert store.migration.wait()
    assert len(store) == 500
    store.check_invariants()


def test_a_finished_migration_leaves_nothing_to_go_on_with(opened: Open) -> None:
    store = filled(opened)
    store.add_server("delta")
    store.close()
    again = opened()
    assert again.migration is None
    assert again.get_servers() == [*SERVERS, "delta"]
    assert len(again) == 500


def test_the_crash_of_a_disk_loses_nothing_and_says_what_waits_for_it(opened: Open) -> None:
    store = filled(opened)
    on_bravo = store.get_stats()["bravo"]
    preview = store.plan_crash("bravo")
    assert (preview.keys_lost, preview.keys_waiting, preview.on_disk) == (0, on_bravo, True)
    store.crash_server("bravo")
    crashed = store.events()[-1]
    assert isinstance(crashed, ServerCrashed)
    assert (crashed.keys_lost, crashed.keys_waiting, crashed.on_disk) == (0, on_bravo, True)
    store.recover_server("bravo")
    assert len(store) == 500


def test_a_crash_is_one_though_the_disk_could_not_be_written(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(opened, 50, replication_factor=2, background=False)
    usual = RocksDBServer.close

    def close(server: RocksDBServer) -> None:
        usual(server)
        raise StorageError(server.server_id, "Corruption", "look at the disk")

    with monkeypatch.context() as patch:
        patch.setattr(RocksDBServer, "close", close)
        assert store.crash_server("alpha")
    assert isinstance(store.events()[-1], ServerCrashed)
    store.recover_server("alpha")
    assert len(store.keys()) == 50
    store.check_invariants()


def test_a_recovery_says_how_much_the_disk_had_kept(opened: Open) -> None:
    store = filled(opened, 300, replication_factor=3, background=False)
    store.crash_server("bravo")
    store.set("key 1", "newer")
    store.recover_server("bravo")
    finished = store.events()[-1]
    assert isinstance(finished, RecoveryFinished)
    assert (finished.hints, finished.copied, finished.keys) == (1, 0, 300)


def test_a_full_disk_is_told_of_until_it_can_be_written_again(opened: Open) -> None:
    def has_no_space(key: bytes, value: bytes) -> None:
        raise Exception("IO error: No space left on device")

    clock = ManualClock()
    store = filled(opened, clock=clock, background=False)
    key = store.get_keys_for_server("bravo")[0]
    store._shards.replicas["bravo"].server._put = has_no_space  # type: ignore[attr-defined]
    with pytest.raises(DiskFullError):
        store.set(key, "newer")
    store.maintain()
    troubles = {server.server_id: server.trouble for server in store.snapshot().servers}
    assert troubles == {
        "alpha": None,
        "bravo": "disk full: make room; it writes again by itself",
        "charlie": None,
    }
    assert isinstance(store.events()[-1], DiskTroubled)
    store._shards.replicas["bravo"].server._put = (  # type: ignore[attr-defined]
        store._shards.replicas["bravo"].server._database.put_record  # type: ignore[attr-defined]
    )
    clock.advance(2)
    store.maintain()
    assert all(server.trouble is None for server in store.snapshot().servers)
    store.maintain()
    assert isinstance(store.events()[-1], DiskRecovered)
    assert store.set(key, "newer")


def test_items_are_all_keys_with_their_values_and_expiries(opened: Open) -> None:
    store = filled(opened, 50, clock=ManualClock(), background=False)
    store.set("key 1", b"bytes", ttl=5)
    items = {item.key: item for item in store.items()}
    assert len(items) == 50
    assert items["key 1"].value == b"bytes"
    assert items["key 1"].expires_at_ms is not None
    assert items["key 2"] == Item("key 2", "value 2", None)
    assert [item.key for item in store.items("key 1")] == store.keys("key 1")
    with pytest.raises(InvalidOptionError):
        store.items(3)  # type: ignore[arg-type]


def damage(store: KeyValueStore, key: str, server_id: str) -> None:
    """Change a bit of a record."""
    database = store._shards.replicas[server_id].server._database  # type: ignore[attr-defined]
    disk_key = disk_key_of(store.explain(key).position, key)
    raw = database.get("default", disk_key)
    database.put("default", disk_key, raw[:-1] + bytes([raw[-1] ^ 1]))


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_record_that_is_corrupt_everywhere_is_an_error_on_every_path_and_the_rest_is_read(
    opened: Open, replicas: int
) -> None:
    store = filled(opened, 50, replication_factor=replicas, background=False)
    owners = store.explain("key 1").replicas
    for server_id in owners:
        damage(store, "key 1", server_id)
    there: list[str] = []

    def read_items() -> None:
        there.extend(item.key for item in store.items())

    def transact() -> None:
        with store.transaction() as tx:
            tx.get("key 1")

    paths: list[Callable[[], object]] = [
        lambda: store.get("key 1"),
        lambda: store.get("key 1", read_level="one"),
        lambda: store.get("key 1", read_level="all"),
        lambda: store.get_many(["key 2", "key 1"]),
        lambda: store.get_with_version("key 1"),
        lambda: store.exists("key 1"),
        lambda: store.ttl("key 1"),
        lambda: store.scan("key 1", 100),
        store.keys,
        lambda: store.get_keys_for_server(owners[0]),
        lambda: store.remove("key 1"),
        transact,
        read_items,
    ]
    for read in paths:
        with pytest.raises(CorruptRecordError) as caught:
            read()
        assert caught.value.key == "key 1"
        assert caught.value.server_id in owners
    assert sorted([*there, "key 1"]) == sorted(f"key {number}" for number in range(50))
    assert len(store.get_many(there)) == 49
    (finding,) = store.doctor().findings
    assert (finding.key, finding.servers) == ("key 1", tuple(sorted(owners)))
    assert store.set("key 1", "anew")
    assert len(store.keys()) == 50
    store.check_invariants()


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_record_that_is_corrupt_everywhere_is_not_lost_in_a_move(
    opened: Open, replicas: int
) -> None:
    store = filled(opened, 50, replication_factor=replicas, background=False)
    for server_id in store.explain("key 1").replicas:
        damage(store, "key 1", server_id)
    with pytest.raises(MigrationFailedError) as caught:
        store.remove_server(store.get_server_for_key("key 1"))
    corrupt = caught.value.__cause__
    assert isinstance(corrupt, CorruptRecordError)
    assert corrupt.key == "key 1"
    assert str(corrupt) in str(caught.value)
    assert len(store.get_many([f"key {number}" for number in range(50) if number != 1])) == 49
    store.set("key 1", "anew")
    migration = store.migration
    assert migration is not None
    migration.resume()
    migration.wait()
    assert len(store.keys()) == 50
    store.check_invariants()


def test_a_record_that_is_sound_on_one_replica_is_read_and_moved_from_there(opened: Open) -> None:
    store = filled(opened, 50, replication_factor=2, background=False)
    for key in ("key 1", "key 2"):
        damage(store, key, store.explain(key).replicas[0])
    assert len(store.keys()) == len(list(store.items())) == 50
    store.add_server("e")
    assert len(store.keys()) == len(list(store.items())) == 50
    assert (store.get("key 1"), store.get("key 2")) == ("value 1", "value 2")


def test_a_record_that_is_corrupt_is_not_taken_for_absent_when_a_server_returns(
    opened: Open,
) -> None:
    store = filled(opened, 50, replication_factor=2, hints_kept=0, background=False)
    stays, returns = store.explain("key 1").replicas
    store.crash_server(returns)
    store.set("key 1", "newer", write_level="one")
    damage(store, "key 1", stays)
    with suppress(CorruptRecordError):
        store.recover_server(returns)
    with pytest.raises(CorruptRecordError):
        store.get("key 1")
    store.set("key 1", "newest", write_level="one")
    store.recover_server(returns)
    assert store.get("key 1") == "newest"
    store.check_invariants()


@pytest.mark.parametrize("lacking", [0, 1], ids=["primary", "other"])
def test_a_record_that_is_corrupt_is_not_taken_for_absent_after_a_kill(
    opened: Open, lacking: int
) -> None:
    store = filled(opened, 50, replication_factor=2, background=False)
    owners = store.explain("late").replicas
    store.crash_server(owners[lacking])
    store.set("late", "value", write_level="one")
    damage(store, "late", owners[1 - lacking])
    kill(store)
    again = opened(background=False)
    for _ in range(2):
        with pytest.raises(CorruptRecordError) as caught:
            again.get("late")
        assert (caught.value.server_id, caught.value.key) == (owners[1 - lacking], "late")
        with pytest.raises(CorruptRecordError):
            list(again.items())
        again.maintain()  # what catches up meets it, and waits
    assert again.doctor().counts[Fault.CORRUPT] == 1
    assert len(again.get_many([f"key {number}" for number in range(50)])) == 50
    again.set("late", "anew")
    again.recover_server(owners[lacking])
    assert again.get("late") == "anew"
    assert again.doctor().healthy
    again.check_invariants()


@pytest.mark.parametrize("cleanly", [True, False], ids=["closed", "killed"])
def test_a_server_whose_disk_is_gone_is_filled_anew(
    opened: Open, tmp_path: Path, cleanly: bool
) -> None:
    store = filled(opened, 100, replication_factor=2, background=False)
    store.close() if cleanly else kill(store)
    shutil.rmtree(tmp_path / "data" / "servers" / "bravo")
    again = opened(background=False)
    assert again.get_many([f"key {number}" for number in range(100)]) == {
        f"key {number}": f"value {number}" for number in range(100)
    }
    assert len(again.keys()) == len(again) == 100
    assert again.doctor().healthy
    again.check_invariants()


def test_a_server_whose_files_went_while_it_was_down_is_filled_anew(
    opened: Open, tmp_path: Path
) -> None:
    store = filled(opened, 100, replication_factor=2, background=False)
    store.crash_server("bravo")
    shutil.rmtree(tmp_path / "data" / "servers" / "bravo")
    store.begin_recovery("bravo")
    assert len(store.get_many([f"key {number}" for number in range(100)])) == 100
    store.recover_server("bravo")
    assert len(store.keys()) == 100
    assert store.doctor().healthy
    store.check_invariants()


@pytest.mark.parametrize(("replicas", "gone"), [(1, ["bravo"]), (2, ["alpha", "bravo"])])
def test_a_disk_that_may_have_had_the_only_copies_is_missed(
    opened: Open, tmp_path: Path, replicas: int, gone: list[str]
) -> None:
    filled(opened, 100, replication_factor=replicas, background=False).close()
    servers = tmp_path / "data" / "servers"
    for server_id in gone:
        (servers / server_id).rename(tmp_path / server_id)
    for _ in range(2):
        with pytest.raises(DataDirectoryError, match=rf"servers/{gone[0]} is missing.*backup"):
            opened()
        assert not (servers / gone[0]).exists()
    for server_id in gone[:-1]:
        (tmp_path / server_id).rename(servers / server_id)
    (servers / gone[-1]).mkdir()  # what only it had is given up
    again = opened(background=False)
    assert len(again) == len(again.keys())
    assert 50 < len(again) < 100 if replicas == 1 else len(again) == 100
    again.check_invariants()


def test_a_directory_without_its_journal_is_refused(opened: Open, tmp_path: Path) -> None:
    """A new one would give out versions again, and writes would be taken for old ones."""
    filled(opened, 10, background=False).close()
    (tmp_path / "data" / "journal").rename(tmp_path / "journal")
    for _ in range(2):
        with pytest.raises(CorruptJournalError, match=r"is missing: .*export --observe"):
            opened()
    (tmp_path / "journal").rename(tmp_path / "data" / "journal")
    assert len(opened(background=False).keys()) == 10


@pytest.mark.parametrize("place", ["journal", "servers/alpha"])
def test_no_database_is_made_anew_where_one_lost_its_beginning(
    opened: Open, tmp_path: Path, place: str
) -> None:
    filled(opened, 50, replication_factor=2, background=False).close()
    database = tmp_path / "data" / place
    (database / "CURRENT").rename(tmp_path / "CURRENT")
    for log in database.glob("*.log"):
        log.write_bytes(b"")
    before = {file.name for file in database.iterdir()}
    for _ in range(2):
        with pytest.raises(StoreError, match="missing"):
            opened()
        assert {file.name for file in database.iterdir()} <= before
    (tmp_path / "CURRENT").rename(database / "CURRENT")
    assert len(opened(background=False).keys()) == 50


def test_a_corrupt_record_is_found_and_mended_from_another_disk(opened: Open) -> None:
    store = filled(opened, 50, replication_factor=2, background=False)
    damaged = store.explain("key 1").replicas[0]
    damage(store, "key 1", damaged)
    assert store.corrupt_keys() == 1
    report = store.doctor()
    (finding,) = report.findings
    assert (finding.fault, finding.servers) == (Fault.CORRUPT, (damaged,))
    assert (report.counts[Fault.UNDER_REPLICATED], report.unrepaired) == (0, 1)
    mended = store.doctor(repair=True)
    assert (mended.repaired, mended.unrepaired) == (1, 0)
    assert store.doctor().healthy
    assert store.get("key 1") == "value 1"
    store.check_invariants()


def test_a_table_that_is_damaged_is_told_of_and_read_around_and_filled_anew(
    opened: Open, tmp_path: Path
) -> None:
    filled(opened, 500, replication_factor=2, background=False).close()
    servers = tmp_path / "data" / "servers"
    table = max((servers / "alpha").glob("*.sst"), key=lambda table: table.stat().st_size)
    content = bytearray(table.read_bytes())
    content[len(content) // 3] ^= 1
    table.write_bytes(content)
    store = opened(background=False)
    assert len(list(store.items())) == 500
    assert store.corrupt_keys() == 0
    report = store.doctor()
    assert report.unreachable == ("alpha",)
    assert report.reasons["alpha"].endswith("others fill it anew")
    store.close()
    (servers / "alpha").rename(tmp_path / "away")
    again = opened(background=False)
    assert len(list(again.items())) == 500
    assert again.doctor().healthy


def test_a_last_server_that_may_not_leave_keeps_its_keys_whatever_happens(opened: Open) -> None:
    store = opened(background=False)
    store.add_server("alpha")
    plan = store.plan_remove_server("alpha")
    store.set("came in", "since")
    persistence = store._membership._persistence
    written: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(persistence), "change_begins", lambda *_, **__: written.append("leave"))
        with pytest.raises(LastServerError):
            store.commit(plan)
    assert written == []  # a process that ends here finds nothing that says it was to leave
    assert store.get("came in") == "since"


def test_a_last_server_leaves_and_another_comes(opened: Open) -> None:
    store = opened()
    store.add_server("alpha")
    store.set("key", "value")
    store.remove("key")
    store.remove_server("alpha")
    with pytest.raises(NoServersError):
        store.set("key", "value")
    store.add_server("bravo")
    store.set("key", "value")
    store.close()
    again = opened()
    assert again.get_servers() == ["bravo"]
    assert again.get("key") == "value"


def test_nothing_old_comes_back_when_a_newer_value_expired_while_a_server_was_down(
    opened: Open,
) -> None:
    clock = ManualClock()
    store = filled(opened, 20, replication_factor=3, clock=clock, background=False)
    store.crash_server("bravo")
    store.set("key 1", "newer", ttl=1)
    clock.advance(2)
    assert len(store) == 19  # which sweeps
    kill(store)
    again = opened(clock=clock, background=False)
    assert again.get("key 1") is None
    assert len(again) == 19
    again.check_invariants()


def test_what_was_removed_stays_so_when_its_range_went_away_and_came_back(
    opened: Open,
) -> None:
    store = filled(opened, 200, replication_factor=3, background=False)
    store.add_server("delta")
    held = [key for key in store.keys() if "delta" in owners_of(store, key)]
    store.crash_server("delta")
    store.add_server("echo")
    removed = [key for key in held if "delta" not in owners_of(store, key)]
    assert store.remove_many(removed) == len(removed) > 0
    store.remove_server("echo")
    kill(store)
    again = opened(background=False)
    assert again.get_many(removed) == {}
    assert len(again) == 200 - len(removed)
    again.check_invariants()


def owners_of(store: KeyValueStore, key: str) -> tuple[str, ...]:
    return store._shards.routing.at(store.explain(key).position).owners


def test_removals_are_forgotten_once_every_disk_is_back(opened: Open) -> None:
    store = filled(opened, 100, replication_factor=3, background=False)
    store.crash_server("bravo")
    store.remove_many([f"key {number}" for number in range(50)])
    store.recover_server("bravo")
    servers = [replica.server for replica in store._shards.replicas.values()]
    assert [server.removals(0, LAST_POSITION) for server in servers] == [[], [], []]
    assert len(store) == 50
    store.check_invariants()


def test_a_transaction_is_whole_though_a_server_crashes_in_the_middle(opened: Open) -> None:
    crashing: list[threading.Thread] = []

    def crash_the_second(step: str) -> None:
        if step == "transaction.applied" and not crashing:
            server_id = store.get_server_for_key(second)
            crashing.append(threading.Thread(target=store.crash_server, args=(server_id,)))
            crashing[0].start()  # it goes as far as the stripes that the commit holds
            while not store._shards.replicas[server_id].down:
                time.sleep(0.001)

    store = filled(opened)
    store.close()
    store = opened(yield_point=crash_the_second)
    first = "key 1"
    second = next(key for key in store.keys() if is_elsewhere(store, key, first))
    with pytest.raises(QuorumError) as caught:
        commit(store, {first: "together", second: None})
    assert caught.value.unknown
    crashing[0].join()
    kill(store)  # and what is owed to the server was in the memory of the process
    again = opened()
    assert (again.get(first), again.get(second)) == ("together", None)
    again.check_invariants()


def is_elsewhere(store: KeyValueStore, key: str, first: str) -> bool:
    """Return whether another server and another stripe have a key."""
    positions = store.explain(key).position, store.explain(first).position
    other_server = store.get_server_for_key(key) != store.get_server_for_key(first)
    return other_server and stripe_of(positions[0]) != stripe_of(positions[1])


def commit(store: KeyValueStore, values: Mapping[str, str | None]) -> None:
    transaction = store.transaction()
    for key, value in values.items():
        if value is None:
            transaction.remove(key)
        else:
            transaction.set(key, value)
    transaction.commit()


def test_what_was_removed_stays_so_while_an_earlier_transaction_is_noted(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(server: RocksDBServer, name: bytes) -> None:
        raise StorageError(server.server_id, "no space", "make room")

    clock = ManualClock()
    store = opened(background=False, clock=clock)
    store.add_server("a")
    commit(store, {"key 1": "together", "key 2": "together"})
    store.remove("key 1")
    with monkeypatch.context() as patch:
        patch.setattr(RocksDBServer, "forget_note", fail)
        for _ in range(3):
            clock.advance(1.5)
            store.maintain()
    kill(store)
    again = opened()
    assert (again.get("key 1"), again.get("key 2")) == (None, "together")
    again.check_invariants()


def left_of_transactions(store: KeyValueStore) -> tuple[int, int]:
    """Return how many notes a server has at most, and how many removals are remembered."""
    servers = [server for _, server in durable_servers(store._shards)]
    notes = max(len(server.notes()) for server in servers)
    return notes, sum(len(server.removals(0, LAST_POSITION)) for server in servers)


def test_notes_of_transactions_and_removals_after_them_are_forgotten_once_synced(
    opened: Open,
) -> None:
    clock = ManualClock()
    store = opened(background=False, clock=clock)
    store.add_server("a")
    store.add_server("b")
    commit(store, {f"key {number}": "together" for number in range(10)})
    store.remove("key 1")
    left = [left_of_transactions(store)]
    for _ in range(3):
        clock.advance(1.5)
        store.maintain()
        left.append(left_of_transactions(store))
    assert left == [(1, 1), (0, 1), (0, 0), (0, 0)]


def test_reads_go_on_where_a_part_of_a_transaction_can_not_be_written_yet(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(opened, background=False)
    keys = store.keys()
    first = "key 1"
    second = next(key for key in keys if is_elsewhere(store, key, first))
    full = store.get_server_for_key(second)
    apply = RocksDBServer.apply

    def apply_unless_full(server: RocksDBServer, entry: Entry) -> int | None:
        if server.server_id == full:
            raise StorageError(full, "no space", "make room")
        return apply(server, entry)

    with monkeypatch.context() as patch:
        patch.setattr(RocksDBServer, "apply", apply_unless_full)
        with pytest.raises(QuorumError):
            commit(store, {first: "together", second: "together"})
        assert (store.get(first), store.get(second)) == ("together", "together")
        assert store.keys() == keys
        assert len(store.get_many(keys)) == len(keys)
    store.recover_server(full)
    assert (store.get(first), store.get(second)) == ("together", "together")
    store.check_invariants()


def test_a_server_that_could_not_be_brought_back_can_be_the_next_time(opened: Open) -> None:
    faults = FaultInjector()
    store = filled(opened, 20, replication_factor=3, background=False, faults=faults)
    store.add_server("delta")  # so that there is something that is not bravo's
    store.crash_server("bravo")
    store.set("key 1", "newer")
    faults.partition("bravo")
    with pytest.raises(ServerUnavailableError):
        store.recover_server("bravo")
    opened_in_vain = store._shards.replicas["bravo"].server  # as a traceback would keep it
    faults.heal("bravo")
    assert opened_in_vain.server_id == "bravo"
    assert store.recover_server("bravo")
    assert store.get("key 1", read_level="all") == "newer"
    store.check_invariants()


def test_clearing_gives_up_every_server_though_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = KeyValueStore(16, data_dir=tmp_path, background=False)
    for server_id in ("alpha", "bravo", "charlie"):
        store.add_server(server_id)
    destroy = RocksDBServer.destroy

    def fail_once(server: RocksDBServer) -> None:
        if server.server_id == "alpha":
            raise StorageError("alpha", "it can't be removed", "try again")
        destroy(server)

    monkeypatch.setattr(RocksDBServer, "destroy", fail_once)
    with pytest.raises(StorageError):
        store.clear()
    monkeypatch.undo()
    store.clear()
    assert store.add_server("bravo")
    assert store.set("key", "value")
    store.close()
