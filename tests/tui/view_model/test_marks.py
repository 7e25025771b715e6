"""Letters and colours stay with their servers."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tui.view_model.marks import COLOURS, Mark, assign_marks

server_ids = st.lists(
    st.text("abcdeABC019._-:", min_size=1, max_size=4), unique=True, max_size=90
).map(sorted)


def test_a_server_gets_its_own_initial_when_no_other_begins_with_it() -> None:
    marks = assign_marks({}, ["alpha", "bravo", "delta"])
    assert [mark.letter for mark in marks.values()] == ["a", "b", "d"]


def test_servers_that_begin_alike_get_letters_in_order() -> None:
    marks = assign_marks({}, ["node1", "node2", "node3"])
    assert [mark.letter for mark in marks.values()] == ["a", "b", "c"]


def test_an_initial_is_not_taken_by_those_that_only_need_any_letter() -> None:
    marks = assign_marks({}, ["alpha", "b1", "b2", "charlie"])
    assert {server_id: mark.letter for server_id, mark in marks.items()} == {
        "alpha": "a",
        "b1": "b",
        "b2": "d",
        "charlie": "c",
    }


def test_a_mark_stays_while_others_come_and_go() -> None:
    marks = assign_marks({}, ["alpha", "bravo", "charlie"])
    kept = marks["charlie"]
    marks = assign_marks(marks, ["charlie", "zulu"])
    assert marks["charlie"] == kept
    marks = assign_marks(marks, ["another", "charlie", "zulu"])
    assert marks["charlie"] == kept
    assert marks["another"].letter == "a"


def test_two_hundred_servers_have_letters_of_their_own_and_evenly_used_colours() -> None:
    marks = assign_marks({}, [f"node{number}" for number in range(200)])
    letters = [mark.letter for mark in marks.values()]
    assert len(set(letters)) == 200
    assert Counter(map(len, letters)) == {1: 62, 2: 138}
    assert letters[60:64] == ["8", "9", "aa", "ab"]
    uses = Counter(mark.colour for mark in marks.values())
    assert set(uses) == set(range(COLOURS))
    assert max(uses.values()) - min(uses.values()) <= 1


@given(server_ids, server_ids)
def test_known_marks_are_kept_and_all_letters_differ(first: list[str], then: list[str]) -> None:
    known = assign_marks({}, first)
    marks = assign_marks(known, then)
    assert list(marks) == then
    assert len({mark.letter for mark in marks.values()}) == len(then)
    assert all(marks[server_id] == known[server_id] for server_id in then if server_id in known)
    assert all(isinstance(mark, Mark) and 0 <= mark.colour < COLOURS for mark in marks.values())
