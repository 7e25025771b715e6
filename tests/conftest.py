"""Settings that hold for every test."""

import gc
import os
import shutil
import signal

from hypothesis import settings

# No deadline: the machines that run this are noisy. A failure prints how to replay it.
settings.register_profile("ringtop", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ringtop"))

# A shell lets what it starts in the background ignore interrupts, and so would every program that
# is started and interrupted here: `make test &` waited minutes for what could not come.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Servers on disk sync their logs all the time, for which a slow disk takes 10 ms: in memory their
# tests take a third of the time. None of them shows that a disk keeps what it synced; what a loss
# of power leaves is made by hand.
_IN_MEMORY = "/dev/shm"  # noqa: S108  pytest makes a directory of its own there
_BYTES_NEEDED = 4 << 30
if os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free > _BYTES_NEEDED:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _IN_MEMORY)


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what was imported and collected: 3 to 15 % of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
