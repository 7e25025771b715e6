"""The ring is drawn as it is: every colour and letter is that of who answers."""

import itertools
import math
from collections import Counter
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.text import Text

from core import KeyPlacement, KeyValueStore, RingView, Vnode
from core.stripes import LAST_POSITION, POSITIONS
from tests.support import filled, store_with
from tests.tui.renderables.support import (
    Drawn,
    cells_of,
    colour_of,
    is_braille,
    lines_of,
    picture_of,
)
from tui.renderables.look import DARK, LIGHT, Look
from tui.renderables.ring import draw_ring, position_at
from tui.renderables.ring_geometry import Place, ring_geometry
from tui.view_model import Displaced, RingPicture, fold

SIZES = [(14, 7), (24, 12), (40, 20), (41, 21), (60, 16), (20, 30), (80, 40)]
NATO = ("alpha", "bravo", "charlie", "delta")
ASCII = replace(DARK, ascii_only=True)
MONOCHROME = replace(DARK, monochrome=True)


def band(text: Text) -> dict[tuple[int, int], Drawn]:
    """Return the drawn cells of the band."""
    return {place: drawn for place, drawn in cells_of(text).items() if is_braille(drawn)}


@pytest.mark.parametrize("look", [DARK, LIGHT])
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("vnodes", [1, 8, 150])
def test_every_cell_has_the_colour_of_who_answers_there(
    vnodes: int, width: int, height: int, look: Look
) -> None:
    picture = picture_of(*NATO, vnodes=vnodes)
    cells = band(draw_ring(picture, width, height, look))
    assert len(cells) > width
    for (row, column), drawn in cells.items():
        position = position_at(column, row, width, height)
        assert position is not None
        owner = picture.view.vnode_at(position).server_id
        assert colour_of(drawn) == look.server_colours[picture.marks[owner].colour]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_position_0_is_at_the_top_and_positions_grow_clockwise(width: int, height: int) -> None:
    cells = band(draw_ring(picture_of("alpha"), width, height, DARK))
    for row, column in cells:
        position = position_at(column, row, width, height)
        assert position is not None
        x, y = column + 0.5 - width / 2, (row + 0.5 - height / 2) * 2
        turn = math.atan2(x, -y) / math.tau % 1.0
        off = abs((position / POSITIONS - turn + 0.5) % 1.0 - 0.5)
        # Half a spoke, and half a cell: the cell's dots need not lie in its middle.
        assert off * math.tau * math.hypot(x, y) < 3.0


def test_beside_the_band_there_is_no_position() -> None:
    assert position_at(0, 0, 40, 20) is None
    assert position_at(20, 10, 40, 20) is None
    assert position_at(-1, 3, 40, 20) is None
    assert position_at(40, 50, 40, 20) is None
    assert position_at(20, 0, 40, 20) is not None


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_ring_is_round_and_as_large_as_it_can_be(width: int, height: int) -> None:
    places = band(draw_ring(picture_of("alpha"), width, height, DARK))
    rows, columns = [row for row, _ in places], [column for _, column in places]
    across = (max(columns) - min(columns) + 1) * 2
    down = (max(rows) - min(rows) + 1) * 4
    assert abs(across - down) <= 4
    assert min(width * 2, height * 4) - max(across, down) <= 4
    assert abs(min(columns) - (width - 1 - max(columns))) <= 1


@pytest.mark.parametrize("look", [DARK, ASCII, MONOCHROME])
def test_every_size_keeps_its_bounds(look: Look) -> None:
    store = store_with()
    found = store.explain("user:1")
    picture = fold(store.snapshot()).ring
    centre = ["4 servers", "漢字漢字漢字", "[/x]\x1b]52;c;x\x07"]
    for width, height in itertools.product(range(1, 19), (1, 2, 3, 5, 8, 20)):
        lines = lines_of(draw_ring(picture, width, height, look, found=found, centre=centre))
        assert len(lines) == height
        assert {cell_len(line) for line in lines} == {width}


def test_a_large_share_gets_as_many_spokes() -> None:
    picture = picture_of("light", "heavy", heavy=3.0)
    shape = ring_geometry(80, 40)
    owners = Counter(picture.view.vnode_at(position).server_id for position in shape.spokes)
    assert owners["heavy"] / len(shape.spokes) == pytest.approx(0.75, abs=0.08)


def test_every_server_has_its_letter_inside_the_band_in_its_colour() -> None:
    picture = picture_of(*NATO, vnodes=2)
    cells = cells_of(draw_ring(picture, 40, 20, DARK))
    letters = {drawn.character: colour_of(drawn) for drawn in cells.values() if drawn[0].isalpha()}
    assert letters == {
        mark.letter: DARK.server_colours[mark.colour] for mark in picture.marks.values()
    }


@pytest.mark.parametrize("vnodes", [1, 2, 150])
def test_a_letter_stands_at_an_arc_of_its_server(vnodes: int) -> None:
    picture = picture_of(*NATO, vnodes=vnodes)
    by_letter = {mark.letter: name for name, mark in picture.marks.items()}
    for (row, column), drawn in cells_of(draw_ring(picture, 40, 20, DARK)).items():
        if not drawn.character.isalpha():
            continue
        # Outwards from the letter, the first cell of the band is its server's.
        x, y = column + 0.5 - 20, (row + 0.5 - 10) * 2
        turn = math.atan2(x, -y) / math.tau % 1.0
        shape = ring_geometry(40, 20)
        spoke = shape.spoke_of(int(turn * POSITIONS))
        near = [shape.spokes[(spoke + step) % len(shape.spokes)] for step in (-1, 0, 1)]
        owners = {picture.view.vnode_at(position).server_id for position in near}
        assert by_letter[drawn.character] in owners


@pytest.mark.parametrize(("width", "height"), [(24, 12), (40, 20), (80, 40)])
def test_a_small_server_keeps_its_letter_among_large_ones(width: int, height: int) -> None:
    picture = picture_of(*NATO, "tiny", tiny=0.2)
    drawn = cells_of(draw_ring(picture, width, height, DARK)).values()
    shape = ring_geometry(width, height)
    owners = {picture.view.vnode_at(position).server_id for position in shape.spokes}
    assert "tiny" in owners
    assert "t" in {cell.character for cell in drawn}


def test_letters_never_touch_each_other() -> None:
    cells = cells_of(draw_ring(picture_of(*NATO), 40, 20, DARK))
    letters = [place for place, drawn in cells.items() if drawn.character.isalpha()]
    assert len(letters) > 12
    for row, column in letters:
        neighbours = {
            (row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)
        } - {(row, column)}
        assert not neighbours & set(letters)


def test_one_server_has_the_whole_ring_and_its_letter_at_the_top() -> None:
    picture = picture_of("alpha")
    cells = cells_of(draw_ring(picture, 40, 20, DARK))
    assert {colour_of(drawn) for drawn in cells.values()} == {DARK.server_colours[0]}
    letters = [place for place, drawn in cells.items() if drawn.character == "a"]
    assert len(letters) == 1
    (row, column) = letters[0]
    assert row < 5
    assert abs(column - 20) <= 1


@pytest.mark.parametrize("look", [DARK, ASCII])
def test_a_ring_without_servers_is_dim_and_hatched(look: Look) -> None:
    cells = cells_of(draw_ring(RingPicture(RingView(), {}), 40, 20, look))
    assert cells
    assert all(drawn.style.dim and drawn.style.color is None for drawn in cells.values())


@pytest.mark.parametrize("look", [DARK, ASCII])
def test_two_hundred_servers_still_make_a_ring(look: Look) -> None:
    picture = picture_of(*[f"node{number}" for number in range(200)], vnodes=20)
    lines = lines_of(draw_ring(picture, 40, 20, look, centre=["200 servers"]))
    assert {cell_len(line) for line in lines} == {40}
    assert any("200 servers" in line for line in lines)
    long_marks = {mark.letter for mark in picture.marks.values() if len(mark.letter) == 2}
    inside = " ".join(lines)
    assert look.ascii_only or any(f"{letter} " in inside for letter in long_marks)


def test_what_has_still_to_move_is_hatched_in_the_colour_of_who_has_it() -> None:
    store = store_with(virtual_nodes_per_node=3)
    filled(store, 400)
    view = fold(store.snapshot())
    before = view.ring.view
    migration = store.commit(store.plan_add_server("echo"), start=False)
    while migration.progress.fraction < 0.5:
        migration.step()
    view = fold(store.snapshot(), None, view)
    full = band(draw_ring(replace(view.ring, displaced=()), 40, 20, DARK))
    hatched = 0
    for (row, column), drawn in band(draw_ring(view.ring, 40, 20, DARK)).items():
        position = position_at(column, row, 40, 20)
        assert position is not None
        waits = any(span.low <= position <= span.high for span in view.ring.displaced)
        owner = (before if waits else view.ring.view).vnode_at(position).server_id
        assert colour_of(drawn) == DARK.server_colours[view.ring.marks[owner].colour]
        dots = ord(drawn.character) - 0x2800
        all_dots = ord(full[row, column].character) - 0x2800
        assert dots & ~all_dots == 0
        assert (dots == all_dots) is not (waits and all_dots.bit_count() > 1)
        hatched += waits
    assert 0 < hatched < len(full)


def test_a_displaced_span_ends_where_it_ends() -> None:
    picture = picture_of("alpha", "bravo", vnodes=1)
    shape = ring_geometry(40, 20)
    chosen = shape.spokes[10]
    picture = replace(picture, displaced=(Displaced(chosen, chosen, "bravo"),))
    spokes = {
        shape.spoke_of_cell[Place(*place)]
        for place, drawn in band(draw_ring(picture, 40, 20, DARK)).items()
        if drawn.character
        != band(draw_ring(replace(picture, displaced=()), 40, 20, DARK))[place].character
    }
    assert spokes == {10}


def placement(store: KeyValueStore, key: str) -> tuple[KeyPlacement, RingPicture]:
    return store.explain(key), fold(store.snapshot()).ring


def test_a_found_key_is_marked_where_it_lies_and_its_primary_named() -> None:
    found, picture = placement(store_with(virtual_nodes_per_node=1), "user:1001")
    cells = cells_of(draw_ring(picture, 40, 20, DARK, found=found, centre=["40 keys"]))
    shape = ring_geometry(40, 20)
    diamonds = [place for place, drawn in cells.items() if drawn.character == "◆"]
    on_band = [place for place in diamonds if place in shape.spoke_of_cell]
    assert len(on_band) == 1
    assert shape.spoke_of_cell[on_band[0]] == shape.spoke_of(found.position)
    assert cells[on_band[0]].style.reverse
    mark = picture.marks[found.primary]
    vnode = shape.middles[shape.spoke_of(found.vnode.position)]
    assert cells[vnode].character == mark.letter
    assert cells[vnode].style.reverse
    lines = lines_of(draw_ring(picture, 40, 20, DARK, found=found, centre=["40 keys"]))
    named = next(row for row, line in enumerate(lines) if f"◆ {found.primary}" in line)
    assert "40 keys" in lines[named + 1]


def test_the_spoke_of_a_found_key_has_the_colour_of_its_primary() -> None:
    store = store_with()
    for number in range(60):
        found, picture = placement(store, f"user:{number}")
        shape = ring_geometry(24, 12)
        drawn = band(draw_ring(picture, 24, 12, DARK, found=found))
        colours = {
            colour_of(drawn[place])
            for place, spoke in shape.spoke_of_cell.items()
            if spoke == shape.spoke_of(found.position) and place in drawn
        }
        assert colours <= {DARK.server_colours[picture.marks[found.primary].colour]}


def test_a_key_found_in_an_older_frame_than_the_ring_is_still_drawn() -> None:
    store = store_with()
    found = store.explain("user:1")
    store.remove_server(found.primary)
    lines = lines_of(draw_ring(fold(store.snapshot()).ring, 40, 20, DARK, found=found))
    assert any(f"◆ {found.primary}" in line for line in lines)


def test_in_ascii_and_without_colours_the_band_is_made_of_letters() -> None:
    picture = picture_of(*NATO, vnodes=4)
    for look in (ASCII, MONOCHROME):
        text = draw_ring(picture, 40, 20, look)
        cells = cells_of(text)
        assert len(cells) > 80
        for (row, column), drawn in cells.items():
            position = position_at(column, row, 40, 20)
            assert position is not None
            owner = picture.view.vnode_at(position).server_id
            assert drawn.character == picture.marks[owner].letter
    assert all(drawn.style.color is None for drawn in cells.values())


def test_ascii_means_ascii() -> None:
    found, picture = placement(store_with(), "user:1001")
    for displaced in ((), (Displaced(0, LAST_POSITION, "bravo"),)):
        moving = replace(picture, displaced=displaced)
        text = draw_ring(moving, 40, 20, ASCII, found=found, centre=["漢字", "4 µs"])
        assert text.plain.isascii()
        assert "@ " in text.plain
        assert (":" in text.plain) is bool(displaced)
        assert {cell_len(line) for line in lines_of(text)} == {40}


def test_the_middle_is_safe_and_centred_and_leaves_out_what_does_not_fit() -> None:
    hostile = "[@click=app.quit]x\x1b"
    text = draw_ring(picture_of("alpha"), 40, 20, DARK, centre=[hostile, "漢" * 300, "ok"])
    assert "\x1b" not in text.plain
    assert "漢" not in text.plain
    lines = lines_of(text)
    row = next(row for row, line in enumerate(lines) if "[@click=app.quit]x" in line)
    assert cell_len(lines[row]) == 40
    middle = lines[row + 1]
    assert abs((middle.index("ok") + 1) - 20) <= 1
    assert not any("click" in str(span.style) or span.style == "" for span in text.spans)


def test_an_accent_stays_on_its_letter() -> None:
    text = draw_ring(picture_of("alpha"), 40, 20, DARK, centre=["cafe\u0301 x"])
    assert "cafe\u0301 x" in text.plain


def test_middle_lines_that_do_not_fit_are_left_out_from_the_end() -> None:
    text = draw_ring(picture_of("alpha"), 14, 7, DARK, centre=["one", "two", "six", "ten", "end"])
    assert "one" in text.plain
    assert "end" not in text.plain


def test_the_shape_and_the_owners_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = picture_of(*NATO)
    first = draw_ring(picture, 40, 20, DARK)
    assert ring_geometry(40, 20) is ring_geometry(40, 20)

    def refuse(view: RingView, position: int) -> Vnode:
        raise AssertionError(f"looked {position} up again")

    monkeypatch.setattr(RingView, "vnode_at", refuse)
    again = RingPicture(picture.view, picture.marks, (Displaced(5, 9, "alpha"),))
    assert draw_ring(again, 40, 20, DARK).plain == first.plain
