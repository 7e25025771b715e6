"""Every error that ringtop raises on purpose.

::

    StoreError
    ├── InvalidKeyError            (ValueError)  the key can't be stored
    ├── InvalidValueError          (ValueError)  the value can't be stored
    ├── InvalidServerIdError       (ValueError)  the server id has a character or length not allowed
    ├── InvalidOptionError         (ValueError)  an argument is outside its range
    ├── NoServersError                           a write, and the ring has no server
    ├── UnknownServerError         (LookupError) no server of that id
    ├── ServerExistsError                        a server of that id is in the ring already
    ├── LastServerError                          the last server still holds keys
    ├── StalePlanError                           the ring changed since the plan was made
    ├── MigrationInProgressError                 another membership change is under way
    ├── MigrationFailedError                     a move failed; the migration is paused
    ├── DataLossError                            a server's leave would lose keys for good
    ├── QuorumError                              fewer replicas answered than the level asks for
    ├── TransactionConflict                      what a transaction read was changed meanwhile
    ├── ServerFailedError                        a server could not carry out an operation
    │   ├── ServerUnavailableError               a server does not answer
    │   ├── CorruptRecordError                   a record on the disk is not what was written
    │   └── StorageError                         a server's disk can't be read or written
    │       └── DiskFullError                    there is no space for what was to be written
    ├── DataDirectoryError                       a data directory can't be used as it is
    │   ├── DataDirectoryLockedError             another process, or another store, uses it
    │   ├── CorruptTopologyError                 its topology.json is not what was written
    │   └── CorruptJournalError                  its journal is not what was written
    ├── ObservingError                           a store that only observes was to be changed
    ├── MissingExtraError          (ImportError) a part of ringtop needs a package that isn't there
    └── StoreClosedError                         the store was closed

and one warning, which the warnings filter of a program can silence or make an error::

    UserWarning
    └── TooFewServersWarning                     a key lies on fewer servers than it should

An error carries what it is about as attributes; its message is one line that says what to do, with
every outside text escaped and capped, and no value that was stored.
"""

from collections.abc import Sequence

from core.safe_text import quoted, visible


class StoreError(Exception):
    """The base of all errors of this package."""


class InvalidKeyError(StoreError, ValueError):
    """A key is not a non-empty `str` of at most 1,024 UTF-8 bytes. Nothing was stored."""


class InvalidValueError(StoreError, ValueError):
    """A value is not a `str` or `bytes` of at most 16 MiB. Nothing was stored."""


class InvalidServerIdError(StoreError, ValueError):
    """A server id is not 1 to 64 of letters, digits, ``.``, ``_``, ``-``, ``:``."""


class InvalidOptionError(StoreError, ValueError):
    """An argument is outside its documented range. Nothing was done."""


class NoServersError(StoreError):
    """A write found no server in the ring."""

    def __init__(self) -> None:
        super().__init__("the ring has no server: add one with add_server() first")


class UnknownServerError(StoreError, LookupError):
    """There is no server of that id.

    Attributes:
        server_id: the id that was asked for.
    """

    def __init__(self, server_id: str) -> None:
        self.server_id = server_id
        super().__init__(f"no server {quoted(self.server_id)} in the ring: see get_servers()")


class ServerExistsError(StoreError):
    """A plan would add a server that is in the ring already.

    Attributes:
        server_id: the id that is taken.
    """

    def __init__(self, server_id: str) -> None:
        super().__init__(f"{server_id} is in the ring already: choose another id")
        self.server_id = server_id


class LastServerError(StoreError):
    """The last server can't leave while it holds keys: they would have nowhere to go.

    Attributes:
        server_id: the last server.
        keys: how many keys it holds.
    """

    def __init__(self, server_id: str, keys: int) -> None:
        super().__init__(
            f"{server_id} is the last server and holds {_keys(keys)}: "
            "add another server first, or clear the store"
        )
        self.server_id = server_id
        self.keys = keys


class StalePlanError(StoreError):
    """The ring changed after the plan was made.

    Attributes:
        planned_epoch: the epoch of the ring that the plan was made for.
        current_epoch: the epoch of the ring now.
    """

    def __init__(self, planned_epoch: int, current_epoch: int) -> None:
        super().__init__(
            f"the plan was made for epoch {planned_epoch}, and the ring is at epoch "
            f"{current_epoch}: plan again"
        )
        self.planned_epoch = planned_epoch
        self.current_epoch = current_epoch


class MigrationInProgressError(StoreError):
    """Another membership change is under way, and this one can't wait for it.

    Attributes:
        server_id: the server that is joining or leaving.
    """

    def __init__(self, server_id: str, *, paused: bool) -> None:
        advice = "resume or cancel it first" if paused else "wait for it or cancel it first"
        state = "paused" if paused else "under way"
        super().__init__(f"the migration for {server_id} is {state}: {advice}")
        self.server_id = server_id


class MigrationFailedError(StoreError):
    """A range move failed. Its range stayed where it was and the migration is paused.

    The error of the server is the ``__cause__``.

    Attributes:
        server_id: the server that is joining or leaving.
    """

    def __init__(self, server_id: str, reason: str) -> None:
        super().__init__(
            f"the migration for {server_id} is paused, nothing is lost: {visible(reason, 200)}; "
            "resume() or cancel() it"
        )
        self.server_id = server_id


class ServerFailedError(StoreError):
    """A server could not carry out an operation.

    Attributes:
        server_id: the server that failed.
    """

    def __init__(self, server_id: str, reason: str) -> None:
        super().__init__(f"{server_id}: {visible(reason, 200)}")
        self.server_id = server_id


class ServerUnavailableError(ServerFailedError):
    """A server does not answer, or no server that could answer does.

    Attributes:
        server_ids: the servers that would have to answer.
    """

    def __init__(self, server_ids: Sequence[str], reason: str = "not answering") -> None:
        names = ", ".join(server_ids)
        super().__init__(names, f"{reason}: recover it, or wait until it is back")
        self.server_ids = tuple(server_ids)


class CorruptRecordError(ServerFailedError):
    """A record on a server's disk is not what was written there. The rest can be read.

    The next write of the key takes its place, and so does a copy of it from another replica.

    Attributes:
        server_id: the server that holds it.
        key: the key that it lies under.
        fault: what is wrong with it.
    """

    def __init__(self, server_id: str, key: str, fault: str) -> None:
        super().__init__(
            server_id,
            f"the record of {quoted(key, 40)} is corrupt ({fault}): "
            "write it again, or have it copied from another replica",
        )
        self.key = key
        self.fault = fault


class StorageError(ServerFailedError):
    """A server's disk can't be read or written. What was acknowledged is still there.

    Attributes:
        server_id: the server whose disk it is.
        fault: what the disk says.
        advice: what to do about it.
    """

    def __init__(self, server_id: str, fault: str, advice: str) -> None:
        # The advice comes last, so the fault is cut where both are too long.
        super().__init__(server_id, f"{visible(fault, 110)}: {advice}")
        self.fault = fault
        self.advice = advice


class DiskFullError(StorageError):
    """There is no space for what was to be written. Reads go on.

    The server writes again by itself once there is space.
    """


class DataDirectoryError(StoreError):
    """A data directory can't be used as it is. Nothing in it was changed.

    Attributes:
        path: the directory, or the file of it that is meant.
        fault: what is the matter.
        advice: what to do about it.
    """

    def __init__(self, path: str, fault: str, advice: str) -> None:
        # The advice comes last and is ours, so what came from outside is cut where it is too long.
        super().__init__(f"{visible(path, 120)} {visible(fault, 160)}: {advice}")
        self.path = path
        self.fault = fault
        self.advice = advice


class DataDirectoryLockedError(DataDirectoryError):
    """Another process, or another store of this one, has the data directory open.

    Attributes:
        pid: its process id; None if it did not say.
        host: the machine that it runs on; None if it did not say.
    """

    def __init__(self, path: str, pid: int | None, host: str | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        where = "" if host is None else f" on {visible(host, 64)}"
        super().__init__(
            path,
            f"is in use by {holder}{where}",
            "stop it, or open read-only with --observe",
        )
        self.pid = pid
        self.host = host


class ObservingError(StoreError):
    """A store that was opened to observe was to be changed. Nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "the data directory was opened to be observed: open it without observe (--observe), "
            "or change it where it is open"
        )


class CorruptTopologyError(DataDirectoryError):
    """What a data directory says about its servers is not what was written. No key is lost."""

    def __init__(self, fault: str, advice: str | None = None, path: str = "topology.json") -> None:
        super().__init__(
            path,
            fault,
            advice or "put it back from a backup; the keys in servers/ are untouched",
        )


class CorruptJournalError(DataDirectoryError):
    """A note in a data directory's journal is not what was written. No key is lost."""

    def __init__(self, path: str, fault: str, advice: str | None = None) -> None:
        super().__init__(
            path,
            fault,
            advice
            or "put the data directory back from a backup, or take its keys to a new one: "
            "ringtop export --observe",
        )


class QuorumError(StoreError):
    """Fewer replicas answered a read, or acknowledged a write, than its level asks for.

    Attributes:
        reached: how many did.
        needed: how many would have had to.
        unknown: True for a write that may have happened, or may still happen when the replicas are
            back; False where nothing was done.
    """

    def __init__(self, reached: int, needed: int, *, unknown: bool) -> None:
        outcome = "the write may have happened or not: read again" if unknown else "nothing changed"
        super().__init__(
            f"{reached} of {needed} needed replicas answered; {outcome}, "
            "and recover the missing ones or ask at a lower level"
        )
        self.reached = reached
        self.needed = needed
        self.unknown = unknown


class DataLossError(StoreError):
    """A server can't leave: no other one holds some of its keys, and it can't give them.

    Attributes:
        server_id: the server that was to leave.
        keys: how many keys would be lost.
    """

    def __init__(self, server_id: str, keys: int) -> None:
        super().__init__(
            f"{_keys(keys)} of {server_id} {'has' if keys == 1 else 'have'} no other replica and "
            "would be lost: "
            "recover it first, or force its removal"
        )
        self.server_id = server_id
        self.keys = keys


class TransactionConflict(StoreError):  # noqa: N818 - the field's own word for it
    """A key that a transaction had read was changed before it committed. Nothing was applied.

    Attributes:
        key: that key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"{quoted(key, 40)} was changed by somebody else: run the transaction again "
            "(run_transaction() does)"
        )
        self.key = key


class MissingExtraError(StoreError, ImportError):
    """A part of ringtop was asked for whose package is not installed.

    Attributes:
        extra: what to install with ringtop.
    """

    def __init__(self, extra: str, subject: str) -> None:
        super().__init__(f'{subject} needs a package more: pip install "ringtop[{extra}]"')
        self.extra = extra


class StoreClosedError(StoreError):
    """The store was closed; make a new one."""

    def __init__(self) -> None:
        super().__init__("the store is closed: make a new KeyValueStore")


class TooFewServersWarning(UserWarning):
    """A value was stored on fewer servers than the replication factor, for want of servers.

    Given once by a store, at the first such write, and again if servers get fewer still.

    Attributes:
        servers: how many servers there are, and replicas of each key.
        replication_factor: how many replicas there should be.
    """

    def __init__(self, servers: int, replication_factor: int) -> None:
        have = (
            "1 server holds 1 replica"
            if servers == 1
            else f"{servers} servers hold {servers} replicas"
        )
        missing = replication_factor - servers
        super().__init__(
            f"{have} of each key, and not {replication_factor}: add {missing} more with "
            "add_server(), or make the store with a lower replication_factor"
        )
        self.servers = servers
        self.replication_factor = replication_factor


def _keys(number: int) -> str:
    return f"{number:,} key" if number == 1 else f"{number:,} keys"
