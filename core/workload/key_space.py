"""The keys of a load: how they are called, how many there are, and which number comes next.

Knows no store.
"""

import threading

# Everything that a load writes lies under this prefix, apart from what the store's users keep.
KEY_PREFIX = "load:"
_KEY_START = KEY_PREFIX + "user"


def load_key(number: int) -> str:
    """Return the key of a number of 0 or more.

    >>> load_key(7)
    'load:user7'
    """
    return f"{_KEY_START}{number}"


def is_load_key(key: str) -> bool:
    """Return whether a key is one of a load's.

    >>> is_load_key("load:user7"), is_load_key("load:users")
    (True, False)
    """
    number = key.removeprefix(_KEY_START)
    return number != key and number.isascii() and number.isdecimal()


class KeySpace:
    """The key numbers that a load's threads share: 0 up to `count` - 1 are there to be chosen.

    An insert takes a new number, and settles it when it is done. A number counts once it and all
    before it are settled, so that no thread chooses a key that another is still inserting. A failed
    insert is settled too, as in YCSB: its key is missing then, but the others count on.

    Thread safety: any thread may call any method. `_lock` guards `_next` and `_settled`; `count` is
    read without it, and only grows.

    Always true: `loaded_count` <= `count` <= `_next`; `_settled` holds the settled numbers from
    `count` on, and not `count` itself.

    Args:
        loaded_count: how many keys are there before the first insert.
    """

    __slots__ = ("_lock", "_next", "_settled", "count", "loaded_count")

    def __init__(self, loaded_count: int) -> None:
        self._lock = threading.Lock()
        self._next = loaded_count
        self._settled: set[int] = set()
        self.loaded_count = loaded_count
        self.count = loaded_count

    def take(self) -> int:
        """Return a number that no other call returns. O(1)."""
        with self._lock:
            number = self._next
            self._next += 1
            return number

    def settle(self, number: int) -> None:
        """Tell that the insert of a number that was taken is over. O(1), amortized."""
        with self._lock:
            self._settled.add(number)
            while self.count in self._settled:
                self._settled.remove(self.count)
                self.count += 1

    def check_invariants(self) -> None:
        """Assert what is always true, for tests.

        Raises:
            AssertionError: something is not.
        """
        with self._lock:
            assert self.loaded_count <= self.count <= self._next
            assert all(self.count < number < self._next for number in self._settled)
