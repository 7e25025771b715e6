"""What a server on disk keeps when its process is killed, and when its disk is full."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core import DiskFullError, Entry, ManualClock, RocksDBServer, StorageError
from core.record import NEVER_EXPIRES, Record
from core.ring import position_of
from core.stripes import LAST_POSITION

ROOT = Path(__file__).parents[3]

# Writes values, lists, expiries and tombstones, and says after each what was acknowledged.
WRITER = """
import sys
from core import Entry, Record, RocksDBServer
from core.ring import position_of

directory, sync, start = sys.argv[1:]
server = RocksDBServer("alpha", directory, sync=sync)
version = int(start)
while True:
    version += 1
    key = f"key-{version % 200}"
    value = None if version % 7 == 0 else "v" * (version % 900)
    expires_at = 5 if value and version % 5 == 0 else 0
    one = Entry(position_of(key), key, Record(value, version, expires_at))
    if version % 11:
        server.apply(one)
    else:
        pair = f"pair-{version % 3}"
        other = Entry(position_of(pair), pair, Record("pair", version, 0))
        server.apply_many([one, other])
    sys.stdout.write(f"{version}\\n")
    sys.stdout.flush()
"""


def expected(version: int) -> tuple[str, str | None]:
    return f"key-{version % 200}", None if version % 7 == 0 else "v" * (version % 900)


@pytest.mark.parametrize("sync", ["everysec", "always"])
def test_every_acknowledged_write_survives_a_kill(tmp_path: Path, sync: str) -> None:
    last = 0
    for cycle in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "alpha"), sync, str(last)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert writer.stdout is not None
        for line in writer.stdout:
            last = int(line)
            if last % 1_000 > 300 + 137 * cycle:
                writer.send_signal(signal.SIGKILL)
                break
        for line in writer.stdout:
            if line.endswith("\n"):
                last = int(line)
        writer.wait()
        writer.stdout.close()
        server = RocksDBServer("alpha", tmp_path / "alpha")
        # One more write may have been made than was told: of the key before the first of these.
        for version in range(max(1, last - 198), last + 1):
            key, value = expected(version)
            record = server.get(position_of(key), key)
            if value is None:
                assert record is None
            else:
                assert record is not None
                assert (record.value, record.version) == (value, version)
        assert server.corrupt_keys(0, LAST_POSITION) == []
        assert server.count() == len(server.scan(0, LAST_POSITION))
        server.close()
        last += 1_000 - last % 1_000  # so that versions grow


FULL = """
import os, resource, signal, sys
from core import DiskFullError, Entry, ManualClock, Record, RocksDBServer
from core.ring import position_of

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
clock = ManualClock(now_ms=1_000)
server = RocksDBServer("alpha", sys.argv[1], sync=sys.argv[2], clock=clock)

def write(number):
    key = f"key-{number}"
    value = (f"{number} " * 1000)[:1000]
    return server.apply(Entry(position_of(key), key, Record(value, number + 1, 0)))

def check(written):
    for number in range(written):
        key = f"key-{number}"
        record = server.get(position_of(key), key)
        assert record is not None and record.version == number + 1, number
    assert server.count() == written, (server.count(), written)

written = 0
for cycle in range(3):
    largest = max(file.stat().st_size for file in server.path.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 300_000, resource.RLIM_INFINITY))
    try:
        for _ in range(5_000):
            assert write(written) == 1
            written += 1
        raise SystemExit("the disk was never full")
    except DiskFullError as error:
        message = str(error)
    assert "alpha" in message and "make room" in message and sys.argv[1] not in message, message
    check(written)
    for attempt in (write, lambda _: server.sync()):
        clock.advance(2)
        try:
            attempt(written)
            raise SystemExit("a full disk took a write")
        except DiskFullError:
            pass
    check(written)
    assert len(server.scan(0, 2**32 - 1)) == written
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        write(written)
        raise SystemExit("it tried again too early")
    except DiskFullError:
        pass
    clock.advance(2)
    if cycle % 2:
        server.sync()
    change = write(written)  # 0: the write that failed was in the log
    assert change in (1, None), change
    written += 1
    check(written)
server.close()
server = RocksDBServer("alpha", sys.argv[1])
check(written)
print("recovered", written)
"""


@pytest.mark.parametrize("sync", ["everysec", "always"])
def test_a_full_disk_refuses_writes_and_recovers_when_there_is_space(
    tmp_path: Path, sync: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "alpha"), sync],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert run.stdout.startswith("recovered"), run.stdout + run.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB, where the tests may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_file_system_that_is_full_refuses_writes_and_recovers(small_disk: Path) -> None:
    clock = ManualClock(now_ms=1_000)
    server = RocksDBServer("alpha", small_disk / "alpha", clock=clock)
    ballast = small_disk / "ballast"
    server.apply(entry("first", 1))
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    written = 0
    with suppress(DiskFullError):
        while True:
            server.apply(entry(f"key-{written}", written + 1))
            written += 1
    with pytest.raises(DiskFullError, match="make room"):
        server.sync()
    assert server.count() == written + 1
    assert server.get(position_of("first"), "first") is not None
    ballast.unlink()
    deadline = time.monotonic() + 60  # RocksDB looks at a full disk every few seconds
    while True:
        clock.advance(2)
        try:
            server.sync()
            break
        except StorageError:
            assert time.monotonic() < deadline
    for number in range(written + 100):
        server.apply(entry(f"key-{number}", number + 1))
    server.close()
    server = RocksDBServer("alpha", small_disk / "alpha")
    assert server.count() == len(server.scan(0, LAST_POSITION)) == written + 101
    server.close()


def entry(key: str, version: int) -> Entry:
    return Entry(position_of(key), key, Record("v" * 1_000, version, NEVER_EXPIRES))


def test_too_many_open_files_are_a_storage_error_that_says_so(tmp_path: Path) -> None:
    program = """
import resource, sys
from core import RocksDBServer, StorageError
RocksDBServer("first", sys.argv[1] + "/first").destroy()  # what is imported is open by now
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
servers = []
try:
    for number in range(20):
        servers.append(RocksDBServer("alpha", f"{sys.argv[1]}/{number}"))
except StorageError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "ulimit -n" in run.stdout, run.stdout + run.stderr


@pytest.mark.parametrize("kind", range(256))
def test_a_log_is_read_to_its_torn_end_whatever_is_there(tmp_path: Path, kind: int) -> None:
    server = RocksDBServer("alpha", tmp_path / "alpha")
    entries = [
        Entry(number, f"key {number}", Record("value", number + 1, 0)) for number in range(5)
    ]
    server.apply_many(entries)
    server.sync()
    torn = tmp_path / "torn"
    shutil.copytree(server.path, torn, ignore=shutil.ignore_patterns("LOG*"))
    server.close()
    (log,) = torn.glob("*.log")
    with log.open("ab") as file:
        file.write(b"sums" + struct.pack("<HB", 20 + 150 * (kind % 300), kind) + bytes(90))
    again = RocksDBServer("alpha", torn)
    assert again.scan(0, LAST_POSITION) == entries
    again.close()
