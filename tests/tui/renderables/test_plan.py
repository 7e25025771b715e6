"""A plan reads as a sentence, adds up, and warns."""

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from core import ChangeKind, KeyValueStore, Plan, RingView, Transfer
from tests.support import filled, store_with
from tests.tui.renderables.support import cells_of, colour_of, lines_of, marks_of
from tui.renderables.look import DARK
from tui.renderables.plan import draw_plan, plan_sentence

ASCII = replace(DARK, ascii_only=True)
WEIGHTS = {"alpha": 1.0, "bravo": 1.0, "charlie": 1.0, "delta": 1.0}
REMOVE = Plan(
    kind=ChangeKind.REMOVE,
    server_id="charlie",
    weight=1.0,
    epoch=7,
    changes=(),
    transfers=(
        Transfer("charlie", "alpha", 5_000, 2_411_724),
        Transfer("charlie", "bravo", 3_102, 700_000),
        Transfer("charlie", "delta", 2_000, 900),
    ),
    keys_before={"alpha": 10_000, "bravo": 10_110, "charlie": 10_102, "delta": 10_000},
    keys_after={"alpha": 15_000, "bravo": 13_212, "delta": 12_000},
    keys_lost=0,
    ideal_fraction=0.25,
    warnings=(),
    before=RingView(weights=WEIGHTS),
    after=RingView(weights={name: 1.0 for name in WEIGHTS if name != "charlie"}),
)


def test_a_plan_is_said_in_one_sentence() -> None:
    assert plan_sentence(REMOVE, DARK) == (
        "Remove charlie: 10,102 keys (25.1 %, ideal 25.0 %) move to 3 servers; peak/avg 1.01 → 1.12"
    )
    transfers = tuple(
        transfer._replace(source=transfer.target, target="charlie") for transfer in REMOVE.transfers
    )
    add = replace(REMOVE, kind=ChangeKind.ADD, transfers=transfers, weight=2.0)
    assert plan_sentence(add, ASCII) == (
        "Add charlie (weight 2): 10,102 keys (25.1 %, ideal 25.0 %) move from 3 servers; "
        "peak/avg 1.01 -> 1.12"
    )


def test_a_server_is_counted_once_however_many_give_to_it() -> None:
    transfers = (*REMOVE.transfers, Transfer("alpha", "bravo", 10, 700))
    assert " move to 3 servers;" in plan_sentence(replace(REMOVE, transfers=transfers), DARK)


def test_one_key_from_one_server_is_singular() -> None:
    one = replace(REMOVE, transfers=(Transfer("charlie", "alpha", 1, 5),))
    assert "1 key (0.0 %, ideal 25.0 %) moves to 1 server;" in plan_sentence(one, DARK)


def test_a_plan_without_keys_is_about_the_ring() -> None:
    store = store_with(["alpha", "bravo"], virtual_nodes_per_node=100)
    plan = store.plan_add_server("charlie")
    share = f"{plan.after.shares()['charlie'] * 100:.1f} %"
    assert plan_sentence(plan, DARK).startswith(
        f"Add charlie: {share} of the ring (ideal 33.3 %), without keys, moves from 2 servers; "
    )


def test_the_first_and_the_last_server_have_nothing_to_move() -> None:
    store = KeyValueStore()
    first = store.plan_add_server("alpha")
    assert plan_sentence(first, DARK) == "Add alpha: it is the first server, and no keys move"
    assert draw_plan(first, DARK).plain == plan_sentence(first, DARK)
    store.add_server("alpha")
    last = store.plan_remove_server("alpha")
    assert lines_of(draw_plan(last, DARK)) == [
        "Remove alpha: it is the last server, and no keys move",
        "",
        "Warning: no server remains: nothing can be written until one is added",
    ]


def test_the_table_lists_every_transfer_and_adds_up() -> None:
    assert lines_of(draw_plan(REMOVE, DARK))[2:] == [
        "from      to       keys     size",
        "charlie → alpha   5,000  2.3 MiB",
        "charlie → bravo   3,102  684 KiB",
        "charlie → delta   2,000    900 B",
        "in all           10,102  3.0 MiB",
    ]


def test_a_long_table_is_summed_up_without_losing_a_key() -> None:
    transfers = tuple(Transfer(f"node{n}", "delta", 300 - n, 1_024) for n in range(199))
    lines = lines_of(draw_plan(replace(REMOVE, transfers=transfers), DARK, limit=8))
    table = lines[2:]
    assert len(table) == 1 + 8 + 1
    assert table[-2].startswith("192 more")
    figures = [int(line.split()[-3].replace(",", "")) for line in table[1:]]
    assert sum(figures[:-1]) == figures[-1] == sum(transfer.keys for transfer in transfers)


def test_a_table_that_just_fits_is_not_summed_up() -> None:
    lines = lines_of(draw_plan(REMOVE, DARK, limit=3))
    assert not any("more" in line for line in lines)
    assert len(lines) == 2 + 1 + 3 + 1


def test_columns_stand_under_each_other() -> None:
    store = KeyValueStore(20)
    for number in range(12):
        store.add_server(f"redis-{number}.a-long-domain.example.com:6379")
    filled(store, 2_000)
    lines = lines_of(draw_plan(store.plan_remove_server(store.get_servers()[0]), DARK))[2:]
    table = [line for line in lines if line and not line.startswith("Warning")]
    assert len({cell_len(line) for line in table}) == 1
    assert cell_len(table[0]) <= 80


def test_warnings_are_said_in_words_and_before_the_table() -> None:
    warned = replace(REMOVE, warnings=("2,503 keys have no other replica", "mind the \x1b[2J gap"))
    drawn = draw_plan(warned, DARK)
    assert lines_of(drawn)[1:6] == [
        "",
        "Warning: 2,503 keys have no other replica",
        "Warning: mind the \\x1b[2J gap",
        "",
        *lines_of(draw_plan(REMOVE, DARK))[2:3],
    ]


def test_servers_have_their_colours_when_they_have_any() -> None:
    marks = marks_of(*WEIGHTS)
    cells = cells_of(draw_plan(REMOVE, DARK, marks=marks))
    assert colour_of(cells[3, 0]) == DARK.server_colours[marks["charlie"].colour]
    assert colour_of(cells[3, 10]) == DARK.server_colours[marks["alpha"].colour]
    assert colour_of(cells_of(draw_plan(REMOVE, DARK))[3, 0]) is None


@pytest.mark.parametrize("limit", [None, 2])
def test_in_ascii_everything_is_ascii(limit: int | None) -> None:
    assert draw_plan(REMOVE, ASCII, limit=limit).plain.isascii()


def test_with_several_replicas_it_is_copies_that_move() -> None:
    store = store_with(["alpha", "bravo", "charlie", "delta"], replication_factor=3)
    filled(store, 1_000)
    plan = store.plan_add_server("echo")
    copies = f"{plan.keys_moved / 3_000 * 100:.1f} %"
    assert plan_sentence(plan, DARK).startswith(
        f"Add echo: {plan.keys_moved:,} of 3,000 copies of keys ({copies}, ideal 20.0 %) move from "
    )
    assert plan.keys_moved < 3_000


def test_a_leave_after_which_the_others_have_all_copies_is_not_the_last_ones() -> None:
    store = store_with(["alpha", "bravo", "charlie"], replication_factor=3)
    filled(store, 50)
    sentence = plan_sentence(store.plan_remove_server("alpha"), DARK)
    assert sentence == "Remove alpha: no copies have to move, the others have them all"


def test_a_join_to_servers_that_are_all_down_does_not_say_that_they_have_everything() -> None:
    store = store_with(["alpha"])
    filled(store, 50)
    store.crash_server("alpha")
    sentence = plan_sentence(store.plan_add_server("bravo"), DARK)
    assert sentence == "Add bravo: nothing can move to it, for no server that has keys is up"


def test_a_weight_far_below_one_vnode_takes_no_screen_full_of_digits() -> None:
    store = KeyValueStore(virtual_nodes_per_node=30)
    store.add_server("alpha", weight=1e-300)
    store.add_server("bravo")
    filled(store, 50)
    drawn = draw_plan(store.plan_add_server("charlie"), DARK).plain
    assert re.search(r"peak/avg \d\.\de\+\d+ → \d\.\de\+\d+\n", drawn)
    assert re.search(r"will hold \d\.\de\+\d+ times the mean", drawn)


def test_a_weight_that_changes_no_vnode_moves_nothing() -> None:
    store = store_with(["alpha", "bravo"])
    filled(store, 50)
    sentence = plan_sentence(store.plan_set_weight("alpha", 1.001), DARK)
    assert sentence == "Reweigh alpha (weight 1.001): so small a change moves nothing"


def test_what_a_dead_server_takes_with_it_is_warned_of_in_red() -> None:
    store = store_with(["alpha", "bravo", "charlie"])
    lost = filled(store, 300) and store.get_stats()["bravo"]
    store.crash_server("bravo")
    drawn = draw_plan(store.plan_remove_server("bravo"), DARK)
    lines = lines_of(drawn)
    assert lines[0] == "Remove bravo: it is down, and nothing is left that could move"
    warning = f"Warning: {lost} keys have no other replica and will be lost"
    row = lines.index(warning)
    assert colour_of(cells_of(drawn)[row, 0]) == DARK.bad


def test_another_weight_is_neither_an_add_nor_a_remove() -> None:
    store = store_with(["alpha", "bravo"])
    filled(store, 100)
    sentence = plan_sentence(store.plan_set_weight("alpha", 2.0), DARK)
    assert sentence.startswith("Reweigh alpha (weight 2): ")
