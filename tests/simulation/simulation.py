"""A whole cluster in one thread, driven by random steps and checked against a model.

Everything that happens follows from the seed: the store has no thread of its own, the clock stands
still until it is moved, and faults are injected by the steps. What the store may answer, and when
it may refuse to, is worked out from the model: an operation that enough well servers could carry
out must not fail, and nothing may ever be read that was not written, or that was overwritten.
"""

from collections.abc import Callable

from tests.simulation.changes import Changes
from tests.simulation.writes import Writes

TRACE_SHOWN = 40
# Steps between two checks of every invariant: one takes as long as ten steps.
_INVARIANTS_EVERY = 8


class ViolationError(AssertionError):
    """The store did what the model says it must not do."""


class Simulation(Writes, Changes):
    """The random steps of one seed, and the end at which everything heals."""

    def run(self) -> list[str]:
        """Take every step, then let everything heal; return the trace.

        Raises:
            ViolationError: the model was contradicted; the message replays it.
        """
        try:
            for number in range(self.steps):
                self._step()
                if number % _INVARIANTS_EVERY == 0:
                    self.store.check_invariants()
            self._heal()
            self._check_the_end()
        except Exception as error:
            raise ViolationError(self._report(error)) from error
        self.store.close()
        return self.trace

    def _step(self) -> None:
        steps, weights = self._steps()
        step = self.random.choices(steps, weights)[0]
        self.trace.append(step.__name__.lstrip("_"))
        self.now = self._steady_time()
        step()
        self.now = self._steady_time()

    def _steps(self) -> tuple[list[Callable[[], None]], list[float]]:
        trouble, moving = self.trouble, self.store.migration is not None
        chosen: dict[Callable[[], None], float] = {
            self._set: 14,
            self._get: 12,
            self._get_at_level: 4,
            self._get_with_version: 3,
            self._remove: 6,
            self._set_if: 5,
            self._set_with_ttl: 4,
            self._expire: 3,
            self._persist: 2,
            self._ttl: 2,
            self._transaction: 5,
            self._list_keys: 2,
            self._scan: 2,
            self._move_clock: 4,
            self._maintain: 6,
            self._doctor: 1,
            self._count: 1,
            self._plan_change: 0 if moving else 5,
            self._move: 25 if moving else 0,
            self._pause: 1 if moving else 0,
            self._resume: 2 if moving else 0,
            self._cancel: 1 if moving else 0,
            self._crash: 1.5 * trouble,
            self._begin_recovery: 4,
            self._recover_a_bit: 5,
            self._fail_next: 2 * trouble,
            self._partition: 3 * trouble,
            self._slow: trouble / 2,
            self._heal_one: 5,
        }
        return list(chosen), list(chosen.values())

    def _report(self, error: Exception) -> str:
        last = "\n".join(self.trace[-TRACE_SHOWN:])
        return (
            f"seed {self.seed}: {type(error).__name__}: {error}\n{last}\n"
            f"replay: RINGTOP_SEED={self.seed} make test ARGS='-k simulation'"
        )

    def _heal(self) -> None:
        self.trace.append("heal everything")
        self.faults.heal_all()
        for server_id, replica in list(self.shards.replicas.items()):
            if replica.down:
                assert self.store.begin_recovery(server_id) is not None
        if self.store.migration is not None and self.random.random() < 0.3:
            self.store.migration.cancel()
        while self.store.migration is not None:
            self.store.migration.step()
        self._become_calm()
        # What could not be swept is looked at again a second later.
        self.clock.advance(2)
        self._become_calm()
        self.now = self._steady_time()

    def _become_calm(self) -> None:
        for _ in range(10_000):
            if not self.store.maintain():
                return
        raise AssertionError("it never becomes calm")

    def _check_the_end(self) -> None:
        self.store.check_invariants()
        report = self.store.doctor()
        assert report.healthy, f"{report.findings}"
        assert not report.unreachable, f"{report.unreachable} are not reachable"
        snapshot = self.store.snapshot()
        assert not snapshot.recoveries
        for server in snapshot.servers:
            assert not server.hints, f"{server.server_id} still has hints"
            assert not server.stripes_behind, f"{server.server_id} is still behind"
        if len(snapshot.servers) >= self.replication_factor:
            assert not snapshot.under_replicated_keys
        self._list_keys()
        present = 0
        for key, register in self.model.items():
            value = self.store.get(key)
            register.observe(value, self.now, self.now)
            for level in self.level:
                assert self.store.get(key, read_level=level) == value
            present += value is not None
        assert len(self.store) == present, f"{len(self.store)} keys, and {present} have a value"
        assert sorted(self.store.keys()) == sorted(
            key for key in self.keys if self.store.get(key) is not None
        )
        for stripe in range(self.core.stripes.STRIPES):
            self._check_digests(stripe)

    def _check_digests(self, stripe: int) -> None:
        for segment in self.shards.segments_of(stripe):
            digests = {
                self.shards.replicas[owner].server.digest(segment.low, segment.high)
                for owner in segment.owners
            }
            assert len(digests) <= 1, f"the digests of {segment} differ"
