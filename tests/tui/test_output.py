"""What is written is safe, whole and in one line where it is to be one line."""

import pytest

from tui.output import notice


def test_a_notice_is_one_safe_line(capsys: pytest.CaptureFixture[str]) -> None:
    notice("line 3: \x1b]52;c;x\x07\nand \u202emore")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "ringtop: line 3: \\x1b]52;c;x\\x07\\nand \\u202emore\n"


def test_a_notice_is_not_longer_than_one_wants_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    notice("x" * 10_000)
    assert len(capsys.readouterr().err) < 500
