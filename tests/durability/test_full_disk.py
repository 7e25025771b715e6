"""A disk that takes nothing: what is told, what goes on, and what is there afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rocksdict")

from core import DataDirectoryError, KeyValueStore
from tests.verification.seeds import replayable, seeds

ROOT = Path(__file__).parents[2]


def python(*arguments: object) -> str:
    """Run a program, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fill(place: Path, replicas: int, sync: str, seed: int) -> None:
    with replayable(seed):
        directory = place / f"data {seed}"
        assert python("-m", "tests.durability.full_disk", directory, replicas, sync, seed)
        assert python("-m", "tests.durability.full_disk", directory) == "all is there\n"


@pytest.mark.parametrize("sync", ["everysec", "always"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_full_disk_loses_and_tears_nothing_and_all_goes_on_when_there_is_space(
    place: Path, replicas: int, sync: str
) -> None:
    for seed in seeds(2):
        fill(place, replicas, sync, seed)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("sync", ["everysec", "always"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_many_full_disks(place: Path, replicas: int, sync: str) -> None:
    for seed in range(100, 150):
        fill(place, replicas, sync, seed)


FILES = """
import os, resource, sys
from core import KeyValueStore, StoreError

store = KeyValueStore(4, data_dir=sys.argv[1], replication_factor=int(sys.argv[2]))
for server_id in ("alpha", "bravo", "charlie"):
    store.add_server(server_id)
content = {f"key {number}": "value" for number in range(200)}
store.set_many(content)
limit = resource.getrlimit(resource.RLIMIT_NOFILE)
used = max(map(int, os.listdir("/dev/fd"))) + 1
resource.setrlimit(resource.RLIMIT_NOFILE, (used, limit[1]))
for _ in range(3):
    try:
        store.add_server("delta")
        raise SystemExit("a server was opened without files")
    except StoreError as error:
        assert "ulimit -n" in str(error), error
    store.set("key 1", "newer")
    assert store.get("key 2") == "value"
    assert store.get_servers() == ["alpha", "bravo", "charlie"]
    assert store.migration is None
resource.setrlimit(resource.RLIMIT_NOFILE, limit)
store.check_invariants()
assert store.add_server("delta")
store.check_invariants()
assert store.get_many(content) == content | {"key 1": "newer"}
store.close()
print("recovered")
"""


@pytest.mark.parametrize("replicas", [1, 3])
def test_too_many_open_files_refuse_a_server_and_nothing_else(place: Path, replicas: int) -> None:
    assert python("-c", FILES, place / "data", replicas) == "recovered\n"


def test_a_directory_that_can_only_be_read_is_refused_and_left_as_it_is(place: Path) -> None:
    directory = place / "data"
    store = KeyValueStore(data_dir=directory)
    store.add_server("alpha")
    store.set("key", "value")
    store.close()
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}
    with read_only(directory), pytest.raises(DataDirectoryError) as caught:
        KeyValueStore(data_dir=directory)
    assert "--observe" in str(caught.value) or "owner and mode" in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == before
    store = KeyValueStore(data_dir=directory)
    assert store.get("key") == "value"
    store.close()


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Let nothing in a directory be written: by its mode, or for root by how it is mounted."""
    if os.geteuid() != 0:
        paths = [directory, *(path for path in directory.rglob("*") if path.is_dir())]
        for path in paths:
            path.chmod(0o500)
        (directory / "lock").chmod(0o400)
        yield
        for path in paths:
            path.chmod(0o700)
        (directory / "lock").chmod(0o600)
        return
    mounting = ["mount", "--bind", "-o", "ro", str(directory), str(directory)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount, or not to be root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)
