"""What workers that read visitors' files say of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vivit.video import VideoError


def container_name(name: str, path: Path) -> str:
    """A container as browsers call it: FFmpeg has one name for MP4 and MOV, and one for MKV and WebM, of which they play WebM.

    Args:
        name: FFmpeg's.
        path: the file.
    """
    if name.startswith("matroska"):
        with path.open("rb") as file:
            return "webm" if b"webm" in file.read(64) else "mkv"
    return "mp4" if "mp4" in name else name


@contextmanager
def called_this_clip(path: str) -> Iterator[None]:
    """Put 'this clip' in the place of the file's name in errors: on disk it has one that means nothing to the visitor."""
    try:
        yield
    except VideoError as error:
        sentence = str(error).replace(repr(Path(path).name), "this clip")
        details = error.details.replace(path, "this clip")
        raise VideoError(sentence[0].upper() + sentence[1:], details) from error
