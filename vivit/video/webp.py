"""Animated WebP, which FFmpeg here does not decode and Pillow does: its pictures and their times."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from vivit.video.container import MEDIA_ERRORS, READABLE, VideoError, VideoLimits, Watch, check_count, check_size
from vivit.video.picture import UPRIGHT, Orientation, on_ground, turned

NAME = "webp"
PILLOW_ERRORS = (*MEDIA_ERRORS, SyntaxError, struct.error)
SHORTEST_SECONDS, USUAL_SECONDS = 0.011, 0.1  # browsers show a picture shorter than the first for the second

# EXIF's orientation (TIFF 6.0, tag 274) → how a stored picture is shown, as `picture.orientation_of` gives it.
ORIENTATIONS: dict[int, Orientation] = {
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def is_webp(path: str) -> bool:
    """Whether a file, which must be an ordinary one, begins as WebP does."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


@contextmanager
def open_webp(path: str, limits: VideoLimits, watch: Watch) -> Iterator[tuple[Image.Image, Orientation]]:
    """Open a WebP file; with it comes how its pictures are to be turned."""
    watch.check()
    try:
        picture = Image.open(path, formats=["WEBP"])
    except Image.DecompressionBombError as error:
        raise VideoError(
            f"The pictures of {watch.name!r} have more than {limits.max_pixels} pixels, the most that is accepted; scale "
            "the video down.",
            str(error),
        ) from error
    except PILLOW_ERRORS as error:
        raise VideoError(
            f"{watch.name!r} is a damaged or incomplete WebP file; give a whole {READABLE}.", str(error)
        ) from error
    with picture:
        check_size(watch.name, *picture.size, limits)
        try:
            value = picture.getexif().get(ExifTags.Base.Orientation, 1)
        except PILLOW_ERRORS:  # metadata alone is no reason to lose the pictures
            value = 1
        yield picture, ORIENTATIONS.get(value, UPRIGHT)


@dataclass(frozen=True)
class Listing:
    """What a WebP file holds.

    Args:
        width, height: of the stored pictures, in pixels.
        orientation: how they are turned.
        seconds: when each is shown.
        end_seconds: when the last one has been shown.
        warnings: sentences for the user.
    """

    width: int
    height: int
    orientation: Orientation
    seconds: tuple[float, ...]
    end_seconds: float
    warnings: tuple[str, ...]


def list_pictures(path: str, limits: VideoLimits, watch: Watch) -> Listing:
    """Decode all pictures, and note when they are shown.

    Raises:
        VideoError: if there is none, the limits are exceeded, or the file cannot be opened.
    """
    times: list[float] = []
    seconds = 0.0
    with open_webp(path, limits, watch) as (picture, orientation):
        promised = getattr(picture, "n_frames", 1)
        check_count(watch.name, promised, limits)
        errors: list[str] = []
        for frame in _frames(picture, promised, errors):
            watch.tick(len(times) / promised)
            times.append(seconds)
            shown = frame.info.get("duration", 0) / 1000
            seconds += shown if shown >= SHORTEST_SECONDS else USUAL_SECONDS
    if not times:
        raise VideoError(
            f"No picture of {watch.name!r} can be decoded; it is damaged, so get another copy.", *errors[:1]
        )
    warnings = []
    if promised > len(times):
        warnings.append(f"The file promises {promised} frames; {len(times)} could be decoded.")
    return Listing(*picture.size, orientation, tuple(times), seconds, tuple(warnings))


def decode(
    path: str, indices: list[int], limits: VideoLimits, watch: Watch, geometry: str = "upright"
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, (H, W, 3) uint8 RGB on white) for ascending indices; fewer if the file has become shorter.

    Args:
        path: of a WebP file.
        indices: of frames, from 0 on; at least one.
        limits: of the size of its pictures.
        watch: how long it may take, and who is told how far it is.
        geometry: 'stored' leaves them unturned.

    Raises:
        VideoError: if it cannot be opened, or time is up.
    """
    wanted = set(indices)
    with open_webp(path, limits, watch) as (picture, orientation):
        orientation = UPRIGHT if geometry == "stored" else orientation
        for index, frame in enumerate(_frames(picture, indices[-1] + 1, [])):
            watch.check()
            if index in wanted:
                yield index, turned(on_ground(np.asarray(frame.convert("RGBA"))), orientation)


def _frames(picture: Image.Image, count: int, errors: list[str]) -> Iterator[Image.Image]:
    for number in range(count):
        try:
            picture.seek(number)
            picture.load()
        except PILLOW_ERRORS as error:
            errors.append(str(error))
            return
        yield picture
