"""What the servers on disk keep of transactions that a loss of power might tear.

A commit writes to several servers, each of which has a log of its own. After a kill each log has
what was handed to it; after a loss of power it has what was synced, and as much of the rest as the
disk happened to write. So before a commit is applied, the whole of it is noted on every server that
takes a part. The note comes before the part in the same log, and a log that is torn ends: whoever
has a part has the note. Whoever opens the directory next applies what is noted, wherever it is
missing. That takes no sync: a note in the journal, which is another log, would take one for each
commit.

A note is forgotten once all who have it have been synced, which happens every second. Until that is
on the disk too, it may be applied once more. So meanwhile what is removed is remembered in the
stripes of the commit, or its values would come back.

A part may also go to a server without a note: one that missed it and catches up, or takes over its
range. So before that, the note is put on a disk elsewhere.

A note that is kept by a server that crashed waits until that server is back, or has left.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto

from core.cluster.journal_codec import (
    DamagedNoteError,
    LaterFormatError,
    decode_entries,
    encode_entries,
    encode_number,
    seal,
    unseal,
)
from core.cluster.replica import Replica
from core.cluster.shards import Shards
from core.errors import CorruptJournalError, QuorumError, ServerFailedError, StoreError
from core.record import Entry
from core.servers.server import DurableServer
from core.stripes import stripe_of


class _State(Enum):
    """How far a commit is."""

    RUNNING = auto()
    APPLIED = auto()
    HINTED = auto()  # some replicas will have a part of it once their hints were delivered
    INTERRUPTED = auto()  # nobody goes on with it but the next process
    UNDONE = auto()  # nothing of it was applied
    FORGOTTEN = auto()  # its notes are gone, though perhaps not on the disk


class _Commit:
    """A commit whose notes may be on a disk."""

    __slots__ = ("name", "replicas", "secured", "state", "stripes")

    def __init__(self, entries: Sequence[Entry]) -> None:
        # Versions are given out once, and in the order of the commits that conflict.
        self.name = encode_number(entries[0].record.version)
        self.stripes = {stripe_of(entry.position) for entry in entries}
        self.replicas: list[Replica] = []
        self.state = _State.RUNNING
        # Whether a note of it is known to be on a disk.
        self.secured = False

    def keepers(self, shards: Shards) -> list[Replica]:
        """Return the servers that have its note and have not left."""
        return [
            replica
            for replica in self.replicas
            if shards.replicas.get(replica.server_id) is replica
        ]


class CommitNotes:
    """The commits of one process.

    Thread safety: any thread may call any method; `commit` and `settle` with the locks of the
    stripes held. `_lock` guards every field. `syncing` is called by one thread at a time.

    Always true: `_stripes` counts the commits of `_pending` in each stripe, and has no zeros.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[_Commit] = []
        self._stripes: Counter[int] = Counter()
        # Where something was removed and remembered because of a commit.
        self._remembered: set[int] = set()

    @contextmanager
    def commit(self, shards: Shards, entries: Sequence[Entry]) -> Iterator[None]:
        """Have the entries noted wherever they are about to be applied.

        Raises:
            ServerFailedError: nobody could note them.
        """
        commit = self._begin(shards, entries)
        try:
            yield
        except StoreError as error:
            if isinstance(error, QuorumError) and error.unknown:
                commit.state = _State.HINTED
            else:
                commit.state = _State.UNDONE
                self._forget(shards, commit)
            raise
        except BaseException:
            commit.state = _State.INTERRUPTED
            raise
        commit.state = _State.APPLIED

    def old_may_return(self, stripe: int) -> bool:
        """Return whether a commit might be applied once more in a stripe. O(1)."""
        if stripe not in self._stripes:
            return False
        with self._lock:
            self._remembered.add(stripe)
        return True

    def take_settled(self) -> list[int]:
        """Return the stripes where something was remembered, and need not be any longer. Once."""
        with self._lock:
            settled = self._remembered - self._stripes.keys()
            self._remembered -= settled
        return sorted(settled)

    def settle(self, shards: Shards, low: int, high: int) -> None:
        """Put all of the commits on the disk that have a part at positions `low` to `high`.

        Before that part goes to somebody who has no note.

        Raises:
            ServerFailedError: a server could not be synced.
        """
        with self._lock:
            found = [
                commit
                for commit in self._pending
                if any(stripe_of(low) <= stripe <= stripe_of(high) for stripe in commit.stripes)
            ]
        replicas = {id(each): each for commit in found for each in commit.keepers(shards)}
        for replica in replicas.values():
            if replica.durable is not None and not replica.down:
                replica.durable.sync()

    def secure(self, shards: Shards, stripe: int) -> None:
        """Put one note of each commit on the disk that has a part in a stripe. O(commits).

        Before that part goes to somebody in the stripe who has none. One is enough, as nobody
        leaves: a server that does not answer keeps no other from catching up.

        Raises:
            ServerFailedError: no server could be synced that has the note.
        """
        if stripe not in self._stripes:
            return
        with self._lock:
            found = [commit for commit in self._pending if stripe in commit.stripes]
        for commit in found:
            if not commit.secured:
                commit.secured = _sync_any(commit.keepers(shards))

    @contextmanager
    def syncing(self, shards: Shards) -> Iterator[set[str]]:
        """While all servers are synced: forget what is on the disk by that.

        Yields the set to put the ids of the servers into that were synced.
        """
        behind = any(
            replica.down or replica.catching_up for replica in list(shards.replicas.values())
        )
        done = {_State.APPLIED, _State.UNDONE, _State.FORGOTTEN} | (
            set() if behind else {_State.HINTED}
        )
        with self._lock:
            ready = [(commit, commit.state) for commit in self._pending if commit.state in done]
        synced: set[str] = set()
        yield synced
        for commit, state in ready:
            keepers = commit.keepers(shards)
            if not all(replica.server_id in synced for replica in keepers):
                continue
            if state is _State.FORGOTTEN:
                self._drop(commit)
            else:
                self._forget(shards, commit)

    # Inside

    def _begin(self, shards: Shards, entries: Sequence[Entry]) -> _Commit:
        commit = _Commit(entries)
        content = seal(commit.name, encode_entries(entries))
        with self._lock:
            self._pending.append(commit)
            self._stripes.update(commit.stripes)
        failure: ServerFailedError | None = None
        for replica in _takers(shards, entries):
            assert replica.durable is not None
            try:
                replica.durable.keep_note(commit.name, content)
            except ServerFailedError as error:
                failure = error
            else:
                commit.replicas.append(replica)
        if failure is not None and not commit.replicas:
            self._drop(commit)
            raise failure
        return commit

    def _forget(self, shards: Shards, commit: _Commit) -> None:
        """Take the notes of a commit away; `syncing` tries again where that fails."""
        for replica in commit.keepers(shards):
            if replica.down or replica.durable is None:
                return
            try:
                replica.durable.forget_note(commit.name)
            except ServerFailedError:
                return
        commit.state = _State.FORGOTTEN

    def _drop(self, commit: _Commit) -> None:
        with self._lock:
            self._pending.remove(commit)
            for stripe in commit.stripes:
                self._stripes[stripe] -= 1
                if not self._stripes[stripe]:
                    del self._stripes[stripe]


def noted_commits(shards: Shards) -> dict[bytes, list[Entry]]:
    """Return the entries of all commits that any server has noted, in order. O(bytes).

    Raises:
        CorruptJournalError: one is not what was written on any server that has it.
        ServerFailedError: a server can't be read.
    """
    found: dict[bytes, list[Entry]] = {}
    damaged: dict[bytes, CorruptJournalError] = {}
    for server_id, server in durable_servers(shards):
        for name, content in server.notes():
            try:
                found[name] = decode_entries(unseal(name, content))
            except (DamagedNoteError, LaterFormatError) as error:
                fault = f"has a note of a transaction that is damaged ({error})"
                damaged[name] = CorruptJournalError(f"server {server_id}", fault)
    for name, failure in damaged.items():
        if name not in found:
            raise failure
    return dict(sorted(found.items()))


def forget_commits(shards: Shards, names: Iterable[bytes]) -> None:
    """Take notes away from all servers.

    Raises:
        ServerFailedError: a server can't be written.
    """
    for name in names:
        for _, server in durable_servers(shards):
            server.forget_note(name)


def durable_servers(shards: Shards) -> list[tuple[str, DurableServer]]:
    """Return the servers on disk, with their ids."""
    return [
        (replica.server_id, replica.durable)
        for replica in list(shards.replicas.values())
        if replica.durable is not None
    ]


def _sync_any(replicas: Sequence[Replica]) -> bool:
    """Sync one of some servers; return whether it was done.

    One that is down was written out when it crashed.

    Raises:
        ServerFailedError: none of them could be synced.
    """
    failure: ServerFailedError | None = None
    for replica in replicas:
        if replica.durable is None or replica.down:
            continue
        try:
            replica.durable.sync()
        except ServerFailedError as error:
            failure = error
        else:
            return True
    if failure is not None:
        raise failure
    return False


def _takers(shards: Shards, entries: Sequence[Entry]) -> list[Replica]:
    """Return the servers on disk that take a part of some entries."""
    found = {
        replica.server_id: replica
        for entry in entries
        for replica in shards.routing.at(entry.position).replicas
        if replica.durable is not None and not replica.down
    }
    return list(found.values())
