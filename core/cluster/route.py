"""Where the keys of some ranges are: the servers, and the shortest way to their records."""

from collections.abc import Callable
from typing import Final, NamedTuple

from core.cluster.replica import Put, Replica
from core.errors import StoreError
from core.native import mypyc_attr
from core.record import Record
from core.servers.operation_counters import OperationCounters
from core.servers.record_table import RecordTable

UNLISTED: Final = -1

Owners = tuple[str, ...]


def _nowhere(key: str) -> int:
    """Give every key a position in a table that holds none."""
    return 0


# What a route has to read from where nothing can be read directly: every look is a miss.
_NO_RECORDS = RecordTable(_nowhere)


class Segment(NamedTuple):
    """Neighbouring positions, `low` to `high` inclusive, with the same owners."""

    low: int
    high: int
    owners: Owners


@mypyc_attr(acyclic=True)
class Route:
    """Where the keys of some ranges are.

    Attributes:
        owners: the ids of the servers that hold them, primary first; empty without a server.
        replicas: those servers.
        reader: the first of them that is current; None when none is.
        records: the reader's records, to be read without a lock. Empty where that can't be: what
            is not found is looked for again under the lock.
        fetch: reads a record from the reader without a lock where there are no `records`; None
            where that can't be done.
        direct: whether a write may go straight into `records` and `others`, because there are as
            many owners as there should be, and every one is current and can't fail.
        others: the records of the owners beside the primary, for a direct writer.
        puts: store a new record on each owner, primary first, where every one is current and on
            disk; else empty.
        well: whether every owner is current.
        counters: the counters of the reader, or of the primary.
        refusal: what an operation raises here; None where there are owners.
        number: its number among the listed routes, or `UNLISTED`.
    """

    __slots__ = (
        "counters",
        "direct",
        "fetch",
        "number",
        "others",
        "owners",
        "puts",
        "reader",
        "records",
        "refusal",
        "replicas",
        "well",
    )

    def __init__(
        self,
        records: RecordTable | None = None,
        *,
        fetch: Callable[[int, str], Record | None] | None = None,
        owners: Owners = (),
        replicas: tuple[Replica, ...] = (),
        reader: Replica | None = None,
        copies: tuple[RecordTable, ...] = (),
        puts: tuple[Put, ...] = (),
        refusal: type[StoreError] | None = None,
        well: bool = False,
    ) -> None:
        # In this order, because compiled they lie in it: what every read and write looks at comes
        # first, in one line of the processor's cache.
        self.records = records if records is not None else _NO_RECORDS
        self.fetch = fetch
        self.counters = (reader or replicas[0]).counters if replicas else OperationCounters()
        self.direct = bool(copies)
        self.others = copies[1:]
        self.well = well
        self.owners = owners
        self.replicas = replicas
        self.reader = reader
        self.puts = puts
        self.refusal = refusal
        self.number = UNLISTED

    def equals(self, other: "Route") -> bool:
        """Return whether two routes lead to the same records."""
        return (
            self.replicas == other.replicas
            and self.records is other.records
            and self.others == other.others
            and self.puts == other.puts
            and self.fetch == other.fetch
            and self.reader is other.reader
            and self.well == other.well
        )
