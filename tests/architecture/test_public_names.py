"""What `core` exports is complete, sorted and importable."""

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator
from typing import Any

import core
from core import errors, events


def test_the_names_are_sorted_unique_and_there() -> None:
    names = core.__all__
    assert names == sorted(set(names))
    assert all(hasattr(core, name) for name in names)


def test_every_error_and_event_is_exported() -> None:
    for module, base in ((errors, core.StoreError), (errors, Warning), (events, core.Event)):
        for name, member in inspect.getmembers(module, inspect.isclass):
            if issubclass(member, base):
                assert name in core.__all__, f"{name} is not exported"


def test_every_error_is_in_the_tree_that_is_drawn() -> None:
    drawn = errors.__doc__ or ""
    for name, member in inspect.getmembers(errors, inspect.isclass):
        if issubclass(member, core.StoreError | Warning):
            assert name in drawn


def test_what_is_imported_is_exported_and_nothing_else() -> None:
    imported = {
        name
        for name, member in vars(core).items()
        if not name.startswith("_") and not inspect.ismodule(member)
    }
    assert imported | {"__version__"} == set(core.__all__)


def test_every_class_that_a_public_signature_names_is_exported() -> None:
    for name in core.__all__:
        member = getattr(core, name)
        for method in signatures_of(member):
            for hint in typing.get_type_hints(method).values():
                for named in classes_in(hint):
                    assert named.__name__ in core.__all__, f"{name} names {named.__name__}"


def signatures_of(member: object) -> Iterator[Any]:
    """Yield what users call or read of a public thing, and the class for its attributes."""
    if inspect.isfunction(member):
        yield member
    if not inspect.isclass(member):
        return
    yield member
    # Those are made by a store, and from its insides.
    made_by_users = member not in (core.Migration, core.Recovery, core.Transaction)
    for attribute, value in inspect.getmembers(member):
        if attribute.startswith("_") and not (attribute == "__init__" and made_by_users):
            continue
        method = value.fget if isinstance(value, property) else value
        if inspect.isfunction(method):
            yield method


def classes_in(hint: object) -> Iterator[type]:
    """Yield the classes of core in a type, however deep."""
    for part in typing.get_args(hint):
        yield from classes_in(part)
    if inspect.isclass(hint) and hint.__module__.startswith("core."):
        yield hint


def test_every_public_thing_has_a_docstring() -> None:
    for info in pkgutil.walk_packages(core.__path__, "core."):
        module = importlib.import_module(info.name)
        assert module.__doc__, f"{info.name} has no docstring"
    for name in core.__all__:
        member = getattr(core, name)
        if inspect.isclass(member):
            assert inspect.getdoc(member), f"{name} has no docstring"
            for attribute, value in vars(member).items():
                if inspect.isfunction(value) and not attribute.startswith("_"):
                    assert inspect.getdoc(value), f"{name}.{attribute} has no docstring"
