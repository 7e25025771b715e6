"""What a crash would mean is said in full, the worst first."""

from dataclasses import replace

import pytest

from core import CrashPreview
from tests.tui.renderables.support import cells_of, colour_of, lines_of, marks_of
from tui.renderables.crash import draw_crash
from tui.renderables.look import DARK

ASCII = replace(DARK, ascii_only=True)
LOST = "✖ 2,503 keys have no other replica and will be lost."
REFUSED = "✖ 7 keys can't be written until it is back."
LEFT = "○ 10,102 keys will have one replica less."


@pytest.mark.parametrize(
    ("lost", "left", "refused", "said"),
    [
        (2_503, 10_102, 7, [LOST, REFUSED, LEFT]),
        (2_503, 0, 0, [LOST]),
        (0, 10_102, 0, [LEFT, "● No key is lost: others hold them all."]),
        (0, 0, 0, ["No key is on it."]),
        (1, 0, 0, ["✖ 1 key has no other replica and will be lost."]),
    ],
)
def test_it_says_what_would_be_lost_blocked_and_left(
    lost: int, left: int, refused: int, said: list[str]
) -> None:
    lines = lines_of(draw_crash(CrashPreview("delta", lost, left, refused), DARK))
    assert lines[0].startswith("Crash delta: it stops answering at once")
    assert lines[2:] == said


@pytest.mark.parametrize(
    ("preview", "said"),
    [
        (
            CrashPreview("delta", 0, 10_102, 7, keys_waiting=2_503, on_disk=True),
            [
                "✖ 2,503 keys can't be read or written until it is back.",
                REFUSED,
                LEFT,
                "● Nothing is lost: recovering it takes only what it has missed.",
            ],
        ),
        (CrashPreview("delta", 0, 0, 0, on_disk=True), ["No key is on it."]),
    ],
)
def test_a_disk_keeps_what_the_server_holds(preview: CrashPreview, said: list[str]) -> None:
    lines = lines_of(draw_crash(preview, DARK))
    assert lines[0] == "Crash delta: it stops answering at once, and its disk keeps what it holds."
    assert lines[2:] == said


def test_a_loss_is_red_and_the_server_has_its_colour() -> None:
    mark = marks_of("delta")["delta"]
    cells = cells_of(draw_crash(CrashPreview("delta", 5, 0, 0), DARK, mark))
    assert colour_of(cells[2, 0]) == DARK.bad
    assert colour_of(cells[0, len("Crash ")]) == DARK.server_colours[mark.colour]


def test_in_ascii_everything_is_ascii() -> None:
    assert draw_crash(CrashPreview("delta", 5, 6, 7), ASCII).plain.isascii()
