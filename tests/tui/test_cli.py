"""Each command does what its help says, and wrong arguments are one clear line."""

import json
from pathlib import Path

import pytest

from core import __version__
from core.safe_text import quoted
from tests.tui.command_line import Outcome, inside
from tui.cli import ringtop

Capture = pytest.CaptureFixture[str]
COMMANDS: tuple[list[str], ...] = ([], ["plan"], ["bench"])


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every test see the same terminal: none, in UTF-8, and none of the user's wishes."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "_RINGTOP_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tui.cli.needs_ascii", lambda: False)


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--servers", "0"], "'0' servers: from 1 to 500"),
        (["--servers", "-1"], "'-1' servers: from 1 to 500"),
        (["--servers", "501"], "'501' servers: from 1 to 500"),
        (["--servers", "9" * 5_000], "servers: from 1 to 500"),
        (["--servers", "a,b,a"], "a is there twice"),
        (["--servers", "a,,b"], "server id '' is not allowed: 1 to 64 of A-Z a-z 0-9 . _ - :"),
        (["--servers", "a,\x1b[2J"], r"server id '\x1b[2J' is not allowed"),
        (["--servers", "a=x"], "the weight 'x' is no number"),
        (["--once", "--servers", "a=-1"], "a weight must be above 0"),
        (["--once", "--servers", "a=nan"], "a weight must be above 0"),
        (["--virtual-nodes", "0"], "'--virtual-nodes': 0 is not in the range"),
        (["--placement", "even"], "'even' is neither random nor balanced"),
        (["plan", "--add", "x", "--placement", "x\x1b"], r"'x\x1b' is neither random nor balanced"),
        (["bench", "--placement", ""], "'' is neither random nor balanced"),
        (["--keys", "0"], "'--keys': 0 is not in the range"),
        (["--keys", "many"], "'--keys': 'many' is not a valid integer"),
        (["--threads", "65"], "'--threads': 65 is not in the range"),
        (["--rate", "0"], "'0' is neither max nor a number from 0.001 to 1,000,000"),
        (["--rate", "nan"], "'nan' is neither max nor a number"),
        (["--rate", "fast"], "'fast' is neither max nor a number"),
        (["--workload", "G"], "'G' is none of A, B, C, D, E, F"),
        (["--seed", "x"], "'--seed': 'x' is not a valid integer"),
        (["--bind", "add_server"], "'add_server' is not ACTION=KEY"),
        (["--bind", "fly=f"], "no action is called 'fly'"),
        (["--bind", "add_server=q"], "'q' can't be both"),
        (["--bind", "add_server=crtl+n"], "'crtl+n' is no key"),
        (["--refresh", "0"], "'--refresh': 0.0 is not in the range"),
        (["--keys-per-second", "0"], "'--keys-per-second': 0.0 is not in the range"),
        (["--refresh", "nan"], "'--refresh': 'nan' is not a finite number"),
        (["--keys-per-second", "nan"], "'--keys-per-second': 'nan' is not a finite number"),
        (["--keys-per-second", "inf"], "'--keys-per-second': 'inf' is not a finite number"),
        (["--frob\x1b"], r"--frob\x1b"),
        (["frob"], "No such command 'frob'"),
        (["--once", "--keys", "7", "--keys-from", "x"], "--keys makes sample keys"),
        (
            ["--servers", "3", "plan", "--add", "x"],
            "options go behind the command: ringtop plan [OPTIONS]",
        ),
        (["plan"], "give either --add ID or --remove ID"),
        (["plan", "--add", "x", "--remove", "alpha"], "give either --add ID or --remove ID"),
        (["plan", "--add", "a/b"], "server id 'a/b' is not allowed"),
        (["plan", "--add", "alpha"], "alpha is among --servers already"),
        (["plan", "--remove", "z"], "'z' is not among --servers"),
        (["plan", "--remove", "z\x1b"], r"'z\x1b' is not allowed"),
        (["plan", "--servers", "a", "--remove", "a"], "a is the only server: its 20,000 keys"),
        (["plan", "--remove", "alpha", "--weight", "2"], "--weight is that of the server to --add"),
        (["plan", "--add", "x", "--weight", "0"], "a weight must be above 0"),
        (["plan", "--add", "x", "--keys", "5", "--keys-from", "y"], "--keys makes sample keys"),
        (["bench", "--seconds", "0"], "'--seconds': 0.0 is not in the range"),
        (["bench", "--seconds", "nan"], "'--seconds': 'nan' is not a finite number"),
        (["bench", "--operations", "0"], "'--operations': 0 is not in the range"),
        (["bench", "--value-size", "0"], "'--value-size': 0 is not in the range"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(
    capsys: Capture, arguments: list[str], line: str
) -> None:
    outcome = inside(capsys, *arguments)
    assert outcome.status == 2
    assert outcome.output == ""
    assert len(outcome.message_lines) == 1
    assert outcome.message_lines[0].startswith("ringtop: ")
    assert outcome.message_lines[0].endswith(" --help)")
    assert line in outcome.message_lines[0]
    assert outcome.message_lines[0].isprintable()


def test_a_wrong_change_is_told_before_any_key_is_read(capsys: Capture, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    outcome = inside(capsys, "plan", "--add", "alpha", "--keys-from", missing)
    assert "alpha is among --servers already" in outcome.messages


@pytest.mark.parametrize("arguments", [["--once"], ["--json"], ["plan", "--add", "x"]])
def test_a_file_that_cannot_be_read_is_one_line_and_status_2(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = inside(capsys, *arguments, "--keys-from", "missing")
    assert outcome == Outcome(
        2, "", "ringtop: can't read keys from 'missing': No such file or directory\n"
    )


@pytest.mark.parametrize("arguments", [["--once"], ["plan", "--add", "x", "--json"]])
def test_a_bad_line_is_fatal_only_when_strict(
    capsys: Capture, tmp_path: Path, arguments: list[str]
) -> None:
    source = written(tmp_path / "keys", "a\n\nb\n")
    lenient = inside(capsys, *arguments, "--keys-from", source)
    assert lenient.status == 0
    assert lenient.message_lines[0] == "ringtop: line 2: the line is empty"
    assert lenient.message_lines[1].startswith(
        f"ringtop: 2 keys from {quoted(str(source))}: 3 lines, "
    )
    strict = inside(capsys, *arguments, "--keys-from", source, "--strict")
    assert strict == Outcome(1, "", f"ringtop: {quoted(str(source))}, line 2: the line is empty\n")


# Help and version


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_help_is_ascii_has_examples_and_fits_a_terminal(
    capsys: Capture, command: list[str], option: str
) -> None:
    outcome = inside(capsys, *command, option)
    assert outcome.status == 0
    assert outcome.messages == ""
    assert outcome.output.isascii()
    assert "Examples:\n" in outcome.output
    assert "Fields of --json:\n" in outcome.output
    assert max(map(len, outcome.output.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help(command: list[str]) -> None:
    found = ringtop if not command else ringtop.commands[command[0]]
    for param in found.params:
        assert getattr(param, "help", None), f"{param.name} has no help"


def test_the_version_is_the_package_s(capsys: Capture) -> None:
    assert inside(capsys, "--version") == Outcome(0, f"ringtop {__version__}\n", "")


def test_the_examples_of_the_help_are_commands_that_there_are() -> None:
    for command in COMMANDS:
        found = ringtop if not command else ringtop.commands[command[0]]
        examples = (found.help or "").partition("Examples:\n")[2].splitlines()
        for example in examples:
            words = example.partition("ringtop ")[2].partition("  ")[0].partition(" |")[0].split()
            if "--help" in words:
                continue
            with ringtop.make_context("ringtop", words, resilient_parsing=True):
                pass
            for word in words:
                if word.startswith("--"):
                    assert any(
                        word in param.opts
                        for known in (ringtop, *ringtop.commands.values())
                        for param in known.params
                    ), word


# What the commands print


def test_a_plan_tells_whose_keys_were_counted(capsys: Capture, tmp_path: Path) -> None:
    sample = inside(capsys, "plan", "--add", "echo", "--keys", "1000")
    assert sample.status == 0
    assert sample.messages == ""
    assert sample.output.startswith("Add echo: ")
    assert sample.output.endswith(
        "\nCounted with 1,000 keys made up as a sample; --keys-from counts yours.\n"
    )
    source = written(tmp_path / "keys", "".join(f"user:{number}\n" for number in range(300)))
    own = inside(capsys, "plan", "--add", "echo", "--keys-from", source)
    assert own.output.endswith(
        f"\nCounted with 300 keys from {quoted(str(source))}; the sizes are those of its lines.\n"
    )


def test_a_plan_counts_the_very_keys_that_were_given(capsys: Capture, tmp_path: Path) -> None:
    keys = [f"user:{number}" for number in range(2_000)]
    source = written(tmp_path / "keys", "\n".join(keys))
    arguments = ("plan", "--servers", "a,b=2,c", "--add", "d", "--weight", "1.5", "--json")
    document = json.loads(inside(capsys, *arguments, "--keys-from", source).output)

    # The same by another way: where each key is without the server, and where with it.
    from core import HashRing

    before, after = HashRing(), HashRing()
    for ring in (before, after):
        ring.add_server("a")
        ring.add_server("b", 2.0)
        ring.add_server("c")
    after.add_server("d", 1.5)
    moved = [
        key for key in keys if before.view.server_for_key(key) != after.view.server_for_key(key)
    ]
    assert document["total_keys"] == len(keys)
    assert document["keys_moved"] == len(moved)
    assert document["bytes_moved"] == sum(map(len, moved))
    assert document["weight"] == 1.5
    assert document["keys_from"] == "file"


def test_a_plan_of_a_balanced_ring_is_that_of_servers_in_the_order_given(
    capsys: Capture, tmp_path: Path
) -> None:
    keys = [f"user:{number}" for number in range(2_000)]
    source = written(tmp_path / "keys", "\n".join(keys))
    arguments = ("plan", "--servers", "b,a", "--add", "c", "--placement", "balanced", "--json")
    document = json.loads(inside(capsys, *arguments, "--keys-from", source).output)

    from core import HashRing

    ring = HashRing(placement="balanced")
    ring.add_server("b")
    ring.add_server("a")
    before = {key: ring.view.server_for_key(key) for key in keys}
    ring.add_server("c")
    moved = sum(ring.view.server_for_key(key) != before[key] for key in keys)
    assert document["keys_moved"] == moved


def test_json_and_the_bench_take_a_balanced_placement(capsys: Capture) -> None:
    arguments = ("--servers", "10", "--placement", "Balanced", "--keys", "50", "--json")
    seen = json.loads(inside(capsys, "--no-load", *arguments).output)
    assert seen["placement"] == "balanced"
    assert [server["share"] for server in seen["servers"]] == pytest.approx([0.1] * 10, rel=0.001)
    assert [server["vnodes"] for server in seen["servers"]] == [150] * 10
    measured = json.loads(inside(capsys, "bench", "--operations", "9", *arguments).output)
    assert measured["placement"] == "balanced"
    random = json.loads(inside(capsys, "--no-load", "--keys", "50", "--json").output)
    assert random["placement"] == "random"


def test_a_removal_is_planned_too(capsys: Capture) -> None:
    outcome = inside(capsys, "plan", "--servers", "3", "--remove", "bravo", "--keys", "100")
    assert outcome.output.startswith("Remove bravo: ")
    assert "bravo → alpha " in " ".join(outcome.output.split())


def test_once_prints_one_picture(capsys: Capture) -> None:
    outcome = inside(capsys, "--once", "--no-load", "--servers", "node1,node2", "--keys", "500")
    assert outcome.status == 0
    assert outcome.messages == ""
    assert "\x1b" not in outcome.output
    lines = outcome.output.splitlines()
    assert lines[0].startswith("ringtop  ● 2 up  N=1 strong  500 keys")
    assert max(map(len, lines)) <= 100
    for words in ("node1", "node2", "Keys", "Load", "Events", "joined"):
        assert words in outcome.output


@pytest.mark.parametrize(("placement", "shown"), [("balanced", True), ("random", False)])
def test_once_tells_a_ring_whose_points_are_chosen(
    capsys: Capture, placement: str, shown: bool
) -> None:
    outcome = inside(
        capsys, "--once", "--no-load", "--servers", "4", "--keys", "500", "--placement", placement
    )
    assert (" balanced" in outcome.output.splitlines()[0]) is shown


def test_json_goes_before_once(capsys: Capture) -> None:
    outcome = inside(capsys, "--once", "--json", "--no-load", "--keys", "50")
    assert json.loads(outcome.output)["total_keys"] == 50


def test_sample_keys_are_the_load_s(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.observation._LOOK_SECONDS", 0.3)
    document = json.loads(
        inside(capsys, "--json", "--keys", "300", "--threads", "2", "--workload", "c").output
    )
    load = document["load"]
    assert document["total_keys"] == load["keys"] == 300
    assert (load["state"], load["workload"], load["threads"]) == ("running", "C", 2)
    assert load["rate_per_thread"] == 500.0
    assert load["operations"] > 0
    assert load["misses"] == load["failed_operations"] == 0


def test_own_keys_are_alone_unless_a_load_is_asked_for(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.observation._LOOK_SECONDS", 0.1)
    source = written(tmp_path / "keys", "a\nb\tvalue\nc\n")
    alone = json.loads(inside(capsys, "--json", "--keys-from", source).output)
    assert alone["total_keys"] == 3
    assert alone["load"]["state"] == "stopped"
    with_load = json.loads(
        inside(capsys, "--json", "--keys-from", source, "--load", "--keys", "40").output
    )
    assert with_load["total_keys"] == 43
    assert with_load["load"]["state"] == "running"


def test_no_load_leaves_the_sample_keys(capsys: Capture) -> None:
    document = json.loads(inside(capsys, "--json", "--no-load", "--keys", "60").output)
    assert document["total_keys"] == 60
    assert document["load"]["state"] == "stopped"


def test_the_same_seed_makes_the_same_store(capsys: Capture) -> None:
    def counts(seed: str) -> list[int]:
        document = json.loads(
            inside(capsys, "--json", "--no-load", "--keys", "200", "--seed", seed).output
        )
        return [server["keys"] for server in document["servers"]]

    assert counts("1") == counts("1")


def test_a_bench_prints_what_it_measured(capsys: Capture) -> None:
    outcome = inside(capsys, "bench", "--operations", "300", "--keys", "100", "--threads", "2")
    assert outcome.status == 0
    assert outcome.messages == ""
    assert outcome.output.startswith("YCSB B  Read mostly")
    assert "2 threads, unpaced" in outcome.output
    assert "no errors" in outcome.output


def test_a_bench_with_errors_has_status_1(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from core import NoServersError
    from core.workload.operations import TimedOperations

    def failing(_self: TimedOperations) -> int:
        raise NoServersError

    monkeypatch.setattr(TimedOperations, "_read", failing)
    arguments = ("bench", "--seconds", "0.2", "--keys", "10", "--workload", "A")
    outcome = inside(capsys, *arguments, "--json")
    assert outcome.status == 1
    assert json.loads(outcome.output)["errors"]["NoServersError"] > 0
    assert inside(capsys, *arguments).status == 1


# ASCII and colours


@pytest.mark.parametrize(
    "arguments",
    [
        ["--once", "--no-load", "--keys", "50"],
        ["plan", "--add", "echo", "--keys", "50"],
        ["bench", "--operations", "1", "--keys", "1"],
    ],
)
def test_ascii_is_all_that_is_printed_when_it_is_asked_for(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    assert not inside(capsys, *arguments).output.isascii()
    assert inside(capsys, *arguments, "--ascii").output.isascii()
    monkeypatch.setattr("tui.cli.needs_ascii", lambda: True)
    assert inside(capsys, *arguments).output.isascii()


def test_colours_are_for_terminals_that_want_them(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("plan", "--add", "echo", "--keys", "50")
    assert "\x1b" not in inside(capsys, *arguments).output
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[34m" in inside(capsys, *arguments).output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in inside(capsys, *arguments).output


def test_without_colours_the_ring_is_made_of_letters(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def braille(text: str) -> bool:
        return any("\u2800" < character <= "\u28ff" for character in text)

    arguments = ("--once", "--no-load", "--keys", "50")
    assert not braille(inside(capsys, *arguments).output)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert braille(inside(capsys, *arguments).output)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not braille(inside(capsys, *arguments).output)


def test_no_message_acts_on_the_terminal(capsys: Capture) -> None:
    for arguments in (["\x1b]52;c;x\x07"], ["--keys-from", "\x1b[2J", "--once"], ["--\u202ex"]):
        outcome = inside(capsys, *arguments)
        assert outcome.status == 2
        assert len(outcome.message_lines) == 1
        assert outcome.message_lines[0].isprintable()


def test_the_shell_can_complete_options(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RINGTOP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "ringtop plan --a")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert inside(capsys).output.splitlines() == ["plain,--add", "plain,--ascii"]


# Replicas


@pytest.mark.parametrize("command", [("--once",), ("--json",), ("plan", "--add", "x"), ("bench",)])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--replicas", "0"), "0 is not in the range 1<=x<=7"),
        (("--replicas", "8"), "8 is not in the range 1<=x<=7"),
        (("--replicas", "many"), "'many' is not a valid integer"),
        (("--consistency", "[/x]\x1b"), r"'[/x]\x1b' is neither strong nor eventual"),
    ],
)
def test_bad_replicas_and_promises_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    option: tuple[str, ...],
    said: str,
) -> None:
    outcome = inside(capsys, *command, *option)
    assert (outcome.status, outcome.output) == (2, "")
    (line,) = outcome.message_lines
    assert said in line


def test_the_replicas_that_were_asked_for_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--replicas", "3", "--consistency", "EVENTUAL", "--keys", "300")
    status, output, messages = inside(capsys, "--json", "--no-load", *options)
    seen = json.loads(output)
    assert (status, messages) == (0, "")
    assert (seen["replication_factor"], seen["consistency"]) == (3, "eventual")
    assert (seen["total_keys"], seen["under_replicated_keys"]) == (300, 0)
    assert "N=3 eventual" in inside(capsys, "--once", "--no-load", *options).output
    plan = inside(capsys, "plan", "--add", "echo", *options).output
    assert " of 900 copies of keys (" in plan
    assert "The bars count each key at its primary." in plan
    planned = json.loads(inside(capsys, "plan", "--add", "echo", "--json", *options).output)
    assert (planned["replication_factor"], planned["keys_lost"]) == (3, 0)
    assert planned["keys_moved"] == sum(given["keys"] for given in planned["transfers"])
    bench = inside(capsys, "bench", "--operations", "50", "--threads", "1", *options).output
    assert "; 3 replicas, eventual" in bench


def test_fewer_servers_than_replicas_work_and_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--servers", "2", "--replicas", "3", "--keys", "50", "--no-load")
    status, output, messages = inside(capsys, "--json", *options)
    assert status == 0
    assert json.loads(output)["under_replicated_keys"] == 50
    assert messages == (
        "ringtop: 2 servers can't hold 3 replicas of a key: each has all the keys until there "
        "are more\n"
    )
