"""The last results of every group: kept in `results.json`, told in `RESULTS.md` and the README.

A run with ``--write`` replaces those of the groups that it measured; what a run does not measure
stays, with the machine and the date that it came from.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.measure import Figure

HERE = Path(__file__).parent
DATA = HERE / "results.json"
RESULTS = HERE / "RESULTS.md"
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->"

# What the README tells of: how it is called there, the group, and the figure.
IN_README = (
    ("lookup on the ring / `mmh3.hash`", "lookup", "ring lookup / mmh3.hash"),
    ("uhashring 2.5 / lookup", "lookup", "uhashring 2.5 (default) / ring lookup"),
    ("uhashring 2.5 with mmh3 / lookup", "lookup", "uhashring 2.5 (mmh3) / ring lookup"),
    ("`get` / hash and dict `get`", "operations", "get / (mmh3.hash + dict get), 1 thread"),
    ("`set` / hash and dict `set`", "operations", "set / (mmh3.hash + dict set), 1 thread"),
    (
        "… in random order: `get`",
        "operations",
        "get / (mmh3.hash + dict get), in random order",
    ),
    (
        "… in random order: `set`",
        "operations",
        "set / (mmh3.hash + dict set), in random order",
    ),
    (
        "half `get`, half `set`: throughput of 8 threads / 1",
        "operations",
        "half get, half set: throughput of 8 threads / 1",
    ),
    (
        "single `get` / `get_many` of 100, per key",
        "operations",
        "get / get_many of 100, per key",
    ),
    (
        "single `set` / `set_many` of 100, per key",
        "operations",
        "set / set_many of 100, per key",
    ),
    ("`set` with 3 replicas / with 1", "operations", "set, 3 replicas / 1 replica"),
    ("`get`, 1,000 servers / 10", "servers", "get, 1,000 servers / 10"),
    ("flip of a chunk, 1,000 servers / 10", "servers", "flip of a chunk, 1,000 servers / 10"),
    ("`get` / `get` that counts nothing", "metrics", "get / get that counts nothing"),
    ("memory a key / plain dict", "memory", "memory a key / plain dict"),
    (
        "plan for 1,000,000 keys / hashing them once",
        "join",
        "plan of 1,000,000 keys / hashing them once",
    ),
    (
        "join under load: keys moved / keys whose owner changed",
        "join",
        "join under load: keys moved / keys whose owner changed",
    ),
    (
        "join under load: a moved key / dict `pop` and `set`",
        "join",
        "join: a moved key / dict pop + set, both under load",
    ),
    ("… p99.9 of the load / without a join", "join", "join: foreground p99.9 / without"),
    ("… longest stall / without a join", "join", "join: longest stall / without"),
    ("… throughput / without a join", "join", "join: throughput / without"),
    (
        "key press to changed screen, 8 threads of load, p95",
        "screen",
        "key press to changed screen, 8 unpaced load threads, p95",
    ),
    ("on disk: `get` / RocksDB used directly", "durable", "on disk: get / rocksdict get"),
    ("on disk: `set` / RocksDB used directly", "durable", "on disk: set / rocksdict put"),
    (
        "on disk: diskcache's FanoutCache / `get`",
        "durable",
        "on disk: diskcache.FanoutCache / get",
    ),
    (
        "on disk: diskcache's FanoutCache / `set`",
        "durable",
        "on disk: diskcache.FanoutCache / set",
    ),
    (
        "on disk: opening 1,000,000 keys, over RocksDB alone",
        "durable",
        "on disk: open 1,000,000 keys, over bare RocksDB",
    ),
    ("on disk: memory with 100,000 keys", "durable", "on disk: memory with 100,000 keys"),
    ("on disk: memory with 1,000,000 keys", "durable", "on disk: memory with 1,000,000 keys"),
)
# And the groups whose tables it has whole, under a line of its own.
TABLES_IN_README = {
    "peers": "What a store in memory is compared with, end to end; above 1x ringtop is faster:",
}


@dataclass(frozen=True, slots=True)
class Results:
    """What a group's last run measured.

    Attributes:
        machine: what it ran on.
        date: when.
        figures: what was measured, in order.
    """

    machine: str
    date: str
    figures: Sequence[Figure]


def kept() -> dict[str, Results]:
    """Return the last results of each group."""
    if not DATA.exists():
        return {}
    return {
        group: Results(
            results["machine"],
            results["date"],
            tuple(Figure(**figure) for figure in results["figures"]),
        )
        for group, results in json.loads(DATA.read_text(encoding="utf-8")).items()
    }


def keep(group: str, results: Results) -> None:
    """Replace the results of a group, and tell of them."""
    everything = {name: asdict(each) for name, each in (kept() | {group: results}).items()}
    DATA.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    tell()


def tell() -> None:
    """Write the tables of `RESULTS.md` and of the README."""
    results = kept()
    _replace(RESULTS, all_tables(results))
    _replace(README, readme_table(results))


def all_tables(results: dict[str, Results]) -> str:
    """Return every figure, a section a group."""
    sections = [
        f"### {group}\n\n{each.machine}, {each.date}\n\n{_tables(each.figures)}"
        for group, each in results.items()
    ]
    return "\n".join(sections)


def readme_table(results: dict[str, Results]) -> str:
    """Return the figures of the README."""
    lines = ["| | compiled | not compiled | bar |", "|---|---|---|---|"]
    for label, group, name in IN_README:
        figures = {each.name: each for each in results[group].figures} if group in results else {}
        if name not in figures:
            continue  # a new one; a test misses it until it was measured
        figure, uncompiled = figures[name], figures.get(f"uncompiled: {name}")
        missed = "" if figure.met is not False else ", missed"
        other = "" if uncompiled is None else value_of(uncompiled)
        lines.append(f"| {label} | {value_of(figure)} | {other} | {_bar(figure)}{missed} |")
    for group, heading in TABLES_IN_README.items():
        if group in results:
            lines += ["", heading, "", _tables(results[group].figures).rstrip()]
    told = {group for _, group, _ in IN_README} | set(TABLES_IN_README)
    where = {f"{results[group].machine}, {results[group].date}" for group in told & set(results)}
    lines += ["", f"Measured with {'; '.join(sorted(where))}."]
    return "\n".join(lines) + "\n"


def value_of(figure: Figure) -> str:
    """Return a figure's value with its unit, as precise as it is worth."""
    value = figure.value
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}{'' if figure.unit == 'x' else ' '}{figure.unit}".strip()


def _bar(figure: Figure) -> str:
    words = {"<=": "at most", ">=": "at least", "=": "exactly"}
    comparison, _, limit = figure.bar.partition(" ")
    return f"{words[comparison]} {limit.replace(' x', 'x')}" if figure.bar else ""


def _tables(figures: Sequence[Figure]) -> str:
    """Return the plain figures as one table, and those that belong side by side as others."""
    return "\n".join([*_plain_table(figures), *_wide_tables(figures)])


def _plain_table(figures: Sequence[Figure]) -> Iterator[str]:
    plain = [figure for figure in figures if " | " not in figure.name]
    if plain:
        rows = ["| | measured | bar | |", "|---|---|---|---|"]
        for figure in plain:
            verdict = {None: "", True: "met", False: "**missed**"}[figure.met]
            rows.append(f"| {figure.name} | {value_of(figure)} | {_bar(figure)} | {verdict} |")
        yield "\n".join(rows) + "\n"


def _wide_tables(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield a table for each set of columns: figures are called "row | column"."""
    rows: dict[str, dict[str, str]] = {}
    for figure in figures:
        row, bar, column = figure.name.partition(" | ")
        if bar:
            rows.setdefault(row, {})[column] = value_of(figure)
    for columns in dict.fromkeys(tuple(cells) for cells in rows.values()):
        lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        lines += [
            f"| {row} | {' | '.join(cells.values())} |"
            for row, cells in rows.items()
            if tuple(cells) == columns
        ]
        yield "\n".join(lines) + "\n"


def _replace(file: Path, table: str) -> None:
    before, rest = file.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    file.write_text(f"{before}{BEGIN}{table}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    tell()
