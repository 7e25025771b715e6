"""The words by which the hot path tells the compiler what it may do.

They mean something to mypyc alone, which knows them while it compiles. A wheel that was compiled
requires librt and mypy-extensions; where it was not, no package of mypy's is needed.
"""

from array import array
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from librt.strings import read_i32_le
    from librt.vecs import append, vec
    from mypy_extensions import i32, i64, mypyc_attr
else:
    Decorated = TypeVar("Decorated")
    i32 = i64 = int
    # Numbers side by side, in 4 or 8 bytes: ``vec[i32]([1, 2])``.
    vec = {int: partial(array, "q")}

    def append(numbers: "array[int]", number: int) -> "array[int]":
        """Return the numbers with one more, which may change those that are given."""
        numbers.append(number)
        return numbers

    def read_i32_le(content: bytes, index: int) -> int:
        """Return the number in the 4 bytes at `index`, least first."""
        return int.from_bytes(content[index : index + 4], "little", signed=True)

    def mypyc_attr(**_traits: object) -> Callable[[Decorated], Decorated]:
        """Return what leaves a class as it is."""
        return lambda decorated: decorated


__all__ = ["append", "i32", "i64", "mypyc_attr", "read_i32_le", "vec"]
