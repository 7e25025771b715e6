"""Transactions: read, decide, write, and either all of it happens at one moment or none of it.

Optimistic: a transaction notes the version of what it reads and keeps what it writes to itself. Its
commit takes the stripes of all its keys, in ascending order, so that no two can wait for each
other, checks that every version is still the same, and applies everything. (Locking while it
reads lost: whoever holds a lock while the user's code runs makes everybody wait for the user.)

A plain read takes no lock and might see one key of a commit and not the other. So while a commit is
being applied a counter says so, and reads take the lock of their stripe, which the commit holds.

Prior art: Kung & Robinson, "On optimistic methods for concurrency control" (TODS 1981).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self, TypeVar, overload

from core.cluster.expiry import SteadyTime
from core.cluster.persistence import Persistence
from core.cluster.replication import Replication
from core.cluster.shards import Shards, YieldPoint
from core.cluster.versions import Versions
from core.errors import InvalidOptionError, QuorumError, StoreError, TransactionConflict
from core.options import checked_count
from core.record import (
    NEVER_EXPIRES,
    Entry,
    Record,
    Value,
    checked_key,
    checked_value,
)
from core.stripes import stripe_of

Default = TypeVar("Default")
Result = TypeVar("Result")

_ABSENT = 0


class Committer:
    """Commits transactions.

    Thread safety: any thread may call any method. `applying` is read by every plain read; it is
    above 0 from before the first write of a commit until after its last one.

    Args:
        shards: the servers and their locks.
        replication: reads and writes their records.
        time: what has expired is absent.
        versions: gives each write its version.
        persistence: where the writes are written down while they are applied.
        yield_point: called with the name of each step.
    """

    def __init__(
        self,
        shards: Shards,
        replication: Replication,
        time: SteadyTime,
        versions: Versions,
        persistence: Persistence,
        yield_point: YieldPoint,
    ) -> None:
        self._shards = shards
        self._replication = replication
        self._time = time
        self._versions = versions
        self._persistence = persistence
        self._yield_point = yield_point
        # One item for each commit that is being applied: append and pop need no lock.
        self.applying: list[None] = []

    def read(self, key: str) -> tuple[Value | None, int]:
        """Return the value and version of `key`; None and 0 without one."""
        record = self._replication.read(self._shards.position_of(key), key)
        return self._seen(record)

    def commit(self, versions: dict[str, int], writes: dict[str, Value | None]) -> None:
        """Apply `writes` if every key still has the version it was read at.

        Args:
            versions: the keys that were read, with the version each had; 0 for absent.
            writes: the keys to write, with their values; None removes.

        Raises:
            NoServersError: the ring has no server.
            QuorumError: too few replicas answer.
            TransactionConflict: a key was changed. Nothing was applied.
        """
        positions = {key: self._shards.position_of(key) for key in {*versions, *writes}}
        with self._held({stripe_of(position) for position in positions.values()}):
            self._validate_locked(versions, positions)
            if not writes:
                return
            self._refuse_if_short_locked(writes, positions)
            self.applying.append(None)
            try:
                self._yield_point("transaction.validated")
                self._apply_locked(writes, positions)
            finally:
                self.applying.pop()
        for key in writes:
            self._shards.split_buckets(positions[key])

    @contextmanager
    def _held(self, stripes: set[int]) -> Iterator[None]:
        with ExitStack() as stack:
            for stripe in sorted(stripes):
                stack.enter_context(self._shards.locks[stripe])
            yield

    def _validate_locked(self, versions: dict[str, int], positions: dict[str, int]) -> None:
        for key, version in versions.items():
            record = self._replication.read_locked(positions[key], key)
            if self._seen(record)[1] != version:
                raise TransactionConflict(key)

    def _refuse_if_short_locked(
        self, writes: dict[str, Value | None], positions: dict[str, int]
    ) -> None:
        """Raise before anything is applied what the first write that can't be made would raise."""
        level = self._shards.consistency.level
        for key in writes:
            route = self._shards.routing.at(positions[key])
            if route.refusal is not None:
                raise route.refusal()
            live = sum(not replica.down for replica in route.replicas)
            needed = level.needed(len(route.replicas))
            if live < needed:
                raise QuorumError(live, needed, unknown=False)

    def _apply_locked(self, writes: dict[str, Value | None], positions: dict[str, int]) -> None:
        failure: StoreError | None = None
        entries = [
            Entry(positions[key], key, Record(value, self._versions.take(), NEVER_EXPIRES))
            for key, value in writes.items()
        ]
        with self._persistence.commit(self._shards, entries):
            for number, entry in enumerate(entries):
                try:
                    self._replication.write_locked(entry, owed=number > 0)
                except QuorumError as error:
                    if not error.unknown:
                        raise  # a server crashed since: nothing was applied yet
                    # Its hints will carry it out where it failed; so the rest must be done as well.
                    failure = failure or error
                self._yield_point("transaction.applied")
            if failure is not None:
                raise failure

    def _seen(self, record: Record | None) -> tuple[Value | None, int]:
        if record is None or self._time.expired(record):
            return None, _ABSENT
        return record.value, record.version


class Transaction:
    """Reads and writes that happen at one moment, when the ``with`` block ends, or not at all.

    Sees the store as it is while it runs, and its own writes on top; what it saw is checked at the
    end. An error inside of the block leaves the store as it was.

    Thread safety: belongs to the thread that made it.

    Made by `KeyValueStore.transaction`.

    >>> from core import KeyValueStore
    >>> store = KeyValueStore()
    >>> _ = store.add_server("alpha"), store.set("from", "7"), store.set("to", "1")
    >>> with store.transaction() as tx:
    ...     tx.set("from", str(int(tx.get("from")) - 5))
    ...     tx.set("to", str(int(tx.get("to")) + 5))
    >>> store.get("from"), store.get("to")
    ('2', '6')
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._versions: dict[str, int] = {}
        self._values: dict[str, Value | None] = {}
        self._writes: dict[str, Value | None] = {}
        self._over = False

    @overload
    def get(self, key: str) -> Value | None: ...
    @overload
    def get(self, key: str, default: Default) -> Value | Default: ...
    def get(self, key: str, default: Default | None = None) -> Value | Default | None:
        """Return the value of `key`, or `default` if it has none. The same at every call.

        Raises:
            InvalidKeyError: `key` could not be a key.
            ServerUnavailableError: no replica of it answers.
        """
        self._refuse_if_over()
        key = checked_key(key)
        if key in self._writes:
            value = self._writes[key]
        else:
            if key not in self._versions:
                self._values[key], self._versions[key] = self._committer.read(key)
            value = self._values[key]
        return default if value is None else value

    def set(self, key: str, value: Value) -> None:
        """Store `value` under `key` when the transaction commits.

        Raises:
            InvalidKeyError: `key` could not be a key.
            InvalidValueError: `value` could not be a value.
        """
        self._refuse_if_over()
        self._writes[checked_key(key)] = checked_value(value)

    def remove(self, key: str) -> bool:
        """Remove `key` when the transaction commits; return whether it has a value.

        Raises:
            InvalidKeyError: `key` could not be a key.
        """
        found = self.get(key, None) is not None
        self._writes[checked_key(key)] = None
        return found

    def commit(self) -> None:
        """Apply what was written, if nothing that was read has changed.

        Called at the end of a ``with`` block.

        Raises:
            NoServersError: the ring has no server.
            QuorumError: too few replicas answer.
            TransactionConflict: something that was read has changed. Nothing was applied.
        """
        self._refuse_if_over()
        self._over = True
        self._committer.commit(self._versions, self._writes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self._over:
            self.commit()
        self._over = True

    def _refuse_if_over(self) -> None:
        if self._over:
            raise InvalidOptionError("this transaction is over: begin another one")


def run_transaction(
    committer: Committer, function: Callable[[Transaction], Result], retries: int
) -> Result:
    """Run `function` in a transaction, again after a conflict; return what it returns.

    Raises:
        InvalidOptionError: `retries` is negative.
        TransactionConflict: it met one in every one of `retries` + 1 attempts.
    """
    retries = checked_count("retries", retries)
    while True:
        try:
            with Transaction(committer) as transaction:
                return function(transaction)
        except TransactionConflict:
            if not retries:
                raise
            retries -= 1
