"""What every kind of server must do: inherit `ServerContract` and give it a server."""

import random
from abc import ABC, abstractmethod

import pytest

from core import Entry, Server
from core.record import NEVER_EXPIRES, Record
from core.ring import position_of
from core.stripes import LAST_POSITION, STRIPE_SHIFT, last_position_of, stripe_of


def entry(key: str, value: str | bytes = "value", version: int = 1) -> Entry:
    return Entry(position_of(key), key, Record(value, version, NEVER_EXPIRES))


class ServerContract(ABC):
    """Tests of the `Server` protocol."""

    @abstractmethod
    def make(self) -> Server:
        """Return a new, empty server called ``alpha``."""

    @pytest.fixture
    def server(self) -> Server:
        return self.make()

    @pytest.fixture
    def entries(self) -> list[Entry]:
        """300 entries in ring order."""
        return sorted(entry(f"key-{n}", f"value {n}", n + 1) for n in range(300))

    def test_it_knows_its_id(self, server: Server) -> None:
        assert server.server_id == "alpha"

    def test_an_empty_server_holds_nothing(self, server: Server) -> None:
        assert server.count() == 0
        assert server.scan(0, LAST_POSITION) == []
        assert server.measure(0, LAST_POSITION) == (0, 0)
        assert server.discard(0, LAST_POSITION) == 0
        assert server.get(position_of("key"), "key") is None

    def test_what_was_applied_is_found(self, server: Server) -> None:
        for value in ("text", "", b"", b"\x00\xff", "grün 🌍"):
            one = entry(f"key of {value!r}", value)
            assert server.apply(one) == 1
            assert server.get(one.position, one.key) == one.record
            found = server.get(one.position, one.key)
            assert found is not None
            assert type(found.value) is type(value)

    def test_only_a_newer_version_is_applied(self, server: Server) -> None:
        assert server.apply(entry("key", "second", 2)) is not None
        assert server.apply(entry("key", "first", 1)) is None
        assert server.apply(entry("key", "other second", 2)) is None
        assert server.get(position_of("key"), "key") == Record("second", 2, NEVER_EXPIRES)
        assert server.apply(entry("key", "third", 3)) is not None
        assert server.get(position_of("key"), "key") == Record("third", 3, NEVER_EXPIRES)
        assert server.count() == 1

    def test_a_write_says_by_how_much_the_keys_changed(self, server: Server) -> None:
        gone = entry("key").with_record(Record(None, 4, NEVER_EXPIRES))
        assert server.apply(entry("key", "first", 1)) == 1
        assert server.apply(entry("key", "second", 2)) == 0
        assert server.apply(entry("key", "first", 1)) is None
        assert server.apply(gone) == -1
        assert server.apply(gone) is None
        assert server.apply(gone.with_record(Record(None, 5, NEVER_EXPIRES))) == 0
        assert server.apply(entry("key", "third", 6)) == 1
        assert server.apply(entry("other", "value", 7)) == 1

    def test_many_are_applied_by_the_same_rule(self, server: Server, entries: list[Entry]) -> None:
        newer = entries[7].with_record(Record("newer", 10_000, NEVER_EXPIRES))
        server.apply(newer)
        assert server.apply_many(entries) == len(entries) - 1
        assert server.apply_many(entries) == 0
        assert server.scan(0, LAST_POSITION) == [*entries[:7], newer, *entries[8:]]

    def test_a_scan_is_in_ring_order_and_inclusive(
        self, server: Server, entries: list[Entry]
    ) -> None:
        shuffled = entries[:]
        random.Random(1).shuffle(shuffled)
        server.apply_many(shuffled)
        low, high = entries[50].position, entries[250].position
        assert server.scan(low, high) == entries[50:251]
        assert server.scan(low + 1, high - 1) == entries[51:250]
        assert server.scan(low, high, 10) == entries[50:60]
        assert server.scan(low, high, 0) == []
        assert server.scan(low, low) == [entries[50]]

    def test_a_range_is_measured(self, server: Server) -> None:
        server.apply_many([entry("a", "12345"), entry("ä", "🌍"), entry("b", b"123")])
        assert server.measure(0, LAST_POSITION) == (3, 1 + 5 + 2 + 4 + 1 + 3)
        assert server.measure(position_of("ä"), position_of("ä")) == (1, 6)

    def test_only_the_range_is_discarded(self, server: Server, entries: list[Entry]) -> None:
        server.apply_many(entries)
        low, high = entries[50].position, entries[250].position
        assert server.discard(low, high) == 201
        assert server.scan(0, LAST_POSITION) == entries[:50] + entries[251:]
        assert server.count() == 99
        assert server.discard(low, high) == 0

    def test_a_whole_stripe_is_discarded(self, server: Server, entries: list[Entry]) -> None:
        server.apply_many(entries)
        stripe = stripe_of(entries[100].position)
        gone = [e for e in entries if stripe_of(e.position) == stripe]
        assert server.discard(stripe << STRIPE_SHIFT, last_position_of(stripe)) == len(gone)
        assert server.count() == len(entries) - len(gone)

    def test_the_records_are_live(self, server: Server) -> None:
        one, records = entry("key"), server.records
        if records is None:
            return  # every call may fail: a reader has to use `get`, a writer `apply`
        bucket = records.bucket(one.position)
        assert bucket.get("key") is None
        server.apply(one)
        assert bucket.get("key") == one.record
        bucket["key"] = Record("newer", 2, NEVER_EXPIRES)
        assert server.get(one.position, "key") == Record("newer", 2, NEVER_EXPIRES)
        assert server.count() == 1
        assert bucket.pop("key", None) == Record("newer", 2, NEVER_EXPIRES)
        assert server.get(one.position, "key") is None
        assert server.count() == 0

    def test_what_a_writer_puts_into_the_records_is_listed(self, server: Server) -> None:
        one, records = entry("key"), server.records
        if records is None:
            return
        records.bucket(one.position)["key"] = one.record
        assert server.scan(0, LAST_POSITION) == [one]
        assert server.measure(0, LAST_POSITION).keys == 1

    def test_live_records_survive_a_discard(self, server: Server) -> None:
        one, records = entry("key"), server.records
        if records is None:
            return
        bucket = records.bucket(one.position)
        server.apply(one)
        server.discard(0, LAST_POSITION)
        assert bucket.get("key") is None
        server.apply(one)
        assert bucket.get("key") == one.record
        assert server.records is records

    def test_keys_at_one_position_are_kept_apart(self, server: Server) -> None:
        first, second = entry("user:21620"), entry("user:32611")
        assert first.position == second.position
        server.apply_many([second, first])
        assert server.scan(first.position, first.position) == [first, second]

    def test_a_tombstone_takes_the_record_and_keeps_older_ones_away(self, server: Server) -> None:
        one = entry("key", "value", 3)
        gone = one.with_record(Record(None, 5, NEVER_EXPIRES))
        server.apply(one)
        assert server.apply(gone) is not None
        assert server.get(one.position, "key") is None
        assert (server.count(), server.scan(0, LAST_POSITION)) == (0, [])
        assert server.apply(entry("key", "late", 4)) is None
        assert server.apply(gone) is None
        assert server.get(one.position, "key") is None
        assert server.apply(entry("key", "newer", 6)) is not None
        assert server.get(one.position, "key") == Record("newer", 6, NEVER_EXPIRES)

    def test_a_tombstone_older_than_the_record_does_nothing(self, server: Server) -> None:
        one = entry("key", "value", 3)
        server.apply(one)
        assert server.apply(one.with_record(Record(None, 2, NEVER_EXPIRES))) is None
        assert server.get(one.position, "key") == one.record

    def test_tombstones_are_listed_by_range(self, server: Server) -> None:
        gone = [entry(f"key-{number}", version=number + 1) for number in range(5)]
        server.apply_many(gone)
        tombstones = [one.with_record(Record(None, 10, NEVER_EXPIRES)) for one in gone]
        server.apply_many(tombstones)
        assert sorted(server.removals(0, LAST_POSITION)) == sorted(tombstones)
        place = gone[2].position
        assert server.removals(place, place) == [tombstones[2]]
        assert server.apply(gone[2].with_record(Record("again", 11, NEVER_EXPIRES))) is not None
        assert server.removals(place, place) == []

    def test_what_is_dropped_or_discarded_was_not_removed(self, server: Server) -> None:
        first, second = entry("first"), entry("second")
        for one in (first, second):
            server.apply(one.with_record(Record(None, 10, NEVER_EXPIRES)))
        assert not server.drop(first.position, first.key)
        assert server.apply(first) is not None
        assert server.apply(second) is None
        assert server.discard(second.position, second.position) == 0
        assert server.apply(second) is not None

    def test_tombstones_are_forgotten_a_stripe_at_a_time(self, server: Server) -> None:
        one = entry("key", version=3)
        server.apply(one.with_record(Record(None, 5, NEVER_EXPIRES)))
        assert server.forget_tombstones(stripe_of(one.position) ^ 1) == 0
        assert server.apply(one) is None
        assert server.forget_tombstones(stripe_of(one.position)) == 1
        assert server.apply(one) is not None

    def test_one_record_is_dropped_whatever_its_version(
        self, server: Server, entries: list[Entry]
    ) -> None:
        server.apply_many(entries)
        assert server.drop(entries[7].position, entries[7].key)
        assert not server.drop(entries[7].position, entries[7].key)
        assert server.scan(0, LAST_POSITION) == entries[:7] + entries[8:]
        assert server.count() == len(entries) - 1
        assert server.apply(entries[7]) is not None

    def test_equal_content_has_equal_digests_in_any_order(
        self, server: Server, entries: list[Entry]
    ) -> None:
        other = self.make()
        assert server.digest(0, LAST_POSITION) == other.digest(0, LAST_POSITION) == 0
        server.apply_many(entries)
        other.apply_many(entries[::-1])
        low, high = entries[50].position, entries[250].position
        assert server.digest(0, LAST_POSITION) == other.digest(0, LAST_POSITION) != 0
        assert server.digest(low, high) == other.digest(low, high)
        assert server.digest(low, high) != server.digest(low + 1, high)
        changed = entries[100].with_record(Record("value", 10_000, NEVER_EXPIRES))
        other.apply(changed)
        assert server.digest(low, high) != other.digest(low, high)
        server.apply(changed)
        assert server.digest(low, high) == other.digest(low, high)
        server.apply(changed.with_record(Record("value", 10_001, 5)))
        other.apply(changed.with_record(Record("value", 10_001, 6)))
        assert server.digest(low, high) != other.digest(low, high)

    def test_it_can_be_closed(self, server: Server) -> None:
        server.close()
