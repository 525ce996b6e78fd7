"""Pictures → a small MP4 that every browser plays."""

from collections.abc import Iterable
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from PIL import Image

from vivit.video.container import VideoPacket

TICKS = 90_000  # a second, as MPEG counts them: fine enough for every usual frame rate


def encode_mp4(pictures: Iterable[tuple[float, np.ndarray]], *, end_seconds: float, height: int) -> bytes:
    """Encode pictures as H.264 in MP4, each shown at its own time.

    Args:
        pictures: (time in s, ascending; (H, W, 3) uint8 RGB), of one size or several; all take the first one's aspect ratio.
        end_seconds: when the last picture has been shown; unless that is later than its time, it is shown for a second.
        height: of the result in pixels at most; smaller pictures keep theirs.

    Returns:
        The file. One picture is held at a time.
    """
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        # Without B-frames: with them MP4 takes the lengths of decoding times for those of pictures.
        stream = container.add_stream("libx264", options={"preset": "veryfast", "bf": "0"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        begin, last = None, -1
        packets: list[VideoPacket] = []
        for seconds, picture in pictures:
            if begin is None:
                begin = seconds
                scale = min(1.0, height / picture.shape[0])
                # 4:2:0 needs even sides.
                stream.height, stream.width = (max(2, round(side * scale / 2) * 2) for side in picture.shape[:2])
            fitted = Image.fromarray(picture).resize((stream.width, stream.height), Image.Resampling.BILINEAR)
            frame = av.VideoFrame.from_image(fitted)  # type: ignore[no-untyped-call]
            frame.time_base = Fraction(1, TICKS)
            frame.pts = last = max(last + 1, round((seconds - begin) * TICKS))
            packets += stream.encode(frame)
            while len(packets) > 1:
                container.mux(packets.pop(0))
        packets += stream.encode(None)
        if begin is not None:
            left = round((end_seconds - begin) * TICKS) - last
            packets[-1].duration = left if left > 0 else TICKS  # the muxer knows only how long the others last
        container.mux(packets)
    return file.getvalue()
