"""Which keys expire when, and taking away those that have.

An expired record reads as absent at once, wherever it is; the sweeper only frees its memory. What
it goes by is an index by time: an entry may be out of date, so the record itself is asked.
"""

from contextlib import suppress

from core.clock import Clock
from core.cluster.expiry_index import ExpiryIndex, Place
from core.cluster.replication import Replication
from core.cluster.shards import Shards
from core.cluster.versions import Versions
from core.errors import ServerFailedError, StoreError
from core.record import NEVER_EXPIRES, Entry, Record
from core.stripes import stripe_of

# Keys in one step of the sweeper, so that it never has the processor for long.
KEYS_PER_SWEEP = 100


class SteadyTime:
    """The wall clock as it was when the store was opened, and the time that has passed since.

    The wall clock gives expiries a base that means the same in another process; how time goes on is
    for the monotonic clock to say. So a wall clock that is set, back or forward, neither revives a
    key nor ends it early nor holds its time: a key set for ten seconds is there for ten seconds.
    (The wall clock without its steps back lost: after one, no time passed until it had caught up.)
    A clock that was wrong when the store was opened stays so until it is opened again; and a store
    that was on disk before begins no earlier than it had come to then.

    Thread safety: any thread may call it; nothing is changed.
    """

    def __init__(self, clock: Clock, not_before_ms: int = 0) -> None:
        self._monotonic = clock.monotonic
        # Half a millisecond more, so that what is cut off is rounded.
        now_ms = max(clock.now_ms(), not_before_ms)
        self._base_ms = now_ms - clock.monotonic() * 1_000 + 0.5

    def now_ms(self) -> int:
        """Return milliseconds since 1970-01-01 UTC; never less than before."""
        return int(self._base_ms + self._monotonic() * 1_000)

    def expired(self, record: Record) -> bool:
        """Return whether a record's time is over."""
        expires_at: int = record.expires_at
        if expires_at == NEVER_EXPIRES:
            return False  # most never do, and to ask for the time is most of this
        # As `now_ms`, which a call more would take 50 ns to reach: reads pass through here.
        return expires_at <= self._base_ms + self._monotonic() * 1_000


class Expiry:
    """The index of keys by the time when they expire, and the sweeper.

    Thread safety: any thread may call any method.

    Always true: a key whose record expires is in the index, at that time or an earlier one. (A
    write may fail, and leave the record that expires earlier: so a later time never takes the place
    of an earlier one.)

    Args:
        shards: what to sweep.
        replication: takes the records away.
        time: the time.
        versions: gives each removal its version.
        indexed: False where servers keep an index of their own, on disk.
    """

    def __init__(
        self,
        shards: Shards,
        replication: Replication,
        time: SteadyTime,
        versions: Versions,
        *,
        indexed: bool = True,
    ) -> None:
        self._indexed = indexed
        self._shards = shards
        self._replication = replication
        self._time = time
        self._versions = versions
        self._index = ExpiryIndex()
        self._forgotten = ExpiryIndex()

    @property
    def waiting(self) -> int:
        """How many keys the index holds."""
        return len(self._index)

    def next_ms(self) -> int | None:
        """Return when the next key may expire; None without one. O(1)."""
        return self._index.first_ms()

    def note(self, key: str, expires_at: int) -> None:
        """Note that `key` may expire at `expires_at`, unless its servers do. O(log keys)."""
        if self._indexed:
            self._index.note(key, expires_at)

    def watch(self, key: str, expires_at: int) -> None:
        """Have `key` looked at when it is `expires_at`. O(log keys)."""
        self._index.note(key, expires_at)

    def sweep(self, limit: int = KEYS_PER_SWEEP) -> bool:
        """Look at up to `limit` keys that may have expired; return whether there may be more.

        A key whose servers do not answer is looked at again later.
        """
        due = self._take_due(limit)
        if not due:
            self._ask_disks(limit)
            due = self._take_due(limit)
        removed = 0
        for at, key in due:
            try:
                removed += self._remove_if_expired(key)
            except StoreError:
                self.watch(key, max(at, self._time.now_ms()) + 1_000)
        # A disk may list what is not its own any more, or what others removed while it was down:
        # that does not go away by looking at it.
        return bool(removed) or self._is_due()

    def sweep_all(self) -> None:
        """Take away every record that has expired by now."""
        while self.sweep():
            pass

    def begin_anew(self) -> None:
        """Have no key in the index; nothing is written meanwhile. O(1)."""
        self._forgotten, self._index = self._index, ExpiryIndex()

    def forget(self) -> None:
        """Give up what was in the index before. O(keys), while others have their turn."""
        self._forgotten.clear()

    def _ask_disks(self, limit: int) -> None:
        """Learn from servers on disk what has expired there: they keep an index of their own."""
        now = self._time.now_ms()
        for replica in list(self._shards.replicas.values()):
            if replica.durable is None or replica.down:
                continue
            with suppress(ServerFailedError):
                for entry in replica.durable.due(now, limit):
                    self.watch(entry.key, entry.record.expires_at)

    def _take_due(self, limit: int) -> list[Place]:
        return self._index.take_due(self._time.now_ms(), limit)

    def _is_due(self) -> bool:
        next_ms = self.next_ms()
        return next_ms is not None and next_ms <= self._time.now_ms()

    def _remove_if_expired(self, key: str) -> bool:
        position = self._shards.position_of(key)
        with self._shards.locks[stripe_of(position)]:
            record = self._replication.read_locked(position, key)
            if record is None or record.expires_at == NEVER_EXPIRES:
                return False
            if self._time.expired(record):
                entry = Entry(position, key, record)
                self._replication.remove_expired_locked(entry, self._versions.take())
                return True
            if self._indexed:
                self.watch(key, record.expires_at)
            return False
