"""Visitors' files: kept under random names in a private folder of this server, one a visitor, and deleted after use.

All together are bounded: where a new one needs room, those go first whose visitors have been idle for longest.
"""

import threading
import uuid
from pathlib import Path

from engine.private_folder import PrivateFolder

PREFIX = "vivit-demo-uploads-"
MAX_BYTES = 2 * 2**30


class Uploads:
    """The files of one server.

    Args:
        max_bytes: of all files together.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._folder = PrivateFolder(PREFIX)
        self._max_bytes = max_bytes
        self._kept: dict[str, tuple[Path, int]] = {}  # visitor → file and its size; who was idle for longest first
        self._guard = threading.Lock()

    def keep(self, visitor: str, content: bytes | memoryview) -> Path:
        """Write a visitor's file in the place of their former one; its name on disk tells nothing of the name that it had.

        Raises:
            OSError: if it cannot be written whole, the disk being full for instance; then nothing is kept of it.
        """
        path = self._folder.path / f"{uuid.uuid4().hex}.clip"
        kept = path, len(content)
        self.drop(visitor)
        with self._guard:
            self._make_room(len(content))
            self._kept[visitor] = kept
        try:
            path.write_bytes(content)  # others go on meanwhile
        except OSError:
            with self._guard:
                if self._kept.get(visitor) == kept:
                    del self._kept[visitor]
            path.unlink(missing_ok=True)
            raise
        with self._guard:
            if self._kept.get(visitor) != kept:  # dropped, replaced, or gone to make room before it was whole
                path.unlink(missing_ok=True)
        return path

    def touch(self, visitor: str) -> bool:
        """The visitor is at work; returns whether their file is still there."""
        with self._guard:
            kept = self._kept.pop(visitor, None)
            if kept is not None:
                self._kept[visitor] = kept
        return kept is not None

    def drop(self, visitor: str) -> None:
        """Delete a visitor's file, if they have one."""
        with self._guard:
            if kept := self._kept.pop(visitor, None):
                kept[0].unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete everything; for the end of the server."""
        self._folder.clear()

    def _make_room(self, size: int) -> None:
        total = size + sum(held for _, held in self._kept.values())
        for visitor, (path, held) in list(self._kept.items()):
            if total <= self._max_bytes:
                return
            total -= held
            del self._kept[visitor]
            path.unlink(missing_ok=True)
