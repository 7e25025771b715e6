"""The words by which the hot path tells the compiler what it may do.

They mean something to mypyc alone, which knows them while it compiles: compiled or not, no package
of mypy's is needed where the store runs.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mypy_extensions import i64, mypyc_attr
else:
    Decorated = TypeVar("Decorated")
    i64 = int

    def mypyc_attr(**_traits: object) -> Callable[[Decorated], Decorated]:
        """Return what leaves a class as it is."""
        return lambda decorated: decorated


__all__ = ["i64", "mypyc_attr"]
