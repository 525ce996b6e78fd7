"""`vivit.video` against clips whose every frame carries its number, and against PyAV's own plain decoding."""

import gc
import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from tests.clips import read_number, skip_by_edit_list, write_clip, written_once
from tests.patience import until
from vivit.video import VideoInfo, choose_indices, container, decode, decoding, probe, read_frames
from vivit.video.picture import ToRgb

CLOSED_GOP = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:log-level=none"}
OPEN_GOP = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:open-gop=1:log-level=none"}
LONG_GOP = {"x264-params": "keyint=300:scenecut=0:bframes=3:b-adapt=0:log-level=none"}
HEVC = {"x265-params": "keyint=12:bframes=3:b-pyramid=1:open-gop=1:log-level=none"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "12", "lag-in-frames": "16", "auto-alt-ref": "1"}
VP8 = {"deadline": "good", "cpu-used": "4", "g": "30", "lag-in-frames": "16", "auto-alt-ref": "1"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
UNEVEN_MS = [sum(([33, 17, 50, 120, 8, 400] * 12)[:i]) for i in range(72)]


def _edited(path: Path) -> Path:
    skip_by_edit_list(write_clip(path, 72, codec_options=CLOSED_GOP), 17)
    return path


# name: (how it is written, number of the first frame, frames, whether its packets are to be trusted)
CLIPS: dict[str, tuple[Callable[[Path], Path], int, int, bool]] = {
    "h264.mp4": (lambda path: write_clip(path, 72, codec_options=CLOSED_GOP), 0, 72, True),
    "open_gop.mp4": (lambda path: write_clip(path, 72, codec_options=OPEN_GOP), 0, 72, True),
    "long_gop.mp4": (lambda path: write_clip(path, 72, codec_options=LONG_GOP), 0, 72, True),
    "hevc_open_gop.mp4": (lambda path: write_clip(path, 72, codec="libx265", codec_options=HEVC), 0, 72, True),
    "vp9.webm": (lambda path: write_clip(path, 72, codec="libvpx-vp9", codec_options=VP9), 0, 72, True),
    "vp8.webm": (lambda path: write_clip(path, 72, codec="libvpx", codec_options=VP8), 0, 72, False),
    "mjpeg.avi": (lambda path: write_clip(path, 72, codec="mjpeg", pix_fmt="yuvj420p"), 0, 72, True),
    "uneven.mp4": (lambda path: write_clip(path, 72, pts_ms=UNEVEN_MS, codec_options=CLOSED_GOP), 0, 72, True),
    "uneven.mkv": (lambda path: write_clip(path, 72, pts_ms=UNEVEN_MS, codec_options=CLOSED_GOP), 0, 72, True),
    "fragmented.mp4": (
        lambda path: write_clip(path, 72, codec_options=CLOSED_GOP, container_options=FRAGMENTED),
        0,
        72,
        True,
    ),
    "uncounted.mkv": (lambda path: write_clip(path, 72, codec_options=CLOSED_GOP), 0, 72, True),
    "h264.ts": (lambda path: write_clip(path, 72, codec_options=CLOSED_GOP), 0, 72, True),
    "open_gop.ts": (lambda path: write_clip(path, 72, codec_options=OPEN_GOP), 0, 72, True),
    "mpeg2.ts": (
        lambda path: write_clip(path, 72, codec="mpeg2video", codec_options={"bf": "2", "g": "12"}),
        0,
        72,
        True,
    ),
    "mpeg4.avi": (lambda path: write_clip(path, 72, codec="mpeg4", codec_options={"bf": "2", "g": "12"}), 0, 72, False),
    "h264.avi": (lambda path: write_clip(path, 72, codec_options=CLOSED_GOP), 0, 72, False),
    "edited.mp4": (_edited, 17, 55, True),
    "palette.gif": (lambda path: write_clip(path, 40, codec="gif", pix_fmt="rgb8"), 0, 40, True),
    "31.mp4": (lambda path: write_clip(path, 31), 0, 31, True),
    "1.mp4": (lambda path: write_clip(path, 1), 0, 1, True),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return written_once(tmp_path_factory.mktemp("clips"), {name: write for name, (write, *_) in CLIPS.items()})


def _plainly_decoded(path: Path) -> tuple[list[np.ndarray], list[float]]:
    """What the model's documentation does: decode everything to RGB."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for frame in frames], [frame.time for frame in frames]


def _selections(total: int) -> dict[str, list[int]]:
    return {
        "all": list(range(total)),
        "sparse": choose_indices(min(5, total), total=total),
        "dense": choose_indices(9, total=total, sampling="center"),
        "repeated": choose_indices(min(total, 4), total=total) + [total - 1] * 3,
        "last": [total - 1],
        **{f"only {i}": [i] for i in range(0, total, 7)},
    }


def _ways(info: VideoInfo) -> dict[str, VideoInfo]:
    """The same clip sought in, read in one pass and matched by time, and read in one pass and counted."""
    return {
        "seek": info,
        "pass": replace(info, keyframe_seconds=info.keyframe_seconds[:1]),
        "count": replace(info, keyframe_seconds=()),
    }


@pytest.mark.parametrize("name", CLIPS)
def test_probe_tells_the_true_count_and_times(clip: Callable[[str], Path], name: str) -> None:
    *_, total, trusted = CLIPS[name]
    info = probe(clip(name))
    assert info.num_frames == total
    assert bool(info.keyframe_seconds) == trusted
    assert info.warnings == ()
    if not name.endswith(".avi"):  # AVI stores no presentation times, so PyAV's own are no oracle there
        assert list(info.frame_seconds) == _plainly_decoded(clip(name))[1]
    written_ms = UNEVEN_MS if name.startswith("uneven") else [1000 * i / 30 for i in range(total)]
    # Matroska and WebM round to 1 ms, GIF to 10 ms, each end of the difference.
    tolerance = {"gif": 0.011, "mkv": 0.0011, "webm": 0.0011}.get(name.split(".")[1], 1e-6)
    seconds = np.array(info.frame_seconds) - info.frame_seconds[0]
    np.testing.assert_allclose(seconds, np.array(written_ms) / 1000, rtol=0, atol=tolerance)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("way", ["seek", "pass", "count"])
@pytest.mark.parametrize("name", CLIPS)
def test_every_picture_is_the_one_asked_for(
    clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str, way: str, lanes: int
) -> None:
    monkeypatch.setattr(decoding, "MAX_LANES", lanes)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    _, first, total, _ = CLIPS[name]
    probed = probe(clip(name))
    info = _ways(probed)[way]
    for what, indices in _selections(total).items():
        frames = list(decode(info, indices))
        assert [frame.index for frame in frames] == indices, what
        assert [read_number(frame.image) - first for frame in frames] == indices, what
        assert [frame.seconds for frame in frames] == [probed.frame_seconds[i] for i in indices], what
        assert not any(frame.damaged for frame in frames), what


@pytest.mark.parametrize("name", ["h264.mp4", "open_gop.mp4", "vp9.webm", "mjpeg.avi", "h264.ts", "hevc_open_gop.mp4"])
def test_pixels_equal_plain_decoding_bit_for_bit(clip: Callable[[str], Path], name: str) -> None:
    expected, _ = _plainly_decoded(clip(name))
    info = probe(clip(name))
    for what, indices in _selections(info.num_frames).items():
        for frame in decode(info, indices):
            np.testing.assert_array_equal(frame.image, expected[frame.index], err_msg=what)


def test_the_open_gop_clip_is_one(clip: Callable[[str], Path]) -> None:
    with av.open(str(clip("open_gop.mp4"))) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    keys = [place for place, packet in enumerate(packets) if packet.is_keyframe]
    times = [packet.pts for packet in packets if packet.pts is not None]
    assert len(keys) > 3 and len(times) == len(packets)
    assert all(times[key + 1] < times[key] for key in keys[1:-1])


def test_only_what_is_needed_is_decoded(clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int | None] = []
    converted: list[int] = []
    real_packets = decoding._packets_from_key

    def spy_packets(*args: Any) -> "Iterator[av.Packet[VideoStream]]":
        for packet in real_packets(*args):
            fed.append(packet.pts)
            yield packet

    class SpyToRgb(ToRgb):
        def __call__(self, *args: Any) -> np.ndarray:
            converted.append(1)
            return super().__call__(*args)

    info = probe(clip("h264.mp4"))
    monkeypatch.setattr(decoding, "_packets_from_key", spy_packets)
    monkeypatch.setattr(decoding, "ToRgb", SpyToRgb)
    frames = list(decode(info, [0, 36, 36, 60]))  # each the first of its group of 12 pictures
    assert [frame.index for frame in frames] == [0, 36, 36, 60]
    assert len(fed) == 3
    assert len(converted) == 3


def test_info_survives_json(clip: Callable[[str], Path]) -> None:
    info = probe(clip("open_gop.mp4"))
    again = VideoInfo(**json.loads(json.dumps(asdict(info))))
    assert [read_number(frame.image) for frame in decode(again, [3, 40])] == [3, 40]


def test_info_describes_the_clip(clip: Callable[[str], Path]) -> None:
    info = probe(clip("h264.mp4"))
    assert (info.width, info.height, info.rotation, info.mirrored) == (128, 96, 0, False)
    assert (info.codec, info.num_streams, info.stream_index) == ("h264", 1, 0)
    assert info.fps == pytest.approx(30)
    assert info.duration_seconds == pytest.approx(72 / 30)
    alone = probe(clip("1.mp4"))
    assert alone.fps == 0
    assert alone.duration_seconds == pytest.approx(1 / 30)


@pytest.mark.parametrize("indices", [[3, 2], [-1], [72]])
def test_impossible_indices_are_refused(clip: Callable[[str], Path], indices: list[int]) -> None:
    with pytest.raises(ValueError):
        list(decode(probe(clip("h264.mp4")), indices))


def test_read_frames(clip: Callable[[str], Path]) -> None:
    sampled = read_frames(clip("h264.mp4"), 8)
    assert sampled.frames.shape == (8, 96, 128, 3)
    assert sampled.frames.dtype == np.uint8
    assert sampled.indices == (0, 10, 20, 30, 41, 51, 61, 71)
    assert [read_number(frame) for frame in sampled.frames] == list(sampled.indices)
    assert sampled.seconds == pytest.approx([i / 30 for i in sampled.indices])
    assert sampled.warnings == ()
    window = read_frames(clip("h264.mp4"), 4, sampling="consecutive", stride=3, start=5)
    assert [read_number(frame) for frame in window.frames] == [5, 8, 11, 14]


def test_too_short_clips_repeat_the_last_frame_and_say_so(clip: Callable[[str], Path]) -> None:
    for name, total in (("31.mp4", 31), ("1.mp4", 1)):
        sampled = read_frames(clip(name), 32)
        assert [read_number(frame) for frame in sampled.frames] == [*range(total)] + [total - 1] * (32 - total)
        assert any("last one is repeated" in warning for warning in sampled.warnings)


def test_transform_shrinks_pictures_as_they_arrive(clip: Callable[[str], Path]) -> None:
    sampled = read_frames(clip("h264.mp4"), 9, transform=lambda picture: np.ascontiguousarray(picture[::2, ::2]))
    assert sampled.frames.shape == (9, 48, 64, 3)
    assert [read_number(frame) for frame in sampled.frames] == list(sampled.indices)


@pytest.mark.parametrize("name", ["h264.mp4", "long_gop.mp4", "mpeg4.avi"])
def test_progress_runs_forward_and_may_cancel(
    clip: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class Cancelled(Exception):
        pass

    monkeypatch.setattr(container, "PROGRESS_SECONDS", 0.0)
    path = clip(name)
    seen: list[float] = []
    callers: set[int] = set()

    def record(fraction: float) -> None:
        seen.append(fraction)
        callers.add(threading.get_ident())

    read_frames(path, 8, progress=record)
    assert seen == sorted(seen)
    assert (seen[0] >= 0, seen[-1]) == (True, 1)
    assert len(seen) > 20
    assert callers == {threading.get_ident()}

    before = {*threading.enumerate()}
    for stop in (1, len(seen) // 4, len(seen) // 2, None):  # the last at the very end, however many calls come before
        calls = 0

        def cancel(fraction: float, stop: int | None = stop) -> None:
            nonlocal calls
            calls += 1
            if calls == stop or (stop is None and fraction == 1):
                raise Cancelled

        with pytest.raises(Cancelled):
            read_frames(path, 8, progress=cancel)
        until(lambda: not {*threading.enumerate()} - before)


def test_few_pictures_are_alive_at_once(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "large.mp4", 48, size=(640, 480), codec_options=CLOSED_GOP)
    picture_bytes = 640 * 480 * 3
    for info in _ways(probe(path)).values():
        tracemalloc.start()
        for frame in decode(info, range(48)):
            assert frame.image.nbytes == picture_bytes
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # One with the reader, one waiting in each lane, one more that each lane is converting, and change.
        assert peak < (2 + 2 * decoding.MAX_LANES) * picture_bytes
    tracemalloc.start()
    sampled = read_frames(path, 32, transform=lambda picture: np.ascontiguousarray(picture[::16, ::16]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (2 + 2 * decoding.MAX_LANES) * picture_bytes + 2 * sampled.frames.nbytes


def test_pictures_are_freed_without_the_garbage_collector(clip: Callable[[str], Path]) -> None:
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
        read_frames(clip("h264.mp4"), 8)
        after = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert after == before
