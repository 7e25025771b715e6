"""What a store must hold, as far as its writers were told: kept by somebody who outlives them.

A writer says what it is about to write, writes, and says that it was acknowledged. So when its
process is killed, at most one write of each writer is in doubt: it may be there or not, but all of
it or nothing. Knows no store.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# Two clocks of one machine that are read one after the other.
_SLACK_SECONDS = 0.1

# What is written to a key: its value, and after how many seconds it expires.
Change = tuple[str | None, float | None]


class Found(NamedTuple):
    """What was read of a key: its value, its version, and in how many seconds it expires."""

    value: str | None
    version: int
    ttl: float | None


class Window(NamedTuple):
    """Between which moments something was read, or may expire."""

    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class State:
    """What a key may be: its value, and when it expires."""

    value: str | None
    expiry: Window | None = None

    def allows(self, found: Found, read: Window) -> bool:
        """Return whether that could be read between two moments."""
        if self.expiry is None:
            return (found.value, found.ttl) == (self.value, None)
        if found.value is None:
            return read.latest + _SLACK_SECONDS >= self.expiry.earliest
        return (
            found.value == self.value
            and found.ttl is not None
            and read.latest + found.ttl + _SLACK_SECONDS >= self.expiry.earliest
            and read.earliest + found.ttl - _SLACK_SECONDS <= self.expiry.latest
        )


ABSENT = State(None)
NOTHING = Found(None, 0, None)


@dataclass
class Ledger:
    """What each key may be, and what each writer is about to write.

    Attributes:
        acknowledged: how many writes were.
    """

    acknowledged: int = 0
    _states: dict[str, State] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)
    _pending: dict[int, dict[str, State]] = field(default_factory=dict)
    _highest: int = 0

    def tried(self, writer: int, changes: Mapping[str, Change], now: float) -> None:
        """Note what a writer is about to write, all of it or nothing."""
        assert writer not in self._pending
        self._pending[writer] = {
            key: State(value, None if ttl is None else Window(now + ttl, math.inf))
            for key, (value, ttl) in changes.items()
        }

    def succeeded(self, writer: int, changes: Mapping[str, Change], now: float) -> None:
        """Note that it was acknowledged."""
        for key, state in self._pending.pop(writer).items():
            ttl = changes[key][1]
            if state.expiry is not None and ttl is not None:
                state = State(state.value, Window(state.expiry.earliest, now + ttl))
            self._states[key] = state
        self.acknowledged += 1

    def issued(self, key: str, version: int) -> None:
        """Note the version of a write of the process that runs: no other may have had it."""
        assert version > self._highest, f"{key} has version {version} after {self._highest}"
        self._versions[key] = version

    def check(self, content: Mapping[str, Found], read: Window) -> None:
        """Assert that a store that was opened again holds what it must.

        Args:
            content: all its keys.
            read: when that was read.
        """
        for changes in self._pending.values():
            self._settle(changes, content, read)
        self._pending.clear()
        for key in sorted({*content, *self._states}):
            found, state = content.get(key, NOTHING), self._states.get(key, ABSENT)
            assert state.allows(found, read), f"{key} is {found} at {read}, and should be {state}"
            known = self._versions.get(key, 0)
            assert found.value is None or found.version >= known, (
                f"{key} went back from version {known} to {found.version}"
            )
            if found.value is None:
                self._states[key] = ABSENT
            self._versions[key] = max(known, found.version)
        self._highest = max([self._highest, *self._versions.values()])

    def _settle(
        self, changes: Mapping[str, State], content: Mapping[str, Found], read: Window
    ) -> None:
        """Find out whether a write that was in doubt came through."""
        found = {key: content.get(key, NOTHING) for key in changes}
        before = {key: self._states.get(key, ABSENT) for key in changes}
        if all(state.allows(found[key], read) for key, state in before.items()):
            # Where both would be possible, it is not: whoever removes has nothing to remove.
            return
        assert all(state.allows(found[key], read) for key, state in changes.items()), (
            f"a write is there by half: {found}, between {before} and {dict(changes)}"
        )
        self._states.update(changes)
