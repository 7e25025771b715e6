"""The picture of a moving ring says who really answers, at every step."""

from bisect import bisect_right

import pytest

from core import KeyValueStore, Migration, MigrationFailedError
from core.ring.hashing import position_of
from tests.support import FailingServer, Fuse, filled, store_with
from tui.view_model import DashboardView, RingPicture, explain_position, fold


def holder(picture: RingPicture, position: int) -> str | None:
    """Return who answers for a position, by the picture."""
    for span in picture.displaced:
        if span.low <= position <= span.high:
            return span.holder
    return picture.view.vnode_at(position).server_id


def wrong(store: KeyValueStore, view: DashboardView, keys: list[str]) -> list[str]:
    """Return the keys that the picture shows elsewhere than where they are."""
    return [
        key for key in keys if holder(view.ring, position_of(key)) != store.get_server_for_key(key)
    ]


def started(store: KeyValueStore, change: str) -> Migration:
    plan = store.plan_add_server("echo") if change == "join" else store.plan_remove_server("bravo")
    return store.commit(plan, start=False)


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("vnodes", [1, 3, 40])
@pytest.mark.parametrize("change", ["join", "leave"])
def test_every_step_of_a_change_is_shown_where_it_is(
    change: str, vnodes: int, replicas: int
) -> None:
    store = store_with(virtual_nodes_per_node=vnodes, replication_factor=replicas)
    keys = list(filled(store, 500))
    view = fold(store.snapshot())
    migration = started(store, change)
    more = True
    seen: list[int] = []
    while more:
        view = fold(store.snapshot(), None, view)
        assert wrong(store, view, keys) == []
        seen.append(len(view.ring.displaced))
        more = migration.step()
    assert seen[0] > 0
    assert seen == sorted(seen, reverse=True)
    view = fold(store.snapshot(), None, view)
    assert view.ring.displaced == ()
    assert wrong(store, view, keys) == []


@pytest.mark.parametrize("vnodes", [1, 3, 40])
@pytest.mark.parametrize("change", ["join", "leave"])
def test_a_cancelled_change_is_shown_going_back(change: str, vnodes: int) -> None:
    fuse = Fuse()
    store = store_with(
        virtual_nodes_per_node=vnodes, create_server=lambda name: FailingServer(name, fuse)
    )
    keys = list(filled(store, 500))
    view = fold(store.snapshot())
    migration = started(store, change)
    while migration.progress.fraction < 0.6:
        migration.step()
    view = fold(store.snapshot(), None, view)
    turned_at = migration.progress.fraction
    # The first move back fails, which pauses it: from there on, it is driven step by step.
    fuse.arm(1)
    migration.cancel()
    with pytest.raises(MigrationFailedError):
        migration.wait()
    fuse.disarm()
    seen: list[int] = []
    more = True
    while more:
        view = fold(store.snapshot(), None, view)
        under_way = view.memory.change
        assert under_way is not None
        turned_in = bisect_right(under_way.ends, round(turned_at * under_way.ends[-1]))
        span = under_way.spans[turned_in]
        for key in wrong(store, view, keys):
            assert span.low <= position_of(key) <= span.high
        seen.append(len(view.ring.displaced))
        more = migration.step()
    assert seen[0] > 0
    assert seen == sorted(seen, reverse=True)
    view = fold(store.snapshot(), None, view)
    assert view.ring.displaced == ()
    assert wrong(store, view, keys) == []


def test_a_change_that_began_unseen_is_drawn_as_it_will_be() -> None:
    store = store_with()
    started(store, "join")
    view = fold(store.snapshot())
    assert view.ring.displaced == ()
    assert view.ring.view is store.snapshot().view
    assert view.status.migration is not None


def test_a_change_is_not_mistaken_for_the_one_before_it() -> None:
    store = store_with()
    keys = list(filled(store, 300))
    view = fold(store.snapshot())
    store.add_server("foxtrot")
    store.add_server("golf")
    started(store, "leave")
    view = fold(store.snapshot(), None, view)
    assert view.ring.displaced == ()
    view = fold(store.snapshot(), None, view)
    assert view.ring.displaced == ()
    migration = store.migration
    assert migration is not None
    while migration.step():
        pass
    view = fold(store.snapshot(), None, view)
    started(store, "join")
    view = fold(store.snapshot(), None, view)
    assert view.ring.displaced != ()
    assert wrong(store, view, keys) == []


def test_the_first_server_joins_at_one_moment_and_displaces_nothing() -> None:
    store = KeyValueStore(3)
    view = fold(store.snapshot())
    store.commit(store.plan_add_server("alpha"), start=False)
    view = fold(store.snapshot(), None, view)
    assert view.status.migration is None
    assert view.ring.displaced == ()
    assert {vnode.server_id for vnode in view.ring.view.vnodes} == {"alpha"}


def test_where_only_another_replica_moves_nothing_is_displaced() -> None:
    store = store_with(virtual_nodes_per_node=20, replication_factor=3)
    filled(store, 300)
    view = fold(store.snapshot())
    migration = started(store, "join")
    for _ in range(20):
        migration.step()
        view = fold(store.snapshot(), None, view)
        assert view.ring.displaced
        for span in view.ring.displaced:
            assert span.holder != view.ring.view.vnode_at(span.low).server_id
            found = explain_position(view.ring, span.low)
            assert found is not None
            assert found.primary != found.moving_to
