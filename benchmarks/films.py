"""Films of any length: bundled clips one after the other, encoded once, and repeated without being encoded again."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av

from mannequin.film import CLIPS, FPS


def bundled_frames() -> Iterator[av.VideoFrame]:
    """The frames of all bundled clips, clip after clip, again and again."""
    for path in cycle(sorted(CLIPS.glob("*.mp4"))):
        with av.open(str(path)) as source:
            yield from source.decode(video=0)


def write_film(path: Path, seconds: float, size: tuple[int, int]) -> Path:
    """Write so much of the bundled clips as H.264 with a key frame a second. Args: size: (width, height)."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "g": str(FPS), "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number, frame in enumerate(islice(bundled_frames(), round(seconds * FPS))):
            scaled = frame.reformat(*size, "yuv420p")
            scaled.pts, scaled.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(scaled))
        output.mux(stream.encode(None))
    return path


def repeat(once: Path, path: Path, seconds: float, times: int) -> Path:
    """Write a film so many times into one file, packet by packet.

    Args:
        once: without B-frames.
        path: where to.
        seconds: how long the film is once.
        times: how often.
    """
    with av.open(str(path), "w") as file:
        output = None
        for number in range(times):
            with av.open(str(once)) as source:
                template = source.streams.video[0]
                output = output or file.add_stream_from_template(template)
                step = int(seconds / Fraction(template.time_base or 1))
                for packet in source.demux(template):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts, packet.dts = packet.pts + number * step, packet.dts + number * step
                        packet.stream = output
                        file.mux(packet)
    return path
