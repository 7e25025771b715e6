"""The six core workloads of YCSB, as values: what they do, how often, and to which keys.

Knows nothing of how an operation is carried out. Source: Cooper, Silberstein, Tam, Ramakrishnan and
Sears, "Benchmarking Cloud Serving Systems with YCSB" (SoCC 2010), table 2, and the files
``workloads/workloada`` to ``workloadf`` of https://github.com/brianfrankcooper/YCSB.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from core.workload.distributions import Distribution

# Workload E scans from 1 to this many keys, every length as often.
MAX_SCAN_LENGTH = 100


class OperationKind(StrEnum):
    """What one operation of a workload does.

    Attributes:
        READ: reads one key.
        UPDATE: writes one key that exists.
        INSERT: writes one new key.
        SCAN: reads keys in ring order, from one key's position on.
        READ_MODIFY_WRITE: reads one key, then writes it.
    """

    READ = "read"
    UPDATE = "update"
    INSERT = "insert"
    SCAN = "scan"
    READ_MODIFY_WRITE = "read-modify-write"


class Share(NamedTuple):
    """How many of a workload's operations are of one kind.

    Attributes:
        kind: the kind.
        percent: 1 to 100; the shares of a workload sum to 100.
    """

    kind: OperationKind
    percent: int


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """What makes up a workload.

    Attributes:
        mix: its operations, the most frequent first.
        distribution: how its requests spread over the keys, unless it is asked for another.
        description: one line for a person who chooses a workload.
    """

    mix: tuple[Share, ...]
    distribution: Distribution
    description: str


class Workload(StrEnum):
    """One of YCSB's core workloads.

    >>> Workload("B").spec.description
    'Read mostly: photo tags, read often and added to now and then'
    """

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"

    @property
    def spec(self) -> WorkloadSpec:
        """What makes up this workload."""
        return _SPECS[self]


_SPECS = {
    Workload.A: WorkloadSpec(
        (Share(OperationKind.READ, 50), Share(OperationKind.UPDATE, 50)),
        Distribution.ZIPFIAN,
        "Update heavy: a session store that records each action",
    ),
    Workload.B: WorkloadSpec(
        (Share(OperationKind.READ, 95), Share(OperationKind.UPDATE, 5)),
        Distribution.ZIPFIAN,
        "Read mostly: photo tags, read often and added to now and then",
    ),
    Workload.C: WorkloadSpec(
        (Share(OperationKind.READ, 100),),
        Distribution.ZIPFIAN,
        "Read only: a cache of user profiles that are made elsewhere",
    ),
    Workload.D: WorkloadSpec(
        (Share(OperationKind.READ, 95), Share(OperationKind.INSERT, 5)),
        Distribution.LATEST,
        "Read latest: status updates, of which people want the newest",
    ),
    Workload.E: WorkloadSpec(
        (Share(OperationKind.SCAN, 95), Share(OperationKind.INSERT, 5)),
        Distribution.ZIPFIAN,
        "Short scans: threaded conversations, read some posts at a time",
    ),
    Workload.F: WorkloadSpec(
        (Share(OperationKind.READ, 50), Share(OperationKind.READ_MODIFY_WRITE, 50)),
        Distribution.ZIPFIAN,
        "Read-modify-write: user records that are read and changed",
    ),
}
