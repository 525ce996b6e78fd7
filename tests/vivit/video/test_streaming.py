"""Films, decoded once and in order, against `probe` and `decode`, which read the whole file first."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.clips import draw_number, read_number, write_clip, written_once
from tests.vivit.video import test_alpha, test_formats, test_geometry, test_interlaced, test_reading
from tests.vivit.video.followed import TICK, assert_as_decoded, followed, numbers, same
from tests.vivit.video.test_reading import CLOSED_GOP, OPEN_GOP, UNEVEN_MS
from tests.vivit.video.test_time import STAMPS, VFR_MS, animation, stamped
from vivit.hub import ASSETS
from vivit.video import container, probe
from vivit.video.streaming import open_film

OTHERS: dict[str, Callable[[Path], Path]] = {
    "still_at_the_end.gif": lambda path: animation(path, [100, 100, 100, 100, 2600]),
    "still_at_the_end.png": lambda path: animation(path, [100, 100, 100, 100, 2600]),
    "own_lengths.webp": lambda path: animation(path, [40, 400, 80, 1000, 200, 40]),
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
        ) as film,  # opened at its beginning, since `begin_seconds` is not given
    ):
        list(film.ticks(TICK, same, round(1e6 / TICK)))
    assert len(calls) == 21


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
