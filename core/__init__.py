"""ringtop's store: thread-safe, sharded over servers by a consistent-hash ring.

>>> from core import KeyValueStore
>>> with KeyValueStore() as store:
...     _ = store.add_server("alpha")
...     _ = store.set("user:1001", "John Doe")
...     store.get("user:1001")
'John Doe'
"""

from core.clock import Clock, ManualClock, SystemClock
from core.cluster.migration import Migration, MigrationProgress, MigrationState
from core.cluster.plan import ChangeKind, Plan, Transfer
from core.cluster.snapshot import KeyPlacement, ServerSnapshot, ServerState, StoreSnapshot
from core.errors import (
    InvalidKeyError,
    InvalidOptionError,
    InvalidServerIdError,
    InvalidValueError,
    LastServerError,
    MigrationFailedError,
    MigrationInProgressError,
    NoServersError,
    ServerExistsError,
    ServerFailedError,
    StalePlanError,
    StoreClosedError,
    StoreError,
    UnknownServerError,
)
from core.events import (
    Event,
    MigrationCancelling,
    MigrationFinished,
    MigrationPaused,
    MigrationResumed,
    MigrationStarted,
    ServerEvent,
    StoreCleared,
)
from core.metrics import LatencyHistogram, LatencySummary
from core.record import Entry, Record, Value
from core.ring import HashRing, OwnershipChange, Range, RingView, Vnode, ownership_diff
from core.servers.memory_server import MemoryServer
from core.servers.server import Server
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
    "Distribution",
    "Entry",
    "Event",
    "HashRing",
    "InvalidKeyError",
    "InvalidOptionError",
    "InvalidServerIdError",
    "InvalidValueError",
    "KeyPlacement",
    "KeyValueStore",
    "LastServerError",
    "LatencyHistogram",
    "LatencySummary",
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
    "NoServersError",
    "OperationKind",
    "OwnershipChange",
    "Plan",
    "Range",
    "Record",
    "RingView",
    "Server",
    "ServerEvent",
    "ServerExistsError",
    "ServerFailedError",
    "ServerSnapshot",
    "ServerState",
    "Share",
    "StalePlanError",
    "StoreCleared",
    "StoreClosedError",
    "StoreError",
    "StoreSnapshot",
    "SystemClock",
    "Transfer",
    "UnknownServerError",
    "Value",
    "Vnode",
    "Workload",
    "WorkloadSpec",
    "__version__",
    "ownership_diff",
]
