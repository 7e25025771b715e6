"""The examples in the docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import core
import tui

MODULES = [
    info.name
    for package in (core, tui)
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", ["core", *MODULES])
def test_the_examples_of_a_module_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
