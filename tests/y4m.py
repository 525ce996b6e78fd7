"""What a browser's fake camera films."""

from pathlib import Path

import av
import numpy as np


def write_y4m(clip: Path, path: Path) -> Path:
    """Write a clip as raw pictures at its own rate, as Chromium's fake camera wants them.

    Returns:
        `path`.
    """
    with av.open(str(clip)) as container, path.open("wb") as file:
        stream = container.streams.video[0]
        rate = stream.average_rate
        assert rate
        head = f"YUV4MPEG2 W{stream.width} H{stream.height} F{rate.numerator}:{rate.denominator} Ip A1:1 C420jpeg\n"
        file.write(head.encode())
        for frame in container.decode(stream):
            file.write(b"FRAME\n")
            for plane in frame.reformat(format="yuv420p").planes:
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
                file.write(rows[:, : plane.width].tobytes())
    return path
