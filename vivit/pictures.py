"""Pictures, clips and batches of any kind → arrays of one. No torch is used.

Letters: C channels, H × W pixels.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def as_clips(videos: Any) -> list[list[Any]]:
    """A picture, a clip or a batch of any kind → a list of clips, each a list of pictures."""

    def is_picture(value: Any) -> bool:
        return isinstance(value, Image.Image) or getattr(value, "ndim", 0) == 3

    if is_picture(videos):
        return [[videos]]
    if getattr(videos, "ndim", 0) in (4, 5) or isinstance(videos, list | tuple):
        items = list(videos)
        if items and all(map(is_picture, items)):
            return [items]
        clips = [list(clip) for clip in items if isinstance(clip, list | tuple) or getattr(clip, "ndim", 0) == 4]
        if clips and len(clips) == len(items) and all(clip and all(map(is_picture, clip)) for clip in clips):
            return clips
    raise ValueError(
        "expected pictures: PIL images, arrays or tensors of 3 dimensions, a list of them, or a list of clips"
    )


def channels_last(frame: "Picture | Any", input_data_format: str | None) -> np.ndarray:
    """One picture of any kind → (H, W, C)."""
    array = np.asarray(frame.convert("RGB") if isinstance(frame, Image.Image) else frame)
    if isinstance(frame, Image.Image) or input_data_format == "channels_last":
        return array
    if input_data_format == "channels_first":
        return np.moveaxis(array, 0, -1)
    if input_data_format is not None:
        raise ValueError(f"input_data_format={input_data_format!r} is unknown")
    if array.shape[0] in (1, 3):
        return np.moveaxis(array, 0, -1)
    if array.shape[-1] in (1, 3):
        return array
    raise ValueError(f"no axis of a picture of shape {array.shape} has 1 or 3 channels; say input_data_format")
