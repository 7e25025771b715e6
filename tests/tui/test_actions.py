"""The registry of actions, and what is made from it."""

import re
import string
from collections import Counter

import pytest
from rich.cells import cell_len
from textual.binding import Binding
from textual.keys import Keys, _character_to_key

from tui.actions import ACTIONS, PANELS, Group, footer_actions, is_key, markdown_table


def test_the_dashboards_keys_are_all_there() -> None:
    promised = {*"?/q123456mp+-adwtT<>sPC", "escape", "space", "ctrl+p"}
    keys = [key for action in ACTIONS for key in action.keys]
    assert promised <= set(keys)
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_ids_are_unique_and_can_name_a_method() -> None:
    ids = [action.id for action in ACTIONS]
    assert len(set(ids)) == len(ids)
    assert len({action.title for action in ACTIONS}) == len(ACTIONS)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in ids)


def test_textual_takes_every_key_and_keeps_them_apart() -> None:
    bindings = [
        binding
        for action in ACTIONS
        for binding in Binding.make_bindings(
            [Binding(",".join(action.keys), action.id, action.title, id=action.id)]
        )
    ]
    names = [binding.key for binding in bindings]
    assert len(set(names)) == len(names) == sum(len(action.keys) for action in ACTIONS)
    assert {"question_mark", "slash", "plus", "minus", "less_than_sign", "T", "t"} <= set(names)


def test_the_numbers_focus_the_panels_in_order() -> None:
    by_key = {action.keys[0]: action.id for action in ACTIONS}
    assert [by_key[str(number)] for number in range(1, 7)] == [f"focus_{name}" for name in PANELS]


def test_the_footer_keeps_what_matters_most_first() -> None:
    shown = footer_actions()
    assert [action.footer_rank for action in shown] == list(range(1, len(shown) + 1))
    assert [action.id for action in shown[:3]] == ["help", "quit", "lookup"]
    # On 80 cells, " key Title " for each of these still fits; crashes and faults go first.
    kept = [action for action in shown if action.group is not Group.FAILURES]
    assert sum(cell_len(f" {action.key_label} {action.title} ") for action in kept) <= 80
    assert [action.group for action in shown[len(kept) :]] == [Group.FAILURES] * (
        len(shown) - len(kept)
    )


def test_whatever_changes_the_store_is_refused_to_a_reader() -> None:
    destructive = {action.group for action in ACTIONS if action.destructive}
    assert destructive == {Group.SERVERS, Group.FAILURES, Group.MIGRATION, Group.LOAD}
    harmless = {action.id for action in ACTIONS if not action.destructive}
    assert {"lookup", "pause_picture", "sort_next", "quit"} <= harmless
    assert not harmless & {"add_server", "remove_server", "cancel_migration", "toggle_load"}


def test_every_action_is_explained_in_a_sentence() -> None:
    for action in ACTIONS:
        assert action.help[0].isupper(), action.id
        assert action.help.endswith("."), action.id
        assert len(action.title) <= 14, action.id
        assert action.group in Group


def test_the_readmes_table_has_a_row_for_every_action() -> None:
    lines = markdown_table().splitlines()
    assert lines[:2] == ["| Key | Action | What it does |", "| --- | --- | --- |"]
    assert len(lines) == 2 + len(ACTIONS)
    assert "| `?` | Help | Show every key and what it does. |" in lines
    assert "| `+`, `=` | Faster | Draw more often. |" in lines
    assert any(line.startswith("| `esc` | Back |") for line in lines)
    assert all(line.count("|") == 4 for line in lines)


NAMED = [
    key.value for key in Keys if key.value[0] != "<" and key.value not in ("return", "ctrl-at")
]


@pytest.mark.parametrize("key", [*NAMED, *map(_character_to_key, string.printable.strip())])
def test_every_key_that_textual_names_is_a_key(key: str) -> None:
    assert is_key(key)


@pytest.mark.parametrize("key", ["", "nope", "ctrl+", "ctrl", "f25", "<any>", "\x1b", "x" * 5_000])
def test_what_can_not_be_pressed_is_no_key(key: str) -> None:
    assert not is_key(key)
