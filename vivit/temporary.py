"""Folders that are there for as long as they are worked in. No torch is used, and nothing is fetched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

# The folders that there are at this moment: whoever ends the process without leaving their `with` blocks removes them.
OPEN_FOLDERS: set[str] = set()


@contextmanager
def temporary_folder(within: Path | None = None) -> Iterator[Path]:
    """A folder that is removed at the end. Args: within: where it is made, the system's place for such if None."""
    with TemporaryDirectory(prefix="vivit-", dir=within) as folder:
        OPEN_FOLDERS.add(folder)
        try:
            yield Path(folder)
        finally:
            OPEN_FOLDERS.discard(folder)
