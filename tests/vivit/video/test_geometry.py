"""Pictures and choices of frames as transformers' pipeline has them, against transformers itself."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from PIL import Image
from transformers.pipelines.video_classification import read_video_pyav
from transformers.video_utils import load_video

from tests.clips import cut_out, draw_number, read_number, write_clip, written_once
from vivit.video import probe, read_frames

FRAMES = 24
QUARTER_TURN = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
FIELDS = {"flags": "+ildct+ilme", "x264-params": "tff=1:log-level=none"}
ON_NOTHING = [cut_out(draw_number(number)) for number in range(FRAMES)]
VPX = {"auto-alt-ref": "0", "deadline": "realtime", "cpu-used": "8"}
PQ = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}


def _two_streams(path: Path) -> Path:
    """A small stream first and a large one, which players choose, after it."""
    with av.open(str(path), "w") as output:
        streams = [output.add_stream(codec, rate=25) for codec in ("mjpeg", "libx264")]
        for stream, size in zip(streams, ((64, 48), (256, 192)), strict=True):
            stream.width, stream.height = size
        streams[0].pix_fmt = "yuvj420p"
        for number in range(FRAMES):
            for shift, stream in enumerate(streams):
                picture = draw_number(number + 1000 * shift, stream.width, stream.height)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in streams:
            output.mux(stream.encode(None))
    return path


CLIPS: dict[str, Callable[[Path], Path]] = {
    "turned.mp4": lambda path: write_clip(path, FRAMES, display_matrix=QUARTER_TURN),
    "wide_pixels.mp4": lambda path: write_clip(path, FRAMES, sample_aspect_ratio=Fraction(16, 11)),
    "two_streams.mkv": _two_streams,
    "two_fields.mp4": lambda path: write_clip(path, FRAMES, codec_options=FIELDS),
    "pq.mp4": lambda path: write_clip(path, FRAMES, pix_fmt="yuv420p10le", colours=PQ),
    "on_nothing.webm": lambda path: write_clip(
        path, codec="libvpx-vp9", pix_fmt="yuva420p", codec_options=VPX, pictures=ON_NOTHING
    ),
    "on_nothing.mov": lambda path: write_clip(path, codec="png", pix_fmt="rgba", pictures=ON_NOTHING),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return written_once(tmp_path_factory.mktemp("geometry"), CLIPS)


@pytest.mark.parametrize("name", CLIPS)
def test_stored_pictures_are_those_of_transformers_without_torchvision(clip: Callable[[str], Path], name: str) -> None:
    with av.open(str(clip(name))) as container:
        theirs = read_video_pyav(container, np.linspace(0, 8 * 2 - 1, 8, dtype=np.int64))
    ours = read_frames(clip(name), 8, sampling="transformers", stride=2, geometry="stored")
    np.testing.assert_array_equal(ours.frames, theirs)
    assert not any(word in text for text in ours.warnings for word in ("tone-mapped", "fields")), "of what is not done"
    upright = read_frames(clip(name), 8, sampling="transformers", stride=2)
    assert upright.frames.shape != theirs.shape or not np.array_equal(upright.frames, theirs), "nothing to tell apart"


@pytest.mark.parametrize("name", [name for name in CLIPS if name[-3:] in ("mp4", "mov")])  # others have no count
@pytest.mark.parametrize("num_frames", [1, 5, 8, FRAMES])
def test_the_torchvision_path_of_transformers_has_the_first_frame_of_each_part(
    clip: Callable[[str], Path], name: str, num_frames: int
) -> None:
    """What is asked is the reader that transformers' video processor calls: the processor itself needs torchvision."""
    theirs, metadata = load_video(cast(Any, str(clip(name))), num_frames=num_frames, backend="pyav")
    ours = read_frames(clip(name), num_frames, sampling="transformers-torchvision", geometry="stored")
    assert ours.indices == tuple(metadata.frames_indices)
    np.testing.assert_array_equal(ours.frames, theirs)


def test_what_a_file_holds_is_told_as_it_is_read(clip: Callable[[str], Path]) -> None:
    upright, stored = probe(clip("turned.mp4")), probe(clip("turned.mp4"), geometry="stored")
    assert (upright.width, upright.height) == (96, 128)
    assert upright.rotation % 180 == 90
    assert (stored.width, stored.height, stored.rotation) == (128, 96, 0)
    wide = probe(clip("wide_pixels.mp4")), probe(clip("wide_pixels.mp4"), geometry="stored")
    assert [info.width for info in wide] == [186, 128]
    assert [probe(clip("two_streams.mkv"), geometry=g).stream_index for g in ("upright", "stored")] == [1, 0]
    assert probe(clip("two_fields.mp4")).interlaced and not probe(clip("two_fields.mp4"), geometry="stored").interlaced


def test_a_picture_far_into_the_clip_is_the_same(clip: Callable[[str], Path]) -> None:
    for name in CLIPS:
        every = read_frames(clip(name), FRAMES, geometry="stored").frames
        late = read_frames(clip(name), 2, sampling="consecutive", start=19, stride=3, geometry="stored").frames
        np.testing.assert_array_equal(late, every[[19, 22]])


def test_animated_webp_is_not_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    first, *others = [Image.fromarray(draw_number(number)) for number in range(4)]
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, duration=100, lossless=True, exif=exif)
    assert read_frames(tmp_path / "a.webp", 4).frames.shape == (4, 128, 96, 3)
    stored = read_frames(tmp_path / "a.webp", 4, geometry="stored").frames
    assert [read_number(frame) for frame in stored] == [0, 1, 2, 3]


def test_an_unknown_geometry_lists_the_known(clip: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="upright, stored, not 'round'"):
        read_frames(clip("turned.mp4"), 8, geometry="round")
