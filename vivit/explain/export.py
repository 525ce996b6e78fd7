"""A map as a video: the frames that the model got beside the same with heat over them."""

from collections.abc import Sequence

import numpy as np

from vivit.explain.drawing import beside, enlarged, overlay
from vivit.video.preview import encode_mp4

HEIGHT = 256  # pixels at least, in which a small model's frames can be seen


def overlay_mp4(
    frames: np.ndarray, seconds: Sequence[float], end_seconds: float, weights: np.ndarray, opacity: float
) -> bytes:
    """The frames beside the same with heat over them, each shown at its own time.

    Args:
        frames, weights, opacity: as for `vivit.explain.drawing.overlay`.
        seconds: (T,) when each frame is shown, ascending.
        end_seconds: when the last one has been shown.

    Returns:
        The file: H.264 in MP4, of whole frames, at least `HEIGHT` pixels high.
    """
    height, width = frames.shape[1:3]
    if height < HEIGHT:
        frames = enlarged(frames, HEIGHT, round(width * HEIGHT / height))
    both = beside(frames, overlay(frames, weights, opacity))
    return encode_mp4(zip(seconds, both, strict=True), end_seconds=end_seconds, height=both.shape[1])
