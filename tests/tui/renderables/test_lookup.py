"""A lookup is explained in full where there is room, and never more loudly than it is."""

from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.text import Text

from core import InvalidKeyError, KeyPlacement, KeyValueStore, ReplicaCopy, StoreError, Vnode
from tests.support import filled, store_with
from tests.tui.renderables.support import cells_of, colour_of, lines_of, marks_of
from tests.tui.test_formatting import HOSTILE
from tui.renderables.look import DARK
from tui.renderables.lookup import lookup_line, lookup_lines
from tui.view_model import Tone

ASCII = replace(DARK, ascii_only=True)
MARKS = marks_of("alpha", "bravo", "charlie", "delta")
COPY = ReplicaCopy("delta", answers=True, current=True, version=1_234)
FOUND = KeyPlacement(
    key="user:1001",
    position=0x9A98BFC0,
    vnode=Vnode(0x9AC7F81A, "delta", 37),
    primary="delta",
    replicas=("delta",),
    copies=(COPY,),
    exists=True,
    value="John Doe",
    version=1_234,
    ttl=None,
    moving_to=None,
    epoch=7,
)
MISSING = replace(
    FOUND, exists=False, value=None, version=None, copies=(replace(COPY, version=None),)
)


def line(result: KeyPlacement | StoreError, width: int = 120) -> str:
    return lookup_line(result, MARKS, width, DARK).plain


def test_one_line_says_where_and_why_and_what() -> None:
    assert line(FOUND) == (
        'user:1001  → d delta  position 0x9a98bfc0  vnode delta#37  version 1,234  "John Doe"'
    )


@pytest.mark.parametrize(
    ("width", "kept", "gone"),
    [
        (80, ("position", "vnode", '"John Doe"'), ("version",)),
        (60, ("vnode", '"John Doe"'), ("version", "position")),
        (40, ('"John Doe"',), ("vnode", "position", "version")),
        (24, ("user:1001", "d delta"), ("John",)),
    ],
)
def test_what_matters_least_goes_first(
    width: int, kept: tuple[str, ...], gone: tuple[str, ...]
) -> None:
    shown = line(FOUND, width)
    assert all(part in shown for part in kept), shown
    assert not any(part in shown for part in gone), shown


def test_a_long_key_takes_the_room_that_nothing_else_needs() -> None:
    long = replace(MISSING, key="k" * 300)
    assert line(long, 120).endswith("…  → d delta  position 0x9a98bfc0  vnode delta#37  missing")
    assert [cell_len(line(long, width)) for width in (40, 60, 120)] == [40, 60, 120]


def test_a_miss_is_said_even_in_little_width() -> None:
    assert line(MISSING).endswith("vnode delta#37  missing")
    assert "missing" in line(MISSING, 30)


def test_a_moving_key_says_where_to() -> None:
    moving = replace(FOUND, moving_to="bravo")
    assert "→ d delta  moves to b bravo  " in line(moving)
    lines = lines_of(lookup_lines(moving, MARKS, 60, DARK))
    assert "moves to  b bravo" in lines


def test_replicas_and_a_record_that_is_not_on_all_of_them_are_told() -> None:
    copies = tuple(
        ReplicaCopy(name, answers=True, current=True, version=version)
        for name, version in (("delta", 1_234), ("alpha", None), ("bravo", 1_234))
    )
    replicated = replace(FOUND, replicas=("delta", "alpha", "bravo"), copies=copies)
    shown = line(replicated, 200)
    assert "replicas ● delta  ! alpha has no record  ● bravo" in shown
    on_both = replace(replicated, copies=copies[::2], replicas=("delta", "bravo"))
    assert "replicas ● delta  ● bravo" in line(on_both, 200)
    assert "replicas" not in line(FOUND, 200)


NAMES = ("delta", "alpha", "bravo", "charlie")
OLD = ReplicaCopy("alpha", answers=True, current=True, version=1_230)
BEHIND = ReplicaCopy("bravo", answers=True, current=False, version=None)
DOWN = ReplicaCopy("charlie", answers=False, current=False, version=None)
TROUBLED = replace(
    FOUND,
    replicas=("delta", "alpha", "bravo", "charlie"),
    copies=(COPY, OLD, BEHIND, DOWN),
    ttl=31.6,
)


def test_replicas_are_told_with_what_keeps_them_from_counting() -> None:
    shown = line(TROUBLED, 200)
    assert (
        "replicas ● delta  ! alpha has version 1,230  ○ bravo behind  ✖ charlie no answer" in shown
    )
    drawn = lookup_line(TROUBLED, MARKS, 200, DARK)
    cells, start = cells_of(drawn), drawn.plain.index("replicas")
    colours = {name: cells[0, drawn.plain.index(name, start)].style.color for name in NAMES}
    plain = cells[0, drawn.plain.index("1,234")].style.color
    warning, bad = (DARK.tone(tone).color for tone in (Tone.WARNING, Tone.BAD))
    assert colours == {"delta": plain, "alpha": warning, "bravo": warning, "charlie": bad}
    # What is not as it should be is not what makes room.
    assert "✖ charlie no answer" in line(TROUBLED, 120)
    lines = lines_of(lookup_lines(TROUBLED, MARKS, 60, DARK))
    first = lines.index("replicas  ● d delta  version 1,234, current")
    assert lines[first + 1 : first + 4] == [
        "          ! a alpha  version 1,230, differs",
        "          ○ b bravo  no record, behind",
        "          ✖ c charlie  no answer",
    ]


@pytest.mark.parametrize(
    ("ttl", "words"), [(3_725.0, "1 h 2 min"), (31.6, "32 s"), (9.96, "10.0 s"), (0.02, "0.0 s")]
)
def test_the_time_left_is_counted_down(ttl: float, words: str) -> None:
    expiring = replace(FOUND, ttl=ttl)
    assert f"  ttl {words}  " in line(expiring)
    assert f"ttl {words}" in line(expiring, 60)
    assert f"expires   in {words}" in lines_of(lookup_lines(expiring, MARKS, 60, DARK))
    assert "ttl" not in line(FOUND)


def test_a_key_that_nobody_can_answer_for_is_not_called_missing() -> None:
    lost = replace(MISSING, copies=(replace(DOWN, server_id="delta"),))
    assert line(lost).endswith("✖ no replica that is up to date answers")
    assert "missing" not in line(lost)
    lines = lines_of(lookup_lines(lost, MARKS, 60, DARK))
    assert "value     unknown: no replica that is up to date answers" in lines
    # One that is back, and has caught up, knows that it has nothing.
    back = replace(lost, copies=(replace(COPY, version=None),))
    assert line(back).endswith("missing")


def test_several_lines_say_all_of_it() -> None:
    assert lines_of(lookup_lines(FOUND, MARKS, 60, DARK)) == [
        "key       user:1001",
        "position  0x9a98bfc0, 60.4 % round the ring",
        "vnode     delta#37 at 0x9ac7f81a",
        "primary   d delta",
        "replicas  ● d delta  version 1,234, current",
        'value     "John Doe" (8 characters)',
        "version   1,234",
        "epoch     7",
    ]


def test_several_lines_say_what_a_miss_has() -> None:
    lines = lines_of(lookup_lines(MISSING, MARKS, 60, DARK))
    assert "replicas  ● d delta  no record, current" in lines
    assert "value     none: the key does not exist" in lines
    assert not any(line.startswith("version") for line in lines)


def test_the_primary_has_its_colour() -> None:
    cells = cells_of(lookup_line(FOUND, MARKS, 120, DARK))
    shown = line(FOUND)
    start = shown.index("d delta")
    assert colour_of(cells[0, start]) == DARK.server_colours[MARKS["delta"].colour]


def test_a_server_that_has_left_is_named_without_a_letter() -> None:
    assert "→ delta  " in lookup_line(FOUND, {}, 120, DARK).plain


def test_an_error_says_what_is_wrong() -> None:
    with pytest.raises(InvalidKeyError) as caught:
        store_with().explain("")
    assert line(caught.value) == "✖ a key must not be empty"
    assert lookup_lines(caught.value, MARKS, 80, ASCII).plain == "x a key must not be empty"
    with pytest.raises(StoreError) as empty:
        KeyValueStore().explain("user:1")
    assert "the ring has no server" in line(empty.value)


def test_bytes_are_shown_as_bytes() -> None:
    raw = replace(FOUND, value=b"\x00\xffPNG\x1b[2J")
    assert r"b'\x00\xffPNG\x1b[2J'" in line(raw)
    assert "(9 B)" in lookup_lines(raw, MARKS, 80, DARK).plain


@pytest.mark.parametrize("width", [1, 12, 30, 50, 80, 200])
@pytest.mark.parametrize("text", [*HOSTILE, "😀" * 256, "x" * 100_000])
def test_keys_and_values_stay_plain_and_within_the_width(text: str, width: int) -> None:
    result = replace(
        FOUND,
        key=text,
        value=text,
        moving_to=text,
        vnode=FOUND.vnode._replace(server_id=text),
        primary=text,
        replicas=(text, "alpha"),
        copies=(ReplicaCopy(text, answers=True, current=True, version=7),),
    )
    drawings: list[Text] = [
        lookup_line(result, MARKS, width, DARK),
        lookup_lines(result, MARKS, max(width, 20), DARK),
        lookup_line(InvalidKeyError(text), MARKS, width, DARK),
    ]
    for drawn, most in zip(drawings, (width, max(width, 20), width), strict=True):
        assert max(cell_len(shown) for shown in lines_of(drawn)) <= most
        assert all(shown.isprintable() for shown in lines_of(drawn))
        assert "click" not in "".join(str(span.style) for span in drawn.spans)
        assert not any(
            span.style.meta or span.style.link
            for span in drawn.spans
            if not isinstance(span.style, str)
        )


def test_in_ascii_everything_is_ascii() -> None:
    result = replace(FOUND, key="漢字", value="😀 …", moving_to="bravo")
    for drawn in (lookup_line(result, MARKS, 120, ASCII), lookup_lines(result, MARKS, 80, ASCII)):
        assert drawn.plain.isascii()
    assert '"?? >"' in lookup_line(result, MARKS, 120, ASCII).plain


def test_a_real_lookup_of_a_real_store_reads_well() -> None:
    store = store_with()
    filled(store, 10)
    found = store.explain("user:3")
    shown = line(found)
    assert shown.startswith("user:3  → ")
    assert f"0x{found.position:08x}" in shown
    assert f"vnode {found.vnode.server_id}#{found.vnode.number}" in shown
    assert shown.endswith('"value 3"')
