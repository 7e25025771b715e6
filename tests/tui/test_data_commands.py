"""The commands on a data directory do what their help says, and fail as it says."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core import KeyValueStore
from core.servers.record_codec import disk_key_of
from core.servers.rocksdb_server import RocksDBServer
from tests.terminal import Terminal
from tests.tui.command_line import RINGTOP, ROOT, Outcome, as_user, environment, inside
from tui.data_commands import COMMANDS

pytest.importorskip("rocksdict")

Capture = pytest.CaptureFixture[str]
ABSENT, WRONG_ARGUMENTS, REFUSED, FAILED = 1, 2, 3, 4
HOSTILE = "\x1b]52;c;aGk=\x07\u202e\n"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of one server, which RINGTOP_DATA names."""
    path = tmp_path / "data"
    with KeyValueStore(data_dir=path) as store:
        store.add_server("alpha")
    monkeypatch.setenv("RINGTOP_DATA", str(path))
    return path


@pytest.fixture
def replicated(tmp_path: Path, capsys: Capture) -> Path:
    """A data directory with two copies of each key."""
    path = tmp_path / "replicated"
    made = inside(capsys, "--data", str(path), "--servers", "a,b", "--replicas", "2", "--once")
    assert made.status == 0, made.messages
    return path


def damage(path: Path, server_id: str, key: str) -> None:
    """Flip a bit of a record on a server's disk."""
    with KeyValueStore(data_dir=path) as store:
        position = store.explain(key).position
        server = store._shards.replicas[server_id].server
        assert isinstance(server, RocksDBServer)
        database = server._database
        assert database is not None
        disk_key = disk_key_of(position, key)
        raw = database.get("default", disk_key)
        assert raw is not None
        database.put("default", disk_key, raw[:-6] + bytes([raw[-6] ^ 1]) + raw[-5:])


def one_line(outcome: Outcome) -> str:
    assert len(outcome.message_lines) == 1, outcome.messages
    line = outcome.message_lines[0]
    assert line.isprintable()
    assert line.startswith("ringtop: ")
    return line


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_the_help_says_what_the_exit_statuses_are_and_fits_a_terminal(
    capsys: Capture, command: str
) -> None:
    outcome = inside(capsys, command, "--help")
    assert (outcome.status, outcome.messages) == (0, "")
    assert outcome.output.isascii()
    assert max(map(len, outcome.output.splitlines())) <= 80
    assert "Exit status: 0 done;" in outcome.output
    assert "--data DIR" in outcome.output


# get, set, rm


def test_what_is_set_is_got_by_another_process(data: Path, capsys: Capture) -> None:
    assert inside(capsys, "set", "user:1", "John Doe") == Outcome(0, "", "")
    assert as_user("get", "user:1") == Outcome(0, "John Doe", "")


def test_an_absent_key_is_status_1_and_says_nothing(data: Path, capsys: Capture) -> None:
    assert inside(capsys, "get", "nobody") == Outcome(ABSENT, "", "")
    assert inside(capsys, "rm", "nobody") == Outcome(ABSENT, "", "")


def test_bytes_come_out_as_they_are(data: Path, capsys: Capture) -> None:
    content = bytes(range(256))
    with KeyValueStore(data_dir=data) as store:
        store.set("bytes", content)
    got = subprocess.run(
        [*RINGTOP, "get", "bytes"], cwd=ROOT, env=environment(), capture_output=True, check=True
    )
    assert got.stdout == content


def test_a_time_to_live_is_kept(data: Path, capsys: Capture) -> None:
    inside(capsys, "set", "short", "lived", "--ttl", "1000")
    with KeyValueStore(data_dir=data) as store:
        ttl = store.ttl("short")
    assert ttl is not None
    assert 900 < ttl <= 1_000


def test_a_removed_key_is_gone(data: Path, capsys: Capture) -> None:
    inside(capsys, "set", "a", "1")
    assert inside(capsys, "rm", "a") == Outcome(0, "", "")
    assert inside(capsys, "get", "a").status == ABSENT


def test_a_prefix_removes_what_begins_so_and_nothing_else(data: Path, capsys: Capture) -> None:
    with KeyValueStore(data_dir=data) as store:
        store.set_many({f"load:user{number}": "x" for number in range(50)} | {"mine": "1"})
    assert "50 keys removed" in one_line(inside(capsys, "rm", "--prefix", "load:"))
    assert inside(capsys, "keys").output == "mine\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["get", ""], "a key must not be empty"),
        (["set", "a", "b", "--ttl", "0"], "seconds must be above 0"),
        (["set", "a", "b", "--ttl", "nan"], "seconds must be above 0"),
        (["rm"], "either a KEY or --prefix P"),
        (["rm", "a", "--prefix", "b"], "either a KEY or --prefix P"),
        (["rm", "--prefix", ""], "would remove every key"),
        (["keys", "--limit", "-1"], "'--limit'"),
        (["export", "/nowhere/file"], "can't write '/nowhere/file'"),
        (["import", "/nowhere/file"], "can't read '/nowhere/file'"),
        (["--keys-from", "x", "--once"], "ringtop import puts them into a data directory"),
    ],
)
def test_wrong_arguments_are_one_line(
    data: Path, capsys: Capture, arguments: list[str], line: str
) -> None:
    outcome = inside(capsys, *arguments)
    assert outcome.status == WRONG_ARGUMENTS
    assert line in one_line(outcome)


def test_without_a_directory_the_option_is_asked_for(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RINGTOP_DATA", raising=False)
    outcome = inside(capsys, "get", "a")
    assert outcome.status == WRONG_ARGUMENTS
    assert "'--data'" in one_line(outcome)
    assert "give --data too" in one_line(inside(capsys, "--once", "--sync", "always"))


# keys


def test_keys_are_listed_by_prefix_and_limit(data: Path, capsys: Capture) -> None:
    with KeyValueStore(data_dir=data) as store:
        store.set_many({f"{kind}:{number}": "x" for kind in "ab" for number in range(5)})
    assert len(inside(capsys, "keys").output.splitlines()) == 10
    listed = inside(capsys, "keys", "--prefix", "a:").output.splitlines()
    assert sorted(listed) == [f"a:{number}" for number in range(5)]
    assert (
        inside(capsys, "keys", "--prefix", "a:", "--limit", "2").output.splitlines() == listed[:2]
    )


@pytest.mark.parametrize("command", ["get", "keys"])
def test_a_terminal_is_given_no_control_character(data: Path, command: str) -> None:
    with KeyValueStore(data_dir=data) as store:
        store.set(HOSTILE, HOSTILE)
    arguments = ["get", HOSTILE] if command == "get" else ["keys"]
    with Terminal([*CONTROLLING, *arguments], environment={**environment()}) as terminal:
        assert terminal.process.wait(60) == 0
        terminal.wait_for(r"\x1b]52;c;aGk=\x07\u202e\n")
        assert "\x1b" not in terminal.screen.written
        assert "\u202e" not in terminal.screen.written


def test_an_export_goes_where_it_was_sent_though_progress_is_seen(
    data: Path, tmp_path: Path
) -> None:
    with KeyValueStore(data_dir=data) as store:
        store.set_many({f"key {number}": "value" for number in range(500)})
    seen, terminal = pty.openpty()
    with (tmp_path / "backup.jsonl").open("wb") as backup:
        process = subprocess.Popen(
            [*RINGTOP, "export"],
            cwd=ROOT,
            env=environment(TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=backup,
            stderr=terminal,
        )
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # how a terminal says that nobody is left
        while piece := os.read(seen, 65_536):
            shown += piece
    os.close(seen)
    assert process.wait(60) == 0
    lines = (tmp_path / "backup.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["key"] for line in lines) == sorted(
        f"key {number}" for number in range(500)
    )
    assert b"Exporting" in shown
    assert b'"key' not in shown


# Directories that can't be used


def test_a_directory_in_use_names_its_holder(data: Path, capsys: Capture) -> None:
    with KeyValueStore(data_dir=data):
        for arguments in (["get", "a"], ["--once"], ["import", os.devnull]):
            outcome = inside(capsys, *arguments)
            assert outcome.status == REFUSED
            assert f"in use by process {os.getpid()}" in one_line(outcome)


def test_what_is_no_data_directory_is_left_alone(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (tmp_path, tmp_path / "link", tmp_path / "mine"):
        outcome = inside(capsys, "--once", "--data", str(path))
        assert outcome.status == REFUSED
        one_line(outcome)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link", "mine"]


def test_a_mistyped_directory_is_not_made_by_a_write(tmp_path: Path, capsys: Capture) -> None:
    outcome = inside(capsys, "set", "a", "b", "--data", str(tmp_path / "typo"))
    assert outcome.status == REFUSED
    assert "there is no data directory" in one_line(outcome)
    assert not (tmp_path / "typo").exists()


def test_without_its_journal_a_directory_is_refused_and_its_keys_can_be_taken(
    data: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert inside(capsys, "set", "a", "value").status == 0
    (data / "journal").rename(tmp_path / "journal")
    outcome = inside(capsys, "set", "a", "newer")
    assert outcome.status == REFUSED
    assert "export --observe" in one_line(outcome)
    assert json.loads(inside(capsys, "export", "--observe").output) == {
        "key": "a",
        "value": "value",
    }


def test_a_damaged_topology_is_one_line(data: Path, capsys: Capture) -> None:
    topology = data / "topology.json"
    topology.write_bytes(topology.read_bytes()[:-20])
    for arguments in (["keys"], ["--once"]):
        outcome = inside(capsys, *arguments)
        assert outcome.status == REFUSED
        assert "topology.json" in one_line(outcome)


def test_without_the_package_the_extra_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['rocksdict'] = None\n"
        "from tui.__main__ import main\n"
        f"sys.exit(main(['--once', '--data', {str(tmp_path / 'new')!r}]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == REFUSED
    assert 'pip install "ringtop[durable]"' in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_commands_on_a_store_in_memory_never_import_the_engine() -> None:
    program = (
        "import sys\nfrom tui.__main__ import main\n"
        "main(['--once', '--no-load', '--keys', '1'])\n"
        "assert 'rocksdict' not in sys.modules and 'textual' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
    )


# The dashboard without its screen


def test_a_new_directory_is_made_with_its_servers(tmp_path: Path, capsys: Capture) -> None:
    path = str(tmp_path / "new")
    arguments = ("--data", path, "--servers", "a=2,b", "--replicas", "2", "--json")
    made = json.loads(inside(capsys, *arguments).output)
    assert [(server["id"], server["weight"]) for server in made["servers"]] == [("a", 2), ("b", 1)]
    assert made["storage"] == {"path": path, "sync": "everysec", "observing": 0, "trouble": ""}
    assert made["load"]["state"] == "stopped"
    assert made["total_keys"] == 0
    again = inside(capsys, *arguments)
    assert (again.status, again.messages) == (0, "")


def test_an_existing_directory_keeps_its_own_numbers_and_says_so(
    data: Path, capsys: Capture
) -> None:
    arguments = ("--servers", "5", "--replicas", "3", "--virtual-nodes", "9", "--once")
    outcome = inside(capsys, *arguments)
    assert outcome.status == 0
    line = one_line(outcome)
    assert "keeps its 1 server (alpha), 1 replica of each key, 150 virtual nodes a server: " in line
    assert f"data in {data}, everysec" in outcome.output


def test_a_new_directory_is_made_balanced_where_that_is_asked_for(
    tmp_path: Path, capsys: Capture
) -> None:
    arguments = ("--data", str(tmp_path / "new"), "--json")
    wishes = ("--servers", "a=2,b,c,d", "--placement", "balanced")
    made = json.loads(inside(capsys, *arguments, *wishes).output)
    assert made["placement"] == "balanced"
    assert [server["share"] for server in made["servers"]] == pytest.approx([0.4, 0.2, 0.2, 0.2])
    again = inside(capsys, *arguments)
    assert json.loads(again.output)["servers"] == made["servers"]
    assert (again.status, again.messages) == (0, "")
    inside(capsys, *arguments, *wishes)
    seen = inside(capsys, *arguments, "--observe")
    assert json.loads(seen.output)["placement"] == "balanced"


def test_an_existing_directory_keeps_its_placement_and_says_so(data: Path, capsys: Capture) -> None:
    outcome = inside(capsys, "--placement", "balanced", "--json")
    assert one_line(outcome).endswith(
        "this directory keeps its random placement: --placement is for a new one"
    )
    assert json.loads(outcome.output)["placement"] == "random"
    assert inside(capsys, "--placement", "random", "--json").messages == ""


def test_a_wrong_weight_makes_nothing(tmp_path: Path, capsys: Capture) -> None:
    outcome = inside(capsys, "--data", str(tmp_path / "new"), "--servers", "a=-1", "--once")
    assert outcome.status == WRONG_ARGUMENTS
    assert not (tmp_path / "new").exists()


def test_a_load_that_was_asked_for_says_that_its_keys_stay(data: Path, capsys: Capture) -> None:
    outcome = inside(capsys, "--once", "--load", "--keys", "20", "--threads", "1")
    assert "rm --prefix load:" in one_line(outcome)
    assert len(inside(capsys, "keys", "--prefix", "load:").output.splitlines()) >= 20


# export and import


def filled(data: Path) -> dict[str, str | bytes]:
    content: dict[str, str | bytes] = {f"key {number}": f"{number}" * 9 for number in range(300)}
    content |= {"bytes": b"\x00\xff", HOSTILE: HOSTILE, "漢字": "🦊"}
    with KeyValueStore(data_dir=data) as store:
        store.set_many(content)
        store.expire("key 1", 1_000)
        store.set("gone", "x", ttl=0.001)
    return content


def test_an_export_is_imported_as_it_was(data: Path, tmp_path: Path, capsys: Capture) -> None:
    content = filled(data)
    file = tmp_path / "all.jsonl"
    assert "303 keys exported" in one_line(inside(capsys, "export", str(file)))
    assert file.stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    inside(capsys, "--data", str(other), "--servers", "5", "--once")
    assert inside(capsys, "import", str(file), "--data", str(other)).status == 0
    with KeyValueStore(data_dir=data) as before, KeyValueStore(data_dir=other) as after:
        assert {item.key: item.value for item in after.items()} == content
        ttl, ttl_before = after.ttl("key 1"), before.ttl("key 1")
        assert ttl is not None
        assert ttl_before is not None
        assert abs(ttl - ttl_before) < 1


def test_an_export_flows_through_a_pipe(data: Path) -> None:
    filled(data)
    exported = as_user("export", "--prefix", "key")
    assert len(exported.output.splitlines()) == 300
    assert exported.output.isascii()
    assert "300 keys imported" in as_user("import", fed=exported.output.encode()).messages


def test_bad_lines_are_told_and_the_others_stored(data: Path, capsys: Capture) -> None:
    past = int(time.time() * 1_000) - 1
    fed = (
        '{"key": "a", "value": "1"}\nnonsense\n\n'
        f'{{"key": "old", "value": "1", "expires_at_ms": {past}}}\r\n'
        '{"key": "far", "value": "1", "expires_at_ms": 253402300799999}\n'
        '{"key": "b", "value": "2"}'
    )
    outcome = as_user("import", fed=fed.encode())
    assert outcome.status == 1
    assert [line.split(":")[1].strip() for line in outcome.message_lines] == [
        "line 2",
        "line 3",
        "line 5",
        "2 keys imported, 1 expired one left out, 3 bad lines",
    ]
    assert sorted(inside(capsys, "keys").output.split()) == ["a", "b"]


def test_a_strict_import_ends_at_the_first_bad_line(data: Path, capsys: Capture) -> None:
    fed = b'{"key": "a", "value": "1"}\nnonsense\n{"key": "b", "value": "2"}'
    outcome = as_user("import", "--strict", fed=fed)
    assert outcome.status == 1
    assert "line 2: no JSON: 'nonsense'; 1 key before it imported" in one_line(outcome)
    assert inside(capsys, "keys").output == "a\n"


def test_a_line_that_is_too_long_is_passed_over(
    data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.record_files.LONGEST_LINE_BYTES", 100)
    file = tmp_path / "long"
    good = b'{"key": "a", "value": "1"}\n'
    for size in (101, 200, 10_000, 100_000):
        file.write_bytes(good + b"x" * size + b"\n" + good)
        outcome = inside(capsys, "import", str(file))
        assert "line 2: longer than 100 bytes" in outcome.messages
        assert "2 keys imported, 1 bad line" in outcome.messages


def test_an_export_that_fails_leaves_the_one_before(
    data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(data)
    file = tmp_path / "all.jsonl"
    file.write_text("the one before")

    def fails(self: KeyValueStore, prefix: str = "") -> Iterator[object]:
        from core import ServerFailedError

        raise ServerFailedError("alpha", "its disk failed")

    monkeypatch.setattr(KeyValueStore, "items", fails)
    outcome = inside(capsys, "export", str(file))
    assert outcome.status == FAILED
    assert "its disk failed" in one_line(outcome)
    assert file.read_text() == "the one before"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["all.jsonl", "data"]


def test_importing_and_exporting_takes_bounded_memory(data: Path) -> None:
    """200 MB of values go in and out; a process that kept them would not have the room."""
    # Not getrusage: what that returns is no less than what the tests' own process had.
    program = (
        "import pathlib, sys\n"
        "from tui.__main__ import main\n"
        "status = main(sys.argv[1:])\n"
        "lines = pathlib.Path('/proc/self/status').read_text().splitlines()\n"
        "sys.stderr.write(next(line for line in lines if line.startswith('VmHWM')))\n"
        "sys.exit(status)"
    )
    lines = b"".join(
        b'{"key": "key %d", "value": "%s"}\n' % (number, b"x" * 100_000) for number in range(2_000)
    )
    for arguments, fed in ((["import"], lines), (["export"], b"")):
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            env=environment(),
            input=fed,
            capture_output=True,
            check=True,
        )
        peak = int(ended.stderr.decode().rsplit("VmHWM:", 1)[1].split()[0])
        assert peak < 150_000, f"{arguments} took {peak:,} KB"


def test_a_disk_that_gets_full_ends_an_import_where_it_is(
    data: Path, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "large.jsonl"
    with file.open("w") as lines:
        for number in range(500):
            lines.write(f'{{"key": "{number}", "value": "{"x" * 20_000}"}}\n')
    limited = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", *RINGTOP, "import", str(file)]
    ended = subprocess.run(
        limited, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == FAILED, ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "make room" in ended.stderr
    line = re.match(r"ringtop: line (\d+): alpha: ", ended.stderr)
    assert line is not None
    assert ended.stderr.endswith("the lines before are stored\n")
    stored = set(inside(capsys, "keys").output.split())
    assert stored == {str(number) for number in range(int(line[1]) - 1)}


# doctor


def test_a_healthy_directory_has_no_finding(replicated: Path, capsys: Capture) -> None:
    outcome = inside(capsys, "doctor", "--data", str(replicated))
    assert outcome == Outcome(0, "0 keys looked at: nothing wrong\n", "")


def test_a_corrupt_record_is_listed_and_mended_from_a_replica(
    replicated: Path, capsys: Capture
) -> None:
    data = ("--data", str(replicated))
    inside(capsys, "set", HOSTILE, "sound", *data)
    damage(replicated, "a", HOSTILE)
    found = inside(capsys, "doctor", *data)
    assert found.status == 1
    assert r"corrupt: '\x1b]52;c;aGk=\x07\u202e\n' on a; belongs on " in found.output
    assert "nothing was changed" in found.output
    mended = inside(capsys, "doctor", "--repair", "--json", *data)
    assert mended.status == 0
    document = json.loads(mended.output)
    assert document["counts"]["corrupt"] == document["repaired"] == 1
    assert inside(capsys, "doctor", *data).status == 0
    assert inside(capsys, "get", HOSTILE, *data).output == "sound"


def test_what_has_no_other_replica_stays_wrong_until_it_is_written(
    data: Path, capsys: Capture
) -> None:
    inside(capsys, "set", "only", "here")
    damage(data, "alpha", "only")
    got = inside(capsys, "get", "only")
    assert got.status == FAILED
    assert "the record of 'only' is corrupt" in one_line(got)
    outcome = inside(capsys, "doctor", "--repair")
    assert outcome.status == 1
    assert "1 key not repaired" in outcome.output
    exported = inside(capsys, "export")
    assert (exported.status, exported.output) == (1, "")
    assert "1 corrupt record" in exported.messages
    inside(capsys, "set", "only", "new")
    assert inside(capsys, "doctor").status == 0


# A program that is on a terminal of its own.
CONTROLLING = (sys.executable, "-m", "tui")
