"""The command line as a process: streams, pipes, signals, exit statuses."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.tui.command_line import (
    PATIENCE_SECONDS,
    RINGTOP,
    ROOT,
    as_user,
    begun,
    environment,
)

INTERRUPTED, NOBODY_READS = 130, 141
CURSOR_SHOWN = b"\x1b[?25h"


def finished(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for the end of a process; return its status and what it said on standard error."""
    _, messages = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, (messages or b"").decode()


def read_until(descriptor: int, awaited: bytes) -> bytes:
    """Read from a terminal until something has been written on it."""
    seen = b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while awaited not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([descriptor], [], [], 1.0)[0]:
            seen += os.read(descriptor, 65_536)
    return seen


# Pipes


def test_what_is_printed_can_be_piped() -> None:
    outcome = as_user("--json", "--no-load", "--keys", "10")
    assert outcome.status == 0
    assert outcome.messages == ""
    assert json.loads(outcome.output)["total_keys"] == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "--no-load", "--keys", "10"],
        ["--once", "--no-load", "--keys", "10"],
        ["plan", "--add", "echo", "--keys", "10"],
        ["bench", "--operations", "1", "--keys", "1"],
        ["--help"],
        ["--version"],
    ],
)
def test_nobody_reads_and_nobody_complains(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [*RINGTOP, *arguments],
        cwd=ROOT,
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert finished(process) == (NOBODY_READS, "")


def test_a_reader_that_has_seen_enough_ends_the_pipe() -> None:
    ringtop = " ".join(RINGTOP)
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {ringtop} plan --add x --keys 10 | head -n 1"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.stdout.startswith(b"Add x: ")
    assert ended.stdout.count(b"\n") == 1
    assert ended.stderr == b""
    assert ended.returncode in (0, NOBODY_READS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "--no-load", "--keys", "10"],
        ["plan", "--add", "x", "--keys", "10"],
        ["plan", "--help"],
        ["--version"],
    ],
)
def test_a_full_disk_is_one_line_and_status_1(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(
            [*RINGTOP, *arguments],
            cwd=ROOT,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
        )
        status, messages = finished(process)
    assert status == 1
    assert messages == "ringtop: can't write the output: No space left on device\n"


def test_a_closed_standard_output_is_one_line_and_status_1() -> None:
    ringtop = " ".join(RINGTOP)
    ended = subprocess.run(
        ["bash", "-c", f"{ringtop} --json --no-load --keys 10 >&-"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == b"ringtop: can't write the output: Bad file descriptor\n"


# Standard input


def test_keys_come_in_through_a_pipe_and_figures_go_out() -> None:
    names = [f"user:{number}" for number in range(100_000)]
    fed = "\n".join([*names, "", "user:7"]).encode() + b"\xff\n"
    arguments = ("plan", "--servers", "a,b,c", "--add", "d", "--json", "--keys-from", "-")
    outcome = as_user(*arguments, fed=fed)
    assert outcome.status == 0
    document = json.loads(outcome.output)
    assert document["total_keys"] == 100_000
    assert document["keys_from"] == "standard input"
    assert sum(server["keys_after"] for server in document["servers"]) == 100_000
    lines = outcome.message_lines
    assert lines[:2] == [
        "ringtop: line 100,001: the line is empty",
        "ringtop: line 100,002: not UTF-8: 'user:7\\xff'",
    ]
    assert lines[2].startswith(
        "ringtop: 100,000 keys from standard input: 100,002 lines, 0 repeated, 2 bad, in "
    )
    assert len(lines) == 3


@pytest.mark.soak
def test_a_million_lines_take_little_time_and_memory() -> None:
    import resource

    fed = b"".join(b"user:profile:%d\n" % number for number in range(1_000_000))
    began = time.monotonic()
    outcome = as_user("plan", "--add", "echo", "--json", "--keys-from", "-", fed=fed)
    seconds = time.monotonic() - began
    assert json.loads(outcome.output)["total_keys"] == 1_000_000
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"{seconds:.1f} s, {peak // 1_024} MiB")
    assert seconds < 60
    assert peak < 600 * 1_024


def test_a_closed_standard_input_is_one_line_and_status_2() -> None:
    ringtop = " ".join(RINGTOP)
    ended = subprocess.run(
        ["bash", "-c", f"{ringtop} --json --keys-from - <&-"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == b""
    assert ended.stderr == b"ringtop: can't read keys from standard input: it is closed\n"


# Signals


def test_an_interrupt_while_keys_are_read_is_quiet() -> None:
    process = begun("plan", "--add", "x", "--keys-from", "-")
    assert process.stdin is not None
    # More than a pipe holds: once it is written, the command is reading.
    process.stdin.write(b"user:1\n" * 100_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=PATIENCE_SECONDS)
    assert finished(process) == (INTERRUPTED, "")


def test_progress_is_for_terminals_and_an_interrupt_ends_a_bench_quietly() -> None:
    main_end, terminal = pty.openpty()
    process = subprocess.Popen(
        [*RINGTOP, "bench", "--seconds", "600", "--keys", "10"],
        cwd=ROOT,
        env=environment(TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    assert process.stdout is not None
    try:
        read_until(main_end, b"ops/s")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b""
        assert process.wait(timeout=PATIENCE_SECONDS) == INTERRUPTED
        left = b""
        while select.select([main_end], [], [], 0.2)[0]:
            try:
                left += os.read(main_end, 65_536)
            except OSError:
                break  # how a terminal says that nobody is left
        assert b"Traceback" not in left
        assert CURSOR_SHOWN in left
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(main_end)


def test_an_interrupt_while_the_picture_is_taken_is_quiet() -> None:
    # An empty input that does not end: the command waits for it, then would look for a second.
    process = begun("--once", "--load", "--keys-from", "-")
    assert process.stdin is not None
    process.stdin.write(b"user:1\n" * 100_000)
    process.stdin.close()
    process.stdin = None
    process.send_signal(signal.SIGINT)
    status, messages = finished(process)
    assert status == INTERRUPTED
    assert "Traceback" not in messages


# Without a terminal


@pytest.mark.parametrize("arguments", [[], ["--keys-from", "-"], ["--readonly"]])
def test_the_dashboard_without_a_terminal_is_one_line_and_status_2(arguments: list[str]) -> None:
    outcome = as_user(*arguments, fed=b"user:1\n")
    assert outcome.status == 2
    assert outcome.output == ""
    assert outcome.messages == (
        "ringtop: the dashboard needs a terminal, and standard output is not one: "
        "--once prints one picture of it and --json its figures\n"
    )


def test_the_dashboard_without_a_keyboard_is_one_line_and_status_2() -> None:
    main_end, terminal = pty.openpty()
    # In a session of its own, which has no controlling terminal.
    process = subprocess.Popen(
        [*RINGTOP, "--keys-from", "-"],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=terminal,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(terminal)
    status, messages = finished(process)
    os.close(main_end)
    assert status == 2
    assert messages == (
        "ringtop: the dashboard needs a terminal, and there is none to read keys from: "
        "--once prints one picture of it and --json its figures\n"
    )


# What is imported, and the locale


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--once", "--no-load", "--keys", "10"],
        ["--json", "--no-load", "--keys", "10"],
        ["plan", "--add", "x", "--keys", "10"],
        ["bench", "--operations", "1", "--keys", "1"],
    ],
)
def test_without_a_screen_textual_is_not_imported(arguments: list[str]) -> None:
    program = (
        "import sys; from tui.__main__ import main; status = main(); "
        "sys.exit(status or 'textual' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("variables", "is_ascii"),
    [
        ({"LC_ALL": "C.UTF-8"}, False),
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "C", "PYTHONUTF8": "1"}, True),
        ({"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "latin-1"}, True),
    ],
)
def test_the_output_is_what_the_locale_can_show(variables: dict[str, str], is_ascii: bool) -> None:
    outcome = as_user("plan", "--add", "x", "--keys", "10", variables=environment(**variables))
    assert outcome.status == 0
    assert outcome.output.isascii() is is_ascii


def test_the_width_is_what_columns_says() -> None:
    for columns in (60, 90, 130):
        variables = environment(COLUMNS=str(columns))
        outcome = as_user("--once", "--no-load", "--keys", "10", variables=variables)
        longest = max(map(len, outcome.output.splitlines()))
        assert columns - 20 < longest <= columns


@pytest.mark.parametrize(("columns", "expected"), [(0, 100), (60, 60), (95, 95)])
def test_the_width_is_the_terminal_s_where_it_knows(columns: int, expected: int) -> None:
    main_end, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    process = subprocess.Popen(
        [*RINGTOP, "--once", "--no-load", "--keys", "10"],
        cwd=ROOT,
        env=environment(TERM="dumb"),
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
    )
    os.close(terminal)
    printed = read_until(main_end, b"delta joined: no keys had to move")
    assert process.wait(timeout=PATIENCE_SECONDS) == 0
    os.close(main_end)
    assert expected - 20 < max(map(len, printed.decode().splitlines())) <= expected
