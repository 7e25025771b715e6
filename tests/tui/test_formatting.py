"""Numbers, times and outside text, as they are written."""

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tui import formatting

HOSTILE = (
    "[/x]",
    "[@click=app.quit]x",
    "[bold red]loud[/]",
    "\x1b]52;c;aGVsbG8=\x07",
    "a\x1b[2Jb\r\nc",
    "user\u202egpj.exe",
    "\u200bzero\u2066width",
    "\ud800 lone",
    "\ue000\U000e0001\u2028",
    "👨\u200d👩\u200d👧 family",
    "漢字" * 200,
    "😀" * 256,
    "e" + "\u0301" * 500,
)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (999.6, "1.0k"),
        (1_000, "1.0k"),
        (12_412, "12.4k"),
        (99_960, "100k"),
        (123_456, "123k"),
        (999_600, "1.0M"),
        (1_234_567, "1.2M"),
        (5_000_000_000, "5.0G"),
        (-12_412, "-12.4k"),
        (-0.3, "0"),
    ],
)
def test_compact_numbers_keep_about_three_digits(number: float, expected: str) -> None:
    assert formatting.compact(number) == expected


@given(st.floats(min_value=0, max_value=9.9e17))
def test_a_compact_number_never_outgrows_its_column(number: float) -> None:
    assert len(formatting.compact(number)) <= 5


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 ns"),
        (3.1e-7, "310 ns"),
        (9.996e-7, "1 µs"),
        (4e-6, "4 µs"),
        (9.96e-5, "0.10 ms"),
        (0.00031, "0.31 ms"),
        (0.009_996, "10.0 ms"),
        (0.0123, "12.3 ms"),
        (0.09996, "100 ms"),
        (0.123, "123 ms"),
        (0.9996, "1.00 s"),
        (1.204, "1.20 s"),
        (12.3, "12 s"),
        (125, "2 min 5 s"),
    ],
)
def test_a_latency_is_told_in_the_unit_that_fits(seconds: float, expected: str) -> None:
    assert formatting.latency(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (4.2, "4.20 s"),
        (42.4, "42 s"),
        (59.6, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (3_599.9, "1 h 0 min"),
        (11_100, "3 h 5 min"),
        (86_400, "1 d 0 h"),
        (8_640_000, "100 d 0 h"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, expected: str) -> None:
    assert formatting.duration(seconds) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1.0 KiB"),
        (2_411_724, "2.3 MiB"),
        (1_048_575, "1.0 MiB"),
        (120 * 1_024, "120 KiB"),
        (2**60, "1024 PiB"),
    ],
)
def test_bytes_are_told_in_units_of_1024(size: int, expected: str) -> None:
    assert formatting.byte_size(size) == expected


def test_changes_carry_their_sign_and_nothing_has_none() -> None:
    assert [formatting.signed(number) for number in (12, -1_024, 0)] == ["+12", "-1,024", "0"]
    fractions = (0.002, -0.03, 0.0, -0.0001)
    texts = [formatting.signed_percent(fraction) for fraction in fractions]
    assert texts == ["+0.2 %", "-3.0 %", "0.0 %", "0.0 %"]


def test_percents_and_rates_and_counts() -> None:
    assert formatting.percent(0.2468) == "24.7 %"
    assert formatting.percent(1.0, 0) == "100 %"
    assert formatting.rate(12_412) == "12.4k ops/s"
    assert formatting.rate(310, "keys") == "310 keys/s"
    assert formatting.whole(40_212) == "40,212"
    assert formatting.counted(1, "server") == "1 server"
    assert formatting.counted(1_200, "key") == "1,200 keys"


def test_progress_says_a_hundred_only_at_the_end() -> None:
    fractions = (0.0, 0.29, 0.999_9, 1.0)
    assert [formatting.progress(part) for part in fractions] == ["0 %", "29 %", "99 %", "100 %"]


def test_clock_time_is_that_of_the_zone_asked_for() -> None:
    at_ms = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
    assert formatting.clock_time(at_ms, UTC) == "22:13:20"
    assert formatting.clock_time(at_ms, timezone(timedelta(hours=2))) == "00:13:20"


@pytest.mark.parametrize("limit", [1, 2, 7, 40])
@pytest.mark.parametrize("text", HOSTILE)
def test_outside_text_stays_within_its_cells_and_acts_on_nothing(text: str, limit: int) -> None:
    shown = formatting.safe_text(text, limit)
    assert shown.cell_len <= limit
    assert shown.spans == []
    assert shown.plain.isprintable()
    console = Console(width=200, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(shown, end="")
    assert capture.get() == shown.plain


def test_markup_is_shown_as_it_was_typed() -> None:
    assert formatting.safe_text("[@click=app.quit]x", 40).plain == "[@click=app.quit]x"


def test_a_wide_character_counts_two_cells_and_is_never_halved() -> None:
    assert formatting.safe("漢字漢字", 8) == "漢字漢字"
    assert formatting.safe("漢字漢字", 7) == "漢字漢…"
    assert formatting.safe("漢字漢字", 6) == "漢字…"
    assert formatting.safe("漢", 1) == "…"
    assert formatting.safe("漢", 0) == ""


def test_a_cut_never_falls_inside_an_escape() -> None:
    assert formatting.safe("漢字\u202e漢字", 10) == "漢字…"
    assert formatting.safe("漢字\u202e漢字", 11) == "漢字\\u202e…"


@given(st.text(max_size=60), st.integers(min_value=0, max_value=50))
def test_any_text_is_cut_to_its_cells_and_no_shorter_than_it_must(text: str, limit: int) -> None:
    shown = formatting.safe(text, limit)
    assert cell_len(shown) <= limit
    whole_text = formatting.safe(text, 10_000)
    if cell_len(whole_text) <= limit:
        assert shown == whole_text


def test_ascii_keeps_the_cells_and_the_styles_where_they_were() -> None:
    text = Text.assemble("● ", ("漢", "red"), " 4 µs ", ("→", "bold"), "x")
    plain = formatting.to_ascii(text)
    assert plain.plain == "* ?? 4 us >x"
    assert plain.cell_len == text.cell_len
    styled = {plain.plain[span.start : span.end]: span.style for span in plain.spans}
    assert styled == {"??": "red", ">": "bold"}
