"""The routing table against the plainest model of it: an owner for every position of interest."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from core.cluster.replica import Replica
from core.cluster.routing import SLOT_SHIFT, STRIPE_OF_SLOT_SHIFT, Owners, RoutingTable
from core.record import NEVER_EXPIRES, Record
from core.ring.hashing import position_of
from core.servers.memory_server import MemoryServer
from core.stripes import LAST_POSITION, STRIPE_SHIFT

SLOT = 1 << SLOT_SHIFT
STRIPE = 1 << STRIPE_SHIFT

# Positions at and next to the edges of slots and stripes, where mistakes live.
edges = st.builds(
    lambda base, step: min(max(base + step, 0), LAST_POSITION),
    st.sampled_from([0, SLOT, 2 * SLOT, STRIPE - SLOT, STRIPE, STRIPE + SLOT, 5 * STRIPE, 2**32]),
    st.integers(-3, 3),
)
spans = st.tuples(edges, edges).map(sorted)
owners = st.sampled_from([(), ("alpha",), ("bravo",), ("charlie",)])


def test_a_slot_lies_in_one_stripe() -> None:
    assert SLOT_SHIFT + STRIPE_OF_SLOT_SHIFT == STRIPE_SHIFT


def new_table() -> RoutingTable:
    replicas = {
        server_id: Replica(MemoryServer(server_id, position_of))
        for server_id in ("alpha", "bravo", "charlie")
    }
    return RoutingTable(replicas.__getitem__)


@settings(max_examples=200)
@given(st.lists(st.tuples(spans, owners), max_size=12))
def test_the_last_assignment_of_a_position_is_its_route(
    assignments: list[tuple[list[int], Owners]],
) -> None:
    table = new_table()
    for (low, high), names in assignments:
        table.assign(low, high, names)
    samples = {p for (low, high), _ in assignments for p in (low - 1, low, high, high + 1)}
    for position in {p for p in samples if 0 <= p <= LAST_POSITION} | {0, LAST_POSITION}:
        expected: Owners = ()
        for (low, high), names in assignments:
            if low <= position <= high:
                expected = names
        assert table.at(position).owners == expected


@settings(max_examples=200)
@given(st.lists(st.tuples(spans, owners), max_size=12), spans)
def test_segments_cover_a_span_once_and_change_owner_at_every_cut(
    assignments: list[tuple[list[int], Owners]], span: list[int]
) -> None:
    table = new_table()
    for (low, high), names in assignments:
        table.assign(low, high, names)
    segments = list(table.segments(*span))
    assert segments[0].low == span[0]
    assert segments[-1].high == span[1]
    for segment, following in pairwise(segments):
        assert segment.high + 1 == following.low
        assert segment.owners != following.owners
    for segment in segments:
        assert table.at(segment.low).owners == table.at(segment.high).owners == segment.owners


def test_a_slot_that_is_whole_again_is_no_longer_split() -> None:
    table = new_table()
    table.assign(0, LAST_POSITION, ("alpha",))
    table.assign(100, 200, ("bravo",))
    assert table.slots[0].parts is not None
    table.assign(100, 200, ("alpha",))
    assert table.slots[0].parts is None
    assert table.slots[0] is table.slots[1]


def test_a_route_that_was_fetched_stays_what_it_was() -> None:
    table = new_table()
    table.assign(0, LAST_POSITION, ("alpha",))
    before = table.at(150)
    table.assign(100, 200, ("bravo",))
    split = table.slots[0]
    table.assign(0, SLOT - 1, ("charlie",))
    assert before.owners == ("alpha",)
    assert split.at(150).owners == ("bravo",)
    assert table.at(150).owners == ("charlie",)


def test_a_split_slot_leads_to_where_the_key_belongs() -> None:
    position = position_of("user:1")
    table = new_table()
    table.assign(0, LAST_POSITION, ("alpha",))
    table.assign(position, position, ("bravo",))
    split = table.slots[position >> SLOT_SHIFT]
    assert split.at(position) is table.at(position)
    assert split.at(position).owners == ("bravo",)
    split.at(position).records["user:1"] = Record("value", 1, NEVER_EXPIRES)
    assert split.records == {}
