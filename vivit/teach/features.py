"""Features of clips, kept on disk, so that a clip is looked at once by each model. No torch is used.

Letters: E hidden size.
"""

import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np


class KeptFeatures:
    """A folder of features, by what took them and of which clip. Several processes may use it.

    Args:
        folder: where; it is made once there is anything to keep.
        key: of what else features depend on beside the clip: which model, written when, run how, and fed with which frames.
    """

    def __init__(self, folder: str | Path, key: object) -> None:
        self.folder = Path(folder) / sha256(repr(key).encode()).hexdigest()[:32]

    def get(self, id: str) -> np.ndarray | None:
        """A clip's features, (E,) float32; None where there are none, or none that can be read. Args: id: of the clip."""
        try:
            found = np.load(self._file(id), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found if isinstance(found, np.ndarray) and found.dtype == np.float32 and found.ndim == 1 else None

    def put(self, id: str, features: np.ndarray) -> None:
        """Keep a clip's features, (E,); a kill at any moment leaves them there whole or not at all.

        Raises:
            OSError: if they cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(id)
        part = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("wb") as opened:
                np.save(opened, np.asarray(features, np.float32), allow_pickle=False)
            os.replace(part, file)
        except OSError:
            with suppress(OSError):
                part.unlink()  # a full disk needs the room
            raise

    def _file(self, id: str) -> Path:
        return self.folder / f"{id}.npy"
