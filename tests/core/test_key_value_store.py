"""The store as its users know it, in the user's nine groups."""

import enum
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core import (
    InvalidKeyError,
    InvalidOptionError,
    InvalidServerIdError,
    InvalidValueError,
    KeyValueStore,
    LastServerError,
    MigrationInProgressError,
    NoServersError,
    StoreClosedError,
    StoreError,
    UnknownServerError,
)
from core.ring import position_of
from core.workload.switch_interval import finer_switching
from tests.support import SERVERS, check_ring_order, content_of, filled, store_with


@pytest.fixture
def store() -> KeyValueStore:
    return store_with()


class TestBasicOperations:
    def test_set_is_acknowledged_and_get_returns_the_value(self, store: KeyValueStore) -> None:
        assert store.set("user:1001", "John Doe") is True
        assert store.get("user:1001") == "John Doe"

    def test_a_missing_key_gives_none_or_the_default(self, store: KeyValueStore) -> None:
        assert store.get("nobody") is None
        assert store.get("nobody", "default") == "default"

    def test_exists_and_in_agree_with_get(self, store: KeyValueStore) -> None:
        store.set("here", "")
        assert store.exists("here")
        assert "here" in store
        assert not store.exists("there")
        assert "there" not in store

    @pytest.mark.parametrize("value", ["", "text", "grün 🌍", b"", b"\x00\xff", "nul \x00 inside"])
    def test_a_value_comes_back_as_the_type_that_was_stored(
        self, store: KeyValueStore, value: str | bytes
    ) -> None:
        store.set("key", value)
        found = store.get("key")
        assert found == value
        assert type(found) is type(value)

    def test_get_total_entries_and_len_count_keys(self, store: KeyValueStore) -> None:
        filled(store, 25)
        assert store.get_total_entries() == len(store) == 25

    def test_many_keys_at_once(self, store: KeyValueStore) -> None:
        assert store.set_many({"a": "1", "b": "2"}) == 2
        assert store.set_many([("c", b"3")]) == 1
        assert store.get_many(["a", "c", "nobody"]) == {"a": "1", "c": b"3"}
        assert store.remove_many(["a", "c", "nobody"]) == 2
        assert content_of(store) == {"b": "2"}

    def test_clear_removes_keys_and_servers(self, store: KeyValueStore) -> None:
        filled(store, 50)
        store.clear()
        assert store.get_total_entries() == 0
        assert store.get_servers() == []
        assert store.get("user:1") is None
        store.check_invariants()
        store.add_server("alpha")
        assert store.get("user:1") is None
        store.check_invariants()

    def test_keys_by_prefix_and_limit_in_ring_order(self, store: KeyValueStore) -> None:
        filled(store, 200)
        store.set("order:1", "x")
        keys = store.keys()
        check_ring_order(keys)
        assert len(keys) == 201
        assert store.keys("order:") == ["order:1"]
        users = [key for key in keys if key.startswith("user:")]
        assert store.keys("user:", limit=7) == users[:7]
        assert store.keys(limit=0) == []

    def test_scan_goes_round_the_ring_from_the_position_of_a_key(
        self, store: KeyValueStore
    ) -> None:
        content = filled(store, 200)
        in_order = store.keys()
        start = in_order[150]
        scanned = store.scan(start, 100)
        assert [key for key, _ in scanned] == in_order[150:] + in_order[:50]
        assert dict(scanned) == {key: content[key] for key, _ in scanned}
        assert [key for key, _ in store.scan(start, 1_000)] == in_order[150:] + in_order[:150]

    def test_scan_starts_behind_a_key_that_does_not_exist(self, store: KeyValueStore) -> None:
        filled(store, 200)
        key, _ = store.scan("not stored", 1)[0]
        later = [name for name in store.keys() if position_of(name) >= position_of("not stored")]
        assert key == (later or store.keys())[0]

    def test_a_context_manager_closes_the_store(self) -> None:
        with store_with() as store:
            store.set("key", "value")
        operations: list[Callable[[], object]] = [
            lambda: store.set("key", "value"),
            lambda: store.get("key"),
            lambda: store.get("nobody"),
            lambda: store.remove("key"),
            lambda: store.exists("key"),
            lambda: store.keys("key"),
            lambda: store.items("key"),
            lambda: store.scan("key", 1),
            lambda: len(store),
            lambda: "key" in store,
            store.get_stats,
            lambda: store.get_server_for_key("key"),
            lambda: store.get_keys_for_server("alpha"),
            lambda: store.explain("key"),
            lambda: store.add_server("echo"),
            lambda: store.plan_remove_server("alpha"),
            lambda: store.crash_server("alpha"),
            lambda: store.plan_crash("alpha"),
            lambda: store.recover_server("alpha"),
            store.doctor,
            store.corrupt_keys,
            store.check_invariants,
            store.clear,
        ]
        for operation in operations:
            with pytest.raises(StoreClosedError):
                operation()
        store.close()
        assert store.get_servers() == list(SERVERS)
        assert repr(store).endswith(", closed>")

    def test_a_store_says_what_it_is_and_shows_nobody_its_keys(self) -> None:
        store = store_with()
        store.set("secret", "value")
        assert repr(store) == ("<KeyValueStore: 4 servers, epoch 4, replication_factor 1, strong>")


class TestServerDistribution:
    def test_every_server_gets_keys(self, store: KeyValueStore) -> None:
        filled(store, 1_000)
        assert all(count > 100 for count in store.get_stats().values())

    def test_stats_count_each_key_once(self, store: KeyValueStore) -> None:
        filled(store, 1_000)
        assert list(store.get_stats()) == sorted(SERVERS)
        assert sum(store.get_stats().values()) == store.get_total_entries() == 1_000

    def test_more_virtual_nodes_spread_keys_more_evenly(self) -> None:
        spread = {}
        for vnodes in (1, 500):
            store = store_with(virtual_nodes_per_node=vnodes)
            filled(store, 4_000)
            counts = store.get_stats().values()
            spread[vnodes] = max(counts) - min(counts)
        assert spread[500] < spread[1] / 4

    def test_a_weight_multiplies_the_share(self) -> None:
        store = KeyValueStore()
        store.add_server("small")
        store.add_server("large", weight=3.0)
        filled(store, 8_000)
        stats = store.get_stats()
        assert 2.4 < stats["large"] / stats["small"] < 3.8

    def test_the_default_is_150_virtual_nodes(self) -> None:
        store = KeyValueStore()
        store.add_server("alpha")
        assert store.snapshot().servers[0].vnodes == 150


class TestKeyServerMapping:
    def test_a_key_always_maps_to_the_same_server(self, store: KeyValueStore) -> None:
        first = store.get_server_for_key("user:1001")
        assert {store.get_server_for_key("user:1001") for _ in range(10)} == {first}

    def test_the_mapping_does_not_depend_on_the_order_of_joining(self) -> None:
        one, other = store_with(SERVERS), store_with(reversed(SERVERS))
        for number in range(500):
            key = f"user:{number}"
            assert one.get_server_for_key(key) == other.get_server_for_key(key)

    def test_the_record_lies_on_the_server_that_the_mapping_names(
        self, store: KeyValueStore
    ) -> None:
        for key in filled(store, 300):
            assert store.explain(key).located_on == (store.get_server_for_key(key),)

    def test_explain_tells_the_vnode_and_the_version(self, store: KeyValueStore) -> None:
        store.set("user:1001", "John Doe")
        store.set("user:1001", "Jane Doe")
        placement = store.explain("user:1001")
        assert placement.position == position_of("user:1001")
        assert placement.vnode == store.snapshot().view.vnode_at(placement.position)
        assert placement.primary == placement.vnode.server_id
        assert placement.replicas == (placement.primary,)
        assert placement.value == "Jane Doe"
        assert placement.version == 2
        assert placement.moving_to is None

    def test_explain_tells_where_a_missing_key_would_live(self, store: KeyValueStore) -> None:
        placement = store.explain("nobody")
        assert not placement.exists
        assert placement.located_on == ()
        assert placement.version is None
        assert placement.primary == store.get_server_for_key("nobody")

    def test_without_servers_there_is_no_mapping(self) -> None:
        with pytest.raises(NoServersError):
            KeyValueStore().get_server_for_key("key")
        with pytest.raises(NoServersError):
            KeyValueStore().explain("key")


class TestServerAdditionAndRemoval:
    def test_adding_twice_and_removing_an_unknown_server_are_false(
        self, store: KeyValueStore
    ) -> None:
        assert store.add_server("echo") is True
        assert store.add_server("echo") is False
        assert store.remove_server("echo") is True
        assert store.remove_server("echo") is False

    def test_servers_are_listed_sorted(self) -> None:
        store = store_with(["delta", "alpha"])
        assert store.get_servers() == ["alpha", "delta"]
        assert store.get_server_count() == 2

    def test_a_join_keeps_every_key_and_moves_only_to_the_joiner(
        self, store: KeyValueStore
    ) -> None:
        content = filled(store, 1_000)
        before = {key: store.get_server_for_key(key) for key in content}
        store.add_server("echo")
        after = {key: store.get_server_for_key(key) for key in content}
        moved = {key for key in content if before[key] != after[key]}
        assert 0 < len(moved) < 500
        assert {after[key] for key in moved} == {"echo"}
        assert content_of(store) == content
        store.check_invariants()

    def test_a_leave_keeps_every_key_and_moves_only_from_the_leaver(
        self, store: KeyValueStore
    ) -> None:
        content = filled(store, 1_000)
        before = {key: store.get_server_for_key(key) for key in content}
        store.remove_server("bravo")
        after = {key: store.get_server_for_key(key) for key in content}
        assert {before[key] for key in content if before[key] != after[key]} == {"bravo"}
        assert content_of(store) == content
        store.check_invariants()

    def test_the_last_server_stays_while_it_holds_keys(self) -> None:
        store = store_with(["alpha"])
        store.set("key", "value")
        with pytest.raises(LastServerError) as raised:
            store.remove_server("alpha")
        assert raised.value.keys == 1
        assert "holds 1 key:" in str(raised.value)
        assert store.get("key") == "value"
        assert store.get_servers() == ["alpha"]

    def test_an_empty_last_server_may_go(self) -> None:
        store = store_with(["alpha"])
        store.set("key", "value")
        store.remove("key")
        assert store.remove_server("alpha") is True
        assert store.get_servers() == []
        store.check_invariants()

    def test_two_changes_at_once_take_turns(self, store: KeyValueStore) -> None:
        content = filled(store, 2_000)
        names = [f"extra-{number}" for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(store.add_server, names)) == [True] * 6
            assert list(pool.map(store.remove_server, names)) == [True] * 6
        assert store.get_servers() == sorted(SERVERS)
        assert content_of(store) == content
        store.check_invariants()

    def test_a_change_is_refused_while_another_is_paused(self, store: KeyValueStore) -> None:
        migration = store.commit(store.plan_add_server("echo"), start=False)
        for operation in (store.add_server, store.plan_add_server, store.plan_remove_server):
            with pytest.raises(MigrationInProgressError, match="echo is paused"):
                operation("foxtrot")
        migration.resume()
        assert migration.wait(30)
        assert store.add_server("foxtrot")

    @pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), 1_001])
    def test_a_weight_out_of_range_is_refused(self, store: KeyValueStore, weight: float) -> None:
        with pytest.raises(InvalidOptionError):
            store.add_server("echo", weight)
        assert store.get_servers() == sorted(SERVERS)


class TestUpdateOperations:
    def test_a_second_set_replaces_the_value(self, store: KeyValueStore) -> None:
        store.set("key", "first")
        store.set("key", b"second")
        assert store.get("key") == b"second"
        assert store.get_total_entries() == 1

    def test_an_update_gets_a_newer_version(self, store: KeyValueStore) -> None:
        versions = []
        for number in range(3):
            store.set("key", str(number))
            versions.append(store.explain("key").version)
        assert versions == sorted(set(versions), key=lambda version: version or 0)

    def test_an_update_after_a_join_goes_to_the_new_owner(self, store: KeyValueStore) -> None:
        content = filled(store, 500)
        store.add_server("echo")
        store.set_many(dict.fromkeys(content, "new"))
        assert content_of(store) == dict.fromkeys(content, "new")
        assert store.get_total_entries() == 500
        store.check_invariants()


class TestDeleteOperations:
    def test_remove_tells_whether_there_was_a_value(self, store: KeyValueStore) -> None:
        store.set("key", "value")
        assert store.remove("key") is True
        assert store.remove("key") is False
        assert store.get("key") is None

    def test_a_removed_key_is_gone_from_every_list(self, store: KeyValueStore) -> None:
        store.set("key", "value")
        server_id = store.get_server_for_key("key")
        store.remove("key")
        assert store.keys() == []
        assert store.get_keys_for_server(server_id) == []
        assert store.get_stats()[server_id] == 0
        assert store.scan("key", 10) == []

    def test_a_removed_key_does_not_return_with_a_membership_change(
        self, store: KeyValueStore
    ) -> None:
        content = filled(store, 500)
        store.add_server("echo")
        store.remove_many(content)
        store.remove_server("echo")
        store.add_server("echo")
        assert store.get_total_entries() == 0
        assert content_of(store) == {}


class TestThreadSafety:
    def test_writers_of_different_keys_lose_nothing(self, store: KeyValueStore) -> None:
        def write(worker: int) -> None:
            for number in range(500):
                store.set(f"{worker}:{number}", f"{worker}.{number}")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        expected = {f"{w}:{n}": f"{w}.{n}" for w in range(8) for n in range(500)}
        assert content_of(store) == expected

    def test_writers_of_one_key_leave_one_of_their_values(self, store: KeyValueStore) -> None:
        barrier = threading.Barrier(8)

        def write(worker: int) -> None:
            barrier.wait()
            for _ in range(300):
                store.set("shared", str(worker))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        assert store.get("shared") in {str(worker) for worker in range(8)}
        assert store.get_total_entries() == 1
        assert store.explain("shared").version == 8 * 300

    def test_reading_and_listing_go_on_while_servers_come_and_go(
        self, store: KeyValueStore
    ) -> None:
        content = filled(store, 1_000)
        stop = threading.Event()
        wrong: list[object] = []

        def observe() -> None:
            while not stop.is_set():
                sample = list(content)[:100]
                wrong.extend(key for key in sample if store.get(key) != content[key])
                if len(store) != len(content):
                    wrong.append(store.get_stats())
                if set(store.keys()) != set(content):
                    wrong.append("keys() missed some")

        observers = [threading.Thread(target=observe) for _ in range(3)]
        for observer in observers:
            observer.start()
        with finer_switching:  # else whoever moves waits 15 ms for each turn
            for number in range(6):
                store.add_server(f"extra-{number}")
            for number in range(6):
                store.remove_server(f"extra-{number}")
        stop.set()
        for observer in observers:
            observer.join()
        assert wrong == []


class TestServerKeysRetrieval:
    def test_the_keys_of_all_servers_are_all_keys_once(self, store: KeyValueStore) -> None:
        content = filled(store, 500)
        listed = [key for name in store.get_servers() for key in store.get_keys_for_server(name)]
        assert sorted(listed) == sorted(content)

    def test_the_keys_of_a_server_are_those_that_map_to_it_in_ring_order(
        self, store: KeyValueStore
    ) -> None:
        content = filled(store, 500)
        for server_id in store.get_servers():
            keys = store.get_keys_for_server(server_id)
            check_ring_order(keys)
            assert set(keys) == {k for k in content if store.get_server_for_key(k) == server_id}
            assert len(keys) == store.get_stats()[server_id]

    def test_an_unknown_server_is_an_error(self, store: KeyValueStore) -> None:
        with pytest.raises(UnknownServerError, match="zulu"):
            store.get_keys_for_server("zulu")
        with pytest.raises(UnknownServerError):
            store.plan_remove_server("zulu")

    @pytest.mark.parametrize("server_id", ["", "no server", "\x1b"])
    def test_what_no_server_is_called_is_an_unknown_server(
        self, store: KeyValueStore, server_id: str
    ) -> None:
        for operation in (
            store.get_keys_for_server,
            store.plan_remove_server,
            store.plan_crash,
            lambda unknown: store.set_weight(unknown, 2.0),
            lambda unknown: store.plan_set_weight(unknown, 2.0),
        ):
            with pytest.raises(UnknownServerError, match="no server '"):
                operation(server_id)

    def test_a_server_without_keys_has_none(self, store: KeyValueStore) -> None:
        assert store.get_keys_for_server("alpha") == []


class Colour(str, enum.Enum):  # noqa: UP042 - its hash is that of its name, not of its text
    RED = "red"


class TestEdgeCases:
    @pytest.mark.parametrize(
        "key",
        ["", "k" * 1_025, "ä" * 513, "lone \ud800", b"bytes", bytearray(b"b"), None, 7, 1.5, ["a"]],
    )
    def test_what_can_not_be_a_key_is_refused_by_every_operation(
        self, store: KeyValueStore, key: object
    ) -> None:
        operations: list[Callable[..., object]] = [
            store.get,
            lambda k: store.set(k, "value"),
            store.remove,
            store.exists,
            store.get_server_for_key,
            store.explain,
            lambda k: store.scan(k, 1),
            lambda k: store.get_many([k]),
            lambda k: store.set_many([("good", "value"), (k, "value")]),
            lambda k: store.remove_many([k]),
        ]
        for operation in operations:
            with pytest.raises(InvalidKeyError):
                operation(key)
        assert store.get_total_entries() == 0
        assert key not in store

    @pytest.mark.parametrize(
        "key", ["k" * 1_024, "ä" * 512, "🌍" * 256, " ", "\n", "\x00", "a b", "[/x]", "%s{}"]
    )
    def test_every_other_text_is_a_key(self, store: KeyValueStore, key: str) -> None:
        store.set(key, "value")
        assert store.get(key) == "value"
        assert store.keys() == [key]

    def test_a_text_of_a_subclass_is_the_key_of_its_text(self, store: KeyValueStore) -> None:
        store.set(Colour.RED, "value")
        assert store.get("red") == store.get(Colour.RED) == "value"
        assert [type(key) for key in store.keys()] == [str]

    @pytest.mark.parametrize("value", [None, 7, 1.5, ["a"], bytearray(b"b"), "lone \udfff"])
    def test_what_can_not_be_a_value_is_refused(self, store: KeyValueStore, value: object) -> None:
        with pytest.raises(InvalidValueError):
            store.set("key", value)  # type: ignore[call-overload]
        with pytest.raises(InvalidValueError):
            store.set_many([("good", "value"), ("key", value)])  # type: ignore[list-item]
        assert store.get_total_entries() == 0

    def test_a_value_may_have_16_mebibytes_and_no_more(self, store: KeyValueStore) -> None:
        limit = 16 * 1024 * 1024
        store.set("key", b"x" * limit)
        for value in (b"x" * (limit + 1), "x" * (limit + 1), "ä" * (limit // 2 + 1)):
            with pytest.raises(InvalidValueError, match="at most 16,777,216"):
                store.set("key", value)
        assert len(store.get("key", b"")) == limit

    @pytest.mark.parametrize(
        "server_id", ["", "a" * 65, "a b", "a/b", "é", "a\n", "[x]", "\x1b[31m", None, 7, b"a"]
    )
    def test_what_can_not_be_a_server_id_is_refused(
        self, store: KeyValueStore, server_id: object
    ) -> None:
        for operation in (store.add_server, store.plan_add_server):
            with pytest.raises(InvalidServerIdError):
                operation(server_id)  # type: ignore[arg-type]
        assert store.get_servers() == sorted(SERVERS)

    @pytest.mark.parametrize("server_id", [None, 7, b"a", ["a"]])
    def test_what_no_server_can_be_called_is_refused_wherever_one_is_named(
        self, store: KeyValueStore, server_id: Any
    ) -> None:
        for operation in (
            store.add_server,
            store.remove_server,
            store.plan_remove_server,
            store.get_keys_for_server,
            store.plan_crash,
            store.crash_server,
            store.recover_server,
            lambda server_id: store.set_weight(server_id, 2),
            lambda server_id: store.plan_set_weight(server_id, 2),
        ):
            with pytest.raises(InvalidServerIdError, match="must be str"):
                operation(server_id)
        assert store.get_servers() == sorted(SERVERS)

    def test_what_is_no_plan_is_not_committed(self, store: KeyValueStore) -> None:
        nothing: Any = None
        with pytest.raises(InvalidOptionError, match="not NoneType"):
            store.commit(nothing)

    @pytest.mark.parametrize("server_id", ["a", "a" * 64, "10.0.0.1:6379", "eu-west_1.b"])
    def test_every_other_id_is_allowed(self, server_id: str) -> None:
        assert KeyValueStore().add_server(server_id)

    def test_an_error_message_is_one_safe_line(self, store: KeyValueStore) -> None:
        hostile = "\x1b]52;c;cGF3bmVk\x07\n" * 100
        messages = []
        for operation in (lambda: store.get(hostile), lambda: store.add_server(hostile)):
            with pytest.raises(StoreError) as raised:
                operation()
            messages.append(str(raised.value))
        with pytest.raises(UnknownServerError) as unknown:
            store.get_keys_for_server(hostile)
        messages.append(str(unknown.value))
        for message in messages:
            assert message.isprintable()
            assert len(message) < 250

    def test_without_servers_nothing_is_found_and_nothing_can_be_set(self) -> None:
        store = KeyValueStore()
        assert store.get("key") is None
        assert not store.exists("key")
        assert not store.remove("key")
        assert store.keys() == []
        assert store.get_stats() == {}
        assert store.scan("key", 5) == []
        with pytest.raises(NoServersError):
            store.set("key", "value")
        assert bool(store)

    @pytest.mark.parametrize("vnodes", [0, -1, 100_001, 1.5, "150", None])
    def test_virtual_nodes_out_of_range_are_refused(self, vnodes: int) -> None:
        with pytest.raises(InvalidOptionError):
            KeyValueStore(vnodes)

    @pytest.mark.parametrize("count", [-1, 1.5, "1", b"1", ["1"]])
    def test_what_is_no_count_is_refused(self, store: KeyValueStore, count: Any) -> None:
        for operation in (
            lambda: store.keys(limit=count),
            lambda: store.scan("key", count),
            lambda: store.run_transaction(lambda tx: tx.get("key"), count),
            lambda: KeyValueStore(hints_kept=count),
        ):
            with pytest.raises(InvalidOptionError, match="must be a whole number, 0 or more"):
                operation()

    @pytest.mark.parametrize("prefix", [None, 7, b"k", ["k"]])
    def test_what_is_no_prefix_is_refused(self, store: KeyValueStore, prefix: Any) -> None:
        with pytest.raises(InvalidOptionError, match="prefix must be str"):
            store.keys(prefix)

    def test_stores_know_nothing_of_each_other(self, store: KeyValueStore) -> None:
        other = store_with(["alpha"])
        other.set("key", "value")
        assert store.get("key") is None
