"""What is told of the results is what was measured."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks import results
from tests.benchmarks.measure import Figure, at_least, at_most
from tests.benchmarks.results import Results


@pytest.mark.parametrize(
    ("file", "table"),
    [(results.RESULTS, results.all_tables), (results.README, results.readme_table)],
)
def test_the_tables_are_made_from_the_kept_results(
    file: Path, table: Callable[[dict[str, Results]], str]
) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.split(results.BEGIN)[1].split(results.END)[0] == table(results.kept())


def test_every_figure_of_the_readme_was_measured() -> None:
    kept = results.kept()
    for _, group, name in results.IN_README:
        assert name in [figure.name for figure in kept[group].figures]


def test_a_bar_that_was_missed_is_said_to_be_missed() -> None:
    figures = (at_most("slow", 3.0, 2.0), at_least("quick", 30, 2.0), Figure("free", 1_234, "us"))
    table = results.all_tables({"group": Results("a machine", "2026-01-01", figures)})
    assert table.splitlines() == [
        "### group",
        "",
        "a machine, 2026-01-01",
        "",
        "| | measured | bar | |",
        "|---|---|---|---|",
        "| slow | 3.00x | at most 2x | **missed** |",
        "| quick | 30.0x | at least 2x | met |",
        "| free | 1,234 us |  |  |",
    ]


def test_figures_that_belong_side_by_side_are_one_row() -> None:
    figures = tuple(
        Figure(f"{row} | {column}", value, "us")
        for row in ("get", "set")
        for column, value in (("10", 1.0), ("1,000", 20.0))
    )
    table = results.all_tables({"growth": Results("a machine", "2026-01-01", figures)})
    assert table.splitlines()[4:] == [
        "| | 10 | 1,000 |",
        "|---|---|---|",
        "| get | 1.00 us | 20.0 us |",
        "| set | 1.00 us | 20.0 us |",
    ]


def test_results_of_other_groups_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DATA", tmp_path / "results.json")
    for name in ("RESULTS", "README"):
        file = tmp_path / f"{name}.md"
        file.write_text(f"before\n{results.BEGIN}old\n{results.END}\nafter\n")
        monkeypatch.setattr(results, name, file)
    first, second, newer = (
        Results("a machine", date, (Figure("figure", 1.0, "x"),)) for date in ("1", "2", "3")
    )
    results.keep("one", first)
    results.keep("other", second)
    results.keep("one", newer)
    assert results.kept() == {"one": newer, "other": second}
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
