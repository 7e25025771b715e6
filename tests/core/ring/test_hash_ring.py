"""The ring: where vnodes lie, who owns what, and what a change of membership moves."""

import statistics
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import HashRing, InvalidOptionError, NoServersError, RingView, ownership_diff
from core.ring import position_of
from core.ring.hashing import murmur3
from core.stripes import LAST_POSITION, POSITIONS

NAMES = [f"server-{number}" for number in range(8)]


def four_bit_hash(text: bytes, seed: int, signed: bool) -> int:
    return murmur3(text, seed, signed) & 0xF


def sparse_hash(text: bytes, seed: int, signed: bool) -> int:
    """Give only 16 positions, but spread over the whole ring."""
    return (murmur3(text, seed, signed) & 0xF) << 28


def same_for_all(text: bytes, seed: int, signed: bool) -> int:
    return 7


HASHES = [murmur3, four_bit_hash, sparse_hash]


def ring_of(names: list[str], vnodes: int = 20, **options: object) -> HashRing:
    ring = HashRing(vnodes, **options)  # type: ignore[arg-type]
    for name in names:
        ring.add_server(name)
    ring.check_invariants()
    return ring


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


class TestOwnershipDiff:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=14),
        st.sampled_from(HASHES),
        st.integers(1, 3),
    )
    def test_a_join_moves_only_to_the_joiner_and_a_leave_only_from_the_leaver(
        self, history: list[str], hash_function: object, count: int
    ) -> None:
        ring = HashRing(6, hash_function=hash_function)  # type: ignore[arg-type]
        for name in history:
            before = ring.view
            joins = ring.add_server(name)
            if not joins:
                ring.remove_server(name)
            changes = ownership_diff(before, ring.view, count)
            for change in changes:
                gained = set(change.new_replicas) - set(change.old_replicas)
                lost = set(change.old_replicas) - set(change.new_replicas)
                if joins:
                    assert gained == {name}
                    assert len(lost) <= 1
                else:
                    assert lost == {name}
                    assert len(gained) <= 1

    @settings(max_examples=60, deadline=None)
    @given(
        st.sets(st.sampled_from(NAMES)),
        st.sets(st.sampled_from(NAMES)),
        st.sampled_from(HASHES),
        st.integers(1, 3),
    )
    def test_it_is_exactly_the_positions_whose_owners_differ(
        self, old_names: set[str], new_names: set[str], hash_function: object, count: int
    ) -> None:
        old = ring_of(sorted(old_names), 6, hash_function=hash_function).view
        new = ring_of(sorted(new_names), 6, hash_function=hash_function).view
        changes = ownership_diff(old, new, count)
        edges = {p for view in (old, new) for p in view.positions}
        samples = {(p + step) % POSITIONS for p in edges for step in (-1, 0, 1)} | {0}
        for position in samples:
            owners = old.replicas(position, count), new.replicas(position, count)
            found = [change[1:] for change in changes if position in change.range]
            assert found == ([owners] if owners[0] != owners[1] else [])

    def test_neighbouring_ranges_with_the_same_change_are_one(self) -> None:
        old, new = RingView(), ring_of(["alpha"]).view
        assert [(c.range.size, c.new_replicas) for c in ownership_diff(old, new)] == [
            (POSITIONS, ("alpha",))
        ]
        assert ownership_diff(new, new) == ()
