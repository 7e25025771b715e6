"""The layers of pyproject.toml hold: see the contracts there."""

from importlinter.cli import lint_imports


def test_no_module_imports_from_a_layer_above_it() -> None:
    assert lint_imports(no_cache=True) == 0
