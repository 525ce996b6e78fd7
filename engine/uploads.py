"""Visitors' files: kept under random names in a private folder of this server, one a visitor, and deleted after use."""

import os
import shutil
import tempfile
import threading
import uuid
from pathlib import Path

import psutil

PREFIX = "vivit-demo-uploads-"


class Uploads:
    """The files of one server; those that a server that is no longer running left behind are removed at once."""

    def __init__(self) -> None:
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            owner = folder.name.removeprefix(PREFIX).split("-")[0]
            if owner.isdigit() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))  # readable by this user only
        self._kept: dict[str, Path] = {}
        self._lock = threading.Lock()

    def keep(self, visitor: str, content: bytes | memoryview) -> Path:
        """Write a visitor's file in the place of their former one; its name tells nothing of the visitor's own."""
        path = self._folder / f"{uuid.uuid4().hex}.clip"
        path.write_bytes(content)
        self.drop(visitor)
        with self._lock:
            self._kept[visitor] = path
        return path

    def drop(self, visitor: str) -> None:
        """Delete a visitor's file, if they have one."""
        with self._lock:
            path = self._kept.pop(visitor, None)
        if path is not None:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete everything; for the end of the server."""
        shutil.rmtree(self._folder, ignore_errors=True)
