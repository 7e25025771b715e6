"""What a change of the ring moves: the positions whose replicas differ, with no more work."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import HashRing, OwnershipChange, Range, RingView, ownership_diff
from core.stripes import POSITIONS
from tests.core.ring.rings import HASHES, NAMES, ring_of

counts = st.integers(1, 7)
memberships = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0.2, 1, 2.5]))


def swept_diff(old: RingView, new: RingView, count: int) -> tuple[OwnershipChange, ...]:
    """The same by a sweep over every vnode of both views: slower, but plain to see right."""
    boundaries = sorted({*old.positions, *new.positions})
    changes: list[OwnershipChange] = []
    for index, end in enumerate(boundaries):
        before, after = old.replicas(end, count), new.replicas(end, count)
        if before == after:
            continue
        start = boundaries[index - 1]
        previous = changes[-1] if changes else None
        if previous is not None and previous == (Range(previous.range.start, start), before, after):
            start = changes.pop().range.start
        changes.append(OwnershipChange(Range(start, end), before, after))
    if len(changes) > 1:
        first, last = changes[0], changes[-1]
        if last.range.end == first.range.start and last[1:] == first[1:]:
            whole = Range(last.range.start, first.range.end)
            changes = [OwnershipChange(whole, *first[1:]), *changes[1:-1]]
    return tuple(changes)


def weighted_ring(members: dict[str, float], vnodes: int, hash_function: object) -> HashRing:
    ring = HashRing(vnodes, hash_function=hash_function)  # type: ignore[arg-type]
    for name, weight in members.items():
        ring.add_server(name, weight)
    return ring


def changed_to(ring: HashRing, members: dict[str, float]) -> HashRing:
    """A copy of the ring that was changed, server by server, to have these members."""
    changed = ring.copy()
    for name, weight in ring.view.weights.items():
        if members.get(name) != weight:
            changed.remove_server(name)
    for name, weight in members.items():
        changed.add_server(name, weight)
    changed.check_invariants()
    return changed


class TestAgainstASweep:
    @settings(max_examples=200)
    @given(memberships, memberships, st.sampled_from([1, 4, 9]), st.sampled_from(HASHES), counts)
    def test_two_views_made_apart(
        self,
        old_members: dict[str, float],
        new_members: dict[str, float],
        vnodes: int,
        hash_function: object,
        count: int,
    ) -> None:
        old = weighted_ring(old_members, vnodes, hash_function).view
        new = weighted_ring(new_members, vnodes, hash_function).view
        assert ownership_diff(old, new, count) == swept_diff(old, new, count)

    @settings(max_examples=200)
    @given(memberships, memberships, st.sampled_from([1, 4, 9]), st.sampled_from(HASHES), counts)
    def test_a_view_and_one_made_from_it(
        self,
        old_members: dict[str, float],
        new_members: dict[str, float],
        vnodes: int,
        hash_function: object,
        count: int,
    ) -> None:
        ring = weighted_ring(old_members, vnodes, hash_function)
        old, new = ring.view, changed_to(ring, new_members).view
        assert ownership_diff(old, new, count) == swept_diff(old, new, count)
        assert ownership_diff(new, old, count) == swept_diff(new, old, count)

    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_a_ring_of_a_usual_size(self, count: int) -> None:
        ring = ring_of([f"server-{number}" for number in range(20)], vnodes=150)
        before = ring.view
        ring.remove_server("server-3")
        ring.add_server("server-4711", 2.0)
        assert ownership_diff(before, ring.view, count) == swept_diff(before, ring.view, count)


class TestWhatMoves:
    @settings(max_examples=60)
    @given(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=14), st.sampled_from(HASHES), counts
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

    @settings(max_examples=60)
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


class TestCost:
    @pytest.mark.parametrize("count", [1, 3, 7])
    def test_the_work_grows_with_what_changed_and_not_with_the_ring(
        self, count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Counted in positions whose replicas are worked out: seconds would depend on the machine.
        looked_at: list[int] = []
        between = RingView.replicas_between

        def counting(view: RingView, low: int, high: int, count: int) -> object:
            found = between(view, low, high, count)
            looked_at.append(len(found[0]))
            return found

        ring = ring_of([f"server-{number}" for number in range(200)], vnodes=100)
        before = ring.view
        ring.add_server("joiner")
        monkeypatch.setattr(RingView, "replicas_between", counting)
        assert ownership_diff(before, ring.view, count)
        # Of 20,000 vnodes in each of both views: one in front of each of 100 new ones for each
        # replica, and the new ones themselves.
        assert sum(looked_at) <= 2 * 100 * (count + 1)
