"""Films, decoded once and in order, against `probe` and `decode`, which read the whole file first; and what is bad of them."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from tests.clips import draw_number, read_number, write_clip, written_once
from tests.hostile.clips import encrypted, written
from tests.vivit.video import test_alpha, test_formats, test_geometry, test_interlaced, test_reading
from tests.vivit.video.test_reading import CLOSED_GOP, OPEN_GOP, UNEVEN_MS
from tests.vivit.video.test_time import STAMPS, _animation, stamped
from vivit.film import Tick
from vivit.hub import ASSETS
from vivit.video import VideoError, VideoInfo, container, examined, probe, streaming
from vivit.video.streaming import FILM_LIMITS, MOST_PLACES, open_film

TICK = 0.05
VFR_MS = [round(1000 * i / 60) for i in range(60)] + [1000 + 500 * i for i in range(18)]
BARE = [".h264", ".hevc", ".m2v", ".mjpeg", ".obu"]
OTHERS: dict[str, Callable[[Path], Path]] = {
    "still_at_the_end.gif": lambda path: _animation(path, [100, 100, 100, 100, 2600]),
    "still_at_the_end.png": lambda path: _animation(path, [100, 100, 100, 100, 2600]),
    "own_lengths.webp": lambda path: _animation(path, [40, 400, 80, 1000, 200, 40]),
    "late.mkv": lambda path: write_clip(path, 50, pts_ms=[36_000_000 + 40 * i for i in range(50)]),
    "late.ts": lambda path: write_clip(path, 50, pts_ms=[5_000 + 40 * i for i in range(50)]),
    "vfr.mkv": lambda path: write_clip(path, 78, pts_ms=VFR_MS, codec_options={"bf": "0"}),
    "vfr_b.mp4": lambda path: write_clip(path, 78, pts_ms=VFR_MS),
    "b.avi": lambda path: write_clip(path, 60, rate=25, codec_options={"bf": "3", "g": "12"}),
    "b.wmv": lambda path: write_clip(path, 40, container="asf", codec_options={"bf": "3", "g": "12"}),
    "mpeg4_b.mp4": lambda path: write_clip(path, 72, codec="mpeg4", codec_options={"bf": "2", "g": "12"}),
    "10_bit.mp4": lambda path: write_clip(
        path, 40, codec="libx265", pix_fmt="yuv420p10le", codec_options=test_reading.HEVC
    ),
}
WRITERS: dict[str, Callable[[Path], Path]] = (
    {name: write for name, (write, *_) in test_reading.CLIPS.items()}
    | {f"alpha_{name}": write for name, write in test_alpha.CLIPS.items()}
    | {f"fields_{name}": write for name, write in test_interlaced.CLIPS.items()}
    | {f"geometry_{name}": write for name, write in test_geometry.CLIPS.items()}
    | {f"kind{suffix}": write for suffix, write in test_formats.WRITERS.items()}
    | OTHERS
)
SOUGHT = ["h264.mp4", "open_gop.mp4", "long_gop.mp4", "hevc_open_gop.mp4", "vp9.webm", "vp8.webm", "uneven.mkv"]
SOUGHT += [
    "edited.mp4",
    "late.mkv",
    "vfr_b.mp4",
    "fields_h264.mkv",
    "fields_prores.mov",
    "alpha_vp9.mkv",
    "b.avi",
    "late.ts",
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return written_once(tmp_path_factory.mktemp("films"), WRITERS)


def same(picture: np.ndarray) -> np.ndarray:
    return picture


def on_screen(info: VideoInfo, tick: float = TICK) -> list[int]:
    """Which picture is on screen at each time of the grid."""
    times = np.array(info.frame_seconds) - info.frame_seconds[0]
    count = max(1, ceil(info.duration_seconds / tick - 1e-6))
    return [int(np.searchsorted(times, k * tick + 1e-6, "right")) - 1 for k in range(count)]


def followed(path: Path, tick: float = TICK) -> tuple[list[Tick], int, tuple[str, ...], float]:
    with open_film(path) as film:
        ticks = list(film.ticks(tick, same))
        assert film.ended
        return ticks, film.decoded, film.warnings, film.end_seconds


def numbers(ticks: list[Tick]) -> list[int]:
    """What the pictures say; -1 where damage leaves nothing to be read."""

    def said(tick: Tick) -> int:
        try:
            return read_number(tick.image)
        except ValueError:
            return -1

    return [said(tick) for tick in ticks]


def assert_as_decoded(path: Path) -> None:
    found = examined(path, lambda info: sorted({*on_screen(info)}), lambda info, frames: {f.index: f for f in frames})
    info, frames = found.info, found.result
    ticks, decoded, warnings, end = followed(path)
    assert decoded == info.num_frames
    assert warnings == info.warnings
    wanted = on_screen(info)
    # A decoder of pictures with alpha tells no lengths: the last one's is then taken from the others', to a millisecond.
    assert end == pytest.approx(info.duration_seconds, abs=1e-3) and 0 <= len(ticks) - len(wanted) <= 1
    assert [tick.number for tick in ticks] == list(range(len(ticks)))
    for tick, index in zip(ticks, wanted, strict=False):
        np.testing.assert_array_equal(tick.image, frames[index].image)
        assert tick.seconds == pytest.approx(info.frame_seconds[index] - info.frame_seconds[0], abs=1e-9)


@pytest.mark.parametrize("name", WRITERS)
def test_pictures_are_those_on_screen_and_each_is_decoded_once(clip: Callable[[str], Path], name: str) -> None:
    assert_as_decoded(clip(name))


def test_the_bundled_clips_too() -> None:
    for path in sorted(Path(ASSETS, "clips").glob("*.mp4"))[::9]:
        assert_as_decoded(path)


def test_what_a_film_holds_is_what_probe_finds(clip: Callable[[str], Path]) -> None:
    for name in (
        "h264.mp4",
        "geometry_turned.mp4",
        "geometry_pq.mp4",
        "fields_h264.ts",
        "late.mkv",
        "alpha_animated.webp",
    ):
        info = probe(clip(name))
        with open_film(clip(name)) as film:
            held = film.info
            assert film.decoded == 0 and not film.ended
        assert (held.container, held.codec, held.plain) == (info.container, info.codec, info.plain)
        assert (held.width, held.height) == (info.width, info.height)
        assert held.begin_seconds == info.frame_seconds[0]
        assert held.promised_seconds == pytest.approx(info.duration_seconds, abs=0.01), name


@pytest.mark.parametrize("kind", STAMPS)
def test_a_clock_that_leaps_is_one_film(tmp_path: Path, kind: str) -> None:
    ticks, decoded, warnings, end = followed(stamped(tmp_path / "leap.ts", STAMPS[kind]), 1 / 25)
    assert decoded == 60 and numbers(ticks) == list(range(60)) and end == pytest.approx(2.4, abs=0.05)
    told = "The file has unusable frame times; 25 frames per second are assumed."
    assert warnings == (() if kind == "wrap" else (told,)), "what the file promises is nothing to go by then"


def test_a_film_that_becomes_interlaced_later_says_so(tmp_path: Path) -> None:
    half = test_interlaced.FRAMES // 2
    quiet = write_clip(tmp_path / "first.ts", half, codec="mpeg2video", rate=25, size=(160, 128))
    woven = test_interlaced._write(tmp_path / "second.ts", "mpeg2video", {"bf": "0"})
    (tmp_path / "both.ts").write_bytes(quiet.read_bytes() + woven.read_bytes())
    with open_film(tmp_path / "both.ts") as film:
        assert film.warnings == ()
        assert sum(1 for _ in film.ticks(1 / 25, same)) >= 2 * half
        assert "The clip is interlaced; its pictures were deinterlaced." in film.warnings


def test_a_picture_that_stands_is_one_object_and_transformed_once(clip: Callable[[str], Path]) -> None:
    made: list[int] = []

    def small(picture: np.ndarray) -> np.ndarray:
        made.append(read_number(picture))
        return picture[:2, :2].copy()

    with open_film(clip("vfr.mkv")) as film:
        ticks = list(film.ticks(0.1, small))
    assert len(made) == len(set(made)) == len({id(tick.image) for tick in ticks}) < len(ticks)
    assert made == sorted(made) and len(made) < 78, "those between two times are not converted"


@pytest.mark.parametrize("name", SOUGHT)
def test_after_a_seek_pictures_are_the_same(clip: Callable[[str], Path], name: str) -> None:
    whole, *_ = followed(clip(name))
    with open_film(clip(name)) as film:
        begin = film.info.begin_seconds
    for first in sorted({1, len(whole) // 3, len(whole) // 2, len(whole) - 1}):
        with open_film(clip(name), from_seconds=first * TICK, begin_seconds=begin) as film:
            after = list(film.ticks(TICK, same, first))
        assert [tick.number for tick in after] == [tick.number for tick in whole[first:]]
        for ours, theirs in zip(after, whole[first:], strict=True):
            assert ours.seconds == pytest.approx(theirs.seconds, abs=1e-9)
            np.testing.assert_array_equal(ours.image, theirs.image)


@pytest.mark.parametrize("options", [CLOSED_GOP, OPEN_GOP], ids=["closed", "open"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "flv"])
def test_a_seek_decodes_no_more_than_a_few_seconds(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    path = write_clip(tmp_path / f"long.{suffix}", 1500, rate=25, codec_options=options)
    with open_film(path) as film:
        begin = film.info.begin_seconds
    with open_film(path, from_seconds=50.0, begin_seconds=begin) as film:
        tick = next(film.ticks(1.0, same, 50))
        assert read_number(tick.image) == 1250 and film.decoded < 25


def test_a_place_after_the_end_is_an_empty_rest(clip: Callable[[str], Path]) -> None:
    with open_film(clip("h264.mp4"), from_seconds=60.0, begin_seconds=0.0) as film:
        assert list(film.ticks(TICK, same, 1200)) == [] and film.ended


class Enough(Exception):
    pass


@pytest.mark.parametrize("name", ["h264.mp4", "h264.ts"])
def test_whoever_waits_can_end_it_while_pictures_are_passed_over(
    clip: Callable[[str], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "PROGRESS_SECONDS", 0.0)
    calls: list[float] = []

    def tell(fraction: float) -> None:
        calls.append(fraction)
        if len(calls) > 20:
            raise Enough

    with (
        pytest.raises(Enough),
        open_film(
            clip(name), from_seconds=1e6, progress=tell
        ) as film,  # at the beginning, since where it begins is not said
    ):
        list(film.ticks(TICK, same, round(1e6 / TICK)))
    assert len(calls) == 21


# What is bad


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is a folder"),
        (b"", "is empty"),
        (b"these are notes, not pictures\n" * 20, "is plain text"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "is a list of files"),
        (written("h264.mp4")[:400], "not a video"),
        (encrypted(), "encrypted"),
    ],
    ids=["folder", "empty", "text", "script", "head", "encrypted"],
)
def test_what_is_no_film_is_a_sentence(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "odd.mp4"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(VideoError, match=said) as caught, open_film(path):
        pass
    assert str(caught.value).endswith(".") and str(tmp_path) not in str(caught.value)


LONG = 300
KINDS: dict[str, dict[str, Any]] = {
    "faststart.mp4": {"container_options": {"movflags": "faststart"}},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof"}},
    "h264.mkv": {},
    "h264.ts": {},
    "h264.flv": {},
    "raw.h264": {"container": "h264"},
    "mpeg2.mpg": {"codec": "mpeg2video", "codec_options": {"g": "12"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "codec_options": {}},
}


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def writer(name: str, options: dict[str, Any]) -> Callable[[Path], Path]:
        usual: dict[str, Any] = {"codec_options": CLOSED_GOP, "rate": 25, "size": (192, 144)}
        return lambda path: write_clip(path, LONG, **usual | options)

    return written_once(tmp_path_factory.mktemp("long"), {name: writer(name, o) for name, o in KINDS.items()})


@pytest.mark.parametrize("name", KINDS)
def test_of_a_film_that_is_cut_off_what_comes_before_is_kept(
    tmp_path: Path, long_clip: Callable[[str], Path], name: str
) -> None:
    whole, path = long_clip(name).read_bytes(), tmp_path / name
    kept = []
    for part in np.linspace(0.02, 0.98, 25):
        path.write_bytes(whole[: int(len(whole) * part)])
        try:
            ticks, _, warnings, end = followed(path, 1 / 25)
        except VideoError as error:  # nothing of it is here yet; and FFmpeg opens none that ends in a fragment's head
            assert str(error).endswith(".") and (part < 0.5 or name == "fragments.mp4")
            continue
        read = numbers(ticks)
        # The last ones may be half there, or come before others that they were coded after.
        assert read[: max(0, len(read) - 6)] == list(range(len(read) - 6)), f"{part:.2f}"
        kept.append(len(read))
        if name in ("faststart.mp4", "h264.mkv") and end < LONG / 25 - 2:  # whose headers promise more
            assert any("damaged" in warning for warning in warnings), f"{part:.2f}"
    assert len(kept) > 10 and kept == sorted(kept) and kept[-1] > 0.9 * LONG


@pytest.mark.parametrize("how", ["zeros", "ones", "noise"])
@pytest.mark.parametrize("name", ["faststart.mp4", "h264.mkv", "h264.ts", "h264.flv", "mpeg2.mpg"])
def test_of_a_film_that_is_damaged_in_the_middle_both_ends_are_kept(
    tmp_path: Path, long_clip: Callable[[str], Path], name: str, how: str
) -> None:
    data = bytearray(long_clip(name).read_bytes())
    size, middle = len(data) // 5, len(data) // 2
    made = {"zeros": bytes(size), "ones": b"\xff" * size, "noise": np.random.default_rng(0).bytes(size)}[how]
    data[middle : middle + size] = made
    (tmp_path / name).write_bytes(data)
    ticks, decoded, warnings, end = followed(tmp_path / name, 1 / 25)
    read = numbers(ticks)
    good = sum(number == place for place, number in enumerate(read))
    assert read[:60] == list(range(60)) and decoded < LONG
    assert read[LONG - 20 : LONG] == list(range(LONG - 20, LONG)) and end == pytest.approx(LONG / 25, abs=0.05)
    assert good > LONG // 2
    assert any("damaged" in warning or "no new picture" in warning for warning in warnings)
    assert all(a <= b for a, b in pairwise(tick.seconds for tick in ticks))


def test_many_damaged_places_are_few_words(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "worn.mp4", 1200, rate=25, codec_options=CLOSED_GOP)
    with av.open(str(path)) as container:
        packets = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[30::100]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    _, decoded, warnings, _ = followed(path)
    (said,) = warnings
    assert decoded > 1000 and said.startswith("The film is damaged (near 0:01") and said.count(":") <= MOST_PLACES


def test_a_hole_in_a_film_is_told_and_slow_pictures_are_none(tmp_path: Path) -> None:
    hole = write_clip(tmp_path / "hole.mkv", 50, rate=25, pts_ms=[40 * i + 3000 * (i > 24) for i in range(50)])
    _, _, warnings, end = followed(hole)
    assert [*warnings] == ["For more than 1 s the film has no new picture (after 0:01.0); the one before was used."]
    assert end == pytest.approx(5.0, abs=0.1)
    slow = write_clip(tmp_path / "slow.mkv", 8, rate=1, pts_ms=[3000 * i for i in range(8)], codec_options={"bf": "0"})
    assert followed(slow)[2] == ()


@pytest.mark.parametrize(("byte", "pictures"), [(9, (30, 59)), (5, (0, 30))], ids=["millennia", "minutes"])
def test_a_time_stamp_of_another_day_does_not_make_a_film_of_it(
    tmp_path: Path, byte: int, pictures: tuple[int, int]
) -> None:
    """A bit of it is enough; what comes after has its own times, by which a leap of minutes is found to be none."""
    path = write_clip(tmp_path / "bit.ivf", 60, codec="libvpx", rate=25, codec_options={"deadline": "realtime"})
    data, place, starts = bytearray(path.read_bytes()), 32, []
    while place < len(data):
        starts.append(place)
        place += 12 + int.from_bytes(data[place : place + 4], "little")
    for number in pictures:
        data[starts[number] + byte] ^= 64
    path.write_bytes(data)
    ticks, decoded, _, end = followed(path, 1 / 25)
    assert decoded == 60 and numbers(ticks) == list(range(60)) and end == pytest.approx(2.4, abs=0.05)


def test_a_film_of_more_than_a_week_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "week.mkv", 12, rate=1, pts_ms=[1_000_000 * i for i in range(12)])
    ticks, *_ = followed(path, 500.0)
    assert numbers(ticks) == [k // 2 for k in range(24)], "pictures may stand long"
    monkeypatch.setattr(streaming, "LONGEST_SECONDS", 5000.0)
    with pytest.raises(VideoError, match=r"lasts longer than .* days"):
        followed(path, 500.0)


def test_time_that_is_granted_bounds_what_is_done_next(clip: Callable[[str], Path]) -> None:
    with open_film(clip("h264.mp4")) as film:
        ticks = film.ticks(TICK, same)
        next(ticks)
        film.grant(1e-9)
        time.sleep(0.001)
        with pytest.raises(VideoError, match="took longer than 1e-09 s"):
            list(ticks)


def test_opening_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been opened and gives no picture is read on no longer than the limit, without anybody's grant."""
    path = tmp_path / "hollow.ts"
    path.write_bytes(written("h264.ts"))
    monkeypatch.setattr(streaming, "read_packets", lambda video, errors, step: iter(lambda: step(av.Packet(0)), 0))
    limits = replace(FILM_LIMITS, max_seconds=0.2)
    with pytest.raises(VideoError, match=r"took longer than 0\.2 s"), open_film(path, limits=limits):
        pass


def test_too_large_pictures_and_too_many_are_refused(clip: Callable[[str], Path]) -> None:
    with (
        pytest.raises(VideoError, match="128x96 pixels"),
        open_film(clip("h264.mp4"), limits=replace(FILM_LIMITS, max_pixels=1000)),
    ):
        pass
    with open_film(clip("h264.mp4"), limits=replace(FILM_LIMITS, max_frames=20)) as film:
        read: list[Tick] = []
        with pytest.raises(VideoError, match="more than 20 frames"):
            read += film.ticks(TICK, same)


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Of a film of 3000 pictures, which are 220 MB as the decoder has them, a handful is held."""
    pictures = [draw_number(number, 256, 192) for number in range(2)] * 1500
    path = write_clip(tmp_path / "long.mp4", rate=25, pictures=pictures, codec_options={"preset": "ultrafast"})
    held = {}
    with open_film(path) as film:
        for tick in film.ticks(0.04, same):
            if tick.number in (1000, 2999):
                held[tick.number] = psutil.Process().memory_info().rss
    assert film.decoded == 3000 and held[2999] - held[1000] < 30e6


def test_uneven_times_are_the_files_own(clip: Callable[[str], Path]) -> None:
    ticks, *_ = followed(clip("uneven.mp4"), 0.004)
    assert [tick.seconds for tick in ticks] == pytest.approx([UNEVEN_MS[n] / 1000 for n in numbers(ticks)], abs=1e-6)
    assert sorted({*numbers(ticks)}) == list(range(72)), "the shortest is on screen for 8 ms"
