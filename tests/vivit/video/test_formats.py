"""What can be uploaded can be read: a clip of every kind that phones, cameras, recorders and editors write."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.clips import read_number, write_clip
from vivit.names import VIDEO_SUFFIXES
from vivit.video import choose_indices, read_frames


def _as(
    codec: str,
    container: str | None = None,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (176, 144),
    options: Mapping[str, str] | None = None,
) -> Callable[[Path], Path]:
    return lambda path: write_clip(
        path, 30, codec=codec, container=container, pix_fmt=pix_fmt, rate=25, size=size, codec_options=options
    )


H264 = {"x264-params": "log-level=none"}
H265 = {"x265-params": "log-level=none"}
WRITERS: dict[str, Callable[[Path], Path]] = {
    ".mp4": _as("libx264", options=H264),
    ".mov": _as("prores_ks", pix_fmt="yuv422p10le"),
    ".mkv": _as("ffv1"),
    ".webm": _as("libvpx-vp9", options={"deadline": "realtime"}),
    ".avi": _as("mpeg4"),
    ".gif": _as("gif", pix_fmt="rgb8"),
    ".m4v": _as("mpeg4", "mp4"),
    ".3gp": _as("h263", "3gp"),
    ".3g2": _as("mpeg4", "3g2"),
    ".mpg": _as("mpeg1video", "mpeg"),
    ".mpeg": _as("mpeg2video", "vob"),
    ".vob": _as("mpeg2video", "vob"),
    ".ts": _as("libx264", "mpegts", options=H264),
    ".mts": _as("libx264", "mpegts", options=H264),
    ".m2ts": lambda path: write_clip(
        path, 30, container="mpegts", rate=25, size=(176, 144), container_options={"mpegts_m2ts_mode": "1"}
    ),
    ".wmv": _as("wmv2", "asf"),
    ".asf": _as("msmpeg4", "asf"),
    ".flv": _as("flv", "flv"),
    ".ogv": _as("libvpx", "ogg"),
    ".ogg": _as("libvpx", "ogg"),
    ".mxf": _as("mpeg2video", "mxf"),
    ".dv": _as("dvvideo", "dv", size=(720, 576)),
    ".apng": _as("apng", "apng", pix_fmt="rgb24"),
    ".png": _as("apng", "apng", pix_fmt="rgb24"),
    ".y4m": _as("wrapped_avframe", "yuv4mpegpipe"),
    ".ivf": _as("libvpx", "ivf"),
    ".h264": _as("libx264", "h264", options=H264),
    ".264": _as("libx264", "h264", options=H264),
    ".avc": _as("libx264", "h264", options=H264),
    ".h265": _as("libx265", "hevc", options=H265),
    ".265": _as("libx265", "hevc", options=H265),
    ".hevc": _as("libx265", "hevc", options=H265),
    ".mjpeg": _as("mjpeg", "mjpeg", pix_fmt="yuvj420p"),
    ".mjpg": _as("mjpeg", "mjpeg", pix_fmt="yuvj420p"),
    ".obu": _as("libsvtav1", "obu"),
    ".m2v": _as("mpeg2video", "mpeg2video"),
}


def test_every_kind_that_can_be_uploaded_is_tried() -> None:
    assert set(VIDEO_SUFFIXES) - set(WRITERS) == {".webp"}  # in test_alpha and test_time: Pillow writes it


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_clip_of_every_kind_is_read(tmp_path: Path, suffix: str) -> None:
    path = WRITERS[suffix](tmp_path / f"clip{suffix}")
    upload = path.rename(tmp_path / "5ca1ab1e.clip")  # an upload has lost its name
    sampled = read_frames(upload, 8)
    assert sampled.info.num_frames == 30
    assert [read_number(frame) for frame in sampled.frames] == choose_indices(8, total=30)
    assert sampled.info.fps == pytest.approx(25, rel=0.01)
