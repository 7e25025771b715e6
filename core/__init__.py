"""ringtop's store: thread-safe, sharded over servers by a consistent-hash ring.

>>> from core import KeyValueStore
>>> with KeyValueStore() as store:
...     _ = store.add_server("alpha")
...     _ = store.set("user:1001", "John Doe")
...     store.get("user:1001")
'John Doe'
"""

from core.clock import Clock, ManualClock, SystemClock
from core.cluster.doctor import DoctorReport, Fault, Finding
from core.cluster.failover import CrashPreview, Recovery, RecoveryProgress, RecoveryState
from core.cluster.levels import Consistency, Level
from core.cluster.migration import Migration, MigrationProgress, MigrationState
from core.cluster.plan import ChangeKind, Plan, Transfer
from core.cluster.shards import YieldPoint
from core.cluster.snapshot import (
    KeyPlacement,
    ReplicaCopy,
    ServerSnapshot,
    ServerState,
    Storage,
    StoreSnapshot,
)
from core.cluster.transactions import Transaction
from core.errors import (
    CorruptJournalError,
    CorruptRecordError,
    CorruptTopologyError,
    DataDirectoryError,
    DataDirectoryLockedError,
    DataLossError,
    DiskFullError,
    InvalidKeyError,
    InvalidOptionError,
    InvalidServerIdError,
    InvalidValueError,
    LastServerError,
    MigrationFailedError,
    MigrationInProgressError,
    MissingExtraError,
    NoServersError,
    ObservingError,
    QuorumError,
    ServerExistsError,
    ServerFailedError,
    ServerUnavailableError,
    StalePlanError,
    StorageError,
    StoreClosedError,
    StoreError,
    TooFewServersWarning,
    TransactionConflict,
    UnknownServerError,
)
from core.events import (
    DiskRecovered,
    DiskTroubled,
    Event,
    MigrationCancelling,
    MigrationFinished,
    MigrationPaused,
    MigrationResumed,
    MigrationStarted,
    RecoveryFinished,
    RecoveryPaused,
    RecoveryStarted,
    ServerCrashed,
    ServerEvent,
    ServerFellBehind,
    StoreCleared,
)
from core.metrics import LatencyHistogram, LatencySummary
from core.record import Entry, Item, Record, Value
from core.ring import (
    HashFunction,
    HashRing,
    OwnershipChange,
    Placement,
    Range,
    RingView,
    Vnode,
    ownership_diff,
)
from core.servers.faults import FaultInjector, Faults
from core.servers.memory_server import MemoryServer
from core.servers.record_table import RecordTable
from core.servers.rocksdb_server import RocksDBServer
from core.servers.server import DurableServer, RangeSize, Server, ServerFactory
from core.store import KeyValueStore
from core.workload.distributions import Distribution
from core.workload.load_generator import LoadChanges, LoadGenerator
from core.workload.load_settings import LoadSettings
from core.workload.load_snapshot import LoadInterval, LoadSnapshot
from core.workload.operations import LoadTarget
from core.workload.ycsb import OperationKind, Share, Workload, WorkloadSpec

__version__ = "0.1.0"

__all__ = [
    "ChangeKind",
    "Clock",
    "Consistency",
    "CorruptJournalError",
    "CorruptRecordError",
    "CorruptTopologyError",
    "CrashPreview",
    "DataDirectoryError",
    "DataDirectoryLockedError",
    "DataLossError",
    "DiskFullError",
    "DiskRecovered",
    "DiskTroubled",
    "Distribution",
    "DoctorReport",
    "DurableServer",
    "Entry",
    "Event",
    "Fault",
    "FaultInjector",
    "Faults",
    "Finding",
    "HashFunction",
    "HashRing",
    "InvalidKeyError",
    "InvalidOptionError",
    "InvalidServerIdError",
    "InvalidValueError",
    "Item",
    "KeyPlacement",
    "KeyValueStore",
    "LastServerError",
    "LatencyHistogram",
    "LatencySummary",
    "Level",
    "LoadChanges",
    "LoadGenerator",
    "LoadInterval",
    "LoadSettings",
    "LoadSnapshot",
    "LoadTarget",
    "ManualClock",
    "MemoryServer",
    "Migration",
    "MigrationCancelling",
    "MigrationFailedError",
    "MigrationFinished",
    "MigrationInProgressError",
    "MigrationPaused",
    "MigrationProgress",
    "MigrationResumed",
    "MigrationStarted",
    "MigrationState",
    "MissingExtraError",
    "NoServersError",
    "ObservingError",
    "OperationKind",
    "OwnershipChange",
    "Placement",
    "Plan",
    "QuorumError",
    "Range",
    "RangeSize",
    "Record",
    "RecordTable",
    "Recovery",
    "RecoveryFinished",
    "RecoveryPaused",
    "RecoveryProgress",
    "RecoveryStarted",
    "RecoveryState",
    "ReplicaCopy",
    "RingView",
    "RocksDBServer",
    "Server",
    "ServerCrashed",
    "ServerEvent",
    "ServerExistsError",
    "ServerFactory",
    "ServerFailedError",
    "ServerFellBehind",
    "ServerSnapshot",
    "ServerState",
    "ServerUnavailableError",
    "Share",
    "StalePlanError",
    "Storage",
    "StorageError",
    "StoreCleared",
    "StoreClosedError",
    "StoreError",
    "StoreSnapshot",
    "SystemClock",
    "TooFewServersWarning",
    "Transaction",
    "TransactionConflict",
    "Transfer",
    "UnknownServerError",
    "Value",
    "Vnode",
    "Workload",
    "WorkloadSpec",
    "YieldPoint",
    "__version__",
    "ownership_diff",
]
