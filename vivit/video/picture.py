"""A decoded picture → RGB, upright and with square pixels."""

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vivit.video.container import MEDIA_ERRORS, VideoError, VideoLimits, check_size

UPRIGHT = (1, 0, 0, 1)  # the orientation (a, b, c, d) that changes nothing


def orientation_of(picture: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """How to show a stored picture: pixel (x, y) goes to (a x + c y, b x + d y), up to a shift.

    Returns:
        (a, b, c, d), each -1, 0 or 1; None if the file's matrix does not turn by a multiple of 90 degrees.
    Source:
        ISO/IEC 14496-12, 8.3.2: the matrix of the track header.
    """
    # `picture.side_data` would tie the picture into a reference cycle, and so keep its memory until a garbage collection.
    side_data = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if side_data is None:
        return UPRIGHT
    matrix = np.frombuffer(bytes(side_data), np.int32).reshape(3, 3)[:2, :2].astype(np.int64)
    large = np.abs(matrix) > 0.01 * np.abs(matrix).max()
    a, b, c, d = (np.sign(matrix) * large).ravel().tolist()
    return (a, b, c, d) if (a and d and not b and not c) or (b and c and not a and not d) else None


def to_rgb(
    picture: av.VideoFrame, stream: VideoStream, reformatter: VideoReformatter, name: str, limits: VideoLimits
) -> np.ndarray:
    """A decoded picture as (H, W, 3) uint8 RGB, upright and with square pixels."""
    width = max(1, round(picture.width * (stream.sample_aspect_ratio or 1)))
    check_size(name, width, picture.height, limits)
    try:
        # The same bytes as `picture.to_ndarray(format="rgb24")`, which sets up a new converter with threads every time.
        image = reformatter.reformat(picture, width=width, format="rgb24", threads=1).to_ndarray()
    except MEDIA_ERRORS as error:
        raise VideoError(
            f"The pictures of {name!r} cannot be turned into RGB; convert the video.", str(error)
        ) from error
    a, b, c, d = orientation_of(picture) or UPRIGHT
    if b:
        image = image.transpose(1, 0, 2)
    return np.ascontiguousarray(image[:: b + d, :: a + c])
