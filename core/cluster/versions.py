"""The versions of writes: none is ever given out twice.

Knows of the journal that it keeps how far versions are reserved. A wheel compiles this: every write
takes a version, which an interpreted method gives out in 300 ns, and a compiled one in 3; an object
that is a number, which `itertools.count` makes, takes 15.
"""

import threading
from typing import Final

from core.cluster.journal import Journal
from core.murmur3 import COMPILED
from core.native import i64, mypyc_attr

# So many versions are put aside at a time; what is not used when the process ends is left out.
_VERSIONS_RESERVED: Final = 1_000_000


@mypyc_attr(allow_interpreted_subclasses=True)
class Versions:
    """Versions that this process has not given out before.

    Thread safety: any thread may take the next. `_taking` guards `_next`; compiled, nobody comes
    between reading it and counting on.

    Args:
        first: the first one.
    """

    __slots__ = ("_next", "_taking")

    def __init__(self, first: int = 1) -> None:
        self._next: i64 = first
        self._taking = threading.Lock()

    def take(self) -> i64:
        """Return the next version. O(1)."""
        if COMPILED:
            version = self._next
            self._next += 1
            return version
        with self._taking:
            version = self._next
            self._next += 1
            return version


@mypyc_attr(allow_interpreted_subclasses=True)
class ReservedVersions(Versions):
    """Versions that no process before has given out either.

    Thread safety: as `Versions`. `_lock` guards `_limit`.

    Args:
        journal: knows which were put aside before.
    """

    __slots__ = ("_journal", "_limit", "_lock")

    def __init__(self, journal: Journal) -> None:
        reserved = max(1, journal.versions_reserved)
        super().__init__(reserved)
        self._journal = journal
        self._limit: i64 = reserved
        self._lock = threading.Lock()

    def take(self) -> i64:
        """Return the next version. O(1), but for one in a million, which waits for the disk.

        Raises:
            ServerFailedError: no more could be put aside.
        """
        version = Versions.take(self)
        if version >= self._limit:
            with self._lock:
                if version >= self._limit:
                    limit = int(version) + _VERSIONS_RESERVED  # may be more than 63 bits
                    self._journal.reserve_versions(limit)
                    self._limit = limit
        return version
