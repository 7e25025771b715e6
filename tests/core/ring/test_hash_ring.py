"""The ring: where vnodes lie, who owns what, and what a change of membership moves."""

import statistics
from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import HashRing, InvalidOptionError, InvalidServerIdError, NoServersError, RingView
from core.ring import position_of
from core.stripes import LAST_POSITION, POSITIONS
from tests.core.ring.rings import HASHES, NAMES, ring_of, same_for_all


def owners_by_definition(ring: HashRing, position: int, count: int) -> tuple[str, ...]:
    """The first distinct servers clockwise, found by walking every vnode."""
    points = sorted(ring.view.vnodes)
    start = bisect_left(points, (position,))
    walk = points[start:] + points[:start]
    return tuple(dict.fromkeys(point.server_id for point in walk))[:count]


class TestVnodes:
    def test_vnode_i_lies_at_the_hash_of_its_name(self) -> None:
        ring = ring_of(["alpha"])
        expected = sorted(position_of(f"alpha#{number}") for number in range(20))
        assert [vnode.position for vnode in ring.view.vnodes] == expected

    def test_ties_are_ordered_by_server_id_then_number(self) -> None:
        ring = ring_of(["bravo", "alpha"], hash_function=same_for_all)
        order = [(vnode.server_id, vnode.number) for vnode in ring.view.vnodes]
        assert order == sorted(order)
        assert ring.view.server_for_key("anything") == "alpha"
        assert ring.view.replicas(3, 2) == ("alpha", "bravo")

    @pytest.mark.parametrize(("weight", "count"), [(1, 20), (2.0, 40), (0.5, 10), (0.001, 1)])
    def test_a_weight_multiplies_the_vnodes(self, weight: float, count: int) -> None:
        ring = HashRing(20)
        ring.add_server("alpha", weight)
        assert ring.view.vnode_counts() == {"alpha": count}

    @pytest.mark.parametrize("weight", [0, -0.5, float("nan"), float("inf"), 1e9])
    def test_a_weight_out_of_range_is_refused(self, weight: float) -> None:
        ring = HashRing(20)
        with pytest.raises(InvalidOptionError):
            ring.add_server("alpha", weight)
        assert ring.view.servers == ()

    def test_a_weight_can_not_make_more_vnodes_than_a_ring_may_have(self) -> None:
        with pytest.raises(InvalidOptionError, match="100,000"):
            HashRing(1_000).add_server("alpha", 101)


class TestMembership:
    @pytest.mark.parametrize("server_id", ["", "a b", "a" * 65, None, 7, ["a"]])
    def test_what_can_not_be_a_server_id_is_refused(self, server_id: Any) -> None:
        ring = ring_of(["alpha"])
        with pytest.raises(InvalidServerIdError):
            ring.add_server(server_id)
        assert ring.view.servers == ("alpha",)
        ring.check_invariants()

    def test_every_change_publishes_a_view_of_the_next_epoch(self) -> None:
        ring = HashRing(5)
        views = [ring.view]
        assert ring.add_server("alpha")
        views.append(ring.view)
        assert ring.add_server("bravo")
        views.append(ring.view)
        assert ring.remove_server("alpha")
        views.append(ring.view)
        assert [view.epoch for view in views] == [0, 1, 2, 3]
        assert [view.servers for view in views] == [(), ("alpha",), ("alpha", "bravo"), ("bravo",)]

    def test_what_changes_nothing_publishes_nothing(self) -> None:
        ring = ring_of(["alpha"])
        view = ring.view
        assert not ring.add_server("alpha")
        assert not ring.remove_server("zulu")
        assert ring.view is view

    def test_a_copy_can_be_changed_alone(self) -> None:
        ring = ring_of(["alpha"])
        trial = ring.copy()
        trial.add_server("bravo")
        assert ring.view.servers == ("alpha",)
        assert trial.view.epoch == ring.view.epoch + 1
        ring.check_invariants()
        trial.check_invariants()

    @given(
        st.lists(st.sampled_from(NAMES), max_size=14),
        st.sampled_from(HASHES),
        st.sampled_from([0.2, 1, 2.5]),
    )
    def test_a_view_made_from_the_last_one_is_as_if_made_anew(
        self, history: list[str], hash_function: object, weight: float
    ) -> None:
        ring = HashRing(6, hash_function=hash_function)  # type: ignore[arg-type]
        for name in history:
            before = ring.view
            vnodes, positions, shares = before.vnodes, list(before.positions), before.shares()
            if not ring.add_server(name, weight):
                ring.remove_server(name)
            ring.check_invariants()
            # The older view, which a plan may hold, is as it was.
            assert (before.vnodes, before.positions, before.shares()) == (vnodes, positions, shares)

    def test_a_view_shares_with_the_last_one_what_did_not_change(self) -> None:
        ring = ring_of(["alpha", "bravo"])
        before = ring.view.vnodes_by_server
        ring.add_server("charlie")
        ring.remove_server("bravo")
        assert ring.view.vnodes_by_server["alpha"] is before["alpha"]

    @given(st.permutations(NAMES[:5]), st.sampled_from(HASHES))
    def test_the_order_of_joining_does_not_matter(
        self, order: list[str], hash_function: object
    ) -> None:
        ring = ring_of(order, hash_function=hash_function)
        assert ring.view.vnodes == ring_of(sorted(order), hash_function=hash_function).view.vnodes


class TestLookup:
    @pytest.mark.parametrize("hash_function", HASHES)
    def test_the_owner_is_the_first_vnode_at_or_after_the_position(
        self, hash_function: object
    ) -> None:
        ring = ring_of(NAMES, hash_function=hash_function)
        points = [vnode.position for vnode in ring.view.vnodes]
        near = [p + step for p in points for step in (-1, 0, 1)] + [0, LAST_POSITION]
        for position in (p for p in near if 0 <= p <= LAST_POSITION):
            for count in (1, 3, 20):
                assert ring.view.replicas(position, count) == owners_by_definition(
                    ring, position, count
                )
            assert ring.view.vnode_at(position).server_id == ring.view.replicas(position, 1)[0]
            assert position in ring.view.range_at(position)

    def test_a_key_belongs_to_its_positions_owner_through_the_table_too(self) -> None:
        # 200 servers share many of the 65,536 slots of the table.
        ring = ring_of([f"server-{number}" for number in range(200)], vnodes=150)
        for number in range(20_000):
            key = f"user:{number}"
            assert ring.view.server_for_key(key) == ring.view.vnode_at(position_of(key)).server_id

    def test_past_the_last_vnode_the_ring_goes_on_at_the_first(self) -> None:
        ring = ring_of(NAMES)
        first, last = ring.view.vnodes[0], ring.view.vnodes[-1]
        assert last.position < LAST_POSITION
        assert ring.view.vnode_at(last.position + 1) == first
        assert ring.view.vnode_at(LAST_POSITION) == first
        assert ring.view.vnode_at(0) == first

    def test_fewer_servers_than_replicas_gives_all_of_them(self) -> None:
        assert sorted(ring_of(["alpha", "bravo"]).view.replicas(5, 7)) == ["alpha", "bravo"]

    @pytest.mark.parametrize(("position", "count"), [(-1, 1), (POSITIONS, 1), (5, -1)])
    def test_what_is_no_position_or_no_count_is_refused(self, position: int, count: int) -> None:
        with pytest.raises(InvalidOptionError):
            ring_of(["alpha"]).view.replicas(position, count)

    def test_an_empty_ring_has_no_owner(self) -> None:
        view = RingView()
        assert view.replicas(0, 3) == ()
        assert view.shares() == {}
        for lookup in (lambda: view.server_for_key("key"), lambda: view.vnode_at(0)):
            with pytest.raises(NoServersError):
                lookup()


class TestShares:
    def test_shares_are_the_parts_of_the_ring_and_sum_to_one(self) -> None:
        ring = ring_of(NAMES)
        shares = ring.view.shares()
        assert sum(shares.values()) == pytest.approx(1)
        sizes = dict.fromkeys(NAMES, 0)
        for ring_range, (owner,) in ring.view.ranges():
            sizes[owner] += ring_range.size
        assert {name: share * POSITIONS for name, share in shares.items()} == pytest.approx(sizes)

    def test_with_150_vnodes_and_10_servers_shares_deviate_by_about_7_6_percent(self) -> None:
        # The deviation of a sum of 150 exponential arcs in 1,500: sqrt((1 - 1/10) / 150) of the
        # mean, or 7.7 %; 40 rings estimate it well enough to tell it from 120 or 200 vnodes.
        deviations = []
        for trial in range(40):
            ring = HashRing(150)
            for number in range(10):
                ring.add_server(f"trial-{trial}-server-{number}")
            deviations.append(statistics.pstdev(ring.view.shares().values()) * 10)
        assert statistics.mean(deviations) == pytest.approx(0.076, abs=0.006)
