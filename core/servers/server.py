"""What a server is to the rest of ringtop: storage for the records of some ranges of the ring.

Knows no ring: a server is told positions and never decides what it holds.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from core.record import Entry, Record
from core.servers.record_table import RecordTable


class RangeSize(NamedTuple):
    """How much lies in a range: keys, and bytes of keys and values in UTF-8."""

    keys: int
    bytes: int


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

    @property
    def records(self) -> RecordTable | None:
        """The live records, to be read and written directly; the same object each time.

        None where a call may fail, so that every read has to go through `get` and every write
        through `apply`.
        """
        ...

    def get(self, position: int, key: str) -> Record | None:
        """Return the record of `key`, which lies at `position`, or None."""
        ...

    def apply(self, entry: Entry) -> int | None:
        """Store a record unless one as new is there.

        Returns None where one is and nothing was stored, else by how much the number of keys
        changed (-1, 0 or 1), so that who counts keys need not read first.

        A tombstone takes the record away, and is remembered until `forget_tombstones`, so that an
        older record of the key that comes late is not stored.
        """
        ...

    def apply_many(self, entries: Sequence[Entry]) -> int:
        """Store each record unless one as new is there; return how many were stored."""
        ...

    def scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the entries at positions `low` to `high`, the first `limit` of them.

        In order of position, then key.
        """
        ...

    def removals(self, low: int, high: int) -> list[Entry]:
        """Return the tombstones that are remembered at positions `low` to `high`, in any order."""
        ...

    def drop(self, position: int, key: str) -> bool:
        """Forget the record of `key`, whatever its version, and that it was removed.

        Returns whether there was a record.
        """
        ...

    def forget_tombstones(self, stripe: int) -> int:
        """Forget the tombstones of a stripe: nothing older can come. Return how many."""
        ...

    def digest(self, low: int, high: int) -> int:
        """Return a number of 64 bits for the keys, versions and expiries in a range.

        Equal content has equal digests, whatever the order in which it came.
        """
        ...

    def measure(self, low: int, high: int) -> RangeSize:
        """Return how many keys, and bytes, lie at positions `low` to `high`."""
        ...

    def discard(self, low: int, high: int) -> int:
        """Forget all records and tombstones at positions `low` to `high`.

        Returns how many records there were.
        """
        ...

    def count(self) -> int:
        """Return how many keys the server holds."""
        ...

    def close(self) -> None:
        """Give back what the server holds, but for its disk. Nothing is asked of it afterwards."""
        ...


@runtime_checkable
class DurableServer(Server, Protocol):
    """A server whose records outlive the process.

    What a server in memory has no use for: its records go with the process, the store keeps an
    index of what expires for it, and nothing of it lies on a disk that could decay.
    """

    @property
    def trouble(self) -> str | None:
        """What keeps its disk from being written, and what to do about it; None when nothing does.

        ``disk full: make room``: a word or two for a table, then a colon and the rest. Nobody who
        asks for it waits.
        """
        ...

    @property
    def is_new(self) -> bool:
        """Whether there was nothing on the disk when the server was opened."""
        ...

    def put(self, position: int, key: str, record: Record) -> int:
        """Store a record that is newer than any of its key that this server was ever given.

        As `apply`, which has to look what is there, where this need not.
        """
        ...

    def due(self, now_ms: int, limit: int) -> list[Entry]:
        """Return at most `limit` entries whose expiry is at or before `now_ms`, earliest first.

        They stay until they are dropped. May be called without a lock: an entry may have changed
        since, so whoever drops one looks at it again under the lock of its stripe.
        """
        ...

    def keep_note(self, name: bytes, content: bytes) -> None:
        """Keep something for who uses the server; a note of the same name goes.

        It survives the end of the process, as a record does. Whatever survives a loss of power that
        was written after it, it survives that as well.
        """
        ...

    def forget_note(self, name: bytes) -> None:
        """Forget a note; nothing if there is none."""
        ...

    def notes(self) -> list[tuple[bytes, bytes]]:
        """Return names and contents of all notes, by name."""
        ...

    def sync(self) -> None:
        """Return once everything that was applied before is on the disk."""
        ...

    def sound_scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """As `scan`, where no record may be left out.

        Raises:
            CorruptRecordError: one of those that it came by is corrupt.
        """
        ...

    def corrupt_keys(self, low: int, high: int) -> list[tuple[int, str]]:
        """Return position and key of each corrupt record at positions `low` to `high`, in order.

        `get` and `sound_scan` raise `CorruptRecordError` for them, `scan` leaves them out, and
        `digest`, `count`, `measure` and `discard` count them: each is one key that has to be
        mended.
        """
        ...

    def destroy(self) -> None:
        """Close the server and remove its files from the disk."""
        ...


# Makes the storage of a server that joins the ring.
ServerFactory = Callable[[str], Server]
