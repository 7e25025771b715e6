"""Breaking one method of the core: its source with one piece exchanged for another.

A mutant is thus as small as the mistake that somebody might make, and says where it is. When the
method changes, so that the piece is no longer in it, the mutant fails loudly and has to be looked
at again.
"""

import importlib
import inspect
from textwrap import dedent
from types import ModuleType

import pytest

import core
from tests.simulation.coarse import COARSE


def rewrite(patch: pytest.MonkeyPatch, target: str, *pieces: tuple[str, str]) -> None:
    """Exchange pieces of a method's source, in the core and in the coarse one.

    Args:
        patch: takes the change back at the end of the test.
        target: module, class and method, as ``cluster.replication:Replication.write_locked``; or
            module and function.
        pieces: each with what takes its place; it must occur once.
    """
    path, _, name = target.partition(":")
    class_name, _, method_name = name.rpartition(".")
    importlib.import_module(f"core.{path}")
    for library in (core, COARSE):
        owner: object = _module(library, path)
        if class_name:
            owner = getattr(owner, class_name)
        method = inspect.getattr_static(owner, method_name)
        function = inspect.unwrap(getattr(method, "__func__", method))
        source = inspect.getsource(function)
        for piece, other in pieces:
            assert source.count(piece) == 1, f"{piece!r} is {source.count(piece)} times in {target}"
            source = source.replace(piece, other)
        made: dict[str, object] = {}
        code = compile(dedent(source), f"<mutant of {target}>", "exec")
        exec(code, function.__globals__, made)  # noqa: S102
        patch.setattr(owner, method_name, made[method_name])


def _module(library: ModuleType, path: str) -> ModuleType:
    module = library
    for part in path.split("."):
        module = getattr(module, part)
    return module
