"""When frames are shown: uneven clips, clips that begin late, pictures that are held, and clocks that cannot be believed."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.clips import draw_number, read_number, write_clip
from vivit.video import choose_indices, probe, read_frames
from vivit.video.sampling import comes_evenly

UNEVEN = "The clip's frames come unevenly, so they were chosen evenly in time: the one on screen at each."

# A second at 60 pictures a second, and nine at 2.
VFR_MS = [round(1000 * i / 60) for i in range(60)] + [1000 + 500 * i for i in range(18)]


def _numbers(path: Path, num_frames: int) -> tuple[list[int], tuple[str, ...]]:
    sampled = read_frames(path, num_frames)
    numbers = [read_number(frame) for frame in sampled.frames]
    assert numbers == list(sampled.indices)
    return numbers, sampled.warnings


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_uneven_frames_are_chosen_by_time(tmp_path: Path, suffix: str) -> None:
    """The first second has 60 frames, each of the nine after it 2: of 32 frames a tenth is of the first, not three quarters."""
    options = {"bf": "0"}  # with B-frames an MP4 does not say how long the last picture is shown
    path = write_clip(tmp_path / f"clip.{suffix}", 78, pts_ms=VFR_MS, codec_options=options)
    numbers, warnings = _numbers(path, 32)
    assert warnings == (UNEVEN,)
    assert 3 <= sum(number < 60 for number in numbers) <= 4
    assert numbers[0] == 0 and numbers[-1] == 77
    shown = np.array([*VFR_MS, 10_000]) / 1000
    moments = np.linspace(0, probe(path).duration_seconds, 32)
    for number, moment in zip(numbers, moments, strict=True):
        assert shown[number] - 0.002 <= moment <= shown[number + 1] + 0.01


def test_one_picture_that_stands_is_repeated(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", 4, pts_ms=[0, 100, 200, 4000], codec_options={"bf": "0"})
    numbers, warnings = _numbers(path, 16)
    assert numbers.count(2) >= 13 and numbers[-1] == 3
    assert warnings == (UNEVEN,)  # repeats are right here: nobody is told that the clip is too short


RATES = [(24000, 1001), (30000, 1001), (25, 1), (60, 1), (120, 1), (1, 1)]


@pytest.mark.parametrize(("numerator", "denominator"), RATES)
@pytest.mark.parametrize("rounding_ms", [0, 1])
def test_a_constant_rate_counts_as_one_when_times_are_rounded(
    numerator: int, denominator: int, rounding_ms: int
) -> None:
    times = [i * denominator / numerator for i in range(301)]
    times = [round(t, 3) for t in times] if rounding_ms else times
    assert comes_evenly(times)
    for sampling in ("uniform", "center", "consecutive", "transformers"):
        chosen = choose_indices(32, total=300, sampling=sampling, edges=times)
        assert chosen == choose_indices(32, total=300, sampling=sampling)


def test_only_uniform_goes_by_time() -> None:
    edges = [0.0, 0.1, 0.2, 5.0, 5.1]
    assert not comes_evenly(edges)
    for sampling in ("center", "consecutive", "transformers"):
        assert choose_indices(4, total=4, sampling=sampling, edges=edges) == [0, 1, 2, 3]
    assert choose_indices(4, total=4, edges=edges) == [0, 2, 2, 3]
    assert choose_indices(1, total=4, edges=edges) == [2]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_a_clip_that_begins_late_has_times_from_its_first_frame(tmp_path: Path, suffix: str) -> None:
    start = 36_000_000 if suffix == "mkv" else 5_000
    path = write_clip(tmp_path / f"late.{suffix}", 50, pts_ms=[start + 40 * i for i in range(50)])
    sampled = read_frames(path, 8)
    assert sampled.info.duration_seconds == pytest.approx(2, abs=0.03)
    assert sampled.seconds == pytest.approx([0.04 * i for i in sampled.indices], abs=2e-3)
    assert [read_number(frame) for frame in sampled.frames] == list(sampled.indices)
    assert sampled.warnings == ()


def animation(path: Path, durations_ms: Sequence[int]) -> Path:
    first, *others = [Image.fromarray(draw_number(number)) for number in range(len(durations_ms))]
    options: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=others, duration=list(durations_ms), **options)
    return path


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_the_last_picture_lasts_as_long_as_it_is_held(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"held.{suffix}", [100, 100, 100, 100, 2600])
    info = probe(path)
    assert info.frame_seconds == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert info.duration_seconds == pytest.approx(3.0)
    numbers, _ = _numbers(path, 31)
    assert [numbers.count(number) for number in range(5)] == [1, 1, 1, 1, 27]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_pictures_of_an_animation_have_their_own_lengths(tmp_path: Path, suffix: str) -> None:
    durations = [40, 400, 80, 1000, 200, 40]
    info = probe(animation(tmp_path / f"own.{suffix}", durations))
    assert info.frame_seconds == pytest.approx([sum(durations[:i]) / 1000 for i in range(6)])
    assert info.duration_seconds == pytest.approx(sum(durations) / 1000)


AVI_RATES = [(25, 1), (24_000, 1001), (30_000, 1001), (50, 1)]


@pytest.mark.parametrize(("numerator", "denominator"), AVI_RATES)
def test_avi_with_b_frames_has_its_true_rate(tmp_path: Path, numerator: int, denominator: int) -> None:
    """AVI counts chunks, and some writers put empty ones in: FFmpeg's mean rate is then twice the true one."""
    path = tmp_path / "b.avi"
    write_clip(path, 60, rate=Fraction(numerator, denominator), codec_options={"bf": "3", "g": "12"})
    info = probe(path)
    assert info.num_frames == 60 and info.warnings == ()
    assert info.fps == pytest.approx(numerator / denominator, rel=1e-3)
    assert info.duration_seconds == pytest.approx(60 * denominator / numerator, rel=1e-3)


def test_a_gap_in_avi_with_b_frames_stays_one(tmp_path: Path) -> None:
    times = [40 * i + 5000 * (i > 20) for i in range(60)]
    path = write_clip(tmp_path / "gap.avi", 60, pts_ms=times, codec_options={"bf": "3", "g": "12"})
    info = probe(path)
    assert info.num_frames == 60
    steps = np.diff(info.frame_seconds)
    assert np.sort(steps)[:-3] == pytest.approx(0.04, abs=0.002) and steps.sum() == pytest.approx(7.36, abs=0.2)
    assert UNEVEN in read_frames(path, 16).warnings


def test_asf_with_b_frames_has_its_true_times(tmp_path: Path) -> None:
    """The decoder gives a picture of ASF with B-frames the time of the packet with which the picture comes out."""
    path = write_clip(tmp_path / "b.wmv", 40, container="asf", rate=30, codec_options={"bf": "3", "g": "12"})
    sampled = read_frames(path, 8)
    assert sampled.info.fps == pytest.approx(30, rel=0.03) and sampled.warnings == ()
    assert [read_number(frame) for frame in sampled.frames] == list(sampled.indices)


@pytest.mark.parametrize("missing", [1, 3, 20, 40, 77])
def test_one_missing_frame_leaves_a_rate_constant(missing: int) -> None:
    times = [i / 25 for i in range(81) if i != missing]
    assert comes_evenly(times)
    assert not comes_evenly([t for i, t in enumerate(times) if i not in range(30, 36)])


@pytest.mark.parametrize("hold", [1e-5, 0.001, 0.04, 0.1])
def test_a_last_frame_of_odd_length_leaves_a_rate_constant(hold: float) -> None:
    assert comes_evenly([*(i / 25 for i in range(80)), 79 / 25 + hold])


def stamped(path: Path, times_seconds: Sequence[float]) -> Path:
    """Write an MPEG-TS of numbered pictures with these time stamps, which are stored modulo 2^33 ticks of 1/90000 s."""
    write_clip(path, len(times_seconds), codec_options={"bf": "0", "g": "10"}, rate=25)
    data, number = bytearray(path.read_bytes()), 0
    for start in range(0, len(data), 188):
        at = start + 4 + (1 + data[start + 4] if data[start + 3] & 0x20 else 0)
        if data[start + 3] & 0x20 and data[start + 4] and data[start + 5] & 0x10:  # the programme's clock goes along
            ticks = round(times_seconds[min(number, len(times_seconds) - 1)] * 90_000) % 2**33
            data[start + 6 : start + 12] = struct.pack(">Q", ticks << 15 | 0x3F << 9)[2:]
        if data[start + 1] & 0x40 and data[at : at + 4] == b"\0\0\x01\xe0":
            ticks = round(times_seconds[number] * 90_000) % 2**33
            flags, stamps = data[at + 7] >> 6, at + 9
            for place in (0, 5) if flags == 3 else (0,):
                head = data[stamps + place] & 0xF0
                data[stamps + place : stamps + place + 5] = bytes(
                    [
                        head | ticks >> 29 & 0xE | 1,
                        ticks >> 22 & 0xFF,
                        ticks >> 14 & 0xFE | 1,
                        ticks >> 7 & 0xFF,
                        ticks << 1 & 0xFE | 1,
                    ]
                )
            number += 1
    assert number == len(times_seconds)
    path.write_bytes(data)
    return path


EVEN = [i / 25 for i in range(60)]
TURN = 2**33 / 90_000  # s after which the time stamps of MPEG-TS begin anew
STAMPS = {
    "wrap": [TURN - 1 + t for t in EVEN],
    "jump": [t + 7200 * (i >= 30) for i, t in enumerate(EVEN)],
    "reset": [900 + t if i < 30 else t for i, t in enumerate(EVEN)],
}


@pytest.mark.parametrize("kind", STAMPS)
def test_clocks_of_broadcasts_that_leap(tmp_path: Path, kind: str) -> None:
    path = stamped(tmp_path / "leap.ts", STAMPS[kind])
    sampled = read_frames(path, 12)
    assert sampled.info.num_frames == 60
    assert sampled.indices == tuple(choose_indices(12, total=60))
    assert [read_number(frame) for frame in sampled.frames] == list(sampled.indices)
    assert sampled.seconds == pytest.approx([i / 25 for i in sampled.indices], abs=0.02)
    assert sampled.info.duration_seconds == pytest.approx(2.4, abs=0.05)
    if kind != "wrap":  # that one FFmpeg mends
        assert "The file has unusable frame times; 25 frames per second are assumed." in sampled.warnings


@pytest.mark.parametrize("kind", ["clip.h264", "clip.h265", "clip.m2v", "clip.mjpeg"])
def test_a_stream_without_a_container_has_an_assumed_rate(tmp_path: Path, kind: str) -> None:
    codec, container = {
        "clip.h264": ("libx264", "h264"),
        "clip.h265": ("libx265", "hevc"),
        "clip.m2v": ("mpeg2video", "mpeg2video"),
        "clip.mjpeg": ("mjpeg", "mjpeg"),
    }[kind]
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_clip(
        tmp_path / kind, 40, codec=codec, container=container, codec_options=options, pix_fmt=pix_fmt, rate=25
    )
    numbers, warnings = _numbers(path, 10)
    assert numbers == choose_indices(10, total=40)
    assert warnings == ("The file stores no times, so 25 frames per second are assumed.",)
    assert probe(path).duration_seconds == pytest.approx(40 / 25)


def test_a_late_video_beside_earlier_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mkv"), "w") as output:
        video, sound = output.add_stream("libx264", rate=25), output.add_stream("aac", rate=8000)
        video.width, video.height, video.pix_fmt = 128, 96, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            frame.time_base, frame.pts = Fraction(1, 25), number + 125
            output.mux(video.encode(frame))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 56_000), np.float32), format="fltp", layout="mono")
        silence.rate, silence.pts = 8000, 0
        for packets in (sound.encode(silence), sound.encode(None), video.encode(None)):
            output.mux(packets)
    sampled = read_frames(tmp_path / "sound.mkv", 5)
    assert sampled.info.frame_seconds[0] == pytest.approx(5)
    assert sampled.seconds == pytest.approx([i / 25 for i in sampled.indices], abs=2e-3)
    assert sampled.info.duration_seconds == pytest.approx(2, abs=0.01)
