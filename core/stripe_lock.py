"""The lock of a stripe: as `threading.Lock`, but quicker for whom it is there.

librt is what mypyc's compiled code may use instead of the standard library. Its lock is called
without arguments being parsed and lies within one object: compiled, a write takes 560 ns with it
and 720 ns with `threading.Lock`. A wheel that was compiled requires librt; else nothing needs it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from librt.threading import Lock
else:
    try:
        from librt.threading import Lock
    except ImportError:
        from threading import Lock

__all__ = ["Lock"]
