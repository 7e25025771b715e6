"""Seeds of random tests: each failure says how to replay it by one line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def seeds(count: int) -> Iterator[int]:
    """Yield 0 to count - 1; or only the seed in RINGTOP_SEED, if it is set."""
    chosen = os.environ.get("RINGTOP_SEED")
    yield from range(count) if chosen is None else [int(chosen)]


@contextmanager
def replayable(seed: int) -> Iterator[None]:
    """Add to whatever is raised inside how to run this test with this seed alone."""
    try:
        yield
    except Exception as error:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        error.add_note(f"replay: RINGTOP_SEED={seed} make test ARGS='{test}'")
        raise
