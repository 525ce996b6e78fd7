"""Interlaced clips: a bar that moves between the two fields of a picture leaves combs unless the fields are taken apart."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import read_number, write_clip, written_once
from vivit.video import decode, probe, read_frames
from vivit.video.probing import DEINTERLACED

WIDTH, HEIGHT, FRAMES = 160, 128, 24


def _field(number: int) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    left = 3 * number % (WIDTH - 24)
    picture[:, left : left + 24] = 220
    return picture


def _woven(number: int) -> np.ndarray:
    """Two fields, the upper one first, of a camera that makes them one after the other."""
    picture = _field(2 * number)
    picture[1::2] = _field(2 * number + 1)[1::2]
    return picture


def _write(
    path: Path, codec: str, options: dict[str, str], pix_fmt: str = "yuv420p", pictures: list[np.ndarray] | None = None
) -> Path:
    pictures = pictures or [_woven(number) for number in range(FRAMES)]
    options = {"flags": "+ildct+ilme"} | options
    return write_clip(path, codec=codec, rate=25, pix_fmt=pix_fmt, codec_options=options, pictures=pictures)


X264 = {"x264-params": "tff=1:keyint=8:min-keyint=8:scenecut=0:bframes=2:log-level=none", "crf": "8"}
CLIPS: dict[str, Callable[[Path], Path]] = {
    "h264.mp4": lambda path: _write(path, "libx264", X264),
    "h264.mkv": lambda path: _write(path, "libx264", X264),
    "h264.ts": lambda path: _write(path, "libx264", X264),
    "mpeg2.ts": lambda path: _write(path, "mpeg2video", {"bf": "2", "g": "8", "q": "2"}),
    "mpeg2.mpg": lambda path: _write(path, "mpeg2video", {"bf": "2", "g": "8", "q": "2"}),
    "prores.mov": lambda path: _write(path, "prores_ks", {}, "yuv422p10le"),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return written_once(tmp_path_factory.mktemp("interlaced"), CLIPS)


def _combs(picture: np.ndarray) -> float:
    """How much lines differ from those above and below them."""
    grey = picture.astype(np.int32).mean(-1)
    return float(np.abs(grey[:-2] - 2 * grey[1:-1] + grey[2:]).mean())


def test_the_clips_have_combs(clip: Callable[[str], Path]) -> None:
    for name in CLIPS:
        with av.open(str(clip(name))) as container:
            frame = list(container.decode(video=0))[5]
        assert frame.interlaced_frame and _combs(frame.to_ndarray(format="rgb24")) > 8, name


@pytest.mark.parametrize("name", CLIPS)
def test_no_comb_is_left_and_it_is_said(clip: Callable[[str], Path], name: str) -> None:
    sampled = read_frames(clip(name), 12)
    assert max(_combs(frame) for frame in sampled.frames) < 3
    assert sampled.warnings == (DEINTERLACED,)
    assert not sampled.info.plain
    for index, frame in zip(sampled.indices, sampled.frames, strict=True):  # the first field's place, not a mixture
        assert np.abs(frame.astype(int) - _field(2 * index)).mean() < 12


@pytest.mark.parametrize("name", CLIPS)
def test_a_picture_is_the_same_however_it_is_reached(clip: Callable[[str], Path], name: str) -> None:
    info = probe(clip(name))
    whole = [frame.image for frame in decode(info, range(info.num_frames))]
    for index in (0, 1, 7, 8, 9, 16, info.num_frames - 1):  # key frames lie at every eighth
        (alone,) = decode(info, [index])
        np.testing.assert_array_equal(alone.image, whole[index])


def test_what_stands_still_keeps_every_line(tmp_path: Path) -> None:
    lines = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    lines[::4] = lines[1::4] = 200
    path = _write(tmp_path / "still.mov", "prores_ks", {}, "yuv422p10le", [lines] * 6)
    sampled = read_frames(path, 6)
    assert sampled.warnings == (DEINTERLACED,)
    assert np.abs(sampled.frames[2].astype(int) - lines).mean() < 2


def test_a_clip_that_becomes_interlaced_later(tmp_path: Path) -> None:
    """The packets do not say so: each picture is deinterlaced without its neighbours, and there is a warning all the same."""
    path = tmp_path / "later.mov"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("prores_ks", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv422p10le"
        for number in range(12):
            encoder = av.CodecContext.create("prores_ks", "w")
            encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv422p10le"
            encoder.time_base = Fraction(1, 25)
            encoder.options = {"flags": "+ildct+ilme"} if number >= 6 else {}
            frame = av.VideoFrame.from_ndarray(_woven(number) if number >= 6 else _field(number), format="rgb24")
            frame.pts = 0
            for packet in (*encoder.encode(frame.reformat(format="yuv422p10le")), *encoder.encode(None)):
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                packet.pts = packet.dts = number
                output.mux(packet)
    assert not probe(path).interlaced
    sampled = read_frames(path, 12)
    assert max(_combs(frame) for frame in sampled.frames) < 3
    assert sampled.warnings == (DEINTERLACED,)


def test_a_progressive_clip_is_left_alone(tmp_path: Path) -> None:
    sampled = read_frames(write_clip(tmp_path / "clip.mp4", 12), 12)
    assert sampled.warnings == () and sampled.info.plain
    assert [read_number(frame) for frame in sampled.frames] == list(range(12))
