"""A whole cluster in one thread, driven by random steps and checked against a model.

Everything that happens follows from the seed: the store has no thread of its own, the clock stands
still until it is moved, and faults are injected by the steps. What the store may answer, and when
it may refuse to, is worked out from the model: an operation that enough well servers could carry
out must not fail, and nothing may ever be read that was not written, or comes back.
"""

import random
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from tests.simulation.coarse import COARSE
from tests.simulation.model import ABSENT, Register, State

SERVERS = tuple(f"s{number}" for number in range(6))
TRACE_SHOWN = 40
_INVARIANTS_EVERY = 8
# What is returned where no server could answer.
NOBODY = object()


class Violation(AssertionError):
    """The store did what the model says it must not do."""


class Simulation:
    """One seed's store, model and trace.

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
        self.store = core.KeyValueStore(
            self.random.randint(2, 6),
            replication_factor=self.replication_factor,
            clock=self.clock,
            faults=self.faults,
            hash_function=lambda text, seed, signed: self.position_of(text.decode()),
            hints_kept=self.random.choice((0, 1, 3, 10_000)),
            background=False,
        )
        self.shards = self.store._shards
        self.level: Any = core.Level
        self.model = {f"key-{number}": Register() for number in range(self.random.randint(4, 14))}
        self.keys = list(self.model)
        self.writes = 0
        self.now = self.clock.now_ms()
        self.keys_lost = 0
        # How much goes wrong: some seeds are quiet, so that long chains of good steps are met too.
        self.trouble = self.random.choice((0.0, 0.5, 1.0, 2.0))
        self.plan: Any = None
        for server_id in SERVERS[: self.random.randint(1, 4)]:
            self.store.add_server(server_id, self.random.choice((0.5, 1.0, 2.0)))

    # Running

    def run(self) -> list[str]:
        """Take every step, then let everything heal; return the trace.

        Raises:
            Violation: the model was contradicted; the message replays it.
        """
        try:
            for number in range(self.steps):
                self._step()
                if number % _INVARIANTS_EVERY == 0:
                    self.store.check_invariants()
            self._heal()
            self._check_the_end()
        except Exception as error:
            raise Violation(self._report(error)) from error
        self.store.close()
        return self.trace

    def _step(self) -> None:
        steps, weights = self._steps()
        step = self.random.choices(steps, weights)[0]
        self.trace.append(step.__name__.lstrip("_"))
        self.now = self.store._time.now_ms()
        step()
        self.now = self.store._time.now_ms()

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

    def _note(self, text: object) -> None:
        self.trace[-1] += f" {text}"

    def _report(self, error: Exception) -> str:
        last = "\n".join(self.trace[-TRACE_SHOWN:])
        return (
            f"seed {self.seed}: {type(error).__name__}: {error}\n{last}\n"
            f"replay: RINGTOP_SEED={self.seed} make test ARGS='-k simulation'"
        )

    # What the model says may happen

    def _owners(self, key: str) -> tuple[str, ...]:
        owners: tuple[str, ...] = self.shards.routing.at(self.position_of(key)).owners
        return owners

    def _well(self, server_id: str) -> bool:
        faults = self.faults.faults_of(server_id)
        down = self.shards.replicas[server_id].down
        return not (down or faults.partitioned or faults.failing_calls)

    def _all_well(self) -> bool:
        return all(map(self._well, self.shards.replicas))

    def _complete(self, server_id: str, key: str) -> bool:
        stripe = self.core.stripes.stripe_of(self.position_of(key))
        complete: bool = self.shards.replicas[server_id].complete(stripe)
        return complete

    def _must_write(self, key: str, level: Any = None) -> bool:
        owners = self._owners(key)
        needed = (level or self.level.QUORUM).needed(len(owners))
        return sum(map(self._well, owners)) >= needed

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

    def _time_passed(self) -> tuple[int, int]:
        """Return when the operation began and ended."""
        return self.now, self.store._time.now_ms()

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

    # Writing

    def _write(
        self,
        keys: Iterable[str],
        call: Callable[[], Any],
        *,
        must: bool,
        acknowledged: Callable[[Any], None],
        doubted: Callable[[], None],
    ) -> None:
        """Do a write, and tell the model what may have become of it."""
        try:
            result = call()
        except self.core.QuorumError as error:
            self._note(f"-> {error.reached} of {error.needed}, unknown={error.unknown}")
            assert not must, f"enough well servers for {keys}, and: {error}"
            assert error.reached < error.needed
            if error.unknown:
                doubted()
        except self.core.ServerUnavailableError as error:
            self._note("-> unavailable")
            assert not must, f"enough well servers for {keys}, and: {error}"
        except self.core.NoServersError:
            self._note("-> no server")
            assert not self.store.get_servers()
        else:
            self._note(f"-> {result}")
            acknowledged(result)

    def _level(self) -> Any:
        return self.random.choice((None, None, None, *self.level))

    def _set(self) -> None:
        key, register = self._pick()
        state, level = State(self._value()), self._level()
        self._note(f"{state.value} at {level}")
        self._write(
            [key],
            lambda: self.store.set(key, state.value, write_level=level),
            must=self._must_write(key, level),
            acknowledged=lambda _: register.acknowledge(state),
            doubted=lambda: register.doubt(state),
        )

    def _set_with_ttl(self) -> None:
        key, register = self._pick()
        seconds = self.random.choice((0.5, 3.0, 20.0))
        state = State(self._value(), self.now + round(seconds * 1_000))
        self._note(f"{state.value} for {seconds} s")
        self._write(
            [key],
            lambda: self.store.set(key, state.value, ttl=seconds),
            must=self._must_write(key),
            acknowledged=lambda _: register.acknowledge(state),
            doubted=lambda: register.doubt(state),
        )

    def _remove(self) -> None:
        key, register = self._pick()
        level = self._level()
        self._note(f"at {level}")

        def acknowledged(had: bool) -> None:
            seen = register.seen(*self._time_passed())
            assert seen - {None} if had else None in seen, f"{key} removed: {had}, of {seen}"
            if had:
                register.acknowledge(ABSENT)
            else:
                register.observe(None, *self._time_passed())

        self._write(
            [key],
            lambda: self.store.remove(key, write_level=level),
            must=self._must_read(key) and self._must_write(key, level),
            acknowledged=acknowledged,
            doubted=lambda: register.doubt(ABSENT),
        )

    def _set_if(self) -> None:
        key, register = self._pick()
        state = State(self._value())
        if self.random.random() < 0.5:
            condition: dict[str, Any] = {"only_if_absent": True}
            may_hold = None in register.seen(*self._time_passed())
            must_hold = register.seen(*self._time_passed()) == {None}
        else:
            version = self.random.choice((0, register.version, register.version, 10**9))
            condition = {"expected_version": version}
            found = self._try(lambda: self.store.get_with_version(key))
            current = found[1] if isinstance(found, tuple) else 0
            self._note(f"has {current}")
            must_hold = may_hold = version == current
            if found is NOBODY:  # nobody could say which version it has
                may_hold, must_hold = True, False
        self._note(f"{state.value} {condition}")

        def acknowledged(done: bool) -> None:
            # A slow server takes time, in which a value may expire.
            settled = register.settled and not register.possible[0].expires_at
            assert may_hold or not (settled and done), f"{condition} of {key} does not hold"
            assert done or not (settled and must_hold), f"{condition} of {key} holds"
            if done:
                register.acknowledge(state)

        self._write(
            [key],
            lambda: self.store.set(key, state.value, **condition),
            must=self._must_read(key) and self._must_write(key),
            acknowledged=acknowledged,
            doubted=lambda: register.doubt(state),
        )

    def _expire(self) -> None:
        seconds = self.random.choice((0.5, 3.0, 20.0))
        expires_at = self.now + round(seconds * 1_000)
        self._change_expiry(lambda key: self.store.expire(key, seconds), expires_at)

    def _persist(self) -> None:
        self._change_expiry(self.store.persist, 0)

    def _change_expiry(self, call: Callable[[str], bool], expires_at: int) -> None:
        key, register = self._pick()
        self._note(f"until {expires_at}")
        before = list(register.possible)

        def states() -> list[State]:
            present = [state for state in before if state.seen(*self._time_passed()) - {None}]
            return [State(state.value, expires_at) for state in present]

        def acknowledged(done: bool) -> None:
            if done:
                assert states(), f"{key} has no value, and its expiry was changed"
                register.acknowledge(*states())
            elif register.settled and register.seen(*self._time_passed()) != {None}:
                state = register.possible[0]
                unchanged = state.expires_at == expires_at == 0
                passed = None in state.seen(*self._time_passed())
                assert unchanged or passed, f"{key} has {state}, and its expiry was not changed"

        self._write(
            [key],
            lambda: call(key),
            must=self._must_read(key) and self._must_write(key),
            acknowledged=acknowledged,
            doubted=lambda: register.doubt(*states()),
        )

    def _transaction(self) -> None:
        keys = self.random.sample(self.keys, min(len(self.keys), self.random.randint(1, 4)))
        reads = keys[: self.random.randint(0, len(keys))]
        writes = keys[self.random.randint(0, len(keys)) :]
        intruded = self.random.choice([*reads, None, None]) if reads else None
        removes = {key for key in writes if self.random.random() < 0.3}
        new = {key: ABSENT if key in removes else State(self._value()) for key in writes}
        self._note(f"reads {reads} writes { {key: state.value for key, state in new.items()} }")
        transaction = self.store.transaction()
        for key in reads:
            if self._read(key, lambda key=key: transaction.get(key)) is NOBODY:
                return
        if intruded is not None:
            self._note(f"| {intruded} is written")
            try:
                state = State(self._value())
                self.store.set(intruded, state.value)
                self.model[intruded].acknowledge(state)
            except (self.core.QuorumError, self.core.NoServersError) as error:
                if getattr(error, "unknown", False):
                    self.model[intruded].doubt(state)
                intruded = None
        for key, state in new.items():
            if state is ABSENT and key not in reads:
                # Removing reads: that the key had this version is then checked as well.
                if self._read(key, lambda key=key: transaction.get(key)) is NOBODY:
                    return
                transaction.remove(key)
            elif state is ABSENT:
                transaction.remove(key)
            else:
                transaction.set(key, state.value)

        def acknowledged(_: None) -> None:
            assert intruded is None, f"{intruded} was changed, and the transaction committed"
            for key, state in new.items():
                self.model[key].acknowledge(state)

        def doubted() -> None:
            for key, state in new.items():
                self.model[key].doubt(state)

        try:
            self._write(
                keys,
                transaction.commit,
                must=all(map(self._must_write, writes)) and all(map(self._must_read, keys)),
                acknowledged=acknowledged,
                doubted=doubted,
            )
        except self.core.TransactionConflict as error:
            self._note("-> conflict")
            # An unknown write may come through between, and a key may expire.
            certain = self.model[error.key].settled and not self.model[error.key].possible[
                0
            ].expires_at
            assert intruded is not None or not certain or self._trouble_about(error.key), (
                f"nobody changed {error.key}"
            )

    def _trouble_about(self, key: str) -> bool:
        return not self._all_well()

    # Reading

    def _try(self, call: Callable[[], Any]) -> Any:
        """Return what `call` does, or `NOBODY` if nobody can say."""
        try:
            return call()
        except (self.core.QuorumError, self.core.ServerUnavailableError):
            return NOBODY

    def _read(self, key: str, call: Callable[[], Any], level: Any = None) -> Any:
        must = self._must_read(key, level)
        value = self._try(call)
        if value is NOBODY:
            self._note(f"{key} -> unavailable")
            assert not must, f"enough well servers for {key}, and it can't be read"
        else:
            self._observe(key, value)
        return value

    def _get(self) -> None:
        key, _ = self._pick()
        self._read(key, lambda: self.store.get(key))

    def _get_at_level(self) -> None:
        key, register = self._pick()
        level = self.random.choice(list(self.level))
        self._note(f"at {level}")
        stripe = self.core.stripes.stripe_of(self.position_of(key))
        truth = [o for o in self._owners(key) if self.shards.replicas[o].current(stripe)]
        if level is self.level.ONE and not any(map(self._well, truth)):
            must = self._must_read(key, level)
            value = self._try(lambda: self.store.get(key, read_level=level))
            self._note(f"-> {'unavailable' if value is NOBODY else value}")
            if value is NOBODY:
                assert not must, f"a well server for {key}, and it can't be read"
            else:
                assert value in register.ever_seen(), f"{key} never was {value!r}"
            return
        self._read(key, lambda: self.store.get(key, read_level=level), level)

    def _get_with_version(self) -> None:
        key, register = self._pick()
        before = register.possible, register.version
        must = self._must_read(key)
        found = self._try(lambda: self.store.get_with_version(key))
        if found is NOBODY:
            self._note("-> unavailable")
            assert not must, f"enough well servers for {key}, and it can't be read"
            return
        value, version = found or (None, 0)
        self._observe(key, value)
        if value is not None:
            self._note(f"version {version}")
            # After a loss an older record may be all there is.
            assert version >= before[1] or self.keys_lost, f"{key} went back to {version}"
            register.version = version

    def _ttl(self) -> None:
        key, register = self._pick()
        must = self._must_read(key)
        left = self._try(lambda: self.store.ttl(key))
        if left is NOBODY:
            assert not must, f"enough well servers for {key}, and it can't be read"
            return
        self._note(f"-> {left}")
        earliest, latest = self._time_passed()
        allowed = [
            state
            for state in register.possible
            if (left is None and (not state.expires_at or None in state.seen(earliest, latest)))
            or (left is not None and state.value is not None and state.expires_at)
        ]
        assert allowed, f"{key} expires in {left} s, and may be {register.possible}"
        if left is not None and register.settled:
            expected = register.possible[0].expires_at
            assert expected - latest <= round(left * 1_000) <= expected - earliest

    def _list_keys(self) -> None:
        must = self._must_list()
        found = self._try(self.store.keys)
        if found is NOBODY:
            self._note("-> unavailable")
            assert not must, "a well server for everything, and the keys can't be listed"
            return
        self._note(f"-> {len(found)}")
        assert found == sorted(found, key=lambda key: (self.position_of(key), key))
        times = self._time_passed()
        for key, register in self.model.items():
            seen = register.seen(*times)
            assert key not in found or seen - {None}, f"{key} is listed, and has no value"
            assert key in found or None in seen, f"{key} is not listed, and has one of {seen}"

    def _scan(self) -> None:
        key, _ = self._pick()
        count = self.random.randint(0, len(self.keys) + 2)
        self._note(count)
        must = self._must_list()
        found = self._try(lambda: self.store.scan(key, count))
        if found is NOBODY:
            self._note("-> unavailable")
            assert not must, "a well server for everything, and it can't be scanned"
            return
        start = (self.position_of(key), key)

        def order(name: str) -> tuple[bool, int, str]:
            place = (self.position_of(name), name)
            return (place < start, *place)

        names = [name for name, _ in found]
        assert names == sorted(set(names), key=order)
        assert len(names) <= count
        for name, value in found:
            self.model[name].observe(value, *self._time_passed())
        if len(names) < count:
            for name in self.model.keys() - set(names):
                self.model[name].observe(None, *self._time_passed())

    # Time

    def _move_clock(self) -> None:
        seconds = self.random.choice((0.2, 1.0, 5.0, 30.0))
        if self.random.random() < 0.5:
            self.clock.advance(seconds)
        else:
            seconds *= self.random.choice((-1, -1, 1))
            self.clock.jump(seconds)
        self._note(f"by {seconds} s")

    # What goes on in the background

    def _maintain(self) -> None:
        for _ in range(self.random.choice((1, 1, 5))):
            self.store.maintain()

    def _doctor(self) -> None:
        repair = self.random.random() < 0.5
        report = self.store.doctor(repair=repair)
        self._note(f"repair={repair} -> {report.findings}")
        assert report.healthy, f"{report.findings}"

    def _count(self) -> None:
        calm = self._all_well() and not any(r.behind for r in self.shards.replicas.values())
        counted = len(self.store)
        self._note(f"-> {counted}")
        states = [register.seen(*self._time_passed()) for register in self.model.values()]
        if calm and all(len(state) == 1 for state in states):
            expected = sum(state != {None} for state in states)
            assert counted == expected, f"{counted} keys are counted, and there are {expected}"

    # Membership

    def _plan_change(self) -> None:
        servers = self.store.get_servers()
        weight = self.random.choice((0.5, 1.0, 2.0))
        kind = self.random.choice(("add", "add", "remove", "weight"))
        free = [server_id for server_id in SERVERS if server_id not in servers]
        if kind == "add" and not free:
            kind = "remove"
        target = self.random.choice(free if kind == "add" else servers or free)
        self._note(f"{kind} {target} {weight}")
        if not servers:
            kind = "add"
        limit = self.random.choice((None, 4, 10))
        start, force = self.random.random() < 0.3, self.random.random() < 0.5
        make = {
            "add": lambda: self.store.plan_add_server(target, weight),
            "remove": lambda: self.store.plan_remove_server(target),
            "weight": lambda: self.store.plan_set_weight(target, weight),
        }[kind]
        well = self._all_well()
        try:
            plan = make()
            assert plan.keys_moved <= len(self.keys) * self.replication_factor * 2
            self.store.commit(plan, keys_per_second=limit, start=start, force=force)
        except self.core.LastServerError:
            self._note("-> last server")
            assert servers == [target]
        except self.core.ServerUnavailableError:
            self._note("-> unavailable")
            assert servers == [target]
            assert not well
        except self.core.DataLossError as error:
            self._note(f"-> {error.keys} would be lost")
            assert not force
            assert not well or self.shards.replicas[target].behind
            assert self.keys_lost

    def _move(self) -> None:
        well = self._all_well()
        for _ in range(self.random.choice((1, 3, 12, 40))):
            if self.store.migration is None:
                self._note("(over)")
                return
            try:
                self.store.migration.step()
            except self.core.MigrationFailedError as error:
                self._note(f"-> {error}")
                assert not well, "every server is well, and a move failed"
                return

    def _pause(self) -> None:
        self._note(f"-> {self.store.migration.pause()}")

    def _resume(self) -> None:
        self._note(f"-> {self.store.migration.resume()}")

    def _cancel(self) -> None:
        self._note(f"-> {self.store.migration.cancel()}")

    # Trouble

    def _some_server(self) -> str:
        server_id = self.random.choice(list(self.shards.replicas) or list(SERVERS))
        self._note(server_id)
        return server_id

    def _crash(self) -> None:
        server_id = self._some_server()
        replica = self.shards.replicas.get(server_id)
        if replica is None or replica.down:
            assert not self.store.crash_server(server_id)
            return
        held = {key: self._owners(key) for key in self.keys if server_id in self._owners(key)}
        lost: dict[str, bool] = {}
        for key, owners in held.items():
            others = [owner for owner in owners if owner != server_id]
            if not any(self._complete(owner, key) for owner in others):
                lost[key] = any(not self.shards.replicas[owner].down for owner in others)
        preview = self.store.plan_crash(server_id)
        self._note(f"losing {sorted(lost)}")
        if self._all_well() and not any(r.behind for r in self.shards.replicas.values()):
            there = [key for key in held if self._is_there(key)]
            expected = sum(key in lost for key in there)
            assert preview.keys_lost == expected, f"{preview} but {expected} keys"
            assert preview.keys_lost + preview.keys_left == len(there), f"{preview}: {there}"
        assert self.store.crash_server(server_id)
        for key, remains in lost.items():
            self.model[key].lose(remains=remains)
        self.keys_lost += len(lost)

    def _is_there(self, key: str) -> bool:
        """Whether somebody holds a record of the key, expired or not."""
        position = self.position_of(key)
        first = self.shards.replicas[self._owners(key)[0]]
        return first.server._server.get(position, key) is not None

    def _begin_recovery(self) -> None:
        server_id = self._some_server()
        self._note(f"-> {self.store.begin_recovery(server_id) is not None}")

    def _recover_a_bit(self) -> None:
        well = self._all_well()
        for recovery in self.store._failover.recoveries:
            try:
                for _ in range(self.random.choice((1, 4, 40))):
                    recovery.step()
            except self.core.ServerFailedError:
                self._note("-> waits")
                assert not well, "every server is well, and one can't catch up"

    def _fail_next(self) -> None:
        self.faults.fail_next(self._some_server(), self.random.choice((1, 2, 5)))

    def _partition(self) -> None:
        self.faults.partition(self._some_server())

    def _slow(self) -> None:
        self.faults.slow(self._some_server(), self.random.choice((0.0, 0.05, 1.0)))

    def _heal_one(self) -> None:
        self.faults.heal(self._some_server())

    # The end

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
        # What could not be swept is looked at again a second later; the clock may be behind.
        self.clock.advance((self.store._time.now_ms() - self.clock.now_ms()) / 1_000 + 2)
        self._become_calm()
        self.now = self.store._time.now_ms()

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
