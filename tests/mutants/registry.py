"""Every seeded fault: what it changes, what that breaks, and which test must catch it.

The table in CONTRIBUTING.md is compared with this list.
"""

from dataclasses import dataclass

import pytest

from core.ring import position_of
from core.servers.memory_server import MemoryServer
from tests.core import (
    test_durable_store,
    test_partial_failures,
    test_replication,
    test_transactions,
)
from tests.core.servers.test_memory_server import TestMemoryServer
from tests.durability.test_killed_migrations import kill_at_every_step
from tests.durability.test_power_loss import (
    LOOKED_AT,
    SOAK_LOOKED_AT,
    lose_power,
    test_a_transaction_is_whole_when_one_server_alone_loses_its_part,
    test_a_transaction_is_whole_when_only_who_missed_its_part_keeps_it,
    test_what_was_removed_stays_so_when_one_server_alone_loses_that_it_was,
)
from tests.mutants import catching
from tests.mutants.catching import Catcher
from tests.mutants.rewriting import rewrite


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Attributes:
        name: what is done wrong, in a few words.
        breaks: what users would suffer.
        caught_by: the test that must fail, as CONTRIBUTING.md names it.
        catcher: runs that test.
        target: the method that is changed; see `rewrite`.
        pieces: what is exchanged in it.
    """

    name: str
    breaks: str
    caught_by: str
    catcher: Catcher
    target: str
    pieces: tuple[tuple[str, str], ...]

    def switch_on(self, patch: pytest.MonkeyPatch) -> None:
        """Put the fault into the core, until `patch` is undone."""
        rewrite(patch, self.target, *self.pieces)


def simulated(
    name: str, breaks: str, target: str, *pieces: tuple[str, str], seeds: int = 200
) -> Mutant:
    """Return a mutant that the simulation catches."""
    return Mutant(name, breaks, "simulation", catching.simulation(seeds), target, pieces)


def on_disk(
    name: str, breaks: str, target: str, *pieces: tuple[str, str], seeds: int = 100
) -> Mutant:
    """Return a mutant that the simulation on disk catches."""
    catcher = catching.durable_simulation(seeds)
    return Mutant(name, breaks, "simulation on disk", catcher, target, pieces)


# Pieces of the core that are exchanged, where they are long.
COPYING = "        for target in targets:\n"
COPY = "            self._copy(target, low, high, entries, removals)\n"
FLIPPING = "self._flip(low, high, old, new, len(entries))\n"
NOTING = "self._note(targets, low, high, back=back)\n"
DISCARDING = "self._discard([name for name in old if name not in new], low, high)\n"

MUTANTS = (
    Mutant(
        "a write takes no stripe lock",
        "a write falls between the copy of its range and the flip, and is lost",
        "stress",
        catching.stress(20),
        "hot_path:write",
        (
            ("if not lock.acquire(False):  #", "if False:  #"),
            ("lock.release()", "pass"),
        ),
    ),
    Mutant(
        "a miss is believed at once",
        "a key is absent while its range moves",
        "stress",
        catching.stress(20),
        "store:KeyValueStore.get",
        (("record = self._read(key)\n", "pass\n"),),
    ),
    simulated(
        "flip before the copy",
        "a move that fails half way leaves a range to a server without its records",
        "cluster.range_mover:RangeMover._move_locked",
        (COPYING, f"        {FLIPPING}{COPYING}"),
        (f"{NOTING}        {FLIPPING}", NOTING),
    ),
    simulated(
        "discard before the copy",
        "a move that fails half way has destroyed what it was to copy",
        "cluster.range_mover:RangeMover._move_locked",
        (COPYING, f"        {DISCARDING}{COPYING}"),
    ),
    simulated(
        "no hint for who missed a write",
        "replicas differ for ever, and reads go back to older values",
        "cluster.replication:Replication._miss_locked",
        ("replica.miss(stripe, entry, keep=keep)", "return"),
    ),
    simulated(
        "hints that overflow are dropped",
        "a server counts as up to date that is not",
        "cluster.replica:Replica.miss",
        ("self.miss_all(stripe)", "pass"),
    ),
    simulated(
        "a recovering server counts as current",
        "keys are absent until it has caught up",
        "cluster.replica:Replica.current",
        (" and stripe not in self._missed", ""),
    ),
    simulated(
        "reads ask the primary even when it is behind",
        "old values are read",
        "cluster.routing:RoutingTable._route",
        (
            "reader = current[0] if current else None",
            "reader = next((each for each in replicas if not each.down), None)",
        ),
    ),
    simulated(
        "a write is acknowledged below its level",
        "an acknowledged write lies on fewer servers than was promised",
        "cluster.replication:Replication._write_to_each_locked",
        ("if len(changes) < needed:", "if not changes:"),
        ("if live < needed and not owed:", "if not live and not owed:"),
    ),
    simulated(
        "a transaction does not validate what it read",
        "two transactions overwrite each other",
        "cluster.transactions:Committer._validate_locked",
        ("if self._seen(record)[1] != version:", "if False:"),
    ),
    Mutant(
        "a transaction takes its locks in no order",
        "two transactions wait for each other for ever",
        "test_opposite_orders_never_wait_for_each_other",
        catching.impatient(
            catching.single(
                test_transactions.test_opposite_orders_never_wait_for_each_other, 1, times=30
            )
        ),
        "cluster.transactions:Committer._held",
        (("sorted(stripes)", "__import__('random').sample([*stripes], len(stripes))"),),
    ),
    Mutant(
        "plain reads do not wait for a commit",
        "a reader sees half of a transaction",
        "test_a_plain_reader_never_sees_half_of_a_commit",
        catching.single(
            test_transactions.test_a_plain_reader_never_sees_half_of_a_commit, 1, times=30
        ),
        "hot_path:read_directly",
        (("or path._applying ", ""),),
    ),
    simulated(
        "an expiry is forgotten on a move",
        "a key that should be gone stays for ever",
        "cluster.range_mover:RangeMover._chunk",
        (
            "return high, entries\n",
            "return high, [entry.with_record(type(entry.record)(entry.record.value, "
            "entry.record.version, 0)) for entry in entries]\n",
        ),
    ),
    simulated(
        "a clock that jumps back revives keys",
        "a key that was gone is there again",
        "cluster.expiry:SteadyTime.__init__",
        ("= clock.monotonic\n", "= lambda: clock.now_ms() / 1_000\n"),
        ("now_ms - clock.monotonic() * 1_000 + 0.5", "0.5"),
    ),
    simulated(
        "a late hint outlives the sweeping of its key",
        "an expired record lies on one replica alone",
        "cluster.replication:Replication.remove_expired_locked",
        ("if len(changes) < len(route.replicas):", "if False:"),
    ),
    simulated(
        "a hint outlives the range it was for",
        "an old record comes back with the range",
        "cluster.range_mover:RangeMover._flip",
        ("replica.forget_hints(stripe, low, high)", "pass"),
    ),
    Mutant(
        "removals do not count when nobody has everything",
        "a removed key returns",
        "test_a_removed_key_stays_removed_when_nobody_has_everything",
        catching.single(
            test_partial_failures.test_a_removed_key_stays_removed_when_nobody_has_everything
        ),
        "cluster.catching_up:CatchingUp._equalize_locked",
        (("rest += other.server.removals(segment.low, segment.high)", "pass"),),
    ),
    Mutant(
        "tombstones are forgotten too early",
        "a removed key returns",
        "test_a_removal_is_remembered_until_every_replica_knows_it",
        catching.single(
            test_partial_failures.test_a_removal_is_remembered_until_every_replica_knows_it
        ),
        "cluster.catching_up:CatchingUp._forget_tombstones_locked",
        (
            (
                "if not all(replica.current(stripe) for replica in replicas)",
                "replicas = [each for each in replicas if each.current(stripe)]\n        if False",
            ),
        ),
    ),
    Mutant(
        "an old tombstone is kept when its range is given away",
        "a range can't come back to the server",
        "ServerContract",
        lambda _: TestMemoryServer().test_what_is_dropped_or_discarded_was_not_removed(
            MemoryServer("alpha", position_of)
        ),
        "servers.memory_server:MemoryServer.discard",
        (("if self._tombstones:", "if False:"),),
    ),
    Mutant(
        "a server takes older records",
        "a late write undoes a newer one",
        "ServerContract",
        lambda _: TestMemoryServer().test_only_a_newer_version_is_applied(
            MemoryServer("alpha", position_of)
        ),
        "servers.memory_server:MemoryServer.apply",
        (("if newest >= record.version:", "if False:"),),
    ),
    simulated(
        "routes are not made anew after a miss",
        "old values are read from a server that missed a write",
        "cluster.replication:Replication._write_to_each_locked",
        ("self._shards.routing.refresh(stripe)", "pass"),
    ),
    simulated(
        "a crash leaves the routes as they were",
        "reads go on from a server that is gone",
        "cluster.failover:Failover._crash_locked",
        ("self._shards.routing.refresh(stripe)", "pass"),
    ),
    Mutant(
        "read repair takes the oldest record",
        "a read at ALL is answered, and nothing is mended",
        "test_read_repair_mends_a_replica_that_differs",
        catching.single(test_replication.test_read_repair_mends_a_replica_that_differs),
        "cluster.replication:Replication._mend_locked",
        (
            ("record.version < entry", "record.version > entry"),
            ("record is None or", "record is not None and"),
        ),
    ),
    simulated(
        "a conditional write ignores the version",
        "two writers overwrite each other",
        "store:KeyValueStore._set_with_options",
        ("if expected_version not in (None, version):", "if False:"),
    ),
    simulated(
        "cancel moves nothing back",
        "keys are looked for where they are not",
        "cluster.migration:Migration._move_one_chunk",
        ("if not moves:", "if not moves or self._cancelling:"),
    ),
    simulated(
        "keys are not counted again after a recovery",
        "wrong counts, and stripes with keys taken for empty",
        "cluster.catching_up:CatchingUp.recount_locked",
        ("tally.keys, tally.lost = keys, 0", "pass"),
    ),
    Mutant(
        "a dead server leaves with the last copies",
        "keys are given up though nobody said so",
        "test_removing_the_only_holder_of_keys_is_refused_unless_forced",
        catching.single(
            test_replication.test_removing_the_only_holder_of_keys_is_refused_unless_forced
        ),
        "cluster.membership:Membership.commit",
        (("if lost:", "if False:"),),
    ),
    simulated(
        "an empty range is taken from who does not answer",
        "an acknowledged write is lost when a server is cut off",
        "cluster.range_mover:RangeMover._source",
        ("if not all(gone):", "if False:"),
        seeds=1_000,
    ),
    Mutant(
        "the last hint is dropped like any other",
        "an acknowledged write is lost when its server crashes",
        "test_the_last_copy_of_a_record_is_kept_even_as_a_hint",
        catching.single(
            test_partial_failures.test_the_last_copy_of_a_record_is_kept_even_as_a_hint
        ),
        "cluster.replication:Replication._miss_locked",
        (("keep=keep", "keep=False"),),
    ),
    Mutant(
        "a move is noted before its copies are on the disk",
        "a range is given to a server that has lost it with the power",
        "test_what_was_synced_survives_a_loss_of_power",
        catching.on_disk(lambda place: lose_power(place, 4, 1, "everysec", LOOKED_AT)),
        "cluster.persistence:OnDisk.range_moves",
        (("replica.durable.sync()", "pass"),),
    ),
    Mutant(
        "a transaction that was cut off is not finished",
        "half of a transaction is there after a loss of power",
        "test_what_was_synced_survives_a_loss_of_power",
        catching.on_disk(lambda place: lose_power(place, 0, 3, "always", SOAK_LOOKED_AT)),
        "cluster.reopening:_apply",
        (("for entry in entries:", "for entry in ():"),),
    ),
    Mutant(
        "a transaction is noted by nobody",
        "half of a transaction is there after a loss of power",
        "test_a_transaction_is_whole_when_one_server_alone_loses_its_part",
        catching.on_disk(
            lambda place: test_a_transaction_is_whole_when_one_server_alone_loses_its_part(
                place, synced_after=False
            )
        ),
        "cluster.commit_notes:CommitNotes._begin",
        (("replica.durable.keep_note(commit.name, content)", "pass"),),
    ),
    Mutant(
        "a server catches up with a transaction that is on no disk",
        "half of a transaction is there after a loss of power",
        "test_a_transaction_is_whole_when_only_who_missed_its_part_keeps_it",
        catching.on_disk(
            lambda place: test_a_transaction_is_whole_when_only_who_missed_its_part_keeps_it(
                place, hints=100
            )
        ),
        "cluster.catching_up:CatchingUp._prepare_locked",
        (("self._secure(stripe)", "pass"),),
    ),
    Mutant(
        "a removal is not remembered while a transaction is noted",
        "a removed key returns after a loss of power",
        "test_a_transaction_is_whole_when_one_server_alone_loses_its_part",
        catching.on_disk(
            lambda place: test_a_transaction_is_whole_when_one_server_alone_loses_its_part(
                place, synced_after=True
            )
        ),
        "cluster.commit_notes:CommitNotes.old_may_return",
        (("return True", "return False"),),
    ),
    Mutant(
        "removals are forgotten before all disks know them",
        "a removed key returns after a loss of power",
        "test_what_was_removed_stays_so_when_one_server_alone_loses_that_it_was",
        catching.on_disk(test_what_was_removed_stays_so_when_one_server_alone_loses_that_it_was),
        "cluster.catching_up:CatchingUp._forget_tombstones_locked",
        (("replica.durable.sync()", "pass"),),
    ),
    Mutant(
        "moves outlive their change",
        "ranges count as moved that were not, and their keys are discarded",
        "test_a_change_that_was_killed_at_any_step_can_be_gone_on_with",
        catching.on_disk(lambda place: kill_at_every_step(place, 1, "leave", cancelled=False)),
        "cluster.reopening:_moves_of",
        (("if change is None and moved:", "if False:"),),
    ),
    on_disk(
        "versions are not put aside",
        "a write after a restart is taken for an old one",
        "cluster.versions:ReservedVersions.take",
        ("self._journal.reserve_versions(limit)", "pass"),
    ),
    Mutant(
        "what a killed process left on a server stays there",
        "keys lie on servers that they do not belong to",
        "test_a_change_that_was_killed_at_any_step_can_be_gone_on_with",
        catching.on_disk(lambda place: kill_at_every_step(place, 1, "leave", cancelled=False)),
        "cluster.shards:Shards.discard_foreign",
        (("replica.server.discard(segment.low, segment.high)", "pass"),),
    ),
    on_disk(
        "replicas that differ after a kill stay so",
        "a key has several values",
        "cluster.reopening:_make_equal",
        ("server.apply_many(list(newest.values()))", "pass"),
    ),
    on_disk(
        "the mark of a counted server stays",
        "wrong counts after a kill",
        "servers.rocksdb_server:RocksDBServer._make_writable_locked",
        ("if self._clean:", "if False:"),
    ),
    Mutant(
        "a removal is not remembered while a server is down",
        "a removed key returns with the server",
        "test_what_was_removed_stays_so_when_its_range_went_away_and_came_back",
        catching.opening(
            test_durable_store.test_what_was_removed_stays_so_when_its_range_went_away_and_came_back
        ),
        "cluster.persistence:OnDisk.old_may_return",
        (("return (", "return False and ("),),
    ),
)


def table() -> str:
    """Return the table for CONTRIBUTING.md."""
    rows = ["| Mutant | What it breaks | Caught by |", "| --- | --- | --- |"]
    rows += [f"| {each.name} | {each.breaks} | {each.caught_by} |" for each in MUTANTS]
    return "\n".join(rows)
