"""What an installation brings along is as little as can be, and all that is imported."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# By another that is declared, and whose interface it is a part of.
BROUGHT_BY = {"rich": "textual"}
# A compiled wheel alone requires it, and the sources do without.
OPTIONAL = {"librt"}
# By the compiler alone; see core/native.py.
COMPILER = {"mypy_extensions"}


def names(requirements: list[str]) -> set[str]:
    """Return the packages that are required, as they are imported."""
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {match[0].replace("-", "_").lower() for match in found if match is not None}


def imported() -> Iterator[str]:
    """Yield every package that `core` and `tui` import."""
    for path in (*ROOT.glob("core/**/*.py"), *ROOT.glob("tui/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    declared = names(PROJECT["dependencies"])
    extras = names(PROJECT["optional-dependencies"]["durable"])
    own = OPTIONAL | COMPILER | {"core", "tui"} | set(sys.stdlib_module_names)
    assert set(imported()) - own == declared | extras | set(BROUGHT_BY)


def test_what_is_not_declared_comes_with_what_is() -> None:
    for package, bringer in BROUGHT_BY.items():
        assert bringer in names(PROJECT["dependencies"])
        needed = [each for each in requires(bringer) or [] if "extra ==" not in each]
        assert package in names(needed)


def test_the_core_runs_without_what_the_compiler_needs() -> None:
    program = (
        "import sys; sys.modules['mypy_extensions'] = None\n"
        "from core import KeyValueStore\n"
        "with KeyValueStore() as store:\n"
        "    assert store.add_server('alpha') and store.set('key', 'value')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
