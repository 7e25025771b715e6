"""A topology comes back as it was written, and nothing else is taken for one."""

import base64
import hashlib
import json
import random
import threading
import time
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from core import (
    ChangeKind,
    CorruptTopologyError,
    InvalidOptionError,
    InvalidServerIdError,
    Placement,
)
from core.cluster.kept_positions import MAX_POINTS, packed
from core.cluster.topology import (
    FORMAT,
    MAX_EPOCH,
    MAX_SERVERS,
    MAX_TOPOLOGY_BYTES,
    PendingChange,
    Topology,
    decode,
    encode,
)

FUZZED_INPUTS = 5_000
LONGEST_MESSAGE = 400

JOIN = PendingChange(
    ChangeKind.ADD, "charlie", 0.5, cancelling=True, force=True, keys_per_second=250, paused=True
)
TOPOLOGIES: tuple[Topology, ...] = (
    Topology(150, 1, 0, {}),
    Topology(1, 7, MAX_EPOCH, {"alpha": 1_000.0}),
    Topology(150, 2, 12, {"bravo": 2.5, "alpha": 1, "10.0.0.1:6379": 0.001}, JOIN),
    Topology(30, 3, 4, {"alpha": 1.0}, PendingChange(ChangeKind.REMOVE, "alpha", 1.0)),
    Topology(30, 3, 4, {"alpha": 1.0}, PendingChange(ChangeKind.REWEIGH, "alpha", 3.0)),
)
# Of 2 points for a weight of 1.
POINTS = {"alpha": (0, 1 << 31), "bravo": (7, 300, (1 << 32) - 1)}
WEIGHTS = {"alpha": 1.0, "bravo": 1.5}
JOIN_AT = PendingChange(ChangeKind.ADD, "charlie", 0.5, positions=(9,))
REWEIGH_AT = PendingChange(ChangeKind.REWEIGH, "bravo", 1.0, positions=(7, 300))
LEAVE = PendingChange(ChangeKind.REMOVE, "bravo", 1.5, cancelling=True)
BALANCED = tuple(
    Topology(2, 1, 5, WEIGHTS, change, Placement.BALANCED, POINTS)
    for change in (JOIN_AT, REWEIGH_AT, LEAVE, None)
)
TOPOLOGIES = (*TOPOLOGIES, *BALANCED, Topology(2, 1, 0, {}, None, Placement.BALANCED))


def checksum_of(content: object) -> str:
    """Return the checksum as the description of the format says, apart from the code."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def sealed(content: object, **document: object) -> bytes:
    """Return a file of any content whose checksum is right, of the version that it looks like."""
    whole = {
        "format": FORMAT,
        "version": 2 if isinstance(content, dict) and "placement" in content else 1,
        "checksum": checksum_of(content),
        "topology": content,
        **document,
    }
    return json.dumps(whole).encode()


def content_of(topology: Topology) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(encode(topology))["topology"]
    return content


def refusal_of(content: bytes) -> str:
    """Return what is said about a file that is not accepted."""
    with pytest.raises(CorruptTopologyError) as caught:
        decode(content)
    return str(caught.value)


class TestRoundTrip:
    @pytest.mark.parametrize("topology", TOPOLOGIES)
    def test_what_was_written_is_read(self, topology: Topology) -> None:
        assert decode(encode(topology)) == topology

    def test_servers_are_sorted_whatever_order_they_came_in(self) -> None:
        topology = Topology(150, 1, 0, {"bravo": 1.0, "alpha": 1.0})
        assert list(topology.weights) == ["alpha", "bravo"]
        assert encode(topology) == encode(Topology(150, 1, 0, {"alpha": 1.0, "bravo": 1.0}))

    def test_a_topology_does_not_change_with_the_dict_it_was_made_from(self) -> None:
        weights = {"alpha": 1.0}
        topology = Topology(150, 1, 0, weights)
        weights["bravo"] = 1.0
        assert list(topology.weights) == ["alpha"]

    def test_the_file_is_readable_and_ends_with_a_newline(self) -> None:
        content = encode(TOPOLOGIES[2])
        assert content.endswith(b"}\n")
        assert b'\n      "alpha": 1.0,\n' in content
        assert json.loads(content)["checksum"] == checksum_of(content_of(TOPOLOGIES[2]))

    def test_a_file_that_was_only_laid_out_anew_is_accepted(self) -> None:
        document = json.loads(encode(TOPOLOGIES[2]))
        assert decode(json.dumps(document, sort_keys=True).encode()) == TOPOLOGIES[2]

    def test_as_many_servers_as_are_allowed_fit(self) -> None:
        topology = Topology(150, 1, 0, {f"{number:064d}": 1 / 3 for number in range(MAX_SERVERS)})
        content = encode(topology)
        assert len(content) < MAX_TOPOLOGY_BYTES
        assert decode(content) == topology

    def test_a_random_placement_is_written_as_it_was_before_there_was_another(self) -> None:
        document = json.loads(encode(TOPOLOGIES[2]))
        assert document["version"] == 1
        assert set(document["topology"]) == {
            "virtual_nodes_per_node",
            "replication_factor",
            "epoch",
            "weights",
            "change",
        }
        assert "positions" not in document["topology"]["change"]
        assert decode(json.dumps(document).encode()).placement is Placement.RANDOM

    def test_the_points_of_a_balanced_placement_are_written_as_described(self) -> None:
        document = json.loads(encode(BALANCED[0]))
        assert document["version"] == 2
        content = document["topology"]
        assert content["placement"] == "balanced"
        for server_id, points in POINTS.items():
            plain = b"".join(point.to_bytes(4, "big") for point in points)
            assert base64.b64decode(content["positions"][server_id]) == plain
        assert base64.b64decode(content["change"]["positions"]) == bytes([0, 0, 0, 9])

    def test_a_topology_does_not_change_with_the_points_it_was_made_from(self) -> None:
        points: dict[str, Any] = {name: list(each) for name, each in POINTS.items()}
        topology = Topology(2, 1, 5, WEIGHTS, None, Placement.BALANCED, points)
        points["alpha"].append(8)
        del points["bravo"]
        assert topology == BALANCED[3]

    def test_as_many_points_as_are_allowed_fit(self) -> None:
        server_ids = [f"{number:064d}" for number in range(MAX_SERVERS)]
        each = MAX_POINTS // MAX_SERVERS
        points = {
            server_id: tuple(range(number * each, (number + 1) * each))
            for number, server_id in enumerate(server_ids)
        }
        weights = dict.fromkeys(server_ids, 1.0)
        topology = Topology(each, 1, 0, weights, None, Placement.BALANCED, points)
        content = encode(topology)
        assert len(content) < MAX_TOPOLOGY_BYTES
        assert decode(content) == topology


class TestRefusal:
    def test_a_changed_content_is_refused_by_its_checksum(self) -> None:
        content = encode(TOPOLOGIES[2]).replace(b'"epoch": 12', b'"epoch": 13')
        assert "its checksum is wrong" in refusal_of(content)

    def test_a_later_version_says_so_and_not_that_the_file_is_damaged(self) -> None:
        message = refusal_of(sealed({"shape": [1]}, version=3, more=True))
        assert message == (
            "topology.json has format version 3, and this ringtop knows 2: "
            "open it with the ringtop that wrote it, or a newer one"
        )

    def test_a_damaged_file_says_what_is_wrong_and_what_to_do(self) -> None:
        assert refusal_of(b"{]") == (
            "topology.json is damaged (it is not JSON at line 1 column 2): "
            "put it back from a backup; the keys in servers/ are untouched"
        )

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "it is empty"),
            (b" \n", "it is empty"),
            (b'{"a": "\xff"}', "it is not UTF-8 at byte 7"),
            (b"\xef\xbb\xbf{}", "it is not JSON at line 1 column 1"),
            (b"[" * 100_000, "it is nested too deeply"),
            (b'{"a":' * 1_000 + b"1" + b"}" * 1_000, "it is nested too deeply"),
            (b" " * (MAX_TOPOLOGY_BYTES + 1), "it is longer than 16,777,216 bytes"),
            (b"[]", "it is not an object"),
            (b"{}", "it does not say that it is ringtop's"),
            (b'{"a": 1, "a": 1}', "'a' is in it twice"),
            (b'{"a": NaN}', "NaN is not a finite number"),
            (b'{"a": -Infinity}', "-Infinity is not a finite number"),
            (b'{"a": 1e999}', "1e999 is not a finite number"),
            (b'{"a": ' + b"9" * 5_000 + b"}", "a number in it has 5,000 digits"),
            (sealed([]), "the topology is not an object"),
            (sealed({}), "the topology has no change"),
            (sealed({}, version=True), "its version is not a whole number"),
            (sealed({}, version="1"), "its version is not a whole number"),
            (sealed({}, more=1), "it has an unknown field 'more'"),
        ],
        ids=lambda part: part if isinstance(part, str) else "",  # a file of 16 MB is no name
    )
    def test_what_is_no_topology_is_refused(self, content: bytes, said: str) -> None:
        assert said in refusal_of(content)

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("virtual_nodes_per_node", 0, "virtual_nodes_per_node must be"),
            ("virtual_nodes_per_node", 100_001, "virtual_nodes_per_node must be"),
            ("virtual_nodes_per_node", True, "virtual_nodes_per_node must be"),
            ("virtual_nodes_per_node", 150.0, "virtual_nodes_per_node must be"),
            ("replication_factor", 0, "replication_factor must be"),
            ("replication_factor", 8, "replication_factor must be"),
            ("replication_factor", True, "replication_factor must be"),
            ("epoch", -1, "epoch must be"),
            ("epoch", MAX_EPOCH + 1, "epoch must be"),
            ("epoch", None, "epoch must be"),
            ("weights", [], "the weights is not an object"),
            ("weights", {"a b": 1.0}, "server id 'a b' is not allowed"),
            ("weights", {"": 1.0}, "server id '' is not allowed"),
            ("weights", {"alpha": 0}, "a weight must be above 0"),
            ("weights", {"alpha": -1.0}, "a weight must be above 0"),
            ("weights", {"alpha": 1_000.5}, "a weight must be above 0"),
            ("weights", {"alpha": 1_000}, "makes 150,000 virtual nodes"),
            ("weights", {"alpha": True}, "weight must be a number"),
            ("weights", {"alpha": "1"}, "weight must be a number"),
            ("weights", {"alpha": 10**39}, "a weight must be above 0"),
            ("weights", {f"s{number}": 1 for number in range(10_001)}, "at most 10,000 servers"),
            ("change", [], "the change is not an object"),
            ("change", {}, "the change has no cancelling"),
        ],
    )
    def test_a_value_out_of_range_is_refused_though_the_checksum_is_right(
        self, field: str, value: object, said: str
    ) -> None:
        assert said in refusal_of(sealed({**content_of(TOPOLOGIES[0]), field: value}))

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("kind", "rename", "the kind of the change is none of add, remove, reweigh"),
            ("kind", [], "the kind of the change is none of"),
            ("server_id", "a\nb", r"server id 'a\nb' is not allowed"),
            ("server_id", 1, "a server id must be str"),
            ("server_id", "alpha", "the server of the change, alpha, is in the ring already"),
            ("weight", 0, "a weight must be above 0"),
            ("weight", None, "weight must be a number"),
            ("cancelling", 1, "cancelling must be true or false"),
            ("force", "no", "force must be true or false"),
            ("paused", None, "paused must be true or false"),
            ("keys_per_second", 0, "keys_per_second must be above 0"),
            ("keys_per_second", -0.5, "keys_per_second must be above 0"),
            ("keys_per_second", False, "keys_per_second must be a number"),
            ("more", 1, "the change has an unknown field 'more'"),
        ],
    )
    def test_a_change_that_is_none_is_refused_though_the_checksum_is_right(
        self, field: str, value: object, said: str
    ) -> None:
        content = content_of(TOPOLOGIES[2])
        content["change"][field] = value
        assert said in refusal_of(sealed(content))

    @pytest.mark.parametrize("kind", [ChangeKind.REMOVE, ChangeKind.REWEIGH])
    def test_only_a_server_of_the_ring_can_leave_or_be_reweighed(self, kind: ChangeKind) -> None:
        with pytest.raises(InvalidOptionError, match="bravo, is not in the ring"):
            Topology(150, 1, 0, {"alpha": 1.0}, PendingChange(kind, "bravo", 1.0))

    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            (["placement"], "even", "the placement is none of random, balanced"),
            (["placement"], [], "the placement is none of random, balanced"),
            (["placement"], "random", "the points of a random placement are not kept"),
            (["positions"], [], "the positions is not an object"),
            (["positions"], {}, "the points are not those of the servers"),
            (["positions", "charlie"], packed((1, 2)), "the points are not those of the servers"),
            (["positions", "alpha"], None, "the positions of 'alpha' are no base64"),
            (["positions", "alpha"], "AAAA\n", "the positions of 'alpha' are no base64"),
            (["positions", "alpha"], "é", "the positions of 'alpha' are no base64"),
            (["positions", "alpha"], "AAAAAAA=", "the positions of 'alpha' are no base64"),
            (["positions", "al\npha"], 1, r"the positions of 'al\npha' are no base64"),
            (["positions", "alpha"], "", "alpha has 0 points, and should have 2"),
            (["positions", "alpha"], packed((1, 2, 3)), "alpha has 3 points, and should have 2"),
            (["positions", "alpha"], packed((2, 1)), "the points of alpha are not in order"),
            (["positions", "alpha"], packed((2, 2)), "the points of alpha are not in order"),
            (["positions", "alpha"], packed((2, 300)), "two servers have a point at one position"),
            (["change", "positions"], "", "charlie has 0 points, and should have 1"),
            (["change", "positions"], packed((300,)), "two servers have a point at one position"),
            (["change", "positions"], 9, "the positions of the change are no base64"),
            (["change", "kind"], "remove", "a server that leaves has no points afterwards"),
        ],
    )
    def test_points_that_can_not_be_are_refused_though_the_checksum_is_right(
        self, path: list[str], value: object, said: str
    ) -> None:
        content = content_of(BALANCED[0])
        place = content
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        if value == "remove":
            content["change"]["server_id"] = "alpha"
        assert said in refusal_of(sealed(content))

    @pytest.mark.parametrize("field", ["placement", "positions"])
    def test_a_version_has_its_own_fields_and_no_others(self, field: str) -> None:
        content = content_of(BALANCED[3])
        assert f"the topology has an unknown field '{field}'" in refusal_of(
            sealed({**content_of(TOPOLOGIES[0]), field: content[field]}, version=1)
        )
        del content[field]
        assert f"the topology has no {field}" in refusal_of(sealed(content, version=2))

    def test_a_server_that_gets_other_points_may_have_those_it_had(self) -> None:
        assert decode(encode(BALANCED[1])) == BALANCED[1]
        bad = PendingChange(ChangeKind.REWEIGH, "bravo", 1.0, positions=(0, 300))
        with pytest.raises(InvalidOptionError, match="at one position"):
            Topology(2, 1, 5, WEIGHTS, bad, Placement.BALANCED, POINTS)

    @pytest.mark.parametrize("points", [(-1, 5), (5, 1 << 32), (0, True), (1.0, 2)])
    def test_points_off_the_ring_are_never_written(self, points: Any) -> None:
        with pytest.raises(InvalidOptionError, match="a point of alpha is not on the ring"):
            Topology(2, 1, 0, {"alpha": 1.0}, None, Placement.BALANCED, {"alpha": points})

    def test_too_many_points_are_never_written(self) -> None:
        weights = {f"s{number}": 1.0 for number in range(21)}
        points = {
            name: tuple(range(number * 100_000, (number + 1) * 100_000))
            for number, name in enumerate(weights)
        }
        with pytest.raises(InvalidOptionError, match="at most 2,000,000 points"):
            Topology(100_000, 1, 0, weights, None, Placement.BALANCED, points)

    def test_nothing_can_be_written_that_could_not_be_read(self) -> None:
        full = {f"s{number}": 1.0 for number in range(MAX_SERVERS)}
        with pytest.raises(InvalidOptionError, match="at most 10,000 servers"):
            Topology(150, 1, 0, full, PendingChange(ChangeKind.ADD, "one.more", 1.0))
        with pytest.raises(InvalidServerIdError):
            Topology(150, 1, 0, {"a/b": 1.0})
        for nothing in (float("nan"), float("inf"), 10**400):
            with pytest.raises(InvalidOptionError):
                Topology(150, 1, 0, {"alpha": nothing})
            with pytest.raises(InvalidOptionError):
                PendingChange(ChangeKind.ADD, "alpha", 1.0, keys_per_second=nothing)

    def test_nesting_is_refused_where_the_stack_is_small(self) -> None:
        said: list[str] = []
        usual = threading.stack_size(256 << 10)
        try:
            thread = threading.Thread(target=lambda: said.append(refusal_of(b"[" * 4_000_000)))
            thread.start()
        finally:
            threading.stack_size(usual)
        thread.join()
        assert "it is nested too deeply" in said[0]


class TestFuzz:
    def test_nothing_but_a_topology_is_taken_for_one(self) -> None:
        dice = random.Random(20)
        accepted = refused = 0
        slowest = 0.0
        for number in range(FUZZED_INPUTS):
            content = DAMAGES[number % len(DAMAGES)](dice)
            began = time.process_time()
            try:
                topology = decode(content)
            except CorruptTopologyError as error:
                refused += 1
                check_message(str(error))
            else:
                accepted += 1
                check_accepted(content, topology)
            slowest = max(slowest, time.process_time() - began)
        assert refused > FUZZED_INPUTS // 2
        assert accepted > FUZZED_INPUTS // 50, "too few were right to say anything about those"
        assert slowest < 2.0


def check_message(message: str) -> None:
    """Assert that an error is one line that can be shown as it is."""
    assert message.startswith("topology.json ")
    assert len(message) <= LONGEST_MESSAGE
    for character in message:
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def check_accepted(content: bytes, topology: Topology) -> None:
    """Assert that what was accepted is one of the originals, or carries a right checksum."""
    if topology in TOPOLOGIES:
        return
    document = json.loads(content)
    assert document["checksum"] == checksum_of(document["topology"])
    assert decode(encode(topology)) == topology


def original(dice: random.Random) -> bytes:
    return encode(dice.choice(TOPOLOGIES))


def with_flipped_bits(dice: random.Random) -> bytes:
    content = bytearray(original(dice))
    for _ in range(dice.choice([1, 1, 1, 2, 8, 64])):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return bytes(content)


def cut_short(dice: random.Random) -> bytes:
    content = original(dice)
    return content[: dice.randrange(len(content))] + b"\0" * dice.choice([0, 0, 1, 512])


def spliced(dice: random.Random) -> bytes:
    one, other = original(dice), original(dice)
    return one[: dice.randrange(len(one))] + other[dice.randrange(len(other)) :]


def with_a_piece_elsewhere(dice: random.Random) -> bytes:
    content = original(dice)
    low, high = sorted(dice.randrange(len(content)) for _ in range(2))
    at = dice.randrange(len(content))
    return content[:at] + content[low:high] * dice.choice([1, 1, 2, 50]) + content[at:]


def random_bytes(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randrange(400))


def random_document(dice: random.Random) -> bytes:
    return json.dumps(random_json(dice), ensure_ascii=dice.random() < 0.5).encode(
        errors="surrogatepass"
    )


def resealed(dice: random.Random) -> bytes:
    """Return a file whose content was changed somewhere and whose checksum is right for it."""
    content = content_of(dice.choice(TOPOLOGIES))
    for _ in range(dice.choice([1, 1, 2, 3])):
        where = dice.choice(places_in(content))
        if dice.random() < 0.2:
            where[str(random_json(dice))] = random_json(dice)
        elif where:
            where[dice.choice(list(where))] = random_json(dice)
    document = {"version": random_json(dice)} if dice.random() < 0.05 else {}
    return sealed(content, **document)


def likely(dice: random.Random) -> bytes:
    """Return a file that is near the limits of what is right, with a right checksum."""
    content = content_of(dice.choice(TOPOLOGIES))
    numbers = [0, 1, 7, 8, 150, 1_000, 100_000, 0.001, 1e-300, -0.0, MAX_EPOCH, MAX_EPOCH + 1]
    content[dice.choice(["virtual_nodes_per_node", "replication_factor", "epoch"])] = dice.choice(
        numbers
    )
    content["weights"][dice.choice(["alpha", "delta", ".", "..", "a/b", "é"])] = dice.choice(
        numbers
    )
    return sealed(content)


def deeply_nested(dice: random.Random) -> bytes:
    opening, closing = dice.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"":', b"}]")])
    depth = dice.choice([2, 31, 32, 33, 1_000, 100_000])
    nest = opening * depth + dice.choice([b"", b"1" + closing * depth])
    return dice.choice([nest, original(dice).replace(b"null", nest)])


def huge_numbers(dice: random.Random) -> bytes:
    digits = dice.choice(
        [b"9" * 30, b"9" * 5_000, b"1e400", b"-1e400", b"0." + b"1" * 5_000, b"NaN"]
    )
    digits = dice.choice([digits, digits + b"e" + b"9" * 100, b"-" + digits])
    return original(dice).replace(dice.choice([b"150", b"1.0", b"null", b"1"]), digits)


def invalid_utf8(dice: random.Random) -> bytes:
    content = original(dice)
    at = dice.randrange(len(content))
    bad = dice.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x80"])
    return content[:at] + bad + content[at:]


def untouched(dice: random.Random) -> bytes:
    return original(dice)


DAMAGES: tuple[Callable[[random.Random], bytes], ...] = (
    with_flipped_bits,
    cut_short,
    spliced,
    with_a_piece_elsewhere,
    random_bytes,
    random_document,
    resealed,
    likely,
    deeply_nested,
    huge_numbers,
    invalid_utf8,
    untouched,
)

TEXTS = (
    "",
    "alpha",
    "add",
    "a\x1b]52;c\x07",
    "\u202e",
    "\ud800",
    "\n",
    "é",
    "version",
    "x" * 5_000,
)


def random_json(dice: random.Random, depth: int = 0) -> Any:
    """Return anything that JSON can say, and some of what only Python's JSON can."""
    kind = dice.randrange(9 if depth < 4 else 7)
    if kind < 4:
        return dice.choice([None, True, False, 0])
    if kind == 4:
        return dice.choice([-1, 1, 2, 150, 1 << 31, 1 << 63, 1 << 64, 10**50])
    if kind == 5:
        return dice.choice([0.0, -0.0, 0.5, 1e-320, 1e308, float("inf"), float("nan")])
    if kind == 6:
        return dice.choice(TEXTS)
    length = dice.randrange(4)
    if kind == 7:
        return [random_json(dice, depth + 1) for _ in range(length)]
    return {dice.choice(TEXTS): random_json(dice, depth + 1) for _ in range(length)}


def places_in(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [content, *(part for part in content.values() if isinstance(part, dict))]
