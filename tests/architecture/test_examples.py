"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import core

MODULES = [info.name for info in pkgutil.walk_packages(core.__path__, "core.")]


@pytest.mark.parametrize("name", ["core", *MODULES])
def test_the_examples_of_a_module_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
