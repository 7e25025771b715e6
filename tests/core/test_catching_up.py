"""A server is compared a part of a stripe at a time, while others write to that stripe."""

import random
import zlib
from collections.abc import Callable

import pytest

from tests.simulation.coarse import COARSE

SERVERS = ("alpha", "bravo", "charlie")
KEYS = 60
SEEDS = 60


def in_two_stripes(key: bytes, _seed: int, _signed: bool) -> int:
    """Give every key a position in the first two stripes."""
    positions: int = 2 * COARSE.stripes.POSITIONS_PER_STRIPE
    return zlib.crc32(key) % positions


class Disturbed:
    """A store in which something happens between any two parts that are compared.

    Args:
        seed: decides what.
    """

    def __init__(self, seed: int, hints_kept: int) -> None:
        self.random = random.Random(seed)
        self.clock = COARSE.ManualClock()
        self.faults = COARSE.FaultInjector(self.clock)
        self.parts = 0
        self.disturbing = False
        self.store = COARSE.KeyValueStore(
            16,
            replication_factor=3,
            clock=self.clock,
            faults=self.faults,
            hash_function=in_two_stripes,
            hints_kept=hints_kept,
            background=False,
            yield_point=self.at_step,
        )
        for server_id in SERVERS:
            self.store.add_server(server_id)
        # What each key may be: several values after a write of unknown outcome.
        self.possible: dict[str, set[str | None]] = {}
        for number in range(KEYS):
            self.put(f"key-{number}")

    def put(self, key: str, ttl: float | None = None) -> None:
        value = str(self.random.random())
        kept = None if ttl is not None else value  # when it is looked at
        self._written(key, kept, lambda: self.store.set(key, value, ttl=ttl))

    def remove(self, key: str) -> None:
        self._written(key, None, lambda: self.store.remove(key))

    def _written(self, key: str, value: str | None, write: Callable[[], bool]) -> None:
        try:
            write()
            self.possible[key] = {value}
        except COARSE.QuorumError as error:
            if error.unknown:
                self.possible.setdefault(key, {None}).add(value)

    def at_step(self, step: str) -> None:
        if step == "recovery.part":
            self.parts += 1
            if self.disturbing:
                for _ in range(self.random.randrange(4)):
                    self.disturb()
                self.store._shards.replicas["alpha"].check_invariants()

    def disturb(self) -> None:
        key = f"key-{self.random.randrange(KEYS + 20)}"
        what = self.random.randrange(12)
        if what < 4:
            self.put(key)
        elif what < 6:
            self.remove(key)
        elif what == 6:
            self.put(key, ttl=1)
            self.clock.advance(2)
            self.store._expiry.sweep()
        elif what == 7:
            self.faults.fail_next("alpha", self.random.randrange(3))
        elif what == 8:
            self.faults.heal_all()
        elif what == 9:
            self.store.crash_server("charlie")
        elif what == 10:
            self.store.begin_recovery(self.random.choice(SERVERS))
        elif self.random.random() < 0.3:
            self.store.crash_server("alpha")
            if self.random.random() < 0.7:
                self.store.begin_recovery("alpha")

    def heal(self) -> None:
        self.disturbing = False
        self.faults.heal_all()
        for server_id in ("alpha", "charlie"):
            self.store.begin_recovery(server_id)
        self.clock.advance(5)
        while self.store.maintain():
            pass


@pytest.mark.parametrize("hints_kept", [2, 10_000])
def test_nothing_is_missed_that_happens_between_two_parts(hints_kept: int) -> None:
    parts = 0
    for seed in range(SEEDS):
        case = Disturbed(seed, hints_kept)
        store = case.store
        store.crash_server("alpha")
        for number in range(0, KEYS, 3):
            (case.remove if number % 2 else case.put)(f"key-{number}")
        store.begin_recovery("alpha")
        case.disturbing = True
        for _ in range(40):
            store.maintain()
        case.heal()
        parts += case.parts
        replay = f"replay: SEEDS of {__name__}, seed {seed}, hints_kept {hints_kept}"
        assert not store.snapshot().recoveries, replay
        try:
            store.check_invariants()
        except AssertionError as error:
            raise AssertionError(f"{error}; {replay}") from error
        for key, values in case.possible.items():
            assert store.get(key) in values, f"{key}; {replay}"
        store.close()
    assert parts > 20 * SEEDS


def recovering() -> Disturbed:
    """Return a store in which alpha is to be compared, and nothing happens by itself."""
    case = Disturbed(1, hints_kept=10_000)
    case.store.crash_server("alpha")
    case.store.begin_recovery("alpha")
    return case


def test_a_comparison_that_failed_keeps_nothing_of_what_is_missed_after_it() -> None:
    case = recovering()
    case.faults.partition("alpha")
    case.store.maintain()
    for number in range(KEYS):
        case.put(f"key-{number}")
    assert case.store._shards.replicas["alpha"]._late == {}
    case.heal()
    case.store.check_invariants()


@pytest.mark.parametrize("mends", ["doctor", "read"])
def test_what_is_mended_between_two_parts_reaches_the_server_that_catches_up(
    monkeypatch: pytest.MonkeyPatch, mends: str
) -> None:
    case = recovering()
    lacking = min(case.possible, key=lambda key: in_two_stripes(key.encode(), 0, False))
    position = in_two_stripes(lacking.encode(), 0, False)
    case.store._shards.replicas["bravo"].server.drop(position, lacking)
    charlie = case.store._shards.replicas["charlie"].server
    kept = charlie.get(position, lacking)
    charlie.drop(position, lacking)
    parts = 0

    def mend_in_the_second_part(step: str) -> None:
        nonlocal parts
        parts += step == "recovery.part"
        if parts == 2 and step == "recovery.part":
            entry = COARSE.record.Entry(position, lacking, kept)
            charlie.apply(entry)  # as a disk that could not be read before
            if mends == "doctor":
                assert case.store.doctor(repair=True).repaired
            else:
                assert case.store.get(lacking, read_level=COARSE.Level.QUORUM) is not None

    monkeypatch.setattr(case, "at_step", mend_in_the_second_part)
    monkeypatch.setattr(case.store._failover._catching_up, "_yield_point", mend_in_the_second_part)
    while case.store.maintain():
        pass
    assert parts > 2
    case.store.check_invariants()
    assert case.store.doctor().healthy
    for server_id in SERVERS:
        assert case.store._shards.replicas[server_id].server.get(position, lacking) == kept
