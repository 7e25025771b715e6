"""``make bench``: every figure of the project, measured in one run.

``python -m tests.benchmarks [--json] [--write] [NAME ...]`` measures the named groups, or all of
them. ``--write`` keeps the results, and tells of them in `RESULTS.md` and the README.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

from tests.benchmarks import (
    balance,
    durable,
    growth,
    join,
    lookup,
    memory,
    metrics,
    operations,
    peers,
    screen,
    servers,
)
from tests.benchmarks.compiled import core_is_compiled
from tests.benchmarks.measure import Figure
from tests.benchmarks.results import Results, keep

GROUPS: dict[str, Callable[[], Iterator[Figure]]] = {
    "lookup": lookup.figures,
    "balance": balance.figures,
    "operations": operations.figures,
    "memory": memory.figures,
    "metrics": metrics.figures,
    "servers": servers.figures,
    "join": join.figures,
    "growth": growth.figures,
    "peers": peers.figures,
    "screen": screen.figures,
    "durable": durable.figures,
}


# What the bars are for.
OLDEST_PYTHON = (3, 11)


def main(arguments: list[str]) -> int:
    """Measure, print a table (or JSON) and return 1 if a bar was missed."""
    if "--help" in arguments:
        sys.stdout.write(f"{__doc__}\nGroups: {', '.join(GROUPS)}\n")
        return 0
    as_json = "--json" in arguments
    names = [name for name in arguments if not name.startswith("-")] or list(GROUPS)
    unknown = {*names, *arguments} - {*GROUPS, "--json", "--write"}
    if unknown:
        sys.stderr.write(f"no {', '.join(sorted(unknown))}: {', '.join(GROUPS)}, --json, --write\n")
        return 2
    core = "compiled core" if core_is_compiled() else "core not compiled"
    machine = (
        f"Python {platform.python_version()}, {platform.machine()}, {_processor()}, "
        f"{os.cpu_count()} cores, {core}"
    )
    date = time.strftime("%Y-%m-%d")
    if not as_json:
        sys.stdout.write(f"{machine}, {date}\n\n")
    measured: dict[str, list[Figure]] = {}
    for name in names:
        measured[name] = []
        for figure in GROUPS[name]():
            measured[name].append(figure)
            if not as_json:
                sys.stdout.write(_line(figure))
                sys.stdout.flush()
        if "--write" in arguments:
            keep(_name_of_results(name), Results(machine, date, measured[name]))
    figures = [figure for group in measured.values() for figure in group]
    if as_json:
        report = {
            "machine": machine,
            "date": date,
            "figures": [asdict(figure) for figure in figures],
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 1 if any(figure.met is False for figure in figures) else 0


def _name_of_results(group: str) -> str:
    """Return where a group's results are kept: apart, if they are not those that have the bars."""
    if sys.version_info[:2] != OLDEST_PYTHON:
        group += f", Python {sys.version_info[0]}.{sys.version_info[1]}"
    return group if core_is_compiled() else f"{group}, not compiled"


def _line(figure: Figure) -> str:
    verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
    value = f"{figure.value:,.2f}" if figure.value < 1_000 else f"{figure.value:,.0f}"
    return f"{figure.name:<52} {value:>12} {figure.unit:<5} {figure.bar:<12} {verdict}\n".rstrip(
        " "
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
