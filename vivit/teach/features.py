"""Features that have been taken are kept, one file a clip, so that a new class costs only its own clips. No torch is used."""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

NOT_FINITE = (
    "The features that the model has of this clip are infinite or no numbers. Take a checkpoint that is whole, or "
    "float32."
)
PIECE = 2**20  # bytes of a file that are read at a time


class KeptFeatures:
    """The features that one model, used in one way, has of clips.

    Args:
        folder: where those of all models are; it need not exist.
        by: all that features depend on beside the clip, as JSON takes it.
    """

    def __init__(self, folder: str | Path, by: Mapping[str, Any]) -> None:
        told = json.dumps(by, sort_keys=True).encode()
        self._folder = Path(folder) / hashlib.sha256(told).hexdigest()[:16]

    def get(self, clip: str) -> np.ndarray | None:
        """(n,) float32 of a clip; None where there are none that can be read. Args: clip: names it, a file's name."""
        try:
            found = np.load(self._file(clip), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found if found.dtype == np.float32 and found.ndim == 1 else None

    def use(self) -> None:
        """Have it known that they are still wanted."""
        with suppress(OSError):  # there are none yet
            os.utime(self._folder)

    def put(self, clip: str, features: np.ndarray) -> None:
        """Keep a clip's features; they are there whole, or not at all.

        Raises:
            OSError: if they cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{os.getpid()}-{uuid.uuid4().hex}.npy"
        try:
            np.save(part, np.asarray(features, np.float32))
            part.replace(self._file(clip))
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _file(self, clip: str) -> Path:
        return self._folder / f"{clip}.npy"


def fingerprint(path: str | Path) -> str:
    """A name for what a file holds, by which a clip is the same under another name.

    Raises:
        OSError: if it cannot be read.
    """
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()[:32]
