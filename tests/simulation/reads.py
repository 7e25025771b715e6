"""Reading steps: what may be seen, and when a read may fail."""

from collections.abc import Callable
from typing import Any

from tests.simulation.cluster import NOBODY, Cluster


class Reads(Cluster):
    """The steps that read keys."""

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
        may = self._may_answer(key, level)
        value = self._read(key, lambda: self.store.get(key, read_level=level), level)
        assert may or value is NOBODY or not self._owners(key), f"too few servers for {key}"

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
