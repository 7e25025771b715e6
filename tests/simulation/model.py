"""What a key may be: a plain dict's answer, or several while an outcome is unknown."""

from dataclasses import dataclass, field

Values = frozenset[str | None]


@dataclass(frozen=True, slots=True)
class State:
    """A value and when it expires, in milliseconds; None for absent, 0 for never."""

    value: str | None
    expires_at: int = 0

    def seen(self, earliest: int, latest: int) -> Values:
        """Return what a reader may see who looks between two times."""
        if self.value is None or not self.expires_at or latest < self.expires_at:
            return frozenset((self.value,))
        if earliest >= self.expires_at:
            return frozenset((None,))
        return frozenset((self.value, None))


ABSENT = State(None)


@dataclass(slots=True)
class Register:
    """One key.

    Attributes:
        possible: the states that it may be in, in the order in which they were written: one, but
            for writes whose outcome is unknown. A later state may still take an earlier one's
            place; an earlier one never comes back.
        history: every state that was ever written.
        version: the greatest version that was seen.
    """

    possible: list[State] = field(default_factory=lambda: [ABSENT])
    history: list[State] = field(default_factory=lambda: [ABSENT])
    version: int = 0

    @property
    def settled(self) -> bool:
        """Whether there is one state that it may be in."""
        return len(self.possible) == 1

    def seen(self, earliest: int, latest: int) -> Values:
        """Return what a reader may see who looks between two times."""
        return frozenset().union(*(state.seen(earliest, latest) for state in self.possible))

    def ever_seen(self) -> Values:
        """Return what a reader may see who asks a replica that is behind."""
        return frozenset(state.value for state in self.history) | {None}

    def acknowledge(self, *states: State) -> None:
        """Note that a write was acknowledged, which left it in one of `states`."""
        self.possible = list(states)
        self.history += states

    def doubt(self, *states: State) -> None:
        """Note a write of unknown outcome."""
        self.possible += [state for state in states if state not in self.possible]
        self.history += states

    def lose(self, *, remains: bool) -> None:
        """Note that the last complete copy is gone; `remains` if older ones may be somewhere."""
        self.possible = list(dict.fromkeys(self.history)) if remains else [ABSENT]

    def observe(self, value: str | None, earliest: int, latest: int) -> None:
        """Note that it was seen to be `value`: what was before is settled."""
        matching = [state for state in self.possible if value in state.seen(earliest, latest)]
        assert matching, f"{value!r} was seen, and only {self.possible} may be"
        first = self.possible.index(matching[0])
        self.possible = self.possible[first:]
