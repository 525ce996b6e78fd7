"""Folders for visitors' files: for this server alone, and gone with it; if it was killed, with the next start."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


class PrivateFolder:
    """A folder that this user alone can read. Folders that were left behind by servers that have ended are removed first.

    Args:
        prefix: of the names of this folder and of those that were left behind.
    """

    def __init__(self, prefix: str) -> None:
        for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            with suppress(OSError):  # another user's, or its server lives
                os.close(_lock(folder))
                shutil.rmtree(folder, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._locked = _lock(self.path)

    def clear(self) -> None:
        """Delete the folder with all that it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            os.close(self._locked)


def _lock(folder: Path) -> int:
    """Lock a folder for as long as this process lives; returns the descriptor. Raises OSError if another has it locked."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
