"""What holds while some calls of a server fail and others do not, and while hints overflow."""

import contextlib

import pytest

from core import (
    FaultInjector,
    KeyValueStore,
    ManualClock,
    Migration,
    MigrationFailedError,
    QuorumError,
    Recovery,
    ServerUnavailableError,
)
from core.record import Entry
from core.ring.hashing import murmur3
from core.stripes import LAST_POSITION
from tests.support import store_with

SERVERS = ("alpha", "bravo", "charlie")


def in_one_stripe(text: bytes, seed: int, signed: bool) -> int:
    """Put everything into the first stripe."""
    return murmur3(text, seed, signed) >> 10


class Faulty:
    """A store without threads, its faults and its clock."""

    def __init__(self, servers: tuple[str, ...] = SERVERS, **options: object) -> None:
        self.clock = ManualClock()
        self.faults = FaultInjector(self.clock)
        self.store: KeyValueStore = store_with(
            servers,
            virtual_nodes_per_node=4,
            clock=self.clock,
            faults=self.faults,
            background=False,
            **options,
        )

    def become_calm(self) -> None:
        """Let everything catch up, and check that all is well."""
        while self.store.maintain():
            pass
        self.store.check_invariants()
        assert self.store.doctor().healthy
        assert not any(server.stripes_behind for server in self.store.snapshot().servers)


def finish(work: Migration | Recovery) -> None:
    """Take every step of something."""
    while work.step():
        pass


def test_a_write_that_could_not_be_counted_is_counted_later() -> None:
    faulty = Faulty(("alpha",))
    assert faulty.store.set("key", "first")
    faulty.faults.fail_next("alpha", 1)  # nobody else knows whether the key was there
    with pytest.raises(QuorumError):
        faulty.store.set("key", "second")
    faulty.become_calm()
    assert len(faulty.store) == 1
    assert faulty.store.get("key") == "second"


def test_a_write_is_counted_by_a_replica_that_took_it() -> None:
    faulty = Faulty(("alpha", "bravo", "charlie"), replication_factor=3)
    faulty.faults.fail_next(faulty.store.explain("key").primary, 1)
    assert faulty.store.set("key", "first")
    assert len(faulty.store) == 1
    faulty.faults.fail_next(faulty.store.explain("key").primary, 1)
    assert faulty.store.set("key", "second")
    assert len(faulty.store) == 1
    assert faulty.store.remove("key")
    assert len(faulty.store) == 0
    faulty.become_calm()
    assert len(faulty.store) == 0


def test_a_server_that_can_not_be_counted_has_not_caught_up() -> None:
    faulty = Faulty(("alpha",))
    faulty.store.crash_server("alpha")
    recovery = faulty.store.begin_recovery("alpha")
    assert recovery is not None
    assert faulty.store.set("key", "written before it caught up")
    faulty.faults.partition("alpha")
    with pytest.raises(ServerUnavailableError):
        finish(recovery)
    faulty.faults.heal_all()
    faulty.become_calm()
    assert len(faulty.store) == 1
    assert faulty.store.get("key") == "written before it caught up"


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_an_expired_key_is_swept_from_a_server_that_failed_meanwhile(copies: int) -> None:
    faulty = Faulty(replication_factor=copies)
    owner = faulty.store.explain("key").primary
    assert faulty.store.set("key", "value", ttl=1)
    faulty.clock.advance(2)
    faulty.faults.fail_next(owner, 2)
    faulty.store.maintain()
    faulty.faults.heal_all()
    faulty.clock.advance(2)
    faulty.become_calm()
    assert len(faulty.store) == 0
    assert faulty.store.get("key") is None


def test_a_late_hint_does_not_bring_an_expired_key_back() -> None:
    faulty = Faulty(replication_factor=3)
    faulty.faults.partition("alpha")
    assert faulty.store.set("key", "value", ttl=1)
    faulty.clock.advance(2)
    for _ in range(3):
        faulty.store.maintain()
    faulty.faults.heal_all()
    faulty.become_calm()
    assert [faulty.store.explain("key").located_on, len(faulty.store)] == [(), 0]


def test_a_write_of_unknown_outcome_is_swept_when_it_expires() -> None:
    faulty = Faulty(("alpha", "bravo"), replication_factor=2)
    faulty.faults.partition("bravo")
    with pytest.raises(QuorumError):
        faulty.store.set("key", "value", ttl=1)
    faulty.faults.heal_all()
    faulty.become_calm()
    assert len(faulty.store) == 1
    faulty.clock.advance(2)
    faulty.become_calm()
    assert len(faulty.store) == 0


def test_a_write_that_failed_does_not_put_off_the_sweeping() -> None:
    faulty = Faulty(("alpha", "bravo"), replication_factor=2)
    assert faulty.store.set("key", "value", ttl=1)
    faulty.store.crash_server("bravo")
    with pytest.raises(QuorumError):
        faulty.store.expire("key", 1_000)
    faulty.clock.advance(2)
    assert len(faulty.store) == 0


def test_a_range_is_not_taken_for_lost_while_its_server_does_not_answer() -> None:
    faulty = Faulty(("alpha",), hints_kept=0)
    keys = [f"key-{number}" for number in range(40)]
    for key in keys:
        assert faulty.store.set(key, "acknowledged")
    faulty.faults.partition("alpha")
    for key in keys:
        with pytest.raises(QuorumError):
            faulty.store.set(key, "of unknown outcome")
    migration = faulty.store.commit(faulty.store.plan_add_server("bravo"), start=False)
    for _ in range(3):
        with pytest.raises(MigrationFailedError):
            finish(migration)
    faulty.faults.heal_all()
    finish(migration)
    faulty.become_calm()
    assert set(faulty.store.keys()) == set(keys)


def test_a_server_that_waits_for_hints_does_not_hold_a_range_alone() -> None:
    faulty = Faulty(("alpha", "bravo"), replication_factor=2, hints_kept=1)
    faulty.faults.partition("bravo")
    assert faulty.store.set("key", "acknowledged by alpha", write_level="one")
    migration = faulty.store.commit(faulty.store.plan_remove_server("alpha"), start=False)
    with pytest.raises(MigrationFailedError):
        finish(migration)
    for number in range(20):  # more than the hints that are kept
        with pytest.raises(QuorumError):
            faulty.store.set(f"other-{number}", "value", write_level="all")
    faulty.faults.heal_all()
    finish(migration)
    faulty.become_calm()
    assert faulty.store.get("key") == "acknowledged by alpha"


def test_a_move_lets_the_server_catch_up_that_is_to_hold_the_range() -> None:
    faulty = Faulty(("alpha", "bravo"), replication_factor=2, hints_kept=0)
    faulty.faults.partition("bravo")
    for number in range(20):
        assert faulty.store.set(f"key-{number}", "value", write_level="one")
    faulty.faults.heal_all()
    finish(faulty.store.commit(faulty.store.plan_remove_server("alpha"), start=False))
    faulty.become_calm()
    assert len(faulty.store) == 20


def test_a_server_that_gains_a_range_while_it_waits_for_hints_gets_the_whole_range() -> None:
    """Its hints are of one range; delivered, they must not make it count for another."""
    faulty = Faulty(
        replication_factor=2,
        hash_function=lambda text, seed, signed: murmur3(text, seed, signed) >> 8,
    )
    content = {f"key-{number}": f"value {number}" for number in range(100)}
    faulty.store.set_many(content)
    faulty.faults.partition("charlie")
    for key in content:
        faulty.store.set(key, content[key], write_level="one")
    assert all(server.stripes_behind in (0, 4) for server in faulty.store.snapshot().servers)
    migration = faulty.store.commit(faulty.store.plan_remove_server("bravo"), start=False)
    with contextlib.suppress(MigrationFailedError):
        finish(migration)
    faulty.faults.heal_all()
    faulty.become_calm()
    if not migration.over:
        finish(migration)
    faulty.become_calm()
    faulty.store.check_invariants()
    faulty.store.crash_server("alpha")
    assert faulty.store.get_many(content) == content


def removed_while_alpha_is_away() -> Faulty:
    """A key that alpha still has, and that bravo and charlie know to be removed."""
    faulty = Faulty(replication_factor=3, hints_kept=0, hash_function=in_one_stripe)
    assert faulty.store.set("key", "old")
    faulty.faults.partition("alpha")
    assert faulty.store.remove("key")
    return faulty


def test_a_removed_key_stays_removed_when_nobody_has_everything() -> None:
    """Alpha and bravo have missed more than hints could hold, and charlie crashes."""
    faulty = removed_while_alpha_is_away()
    faulty.faults.heal_all()
    faulty.faults.partition("bravo")
    assert faulty.store.set("missed by bravo", "value")
    faulty.store.crash_server("charlie")
    faulty.faults.heal_all()
    # Alpha catches up first, with what bravo knows.
    assert faulty.store.recover_server("alpha")
    assert faulty.store.recover_server("charlie")
    faulty.become_calm()
    assert faulty.store.get("key") is None
    assert faulty.store.get("missed by bravo") == "value"


def test_a_removal_is_remembered_until_every_replica_knows_it() -> None:
    faulty = removed_while_alpha_is_away()
    faulty.store.crash_server("charlie")
    assert faulty.store.recover_server("charlie")
    servers = {name: faulty.store._shards.replicas[name].server for name in SERVERS}
    for name in ("bravo", "charlie"):
        assert [one.key for one in servers[name].removals(0, LAST_POSITION)] == ["key"], name
    faulty.faults.heal_all()
    faulty.become_calm()
    for server in servers.values():
        assert server.removals(0, LAST_POSITION) == []
    assert faulty.store.get("key") is None


def test_the_last_copy_of_a_record_is_kept_even_as_a_hint() -> None:
    faulty = Faulty(
        ("alpha", "bravo"), replication_factor=2, hints_kept=1, hash_function=in_one_stripe
    )
    faulty.faults.partition("bravo")
    assert faulty.store.set("key", "value", write_level="one")
    assert faulty.store.plan_crash("alpha").keys_lost == 0
    faulty.store.crash_server("alpha")
    assert faulty.store.begin_recovery("alpha") is not None
    for number in range(10):
        assert faulty.store.set(f"other-{number}", "value", write_level="one")
    faulty.faults.heal_all()
    faulty.become_calm()
    assert faulty.store.get("key") == "value"
    assert len(faulty.store) == 11


def test_a_repair_that_fails_half_way_leaves_the_rest_for_the_next_time() -> None:
    faulty = Faulty(("alpha", "bravo"), replication_factor=2)
    assert faulty.store.set("key", "value")
    server = faulty.store._shards.replicas["bravo"].server
    server.drop(faulty.store.explain("key").position, "key")

    def fail(entry: Entry) -> int | None:
        raise ServerUnavailableError(["bravo"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "apply", fail)
        report = faulty.store.doctor(repair=True)
    assert (len(report.findings), report.repaired) == (1, 0)
    assert "bravo" in report.unreachable
    faulty.faults.heal_all()
    assert faulty.store.doctor(repair=True).repaired == 1
    faulty.become_calm()
    assert faulty.store.get("key") == "value"


def test_an_expired_record_that_outlives_a_crash_is_swept_as_well() -> None:
    """Bravo missed the sweeping, and after alpha's crash has the last that is left."""
    faulty = Faulty(("alpha", "bravo"), replication_factor=2, hints_kept=0)
    assert faulty.store.set("key", "value", ttl=1)
    faulty.faults.partition("bravo")
    faulty.clock.advance(2)
    faulty.store.maintain()
    faulty.store.crash_server("alpha")
    assert faulty.store.begin_recovery("alpha") is not None
    faulty.faults.heal_all()
    faulty.become_calm()
    assert faulty.store.get("key") is None
    assert len(faulty.store) == 0


def test_a_server_that_gives_away_all_that_it_missed_answers_for_the_rest() -> None:
    faulty = Faulty(("alpha", "bravo"), replication_factor=2, hash_function=in_one_stripe)
    faulty.faults.partition("alpha")
    with pytest.raises(QuorumError):
        faulty.store.set("key-17", "value")  # in a range that leaves alpha, first in another one
    migration = faulty.store.commit(faulty.store.plan_add_server("charlie"), start=False)
    with pytest.raises(MigrationFailedError):  # what alpha is to discard
        finish(migration)
    assert "alpha" not in faulty.store.explain("key-17").replicas
    faulty.store.check_invariants()


def test_the_invariants_are_checked_as_far_as_servers_answer() -> None:
    faulty = Faulty(("alpha", "bravo"), hash_function=in_one_stripe)
    for number in range(20):
        assert faulty.store.set(f"key-{number}", "value")
    for calls in range(1, 30):
        faulty.faults.fail_next("alpha", calls)
        faulty.store.check_invariants()
        faulty.faults.heal_all()
