"""The table's order depends on what is shown and on nothing else."""

import itertools

import pytest

from core.cluster.snapshot import ServerState
from tui.view_model import Mark, ServerRow, SortColumn, StateSign, Tone, sort_rows
from tui.view_model.sorting import natural


def row(
    server_id: str,
    *,
    keys: int = 0,
    rate: float | None = None,
    state: ServerState = ServerState.UP,
) -> ServerRow:
    return ServerRow(
        server_id=server_id,
        mark=Mark("a", 0),
        state=state,
        status=StateSign("●", "up", Tone.GOOD),
        weight=1.0,
        vnodes=150,
        share=0.25,
        keys=keys,
        keys_delta=None,
        operations_per_second=rate,
        target_keys=None,
    )


def ids(rows: tuple[ServerRow, ...]) -> list[str]:
    return [row.server_id for row in rows]


def test_ids_are_ordered_as_people_count() -> None:
    rows = [row(name) for name in ("node10", "node9", "node1", "alpha", "node1b", "10.0.0.2")]
    assert ids(sort_rows(rows, SortColumn.SERVER)) == [
        "10.0.0.2",
        "alpha",
        "node1",
        "node1b",
        "node9",
        "node10",
    ]
    assert natural("10.0.0.2:6379") < natural("10.0.0.10:6379")


def test_ids_can_be_turned_round() -> None:
    rows = [row("alpha"), row("bravo")]
    assert ids(sort_rows(rows, SortColumn.SERVER, descending=True)) == ["bravo", "alpha"]


@pytest.mark.parametrize("descending", [False, True])
def test_equal_rows_stay_in_the_order_of_their_ids(descending: bool) -> None:
    rows = [row("charlie", keys=5), row("alpha", keys=5), row("bravo", keys=5)]
    for shuffled in itertools.permutations(rows):
        found = ids(sort_rows(shuffled, SortColumn.KEYS, descending=descending))
        assert found == ["alpha", "bravo", "charlie"]


def test_unknown_values_come_last_both_ways() -> None:
    rows = [row("alpha"), row("bravo", rate=2.0), row("charlie", rate=7.0)]
    assert ids(sort_rows(rows, SortColumn.RATE)) == ["bravo", "charlie", "alpha"]
    assert ids(sort_rows(rows, SortColumn.RATE, descending=True)) == ["charlie", "bravo", "alpha"]


def test_what_moves_can_be_brought_to_the_top() -> None:
    rows = [row("alpha"), row("bravo", state=ServerState.JOINING)]
    assert ids(sort_rows(rows, SortColumn.STATE, descending=True)) == ["bravo", "alpha"]


@pytest.mark.parametrize("column", list(SortColumn))
def test_every_column_sorts_without_losing_a_row(column: SortColumn) -> None:
    rows = [row("alpha", keys=1), row("bravo", keys=2, rate=1.0)]
    assert sorted(ids(sort_rows(rows, column))) == ["alpha", "bravo"]
