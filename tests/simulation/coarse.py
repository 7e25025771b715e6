"""The core once more, loaded with 16 stripes instead of 1,024.

Crashing, recovering, examining and checking a store walk its stripes, and a migration moves a
stripe at a time: with 1,024 of them a simulation would spend its time where no key is. The code is
the same, file by file; only the constants that say how finely the ring is cut are others.
"""

import importlib
import importlib.util
import sys
from types import ModuleType

_STRIPE_BITS = 4
# So few that buckets are split all the time, and stripes read and compared in parts.
_KEYS_PER_BUCKET = 2
_KEYS_AT_ONCE = 2


def load_coarse_core() -> ModuleType:
    """Return a second `core` of its own classes; ``import core`` still gives the first."""
    others = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_core(name)}
    try:
        spec = importlib.util.find_spec("core")
        assert spec is not None
        assert spec.loader is not None
        core = importlib.util.module_from_spec(spec)
        # Its parts are loaded before itself, which would fetch the constants by their names.
        sys.modules["core"] = core
        _cut_coarsely()
        spec.loader.exec_module(core)
        return core
    finally:
        for name in list(sys.modules):
            if _is_core(name):
                del sys.modules[name]
        sys.modules.update(others)


def _is_core(name: str) -> bool:
    return name == "core" or name.startswith("core.")


def _cut_coarsely() -> None:
    stripes = importlib.import_module("core.stripes")
    bits = stripes.POSITION_BITS
    _replace(
        stripes,
        STRIPE_BITS=_STRIPE_BITS,
        STRIPES=1 << _STRIPE_BITS,
        STRIPE_SHIFT=bits - _STRIPE_BITS,
        POSITIONS_PER_STRIPE=1 << bits - _STRIPE_BITS,
    )
    _replace(importlib.import_module("core.servers.record_table"), KEYS_PER_BUCKET=_KEYS_PER_BUCKET)
    _replace(importlib.import_module("core.cluster.shards"), KEYS_AT_ONCE=_KEYS_AT_ONCE)


def _replace(module: ModuleType, **constants: int) -> None:
    for name, value in constants.items():
        assert hasattr(module, name), f"{module.__name__} has no {name} any more"
        setattr(module, name, value)


COARSE = load_coarse_core()
