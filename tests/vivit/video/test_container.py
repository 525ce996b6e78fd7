"""Which of the streams of a file is its video."""

from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from tests.clips import draw_number, read_number
from vivit.video import read_frames


def _write_two_streams(path: Path, *, cover: bool) -> Path:
    """A large and a small stream; the small one comes first, or is cover art."""
    with av.open(str(path), "w") as output:
        streams: list[VideoStream] = []
        for codec, pix_fmt, width, height in (("mjpeg", "yuvj420p", 64, 48), ("libx264", "yuv420p", 192, 144)):
            stream = output.add_stream(codec, rate=30)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            streams.append(stream)
        if cover:
            streams[0].disposition = av.stream.Disposition.attached_pic
        for number in range(10):
            for stream in streams[1:] if cover and number else streams:
                shown = number if stream is streams[1] else 99 - number
                frame = av.VideoFrame.from_ndarray(draw_number(shown, stream.width, stream.height), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 30)
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
    return path


def test_the_best_of_several_streams_is_read_and_named(tmp_path: Path) -> None:
    sampled = read_frames(_write_two_streams(tmp_path / "two.mkv", cover=False), 4)
    assert [read_number(frame) for frame in sampled.frames] == [0, 3, 6, 9]
    assert (sampled.info.num_streams, sampled.info.stream_index) == (2, 1)
    assert any("stream 1 (192x144) is used" in warning for warning in sampled.warnings)


def test_cover_art_is_not_video(tmp_path: Path) -> None:
    path = _write_two_streams(tmp_path / "cover.mp4", cover=True)
    with av.open(str(path)) as container:
        assert any(stream.disposition & av.stream.Disposition.attached_pic for stream in container.streams.video)
    sampled = read_frames(path, 4)
    assert [read_number(frame) for frame in sampled.frames] == [0, 3, 6, 9]
    assert (sampled.info.num_streams, sampled.warnings) == (1, ())
