"""What the files of a database tell before it is opened.

RocksDB begins with one small file that names all others. Without it, it makes a new database in the
same place, as if there had been none, and what was there is lost for good.

Knows no RocksDB, and opens none.
"""

from pathlib import Path
from typing import Final

_BEGINNING: Final = "CURRENT"


def is_made(path: Path) -> bool:
    """Return whether a database was ever opened in a directory, and is there still."""
    return (path / _BEGINNING).exists()


def refuse_without_beginning(path: Path) -> None:
    """Raise if there are records in a directory, and no beginning.

    A process that was killed while it made a database leaves neither.

    Raises:
        OSError: the beginning is missing.
    """
    if is_made(path):
        return
    if any(path.glob("*.sst")) or any(log.stat().st_size for log in path.glob("*.log")):
        raise OSError(f"Corruption: {_BEGINNING} is missing")
