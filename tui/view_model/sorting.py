"""The order of the table's rows."""

import re
from collections.abc import Callable, Sequence
from enum import StrEnum

from core.cluster.snapshot import ServerState
from tui.view_model.display import ServerRow

_DIGITS = re.compile(r"([0-9]+)")
_STATES = tuple(ServerState)


class SortColumn(StrEnum):
    """A column that the table can be sorted by, in the order in which they are shown."""

    SERVER = "server"
    STATE = "state"
    VNODES = "vnodes"
    SHARE = "share"
    KEYS = "keys"
    DELTA = "delta"
    RATE = "rate"
    HINTS = "hints"


_VALUES: dict[SortColumn, Callable[[ServerRow], float | None]] = {
    SortColumn.STATE: lambda row: _STATES.index(row.state),
    SortColumn.VNODES: lambda row: row.vnodes,
    SortColumn.SHARE: lambda row: row.share,
    SortColumn.KEYS: lambda row: row.keys,
    SortColumn.DELTA: lambda row: row.keys_delta,
    SortColumn.RATE: lambda row: row.operations_per_second,
    SortColumn.HINTS: lambda row: row.hints,
}


def natural(server_id: str) -> tuple[tuple[str, int], ...]:
    """Return what sorts ids as people count: ``node2`` before ``node10``."""
    parts = _DIGITS.split(server_id)
    return tuple(
        (text, int(number or 0))
        for text, number in zip(parts[::2], [*parts[1::2], ""], strict=True)
    )


def sort_rows(
    rows: Sequence[ServerRow], column: SortColumn, *, descending: bool = False
) -> tuple[ServerRow, ...]:
    """Return the rows sorted by a column. O(rows log rows).

    Equal rows stay in the order of their ids whichever way it is sorted, and unknown values come
    last, so that the order depends on nothing but what is shown.
    """
    by_id = sorted(rows, key=lambda row: natural(row.server_id))
    value = _VALUES.get(column)
    if value is None:
        return tuple(reversed(by_id)) if descending else tuple(by_id)
    known = [(shown, row) for row in by_id if (shown := value(row)) is not None]
    known.sort(key=lambda pair: -pair[0] if descending else pair[0])
    unknown = [row for row in by_id if value(row) is None]
    return (*[row for _, row in known], *unknown)
