"""Writing steps: what an acknowledged write, a refused one and one of unknown outcome leave."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tests.simulation.cluster import NOBODY
from tests.simulation.model import ABSENT, State
from tests.simulation.reads import Reads


class Writes(Reads):
    """The steps that write keys."""

    def _write(
        self,
        keys: Iterable[str],
        call: Callable[[], Any],
        *,
        must: bool,
        acknowledged: Callable[[Any], None],
        doubted: Callable[[], None],
        level: Any = None,
    ) -> None:
        """Do a write, and tell the model what may have become of it.

        Args:
            keys: the keys that may be written.
            call: does it.
            must: whether enough servers are well, so that it must not fail.
            acknowledged: told what it returned.
            doubted: told that nobody knows what came of it.
            level: how many servers must acknowledge it; None for a quorum.
        """
        may = all(self._may_answer(key, level or self.level.QUORUM) for key in keys)
        try:
            result = call()
        except self.core.QuorumError as error:
            self._refused(error, keys, must=must)
            if error.unknown:
                doubted()
        except self.core.ServerUnavailableError as error:
            self._refused(error, keys, must=must)
        except self.core.NoServersError:
            self._note("-> no server")
            assert not self.store.get_servers()
        else:
            self._note(f"-> {result}")
            assert may or result is False, f"too few servers for {keys}, and it was acknowledged"
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
            level=level,
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
            level=level,
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
        # Removing a key reads it: that it had this version is then checked as well.
        for key in dict.fromkeys((*reads, *(key for key in writes if key in removes))):
            if self._read(key, partial(transaction.get, key)) is NOBODY:
                return
        for key, state in new.items():
            if state is ABSENT:
                transaction.remove(key)
            else:
                transaction.set(key, state.value)
        if intruded is not None and not self._intrude(intruded):
            intruded = None

        def doubted() -> None:
            for key, state in new.items():
                self.model[key].doubt(state)

        try:
            self._write(
                writes,
                transaction.commit,
                must=all(map(self._must_write, writes)) and all(map(self._must_read, keys)),
                acknowledged=lambda _: self._check_commit(new, intruded),
                doubted=doubted,
            )
        except self.core.TransactionConflict as error:
            self._note("-> conflict")
            self._check_conflict(error.key, intruded)

    def _intrude(self, key: str) -> bool:
        """Write a key that a transaction has read; return whether it was acknowledged."""
        state = State(self._value())
        self._note(f"| {key} is written")
        try:
            self.store.set(key, state.value)
        except (self.core.QuorumError, self.core.NoServersError) as error:
            if getattr(error, "unknown", False):
                self.model[key].doubt(state)
            return False
        self.model[key].acknowledge(state)
        return True

    def _check_commit(self, new: dict[str, State], intruded: str | None) -> None:
        assert intruded is None, f"{intruded} was changed, and the transaction committed"
        for key, state in new.items():
            self.model[key].acknowledge(state)

    def _check_conflict(self, key: str, intruded: str | None) -> None:
        """A conflict is right if somebody wrote, or if the key may have changed by itself.

        It may when it expires, and when a write of unknown outcome comes through.
        """
        states = self.model[key].possible
        by_itself = len(states) > 1 or states[0].expires_at or not self._all_well()
        assert intruded is not None or by_itself, f"nobody changed {key}"
