"""What browsers play as it is, and why the rest is shown as a preview."""

from pathlib import Path
from typing import Protocol

# VP8, VP9 and AV1 in WebM, and with H.264 in MP4.
PLAYS = {"webm": {"vp8", "vp9", "av1"}, "mp4": {"h264", "vp9", "av1"}}
PLAYED_WHOLE_BYTES = 50_000_000  # what is played is held in the server's memory


class Stored(Protocol):
    """How a file holds its pictures."""

    @property
    def container(self) -> str: ...
    @property
    def codec(self) -> str: ...
    @property
    def plain(self) -> bool:
        """Whether a player that shows pictures as they are stored shows what the model gets."""


def why_not_played(path: str, stored: Stored, what: str) -> str:
    """Why a file is not played as it is, the beginning of a sentence; '' if it is. Raises OSError for a file that is gone.

    Args: what: 'clip' or 'film'.
    """
    size = Path(path).stat().st_size
    if stored.codec not in PLAYS.get(stored.container, ()):
        return f"This player takes no {stored.codec} in {stored.container}"
    if not stored.plain:
        return f"This player would show the {what} as it is stored, not as the model gets it"
    return f"The {what} is large" if size > PLAYED_WHOLE_BYTES else ""
