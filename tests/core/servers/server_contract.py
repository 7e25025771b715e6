"""What every kind of server must do: inherit `ServerContract` and give it a server."""

import random
from abc import ABC, abstractmethod

import pytest

from core import Entry, Server
from core.record import NEVER_EXPIRES, VALUE
from core.ring import position_of
from core.stripes import LAST_POSITION, STRIPE_SHIFT, last_position_of, stripe_of


def entry(key: str, value: str | bytes = "value", version: int = 1) -> Entry:
    return Entry(position_of(key), key, (value, version, NEVER_EXPIRES))


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

    def test_a_stripe_with_a_record_may_hold_one(
        self, server: Server, entries: list[Entry]
    ) -> None:
        server.apply_many(entries[::2])
        for one in entries[1::2]:
            stripe = stripe_of(one.position)
            server.records(stripe)[one.key] = one.record
            keys = server.keys(stripe)
            if keys is not None:
                keys[one.key] = None
        assert all(server.may_hold(stripe_of(one.position)) for one in entries)
        server.discard(entries[0].position + 1, LAST_POSITION)
        assert server.may_hold(stripe_of(entries[0].position))

    def test_what_was_applied_is_found(self, server: Server) -> None:
        for value in ("text", "", b"", b"\x00\xff", "grün 🌍"):
            one = entry(f"key of {value!r}", value)
            assert server.apply(one)
            assert server.get(one.position, one.key) == one.record
            found = server.get(one.position, one.key)
            assert found is not None
            assert type(found[VALUE]) is type(value)

    def test_only_a_newer_version_is_applied(self, server: Server) -> None:
        assert server.apply(entry("key", "second", 2))
        assert not server.apply(entry("key", "first", 1))
        assert not server.apply(entry("key", "other second", 2))
        assert server.get(position_of("key"), "key") == ("second", 2, NEVER_EXPIRES)
        assert server.apply(entry("key", "third", 3))
        assert server.get(position_of("key"), "key") == ("third", 3, NEVER_EXPIRES)
        assert server.count() == 1

    def test_many_are_applied_by_the_same_rule(self, server: Server, entries: list[Entry]) -> None:
        newer = entries[7]._replace(record=("newer", 10_000, NEVER_EXPIRES))
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

    def test_the_records_and_keys_of_a_stripe_are_live(self, server: Server) -> None:
        one, stripe = entry("key"), stripe_of(position_of("key"))
        records, keys = server.records(stripe), server.keys(stripe)
        assert records.get("key") is None
        assert "key" not in records
        server.apply(one)
        assert records.get("key") == one.record
        assert "key" in records
        assert keys is None or "key" in keys
        records["key"] = ("newer", 2, NEVER_EXPIRES)
        assert server.get(one.position, "key") == ("newer", 2, NEVER_EXPIRES)
        assert records.pop("key", None) == ("newer", 2, NEVER_EXPIRES)
        if keys is not None:
            del keys["key"]
        assert records.pop("key", None) is None
        assert server.get(one.position, "key") is None
        assert server.count() == 0

    def test_what_a_writer_puts_into_records_and_keys_is_listed(self, server: Server) -> None:
        one, stripe = entry("key"), stripe_of(position_of("key"))
        keys = server.keys(stripe)
        if keys is not None:
            keys["key"] = None
            assert server.scan(0, LAST_POSITION) == []
            assert server.measure(0, LAST_POSITION) == (0, 0)
        server.records(stripe)["key"] = one.record
        assert server.scan(0, LAST_POSITION) == [one]

    def test_live_records_survive_a_discard(self, server: Server) -> None:
        one = entry("key")
        records = server.records(stripe_of(one.position))
        server.apply(one)
        server.discard(0, LAST_POSITION)
        assert records.get("key") is None
        server.apply(one)
        assert records.get("key") == one.record

    def test_keys_at_one_position_are_kept_apart(self, server: Server) -> None:
        first, second = entry("user:21620"), entry("user:32611")
        assert first.position == second.position
        server.apply_many([second, first])
        assert server.scan(first.position, first.position) == [first, second]

    def test_it_can_be_closed(self, server: Server) -> None:
        server.close()
