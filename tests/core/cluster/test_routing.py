"""The routing table against the plainest model of it: an owner for every position of interest."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.cluster.replica import Replica
from core.cluster.route import Owners
from core.cluster.routing import RoutingTable
from core.ring.hashing import position_of
from core.servers.memory_server import MemoryServer
from core.stripes import LAST_POSITION, STRIPE_SHIFT

STRIPE = 1 << STRIPE_SHIFT
PART = STRIPE >> 6

# Positions at and next to the edges of parts and stripes, where mistakes live.
edges = st.builds(
    lambda base, step: min(max(base + step, 0), LAST_POSITION),
    st.sampled_from(
        [
            0,
            PART,
            2 * PART,
            STRIPE - PART,
            STRIPE,
            STRIPE + PART,
            5 * STRIPE,
            2**32,
        ]
    ),
    st.integers(-3, 3),
)
spans = st.tuples(edges, edges).map(sorted)
owners = st.sampled_from([(), ("alpha",), ("bravo",), ("charlie",)])


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


def test_a_stripe_that_is_whole_again_has_one_range() -> None:
    table = new_table()
    table.assign(0, LAST_POSITION, ("alpha",))
    table.assign(100, 200, ("bravo",))
    assert len(table.stripes[0].routes) == 3
    table.assign(100, 200, ("alpha",))
    assert table.stripes[0].routes == table.stripes[1].routes


def test_a_table_that_was_fetched_stays_what_it_was() -> None:
    table = new_table()
    table.assign(0, LAST_POSITION, ("alpha",))
    before = table.at(150)
    table.assign(100, 200, ("bravo",))
    stripe = table.stripes[0]
    table.assign(0, STRIPE - 1, ("charlie",))
    assert before.owners == ("alpha",)
    assert stripe.at(150).owners == ("bravo",)
    assert table.at(150).owners == ("charlie",)


@pytest.mark.parametrize("ranges", [1, 2, 7, 8, 9, 100, 1_000])
def test_every_position_of_a_stripe_of_many_ranges_has_its_route(ranges: int) -> None:
    table, source, stripe = new_table(), random.Random(ranges), 5
    names: list[Owners] = [("alpha",), ("bravo",), ("charlie",)]
    ends = [*sorted(source.sample(range(STRIPE - 1), ranges - 1)), STRIPE - 1]
    low = stripe * STRIPE
    for number, end in enumerate(ends):
        table.assign(low, stripe * STRIPE + end, names[number % 3])
        low = stripe * STRIPE + end + 1
    assert len(table.stripes[stripe].routes) == ranges
    for number, end in enumerate(ends):
        start = ends[number - 1] + 1 if number else 0
        for place in {start, (start + end) // 2, end}:
            assert table.at(stripe * STRIPE + place).owners == names[number % 3]


def test_a_thousand_ranges_of_few_owners_share_their_routes() -> None:
    table = new_table()
    names: list[Owners] = [("alpha",), ("bravo",), ("charlie",)]
    width = (LAST_POSITION + 1) // 1_000
    for number in range(1_000):
        table.assign(number * width, (number + 1) * width - 1, names[number % 3])
    assert len({id(table.at(number * width)) for number in range(1_000)}) == 3
