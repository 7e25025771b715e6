"""Stores that a load is tried on, and a way to wait for what its threads do."""

import threading
import time
from collections.abc import Callable, Sequence

from core.record import Value

GENEROUS_SECONDS = 60.0
_POLL_SECONDS = 0.002


def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; fail when it does not come to."""
    deadline = time.monotonic() + GENEROUS_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(_POLL_SECONDS)


def load_threads() -> set[threading.Thread]:
    """The threads of all loads in this process."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("ringtop-load-")}


class RecordingStore:
    """A dict that remembers every call, as (method, key, value or count)."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.calls: list[tuple[str, str, Value | int | None]] = []

    def get(self, key: str) -> Value | None:
        self.calls.append(("get", key, None))
        return self.values.get(key)

    def set(self, key: str, value: Value) -> bool:
        self.calls.append(("set", key, value))
        self.values[key] = value
        return True

    def scan(self, start_key: str, count: int) -> Sequence[tuple[str, Value]]:
        self.calls.append(("scan", start_key, count))
        return []


class FailingStore:
    """Raises what it is told to, from every method."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.calls = 0

    def _answer(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error

    def get(self, key: str) -> Value | None:
        self._answer()
        return key

    def set(self, key: str, value: Value) -> bool:
        self._answer()
        return True

    def scan(self, start_key: str, count: int) -> Sequence[tuple[str, Value]]:
        self._answer()
        return []
