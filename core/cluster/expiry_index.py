"""Which key is to be looked at when, in order of time.

Adding a key takes the same few microseconds however many there are: a heap of them has to be built
anew when too much of it is out of date, and one dict for all keys has to be copied when it grows,
which takes tenths of a second with a million keys. sortedcontainers keeps a list of lists of at
most 2,000 places each.
"""

import threading
from typing import Final

from sortedcontainers import SortedList

# As many dicts share the keys: one of a million keys has to copy a thousand when it grows.
_PARTS: Final = 1_024

# A time in milliseconds since 1970-01-01 UTC, and a key.
Place = tuple[int, str]


class ExpiryIndex:
    """Keys by time.

    Thread safety: any thread may call any method. `_lock` guards all fields, for one step each; the
    length is read without it.

    Always true: each key of `_times` has one place in `_places`, at its time, and there are no
    others.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: SortedList[Place] = SortedList()
        self._times: list[dict[str, int]] = [{} for _ in range(_PARTS)]

    def __len__(self) -> int:
        return len(self._places)

    def first_ms(self) -> int | None:
        """Return the earliest time; None without a key. O(1)."""
        with self._lock:
            return self._places[0][0] if self._places else None

    def note(self, key: str, at_ms: int) -> None:
        """Have `key` looked at when it is `at_ms`, or earlier if that was noted. O(log keys)."""
        times = self._times[hash(key) % _PARTS]
        with self._lock:
            earlier = times.get(key)
            if earlier is not None:
                if earlier <= at_ms:
                    return
                self._places.remove((earlier, key))
            times[key] = at_ms
            self._places.add((at_ms, key))

    def take_due(self, now_ms: int, limit: int) -> list[Place]:
        """Return up to `limit` places at or before `now_ms`, earliest first, and forget them.

        O(limit).
        """
        due: list[Place] = []
        with self._lock:
            while len(due) < limit and self._places and self._places[0][0] <= now_ms:
                place = self._places.pop(0)
                del self._times[hash(place[1]) % _PARTS][place[1]]
                due.append(place)
        return due

    def clear(self) -> None:
        """Forget every key. O(keys), while others have their turn."""
        while self.take_due(_FOR_EVER, _PARTS):
            pass


_FOR_EVER: Final = 1 << 62
