"""What is shown of untrusted text is visible, bounded and inert."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.safe_text import visible

HOSTILE = [
    "\x1b]52;c;cGF3bmVk\x07",
    "\x1b[2J",
    "a\u202eb",
    "\ud800",
    "\ue000",
    "\U000e0041",
    "\u2028",
]


@given(st.text(), st.integers(1, 60))
def test_the_result_is_bounded_and_has_no_invisible_character(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    for character in shown:
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize("text", HOSTILE)
def test_what_acts_on_a_terminal_is_spelled_out(text: str) -> None:
    assert "\\" in visible(text)
    visible(text).encode()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), max_size=40))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert visible(text, 40) == text


def test_a_cut_never_falls_inside_an_escape() -> None:
    assert visible("\x1b" * 10, limit=10) == "\\x1b\\x1b…"


def test_a_huge_text_takes_no_longer_than_its_limit() -> None:
    assert visible("x" * 10_000_000, limit=5) == "xxxx…"
