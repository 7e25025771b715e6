"""What counting costs a `get`, against a copy of the store that does not count.

It is the only thing that a `get` does for metrics and events: a number a server, without a lock.
Both are installed from a wheel, and measured in processes of their own that take turns.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.compiled import ROOT, core_is_compiled
from tests.benchmarks.keys import filled_store, random_keys
from tests.benchmarks.measure import Figure, at_most, interleaved

ROUNDS = 7
READING = "def read_directly("
COUNTING = "    route.counters.reads += 1\n"


def figures() -> Iterator[Figure]:
    """Measure and yield the figures."""
    with tempfile.TemporaryDirectory(prefix="ringtop-bench-") as directory:
        work = Path(directory)
        counting = _installed(work / "counting", counts=True)
        silent = _installed(work / "silent", counts=False)
        seconds = [(_seconds(counting), _seconds(silent)) for _ in range(ROUNDS)]
    ratio = statistics.median(one / other for one, other in seconds)
    yield at_most("get / get that counts nothing", ratio, 1.10)


def _installed(work: Path, *, counts: bool) -> Path:
    """Install a wheel of the sources, with the line that counts or without it."""
    source, target = work / "source", work / "installed"
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    for package in ("core", "tui"):
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    if not counts:
        hot_path = source / "core" / "hot_path.py"
        before, get, after = hot_path.read_text(encoding="utf-8").partition(READING)
        assert COUNTING in after, "a get counts elsewhere now"
        after = after.replace(COUNTING, "", 1)
        hot_path.write_text(before + get + after, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    environment = {**os.environ, "RINGTOP_COMPILE": "1" if core_is_compiled() else "0"}
    build = [*pip, "wheel", "--no-deps", "--wheel-dir", str(work), str(source)]
    subprocess.run(build, env=environment, check=True)
    wheel = next(work.glob("ringtop-*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True)
    return target


def _seconds(installed: Path) -> float:
    """Return how long the reads take with a core, in a process of its own."""
    command = [sys.executable, "-P", "-m", "tests.benchmarks.metrics"]
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Print how long the reads of all keys take, in seconds."""
    keys = random_keys()
    store = filled_store(keys)

    def read() -> None:
        fetch = store.get
        for key in keys:
            fetch(key)

    sys.stdout.write(f"{interleaved({'get': read})['get']}\n")


if __name__ == "__main__":
    main()
