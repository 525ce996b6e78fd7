"""A JPEG of a camera → its pixels. The bytes are taken to be hostile."""

from io import BytesIO

import numpy as np
from PIL import Image

from vivit.video.container import MEDIA_ERRORS, VideoError

MAX_SIDE = 1920  # pixels of a camera's picture


def decode_jpeg(content: bytes) -> np.ndarray:
    """Decode one picture.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        VideoError: for anything but a whole JPEG of at most `MAX_SIDE` pixels a side.
    """
    try:
        with Image.open(BytesIO(content), formats=["JPEG"]) as picture:
            if max(picture.size) > MAX_SIDE:
                width, height = picture.size
                raise VideoError(
                    f"A camera's picture has {width} × {height} pixels, and at most {MAX_SIDE} a side are taken; choose "
                    "a smaller one."
                )
            return np.asarray(picture.convert("RGB"))
    except VideoError:
        raise
    except (*MEDIA_ERRORS, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError("A camera's picture cannot be read; start the camera again.", str(error)) from error
