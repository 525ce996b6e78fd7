"""Pictures → a small MP4 that every browser plays."""

from collections.abc import Iterable
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from PIL import Image


def encode_mp4(pictures: Iterable[np.ndarray], *, fps: float, height: int) -> bytes:
    """Encode pictures as H.264 in MP4.

    Args:
        pictures: (H, W, 3) uint8 RGB, of one size or several; all take the first one's aspect ratio.
        fps: pictures a second, > 0.
        height: of the result in pixels at most; smaller pictures keep theirs.
    Returns:
        The file. One picture is held at a time.
    """
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", Fraction(fps).limit_denominator(1001), options={"preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            if number == 0:
                scale = min(1.0, height / picture.shape[0])
                # 4:2:0 needs even sides.
                stream.height, stream.width = (max(2, round(side * scale / 2) * 2) for side in picture.shape[:2])
            fitted = Image.fromarray(picture).resize((stream.width, stream.height), Image.Resampling.BILINEAR)
            container.mux(stream.encode(av.VideoFrame.from_image(fitted)))
        container.mux(stream.encode(None))
    return file.getvalue()
