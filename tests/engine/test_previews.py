"""Previews and thumbnails from the real media worker: there whenever frames can be read, and as the model gets them."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import Engine
from engine.tasks import MakePreview, MakeThumbnail, ReadFrames
from tests.clips import cut_out, draw_number, read_number, write_clip
from tests.engine.waiting import app_engine, done
from tests.vivit.video.test_time import STAMPS, stamped
from vivit.video import read_frames

BUNDLED = "vivit-mannequin"
INTRA_REFRESH = {"x264-params": "intra-refresh=1:keyint=20:bframes=0:log-level=none"}
CUT = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=0:log-level=none"}


def _alpha(path: Path) -> Path:
    figures = [cut_out(draw_number(number)) for number in range(20)]
    return write_clip(
        path, codec="libvpx-vp9", pix_fmt="yuva420p", codec_options={"auto-alt-ref": "0"}, pictures=figures
    )


def _webp(path: Path) -> Path:
    first, *others = [Image.fromarray(draw_number(number)) for number in range(20)]
    first.save(path, save_all=True, append_images=others, duration=50, lossless=True)
    return path


def _broken(path: Path) -> Path:
    """Of 60 pictures, 8 can be decoded: the rest is what a failing card left."""
    import av

    write_clip(path, 60, codec_options=CUT)
    with av.open(str(path)) as container:
        places = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in places[8:]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def _between_keys(path: Path) -> Path:
    """A recording that was switched on between two key frames."""
    write_clip(path, 60, codec_options=CUT)
    data = path.read_bytes()
    path.write_bytes(data[: 188 * 3] + data[len(data) // 3 // 188 * 188 :])
    return path


# name: (how it is written, about how long it is in seconds)
CLIPS: dict[str, tuple[Callable[[Path], Path], float]] = {
    "intra_refresh.mkv": (lambda path: write_clip(path, 60, codec_options=INTRA_REFRESH), 2.0),
    "intra_refresh.ts": (lambda path: write_clip(path, 60, codec_options=INTRA_REFRESH), 2.0),
    "wrap.ts": (lambda path: stamped(path, STAMPS["wrap"]), 2.4),
    "jump.ts": (lambda path: stamped(path, STAMPS["jump"]), 2.4),
    "reset.ts": (lambda path: stamped(path, STAMPS["reset"]), 2.4),
    "broken.mp4": (_broken, 8 / 30),
    "between_keys.ts": (_between_keys, 1.3),
    "raw.h264": (lambda path: write_clip(path, 50, container="h264", rate=25), 2.0),
    "alpha.webm": (_alpha, 20 / 30),
    "animated.webp": (_webp, 1.0),
    "one.mp4": (lambda path: write_clip(path, 1), 1 / 30),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with app_engine("media") as engine:
        yield engine


def _preview(engine: Engine, path: Path) -> Path:
    made = path.with_name("preview.mp4")
    made.write_bytes(done(engine.ask(MakePreview(str(path)))).blobs[0])
    return made


@pytest.mark.parametrize("name", CLIPS)
def test_what_can_be_classified_has_a_preview_and_a_thumbnail(engine: Engine, tmp_path: Path, name: str) -> None:
    write, seconds = CLIPS[name]
    path = write(tmp_path / name)
    frames = done(engine.ask(ReadFrames(str(path), BUNDLED))).result
    whole = read_frames(path, frames.num_frames, sampling="consecutive")
    made = read_frames(_preview(engine, path), frames.num_frames, sampling="consecutive")
    assert made.info.num_frames == frames.num_frames
    assert [read_number(frame) for frame in made.frames] == [read_number(frame) for frame in whole.frames]
    assert made.seconds == pytest.approx(whole.seconds, abs=1e-3)
    assert made.info.duration_seconds == pytest.approx(seconds, rel=0.1)
    thumbnail = done(engine.ask(MakeThumbnail(str(path)))).blobs[0]
    with Image.open(BytesIO(thumbnail)) as picture:
        assert read_number(np.asarray(picture)) == read_number(whole.frames[0])


def test_a_preview_keeps_the_clips_own_timing(engine: Engine, tmp_path: Path) -> None:
    times = [round(1000 * i / 60) for i in range(60)] + [1000, 1500, 4000, 12_000]
    made = read_frames(
        _preview(engine, write_clip(tmp_path / "uneven.mkv", 64, pts_ms=times)), 63, sampling="consecutive"
    )
    assert made.info.num_frames == 63
    assert made.seconds == pytest.approx([t / 1000 for t in times[:63]], abs=2e-3)
    assert made.info.duration_seconds == pytest.approx(10, abs=0.01)


def test_frames_that_come_faster_than_screens_show_them_are_left_out(engine: Engine, tmp_path: Path) -> None:
    made = read_frames(_preview(engine, write_clip(tmp_path / "fast.mp4", 240, rate=240)), 60, sampling="consecutive")
    assert made.info.num_frames == 60 and made.info.fps == pytest.approx(60, rel=0.01)
    assert [read_number(frame) for frame in made.frames] == list(range(0, 240, 4))
