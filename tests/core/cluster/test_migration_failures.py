"""A migration that is stopped by an error at any step loses nothing and ends clean."""

import pytest

from core import (
    KeyValueStore,
    MigrationFailedError,
    MigrationPaused,
    MigrationState,
    Plan,
    ServerFailedError,
)
from core.cluster.range_mover import RangeMover
from core.cluster.replica import Replica
from core.record import Entry
from core.ring.hashing import murmur3, position_of
from core.servers.memory_server import MemoryServer
from tests.support import FailingServer, Fuse, content_of, filled, store_with

SERVERS = ("alpha", "bravo")
JOINER = "charlie"
KEYS = 60


def one_stripe(text: bytes, seed: int, signed: bool) -> int:
    """Put everything into the first stripe.

    Bravo has the first vnode there, so the large rest of the ring is always its own, and only about
    ten ranges move: each of their server calls gets its turn to fail.
    """
    return murmur3(text, seed, signed) >> 12


def failing_store(fuse: Fuse, *, half: bool) -> KeyValueStore:
    return store_with(
        SERVERS,
        virtual_nodes_per_node=10,
        hash_function=one_stripe,
        create_server=lambda server_id: FailingServer(
            server_id, fuse, half=half, hash_function=one_stripe
        ),
    )


def plan_for(store: KeyValueStore, change: str) -> Plan:
    return store.plan_add_server(JOINER) if change == "add" else store.plan_remove_server("alpha")


def assert_nothing_is_lost_or_doubled(store: KeyValueStore, content: dict[str, str]) -> None:
    assert content_of(store) == content
    assert store.get_total_entries() == len(content)
    assert sum(store.get_stats().values()) == len(content)
    store.check_invariants()


@pytest.mark.parametrize("half", [False, True], ids=["no-effect", "half-done"])
@pytest.mark.parametrize("change", ["add", "remove"])
@pytest.mark.parametrize("ending", ["resume", "cancel"])
def test_failing_at_every_single_server_call(change: str, ending: str, half: bool) -> None:
    """Let the Nth server call fail, for N = 1, 2, … until a migration passes without failing."""
    fuse = Fuse()
    fails_at = 0
    while True:
        fails_at += 1
        fuse.disarm()
        store = failing_store(fuse, half=half)
        content = filled(store, KEYS)
        before = store.get_stats()
        plan = plan_for(store, change)
        migration = store.commit(plan, start=False)
        fuse.arm(fails_at)
        try:
            while migration.step():
                pass
        except MigrationFailedError as error:
            cause = error.__cause__
        else:
            break  # it passed: every call has had its turn
        assert isinstance(cause, ServerFailedError)
        assert migration.progress.state is MigrationState.PAUSED
        assert "failed" in (migration.progress.error or "")
        fuse.disarm()
        assert_nothing_is_lost_or_doubled(store, content)

        store.set("user:1", "written while it was paused")
        store.remove("user:2")
        content["user:1"] = "written while it was paused"
        del content["user:2"]

        assert migration.resume() if ending == "resume" else migration.cancel()
        assert migration.wait(30)
        assert_nothing_is_lost_or_doubled(store, content)
        after = store.get_stats()
        expected = plan.keys_after if ending == "resume" else before
        assert set(after) == set(expected)
        assert sum(abs(after[name] - expected[name]) for name in after) <= 1  # user:2 is gone
        store.close()
    assert fails_at > 20


@pytest.mark.parametrize("change", ["add", "remove"])
def test_failing_at_every_server_call_while_cancelling(change: str) -> None:
    fuse = Fuse()
    fails_at = 0
    while True:
        fails_at += 1
        fuse.disarm()
        store = failing_store(fuse, half=True)
        content = filled(store, KEYS)
        before = store.get_stats()
        plan = plan_for(store, change)
        migration = store.commit(plan, start=False)
        while migration.progress.fraction < 0.5:
            migration.step()
        fuse.arm(fails_at)
        migration.cancel()
        try:
            migration.wait(30)
            blew = False
        except MigrationFailedError:
            blew = True
            fuse.disarm()
            assert_nothing_is_lost_or_doubled(store, content)
            assert migration.resume()
            assert migration.wait(30)
        fuse.disarm()
        assert migration.progress.state is MigrationState.CANCELLED
        assert_nothing_is_lost_or_doubled(store, content)
        assert store.get_stats() == before
        store.close()
        if not blew:
            break
    assert fails_at > 10


def test_a_server_that_goes_on_failing_keeps_the_migration_paused() -> None:
    fuse = Fuse()
    store = failing_store(fuse, half=False)
    content = filled(store, KEYS)
    plan = store.plan_add_server(JOINER)
    fuse.arm(10, failures=5)
    migration = store.commit(plan)
    for _ in range(5):
        with pytest.raises(MigrationFailedError, match="nothing is lost"):
            migration.wait(30)
        assert_paused_with_an_event(store)
        migration.resume()
    assert migration.wait(30)
    fuse.disarm()
    assert_nothing_is_lost_or_doubled(store, content)


def assert_paused_with_an_event(store: KeyValueStore) -> None:
    event = store.events()[-1]
    assert isinstance(event, MigrationPaused)
    assert event.error is not None
    assert "failed" in event.error


def test_add_server_raises_what_stopped_it() -> None:
    fuse = Fuse()
    store = failing_store(fuse, half=False)
    content = filled(store, KEYS)
    fuse.arm(5)
    with pytest.raises(MigrationFailedError) as raised:
        store.add_server(JOINER)
    assert raised.value.server_id == JOINER
    assert isinstance(raised.value.__cause__, ServerFailedError)
    assert store.migration is not None
    store.migration.cancel()
    assert store.get_servers() == list(SERVERS)
    fuse.disarm()
    assert_nothing_is_lost_or_doubled(store, content)


class _ForgetfulServer(MemoryServer):
    """Loses one record of whatever is copied to it, without an error."""

    def apply_many(self, entries: list[Entry]) -> int:  # type: ignore[override]
        return super().apply_many(entries[1:])


def test_a_copy_that_is_not_complete_is_noticed_before_the_range_is_flipped() -> None:
    store = store_with(
        SERVERS,
        create_server=lambda server_id: (_ForgetfulServer if server_id == JOINER else MemoryServer)(
            server_id, position_of
        ),
    )
    content = filled(store, 400)
    with pytest.raises(MigrationFailedError, match="differs from its source"):
        store.add_server(JOINER)
    assert store.migration is not None
    assert store.migration.cancel()
    assert store.migration is None or store.migration.wait(30)
    assert_nothing_is_lost_or_doubled(store, content)


def test_a_flip_before_the_copy_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above bites: with the two steps swapped, a failure loses keys."""
    original = RangeMover._copy

    def flip_first(
        self: RangeMover,
        target: Replica,
        low: int,
        high: int,
        entries: list[Entry],
        removals: list[Entry],
    ) -> None:
        self._shards.routing.assign(low, high, (target.server_id,))
        original(self, target, low, high, entries, removals)

    monkeypatch.setattr(RangeMover, "_copy", flip_first)
    fuse = Fuse()
    store = failing_store(fuse, half=False)
    content = filled(store, KEYS)
    migration = store.commit(store.plan_add_server(JOINER), start=False)
    lost = False
    while not lost and not migration.over:
        fuse.arm(2)  # the first call to the joiner, after the read from the old owner
        with pytest.raises(MigrationFailedError):
            migration.step()
        fuse.disarm()
        lost = content_of(store) != content
        migration.step()
    assert lost
