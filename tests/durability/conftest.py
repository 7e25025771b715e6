"""Where the data directories of these tests lie."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.places import new_place


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of the test's own."""
    with new_place() as directory:
        yield directory
