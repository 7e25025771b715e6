"""A simulated cluster, its model, and what the model says the store may do."""

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests.simulation.coarse import COARSE
from tests.simulation.model import Register

SERVERS = tuple(f"s{number}" for number in range(6))
# What is returned where no server could answer.
NOBODY = object()


class Cluster:
    """One seed's store, model and trace.

    Attributes:
        store: the store, without threads of its own.
        model: what each key may be.
        trace: every step and what came of it, a line each.
        now: the store's time when the operation under way began, in milliseconds.
        keys_lost: how many keys were lost in crashes so far.
        trouble: how much goes wrong: some seeds are quiet, so that long chains of good steps are
            met too.
        may_force: whether servers are removed though keys go with them.

    Args:
        seed: of everything that happens.
        core: the core to be simulated: the coarse one, or the real one.
        steps: how many steps to take; None lets the seed say.
    """

    def __init__(self, seed: int, core: ModuleType = COARSE, steps: int | None = None) -> None:
        self.seed = seed
        self.core: Any = core
        self.random = random.Random(seed)
        self.trace: list[str] = []
        self.steps = steps if steps is not None else self.random.choice((30, 60, 90))
        self.clock = core.ManualClock()
        self.faults = core.FaultInjector(self.clock)
        self.replication_factor = self.random.choice((1, 2, 3, 3))
        positions = self.random.choice((1 << 32, 1 << 32, 64))
        hash_key = core.ring.position_of
        self.position_of: Callable[[str], int] = lambda key: (
            hash_key(key) % positions * ((1 << 32) // positions)
        )
        self.hash_function = lambda text, seed, signed: self.position_of(text.decode())
        self.vnodes = self.random.randint(2, 6)
        self.hints_kept = self.random.choice((0, 1, 3, 10_000))
        self.store: Any = self._open_store()
        self.shards = self.store._shards
        self.level: Any = core.Level
        self.model = {f"key-{number}": Register() for number in range(self.random.randint(4, 14))}
        self.keys = list(self.model)
        self.writes = 0
        self.now: int = self.clock.now_ms()
        self._began: int = self.now
        self.keys_lost = 0
        self.trouble = self.random.choice((0.0, 0.5, 1.0, 2.0))
        self.may_force = True
        for server_id in SERVERS[: self.random.randint(1, 4)]:
            self.store.add_server(server_id, self.random.choice((0.5, 1.0, 2.0)))

    def _open_store(self, **options: object) -> Any:
        return self.core.KeyValueStore(
            self.vnodes,
            replication_factor=self.replication_factor,
            clock=self.clock,
            faults=self.faults,
            hash_function=self.hash_function,
            hints_kept=self.hints_kept,
            background=False,
            **options,
        )

    def _note(self, text: object) -> None:
        self.trace[-1] += f" {text}"

    def _owners(self, key: str) -> tuple[str, ...]:
        owners: tuple[str, ...] = self.shards.routing.at(self.position_of(key)).owners
        return owners

    def _well(self, server_id: str) -> bool:
        faults = self.faults.faults_of(server_id)
        down = self.shards.replicas[server_id].down
        return not bool(down or faults.partitioned or faults.failing_calls)

    def _all_well(self) -> bool:
        return all(map(self._well, self.shards.replicas))

    def _complete(self, server_id: str, key: str) -> bool:
        stripe = self.core.stripes.stripe_of(self.position_of(key))
        complete: bool = self.shards.replicas[server_id].complete(stripe)
        return complete

    def _may_answer(self, key: str, level: Any) -> bool:
        """Whether as many servers could answer as a level asks for."""
        owners = self._owners(key)
        cut_off = [owner for owner in owners if self.faults.faults_of(owner).partitioned]
        down = [owner for owner in owners if self.shards.replicas[owner].down]
        needed: int = level.needed(len(owners))
        return len({*owners} - {*cut_off, *down}) >= needed

    def _must_write(self, key: str, level: Any = None) -> bool:
        owners = self._owners(key)
        needed: int = (level or self.level.QUORUM).needed(len(owners))
        return sum(map(self._well, owners)) >= needed

    def _refused(self, error: Exception, about: object, *, must: bool) -> None:
        """Note that an operation failed, which it may if it need not succeed."""
        self._note(f"-> {error}")
        assert not must, f"enough well servers for {about}, and: {error}"

    def _must_read(self, key: str, level: Any = None) -> bool:
        level = level or self.level.QUORUM
        owners = self._owners(key)
        well = [owner for owner in owners if self._well(owner)]
        if len(well) < level.needed(len(owners)):
            return False
        return level is self.level.ONE or any(self._complete(owner, key) for owner in well)

    def _must_list(self) -> bool:
        stripe_of = self.core.stripes.stripe_of
        return all(
            any(
                self._well(owner) and self.shards.replicas[owner].complete(stripe)
                for owner in segment.owners
            )
            for segment in self.shards.routing.segments()
            if segment.owners
            for stripe in range(stripe_of(segment.low), stripe_of(segment.high) + 1)
        )

    def _steady_time(self) -> int:
        """Return when it began and what has passed since, however the clock was set meanwhile."""
        passed: float = self.clock.monotonic()
        return self._began + round(passed * 1_000)

    def _time_passed(self) -> tuple[int, int]:
        """Return when the operation began and ended."""
        return self.now, self._steady_time()

    def _pick(self) -> tuple[str, Register]:
        key = self.random.choice(self.keys)
        self._note(key)
        return key, self.model[key]

    def _value(self) -> str:
        self.writes += 1
        return f"v{self.writes}"

    def _observe(self, key: str, value: str | None) -> None:
        self._note(f"-> {value}")
        self.model[key].observe(value, *self._time_passed())
