"""What a server is to the rest of ringtop: storage for the records of some ranges of the ring.

Knows no ring: a server is told positions and never decides what it holds.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from core.record import Entry, Record


class RangeSize(NamedTuple):
    """How much lies in a range: keys, and bytes of keys and values in UTF-8."""

    keys: int
    bytes: int


class Records(Protocol):
    """One server's records of a stripe, and perhaps of more. A plain dict is one."""

    def __contains__(self, key: object, /) -> bool:
        """Whether there is a record under `key`."""
        ...

    def get(self, key: str, /) -> Record | None:
        """Return the record under `key`, or None."""
        ...

    def __setitem__(self, key: str, record: Record, /) -> None:
        """Put `record` under `key`."""
        ...

    def pop(self, key: str, default: None, /) -> Record | None:
        """Remove and return the record under `key`; `default` if there is none."""
        ...


class Server(Protocol):
    """One shard with storage of its own.

    Thread safety: whoever writes, or scans to move, holds the stripe locks of the positions
    concerned; `get` and the counts may be called at any time. Spans are inclusive at both ends and
    never wrap. Every method may raise `ServerFailedError`.
    """

    @property
    def server_id(self) -> str:
        """The id that the ring knows this server by."""
        ...

    def records(self, stripe: int) -> Records:
        """Return the live records of `stripe`: the same object, with today's content, each time."""
        ...

    def keys(self, stripe: int) -> dict[str, None] | None:
        """Return the live keys of `stripe`, for who writes through `records` to keep up to date.

        None where `records` does that itself.
        """
        ...

    def may_hold(self, stripe: int) -> bool:
        """Return False only if `stripe` surely has no record here; it must cost next to nothing.

        Called with the stripe's lock held. True where that can't be told without looking.
        """
        ...

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, which lies at `position`, or None."""
        ...

    def apply(self, entry: Entry) -> bool:
        """Store a record unless one as new is there; return whether it was stored."""
        ...

    def apply_many(self, entries: Sequence[Entry]) -> int:
        """Store each record unless one as new is there; return how many were stored."""
        ...

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the entries at positions `low` to `high`, the first `limit` of them.

        In order of position, then key.
        """
        ...

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys, and bytes, lie at positions `low` to `high`."""
        ...

    def discard(self, low: int, high: int) -> int:
        """Forget all records at positions `low` to `high`; return how many there were."""
        ...

    def count(self) -> int:
        """Return how many keys the server holds."""
        ...

    def close(self) -> None:
        """Give back what the server holds open. Nothing is asked of it afterwards."""
        ...


# Makes the storage of a server that joins the ring.
ServerFactory = Callable[[str], Server]
