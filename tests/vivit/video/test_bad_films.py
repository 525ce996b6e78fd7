"""Films that are damaged, cut off, endless or none: what comes before is kept, and a sentence says the rest."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.clips import write_clip, written_once
from tests.hostile.clips import encrypted, written
from tests.shorter import some
from tests.vivit.video.followed import TICK, followed, numbers, same
from tests.vivit.video.test_reading import CLOSED_GOP
from vivit.film import Tick
from vivit.video import VideoError, streaming
from vivit.video.streaming import FILM_LIMITS, MOST_PLACES, open_film


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


@pytest.mark.parametrize("name", some(KINDS, "faststart.mp4", "h264.ts", "mjpeg.avi"))
def test_of_a_film_that_is_cut_off_what_comes_before_is_kept(
    tmp_path: Path, long_clip: Callable[[str], Path], name: str
) -> None:
    whole, path = long_clip(name).read_bytes(), tmp_path / name
    kept = []
    for part in np.linspace(0.02, 0.98, 25):
        path.write_bytes(whole[: int(len(whole) * part)])
        try:
            ticks, _, warnings, end = followed(path, 1 / 25)
        except VideoError as error:  # too little of the film; and FFmpeg opens none that ends in a fragment's head
            assert str(error).endswith(".") and (part < 0.5 or name == "fragments.mp4")
            continue
        read = numbers(ticks)
        # The last pictures may be half there, or lack some that are shown before them and coded after them.
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
    """One flipped bit of a time stamp is enough; the times of the pictures after it show that a leap of minutes is none."""
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


def test_time_that_is_granted_bounds_what_is_done_next(tmp_path: Path) -> None:
    with open_film(write_clip(tmp_path / "h264.mp4", 72, codec_options=CLOSED_GOP)) as film:
        ticks = film.ticks(TICK, same)
        next(ticks)
        film.grant(1e-9)
        time.sleep(0.001)
        with pytest.raises(VideoError, match="took longer than 1e-09 s"):
            list(ticks)


def test_opening_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that opens and gives no picture is read no longer than the limit, without any call of `grant`."""
    path = tmp_path / "hollow.ts"
    path.write_bytes(written("h264.ts"))
    monkeypatch.setattr(streaming, "read_packets", lambda video, errors, step: iter(lambda: step(av.Packet(0)), 0))
    limits = replace(FILM_LIMITS, max_seconds=0.2)
    with pytest.raises(VideoError, match=r"took longer than 0\.2 s"), open_film(path, limits=limits):
        pass


def test_too_large_pictures_and_too_many_are_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "h264.mp4", 72, codec_options=CLOSED_GOP)
    with (
        pytest.raises(VideoError, match="128x96 pixels"),
        open_film(path, limits=replace(FILM_LIMITS, max_pixels=1000)),
    ):
        pass
    with open_film(path, limits=replace(FILM_LIMITS, max_frames=20)) as film:
        read: list[Tick] = []
        with pytest.raises(VideoError, match="more than 20 frames"):
            read += film.ticks(TICK, same)
