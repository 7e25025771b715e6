"""Whether the measured core is compiled, and what it would be uncompiled."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from core.murmur3 import COMPILED
from tests.benchmarks.measure import Figure

ROOT = Path(__file__).parents[2]


def core_is_compiled() -> bool:
    """Return whether the hot path is machine code."""
    return COMPILED


def uncompiled_figures(group: str) -> Iterator[Figure]:
    """Measure a group once more with the sources, and yield its figures without bars."""
    command = [sys.executable, "-P", "-m", "tests.benchmarks", "--json", group]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Status 1 says that a bar was missed, which is for the compiled core to meet.
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.decode())
    for figure in json.loads(done.stdout)["figures"]:
        yield Figure(f"uncompiled: {figure['name']}", figure["value"], figure["unit"])
