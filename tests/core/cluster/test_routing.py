"""The routing table against the plainest model of it: an owner for every position of interest."""

import random
from itertools import pairwise, permutations

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


SERVERS = ("alpha", "bravo", "charlie", *"abcdefghijk")


def new_replicas() -> dict[str, Replica]:
    return {server_id: Replica(MemoryServer(server_id, position_of)) for server_id in SERVERS}


def new_table(replicas: dict[str, Replica] | None = None) -> RoutingTable:
    return RoutingTable((replicas or new_replicas()).__getitem__)


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
    names: list[Owners] = [("alpha",), ("bravo",), ("charlie",)]
    assert_every_position_has_its_route(ranges, names)


def test_a_stripe_may_have_more_owners_than_fit_into_its_short_numbers() -> None:
    """Of 1,023 numbers each has 10 bits, of more 32."""
    owners: list[Owners] = list(permutations(SERVERS, 3))
    for count in (1_023, 1_024, 1_025, 2_000):
        assert_every_position_has_its_route(2_000, owners[:count])


def test_owners_that_are_not_all_well_lie_beside_others() -> None:
    """Their routes have no number, and go when the server is current again."""
    replicas = new_replicas()
    table = new_table(replicas)
    table.assign(0, 99, ("alpha",))
    replicas["bravo"].miss_all(0)
    table.assign(100, 199, ("bravo", "alpha"))
    table.assign(200, 299, ("alpha",))
    table.assign(300, 399, ("bravo", "alpha"))
    assert [table.at(place).owners for place in (99, 100, 199, 200, 299, 300)] == [
        ("alpha",),
        ("bravo", "alpha"),
        ("bravo", "alpha"),
        ("alpha",),
        ("alpha",),
        ("bravo", "alpha"),
    ]
    assert not table.at(350).well
    replicas["bravo"].caught_up(0)
    table.refresh(0)
    assert table.at(350).well
    assert table.at(350) is table.at(150)


def assert_every_position_has_its_route(ranges: int, names: list[Owners]) -> None:
    table, source, stripe = new_table(), random.Random(ranges), 5
    ends = [*sorted(source.sample(range(STRIPE - 1), ranges - 1)), STRIPE - 1]
    low = stripe * STRIPE
    for number, end in enumerate(ends):
        table.assign(low, stripe * STRIPE + end, names[number % len(names)])
        low = stripe * STRIPE + end + 1
    assert len(table.stripes[stripe].routes) == ranges
    for number, end in enumerate(ends):
        start = ends[number - 1] + 1 if number else 0
        for place in {start, (start + end) // 2, end}:
            assert table.at(stripe * STRIPE + place).owners == names[number % len(names)]


def test_a_thousand_ranges_of_few_owners_share_their_routes() -> None:
    table = new_table()
    names: list[Owners] = [("alpha",), ("bravo",), ("charlie",)]
    width = (LAST_POSITION + 1) // 1_000
    for number in range(1_000):
        table.assign(number * width, (number + 1) * width - 1, names[number % 3])
    assert len({id(table.at(number * width)) for number in range(1_000)}) == 3
