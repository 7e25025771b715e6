"""Balanced placement: how even the shares are, what a join moves, and which points stay."""

import statistics
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import HashRing, InvalidOptionError, Placement, RingView, ownership_diff
from core.ring.hash_ring import vnodes_at
from core.stripes import POSITIONS
from tests.core.ring.rings import NAMES, same_for_all

EVEN = 1.05
WEIGHTS = (1e-9, 0.001, 0.2, 0.5, 1, 1, 1, 2, 3.3, 40, 1_000)


def peak(view: RingView) -> float:
    """Return the share of the fullest server over the mean, each for its weight."""
    return max(peak_of(view, name) for name in view.weights)


def peak_of(view: RingView, name: str) -> float:
    return view.shares()[name] * sum(view.weights.values()) / view.weights[name]


def balanced(count: int, weight: Callable[[int], float] = lambda number: 1.0) -> HashRing:
    ring = HashRing(placement="balanced")
    for number in range(count):
        assert ring.add_server(f"server-{number}", weight(number))
    return ring


def positions_of(ring: HashRing, server_id: str) -> set[int]:
    return {vnode.position for vnode in ring.view.vnodes_by_server[server_id]}


def joins(placement: str, count: int) -> Iterator[tuple[str, RingView, RingView]]:
    """Yield who joins, and the ring before and after."""
    ring = HashRing(placement=placement)
    ring.add_server("server-0")
    for number in range(1, count):
        before = ring.view
        ring.add_server(f"server-{number}")
        yield f"server-{number}", before, ring.view


def moved(before: RingView, after: RingView, replicas: int = 1) -> float:
    """Return the part of the ring that gets an owner more, counted for each of them."""
    return (
        sum(
            change.range.size * len(set(change.new_replicas) - set(change.old_replicas))
            for change in ownership_diff(before, after, replicas)
        )
        / POSITIONS
    )


class TestShares:
    def test_ten_servers_that_joined_one_by_one_are_even_at_every_size(self) -> None:
        ring = HashRing(placement="balanced")
        for number in range(10):
            ring.add_server(f"server-{number}")
            assert peak(ring.view) < 1.0001
            assert ring.view.vnode_counts()[f"server-{number}"] == 150
        ring.check_invariants()

    def test_a_hundred_servers_are_even(self) -> None:
        ring = balanced(100)
        assert peak(ring.view) < 1.01 < EVEN
        assert set(ring.view.vnode_counts().values()) == {150}
        ring.check_invariants()

    def test_more_servers_than_points_are_even(self) -> None:
        ring = HashRing(12, placement="balanced")
        for number in range(60):
            ring.add_server(f"server-{number}")
            if number > 1:
                assert peak(ring.view) < 1.12  # a point in 12 is 8 % of a share
        ring.check_invariants()

    def test_a_server_gets_its_weights_part(self) -> None:
        ring = balanced(20, lambda number: (0.5, 1, 2, 3.5)[number % 4])
        assert peak(ring.view) < EVEN
        total = sum(ring.view.weights.values())
        for name, share in ring.view.shares().items():
            assert share == pytest.approx(ring.view.weights[name] / total, rel=0.01)
        assert ring.view.vnode_counts()["server-3"] == 525

    @pytest.mark.parametrize(("first", "second"), [(1, 40), (40, 1), (0.01, 1), (1, 0.01)])
    def test_two_servers_share_by_weight_however_different(
        self, first: float, second: float
    ) -> None:
        ring = balanced(2, (first, second).__getitem__)
        assert peak(ring.view) < EVEN
        ring.check_invariants()

    def test_whoever_joins_evens_out_what_a_leave_left(self) -> None:
        ring = balanced(10)
        for number in (3, 0, 7):
            ring.remove_server(f"server-{number}")
            assert peak(ring.view) > EVEN, "nothing to even out"
            ring.add_server(f"server-{number}-again")
            assert peak(ring.view) < 1.01
        ring.check_invariants()

    def test_another_weight_leaves_the_shares_even(self) -> None:
        ring = balanced(10)
        for weight in (2, 1, 3, 1):
            ring.set_weight("server-3", weight)
            assert peak(ring.view) < EVEN, weight
            share = ring.view.shares()["server-3"]
            assert share == pytest.approx(weight / (9 + weight), rel=0.02)
        ring.check_invariants()

    @pytest.mark.parametrize("first", ["alpha", "bravo"])
    @pytest.mark.parametrize("weight", [2, 1, 0.5])
    def test_less_weight_of_one_of_two_servers_gives_the_other_its_part(
        self, first: str, weight: float
    ) -> None:
        ring = HashRing(placement="balanced")
        weights = {"alpha": 4.0, "bravo": 1.0}
        for name in sorted(weights, key=lambda name: name != first):
            ring.add_server(name, weights[name])
        ring.set_weight("alpha", weight)
        assert ring.view.shares()["alpha"] == pytest.approx(weight / (weight + 1), rel=0.03)

    def test_with_one_point_each_the_largest_range_is_halved(self) -> None:
        ring = HashRing(1, placement="balanced")
        for name in NAMES[:4]:
            ring.add_server(name)
        assert set(ring.view.shares().values()) == {0.25}

    @pytest.mark.parametrize("weights", [(1_000, 1e-9), (1e-9, 1_000), (1e-9, 1_000, 1e-9, 1)])
    def test_no_weight_is_so_small_that_a_point_has_no_room(
        self, weights: tuple[float, ...]
    ) -> None:
        ring = HashRing(5, placement="balanced")
        for name, weight in zip(NAMES, weights, strict=False):
            ring.add_server(name, weight)
            ring.check_invariants()
        assert peak_of(ring.view, NAMES[weights.index(1_000)]) == pytest.approx(1, rel=0.01)

    def test_the_replicas_are_no_less_even_than_at_random(self) -> None:
        even, random = (
            statistics.mean(
                max(replica_loads(after, 3).values())
                for number, (_, _, after) in enumerate(joins(placement, 40))
                if number > 2 and number % 3 == 0
            )
            for placement in (Placement.BALANCED, Placement.RANDOM)
        )
        assert even < random


def replica_loads(view: RingView, count: int) -> dict[str, float]:
    """Return how much each server holds over the mean, with so many replicas."""
    loads = dict.fromkeys(view.weights, 0)
    for span, replicas in view.ranges(count):
        for name in replicas:
            loads[name] += span.size
    return {name: load * len(loads) / count / POSITIONS for name, load in loads.items()}


class TestMoves:
    def test_a_join_moves_its_servers_part_and_nothing_between_the_others(self) -> None:
        for name, before, after in joins("balanced", 30):
            for change in ownership_diff(before, after):
                assert change.new_replicas == (name,)
            ideal = 1 / len(after.weights)
            assert ideal * 0.999 < moved(before, after) <= ideal

    def test_a_join_moves_no_more_although_others_lack_something_too(self) -> None:
        ring = balanced(10)
        for number in range(2, 7):
            ring.remove_server(f"server-{number}")
        before = ring.view
        ring.add_server("one.more")
        assert min(before.shares().values()) < 1 / 6, "nobody lacks anything"
        assert moved(before, ring.view) == pytest.approx(1 / 6, rel=0.001)
        assert moved(before, ring.view) <= 1 / 6

    @pytest.mark.parametrize("replicas", [1, 3])
    def test_joins_move_no_more_than_at_random(self, replicas: int) -> None:
        even, random = (
            statistics.mean(
                moved(before, after, replicas) * len(after.weights) / replicas
                for _, before, after in joins(placement, 40)
                if len(after.weights) > replicas
            )
            for placement in (Placement.BALANCED, Placement.RANDOM)
        )
        # What random joins move is 1/(n+1) on average; these forty are a sample of that.
        assert even <= 1.0001
        assert even <= random

    def test_more_weight_only_takes_and_less_weight_only_gives(self) -> None:
        ring = balanced(8)
        for weight, takes in ((2.5, True), (1, False), (1.2, True), (0.4, False)):
            before = ring.view
            ring.set_weight("server-2", weight)
            for change in ownership_diff(before, ring.view):
                owners = change.new_replicas if takes else change.old_replicas
                assert owners == ("server-2",)

    def test_a_leave_gives_to_whoever_comes_next(self) -> None:
        ring = balanced(6)
        before = ring.view
        ring.remove_server("server-2")
        for change in ownership_diff(before, ring.view):
            assert change.old_replicas == ("server-2",)
            assert before.replicas(change.range.end, 2)[1] == change.new_replicas[0]


class TestPoints:
    def test_the_points_of_a_server_are_spread_among_those_of_the_others(self) -> None:
        ring = balanced(10)
        neighbours = {name: set[str]() for name in ring.view.weights}
        last = ring.view.vnodes[-1]
        for vnode in ring.view.vnodes:
            assert vnode.server_id != last.server_id, "two in a row"
            neighbours[last.server_id].add(vnode.server_id)
            last = vnode
        assert statistics.mean(map(len, neighbours.values())) > 6, "few would take all of a leaver"

    def test_the_same_server_gets_the_same_points_in_a_copy(self) -> None:
        ring = balanced(7)
        trial = ring.copy()
        changes: tuple[Callable[[HashRing], bool], ...] = (
            lambda ring: ring.add_server("one.more", 1.5),
            lambda ring: ring.set_weight("server-3", 0.5),
            lambda ring: ring.remove_server("server-1"),
            lambda ring: ring.set_weight("server-3", 2),
        )
        for change in changes:
            assert change(trial)
            assert trial.view.vnodes != ring.view.vnodes
            assert change(ring)
            assert trial.view.vnodes == ring.view.vnodes
        assert trial.placement is Placement.BALANCED

    def test_points_that_a_server_keeps_stay_where_they_are(self) -> None:
        ring = balanced(5)
        for weight in (2, 0.3, 1, 7, 0.001):
            before = ring.view
            ring.set_weight("server-1", weight)
            others = dict(before.vnodes_by_server), dict(ring.view.vnodes_by_server)
            mine = [{vnode.position for vnode in each.pop("server-1")} for each in others]
            assert mine[0] <= mine[1] or mine[0] >= mine[1]
            assert others[0] == others[1]

    def test_a_server_that_is_alone_keeps_points_from_everywhere(self) -> None:
        ring = balanced(1)
        ring.set_weight("server-0", 0.1)
        assert max(span.size for span, _ in ring.view.ranges()) < POSITIONS / 14
        ring.set_weight("server-0", 3)
        assert max(span.size for span, _ in ring.view.ranges()) < POSITIONS / 400

    def test_a_range_of_one_position_is_not_cut(self) -> None:
        ring = HashRing(3, placement="balanced")
        points = [5, POSITIONS // 2, POSITIONS // 2 + 1]
        ring.adopt(RingView(0, vnodes_at("alpha", points), {"alpha": 1.0}))
        ring.add_server("bravo")
        ring.check_invariants()
        assert ring.view.shares()["bravo"] == pytest.approx(0.5)

    def test_another_weight_of_as_many_points_moves_nothing(self) -> None:
        ring = balanced(3)
        before = ring.view
        assert ring.set_weight("server-1", 1.001)
        assert ring.view.vnodes == before.vnodes

    def test_colliding_hashes_collide_no_points(self) -> None:
        ring = HashRing(20, placement="balanced", hash_function=same_for_all)
        for name in NAMES:
            ring.add_server(name)
        ring.check_invariants()
        assert peak(ring.view) < EVEN

    def test_a_server_that_joins_a_thousand_gets_its_points_at_once(self) -> None:
        ring = HashRing(placement="balanced")
        weights = {f"server-{number}": 1.0 for number in range(1_000)}
        hashed = HashRing()
        hashed.restore(weights, 0)
        ring.adopt(hashed.view)
        began = time.process_time()
        ring.copy().add_server("one.more")
        assert time.process_time() - began < 1

    @given(
        st.lists(
            st.tuples(st.sampled_from(NAMES[:5]), st.sampled_from((0.0, *WEIGHTS))),
            min_size=1,
            max_size=10,
        ),
        st.sampled_from([1, 2, 6]),
    )
    def test_any_changes_leave_a_ring_that_is_right(
        self, changes: list[tuple[str, float]], vnodes: int
    ) -> None:
        ring = HashRing(vnodes, placement="balanced")
        for name, weight in changes:
            before = ring.view
            if weight == 0:
                ring.remove_server(name)
            elif not ring.add_server(name, weight):
                ring.set_weight(name, weight)
            ring.check_invariants()
            for other in before.weights.keys() & ring.view.weights.keys() - {name}:
                assert before.vnodes_by_server[other] is ring.view.vnodes_by_server[other]


class TestKeeping:
    def test_a_ring_is_the_same_again_from_its_positions(self) -> None:
        ring = balanced(6, lambda number: 1 + number % 2)
        ring.remove_server("server-2")
        again = HashRing(placement="balanced")
        again.restore(
            ring.view.weights,
            ring.view.epoch,
            {name: sorted(positions_of(ring, name)) for name in ring.view.weights},
        )
        assert again.view.vnodes == ring.view.vnodes
        assert (again.view.epoch, again.view.shares()) == (ring.view.epoch, ring.view.shares())
        again.check_invariants()

    def test_positions_that_are_too_few_are_refused(self) -> None:
        ring = HashRing(3, placement="balanced")
        for positions in ({}, {"alpha": [1, 2]}, {"bravo": [1, 2, 3]}):
            with pytest.raises(InvalidOptionError, match="not those of alpha"):
                ring.restore({"alpha": 1.0}, 1, positions)

    @pytest.mark.parametrize("placement", Placement)
    def test_a_change_that_is_taken_back_leaves_the_points_there_were(
        self, placement: Placement
    ) -> None:
        ring = HashRing(placement=placement)
        for name in NAMES:
            ring.add_server(name)
        before, trial = ring.view, ring.copy()
        trial.remove_server(NAMES[2])
        ring.adopt(trial.view)
        assert ring.view is trial.view
        # Looked up already, so that there are tables to be taken over.
        owners = {key: before.server_for_key(key) for key in map(str, range(100))}
        ring.adopt(before)
        assert ring.view.epoch == before.epoch + 2
        assert ring.view.vnodes == before.vnodes
        assert {key: ring.view.server_for_key(key) for key in owners} == owners
        ring.check_invariants()
        assert not ring.add_server(NAMES[2])

    @pytest.mark.parametrize(
        ("positions", "said"),
        [
            ([7, 7, 9], "share a position"),
            ([7, 8], "too many vnodes, or too few"),
            ([7, 8, 1 << 32], "off the ring"),
        ],
    )
    def test_points_that_can_not_be_are_noticed(self, positions: list[int], said: str) -> None:
        ring = HashRing(3, placement="balanced")
        ring.adopt(RingView(0, vnodes_at("alpha", positions), {"alpha": 1.0}))
        with pytest.raises(AssertionError, match=said):
            ring.check_invariants()


class TestOption:
    @pytest.mark.parametrize("placement", ["even", "", None, 1, ["random"], "Random"])
    def test_what_is_no_placement_is_refused(self, placement: object) -> None:
        with pytest.raises(InvalidOptionError, match="placement must be 'random' or 'balanced'"):
            HashRing(placement=placement)  # type: ignore[arg-type]

    def test_random_is_the_default_and_is_as_ever(self) -> None:
        plain, named = HashRing(), HashRing(placement=Placement.RANDOM)
        for ring in (plain, named):
            ring.add_server("alpha")
            ring.add_server("bravo", 2)
        assert plain.placement is Placement.RANDOM
        assert plain.view.vnodes == named.view.vnodes
