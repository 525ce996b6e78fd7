"""Clips read ahead by real processes: what comes back, in which order, and what becomes of the processes."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest

from tests.clips import write_clip
from tests.patience import until
from tests.running import decoders as running
from tests.running import no_child_left
from vivit import decoders
from vivit.decoders import Reading, decode_ahead, read_clip
from vivit.errors import UserError
from vivit.preparing import ReadyClip, prepare_clip
from vivit.processing import VivitImageProcessor, VivitVideoProcessor
from vivit.video import VideoError, VideoLimits
from vivit.video.decoding import FramesMissingError

ROOT = Path(__file__).parents[2]
SMALL = VivitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})
READING = Reading(4, SMALL)

# Spellings of sizes that a processor takes and puts into its own.
PAIR: dict[str, Any] = {"size": (30, 50)}
NUMBER: dict[str, Any] = {"crop_size": 300}
NUMBERS: dict[str, Any] = {"size": 40, "crop_size": 32}

# A decoder that writes down which files it is given, and in which some of them do what a codec or the system may do.
STRANGE = """
import os, signal, sys, time
sys.path[:] = sys.argv[1:]
from vivit import decoders
usual = decoders.read_clip
def read_clip(path, reading):
    folder, name = os.path.split(path)
    with open(os.path.join(folder, "given"), "a") as file:
        print(name, file=file)
    with open(os.path.join(folder, "given")) as file:
        before = file.read().split().count(name) - 1
    if name.startswith("deadly") or (name.startswith("once") and not before):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("endless"):
        time.sleep(60)
        with open(os.path.join(folder, "given"), "a") as file:
            print("an end", file=file)
    return usual(path, reading)
decoders.read_clip = read_clip
decoders.serve()
"""


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    with no_child_left():
        yield
    assert not [t for t in threading.enumerate() if t.name.startswith("vivit-read")]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of several lengths, sizes and codecs; one whose decoder has threads of its own, and one that is read by counting."""
    folder = tmp_path_factory.mktemp("decoders")
    return [
        write_clip(folder / "a.mp4", 30, codec_options={"g": "5"}),
        write_clip(folder / "b.avi", 12, codec="mpeg4"),
        write_clip(folder / "c.mkv", 3),
        write_clip(folder / "größe.mp4", 8, size=(640, 360)),
        write_clip(folder / "d.webm", 9, codec="libvpx-vp9"),
    ]


def assert_same(clip: object, path: str | Path, reading: Reading = READING) -> None:
    """As this process reads it, with as many threads as it likes."""
    assert isinstance(clip, ReadyClip), clip
    choice: dict[str, Any] = {"sampling": reading.sampling, "stride": reading.stride, "start": reading.start}
    wanted = prepare_clip(path, reading.num_frames, reading.processor, geometry=reading.geometry, **choice)
    np.testing.assert_array_equal(clip.pixels, wanted.pixels)
    sampled = wanted.sampled
    assert (clip.indices, clip.seconds) == ([*sampled.indices], [*sampled.seconds])
    assert clip.warnings == [*sampled.warnings]
    assert list(clip.timings_ms) == ["probe", "decode", "preprocess", "cpu"] and min(clip.timings_ms.values()) > 0


@pytest.mark.parametrize("processes", [1, 3])
def test_clips_are_as_read_here_and_in_order(paths: list[Path], processes: int) -> None:
    several: list[str | Path] = [str(paths[0]), *paths[1:], os.path.relpath(paths[0])]
    for clip, path in zip(decode_ahead(several, READING, processes, 2), several, strict=True):
        assert_same(clip, path)


@pytest.mark.parametrize(
    "reading",
    [
        replace(READING, sampling="center", stride=2, num_frames=cast(int, np.int64(3))),
        replace(
            READING, sampling="consecutive", start=1, geometry="stored", limits=VideoLimits(max_seconds=float("inf"))
        ),
        replace(READING, processor=VivitVideoProcessor(**PAIR, do_center_crop=False, extra={"any": object()})),
        replace(READING, processor=VivitImageProcessor(**NUMBER)),
    ],
    ids=["chosen", "stored", "torchvision", "padded"],
)
def test_every_way_of_reading_reaches_them(paths: list[Path], reading: Reading) -> None:
    for clip, path in zip(decode_ahead(paths[:2], reading, 1, 0), paths[:2], strict=True):
        assert_same(clip, path, reading)


def test_one_thread_reads(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips whose runs would go to lanes, and whose pictures would go to a codec's threads."""
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    threads: set[int] = set()

    class Watching(VivitImageProcessor):
        def crops(self, frame: np.ndarray, count: int = 1) -> np.ndarray:
            threads.add(psutil.Process().num_threads())
            return super().crops(frame, count)

    reading, usual = replace(READING, processor=Watching(**NUMBERS)), psutil.Process().num_threads()
    for path in paths:
        read_clip(path, reading)
    assert threads == {usual}


def test_what_is_wrong_is_said_as_here(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes(paths[0].read_bytes()[:900])
    bad: list[str | Path] = [
        "",
        str(tmp_path),
        f"{tmp_path}/",
        *sorted(tmp_path.iterdir()),
        tmp_path / "none",
        "a\0b",
        b"\xff".decode(errors="surrogateescape"),
    ]
    found = list(decode_ahead([*bad, paths[2]], READING, 2, 3))
    assert_same(found.pop(), paths[2])
    # Of an impossible choice of frames, and of pictures that the model does not take.
    others = [replace(READING, start=-1), replace(READING, picture=(32, 40, 3))]
    for reading in others:
        found += decode_ahead(paths[:1], reading, 1, 0)
    for error, (path, reading) in zip(
        found, [*((path, READING) for path in bad), *((paths[0], reading) for reading in others)], strict=True
    ):
        with pytest.raises(ValueError) as here:
            read_clip(path, reading)
        assert type(error) is here.type and str(error) == str(here.value), path
        if isinstance(error, VideoError):
            assert isinstance(here.value, VideoError)
            assert error.details.split(":")[0] == here.value.details.split(":")[0]  # the rest has the path


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "a.mp4"),
        PermissionError("not yours"),
        MemoryError(),
        UserError("Do that.", "since this"),
        FramesMissingError("Frame 3 is gone."),
        KeyError("a"),
    ],
    ids=repr,
)
def test_exceptions_come_across(error: Exception) -> None:
    came = decoders._as_error(json.loads(json.dumps(decoders._told(error))))
    assert type(came) is type(error) and getattr(came, "details", "") == getattr(error, "details", "")
    assert isinstance(error, KeyError) or str(came) == str(error)


def test_an_exception_of_an_unknown_kind_becomes_the_nearest() -> None:
    class Own(VideoError):
        pass

    for error, nearest in ((Own("Own."), VideoError), (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), ValueError)):
        try:
            raise error
        except Exception as raised:
            came = decoders._as_error(json.loads(json.dumps(decoders._told(raised))))
        assert isinstance(came, nearest) and str(came) == str(error)
        # Whoever looks for a fault of ours finds where it was.
        assert ("test_decoders" in "".join(getattr(came, "__notes__", []))) == (nearest is ValueError)


def test_paths_are_taken_as_they_are_needed(paths: list[Path]) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield paths[2]

    clips = decode_ahead(endless(), READING, 2, 3)
    assert taken == 0 and not running()
    for asked in range(1, 4):
        assert_same(next(clips), paths[2])
        assert taken == asked + 3
    assert 1 <= len(running()) <= 2
    clips.close()
    assert not running()


def test_a_source_that_breaks_off_costs_no_clip(paths: list[Path]) -> None:
    def breaking() -> Iterator[Path]:
        yield from paths[:3]
        raise ZeroDivisionError

    clips = decode_ahead(breaking(), READING, 1, 5)
    for path in paths[:3]:
        assert_same(next(clips), path)
    with pytest.raises(ZeroDivisionError):
        next(clips)


def test_a_decoder_that_is_killed_is_replaced(paths: list[Path]) -> None:
    """In the middle of a clip: it is stopped before it is given one."""
    clips = decode_ahead(paths, READING, 1, 0)
    assert_same(next(clips), paths[0])
    (first,) = running()
    first.send_signal(signal.SIGINT)  # a terminal's Ctrl-C is for the parent to heed
    assert_same(next(clips), paths[1])
    assert running() == [first]
    first.suspend()
    killing = threading.Timer(0.3, first.send_signal, [signal.SIGKILL])
    killing.start()
    assert_same(next(clips), paths[2])
    (second,) = running()
    assert second != first
    second.send_signal(signal.SIGKILL)  # between two clips
    for clip, path in zip(clips, paths[3:], strict=True):
        assert_same(clip, path)


def strange(folder: Path, names: Sequence[str], path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(decoders, "START", STRANGE)
    for name in names:
        (folder / name).symlink_to(path)
    return [folder / name for name in names]


def test_a_clip_that_ends_two_decoders_cannot_be_read(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.mp4", "once-1.mp4", "deadly-1.mp4", "b.mp4", "deadly-2.mp4", "once-2.mp4", "c.mp4"]
    several = strange(tmp_path, names, paths[0], monkeypatch)
    for clip, path in zip(decode_ahead(several, READING, 2, 3), several, strict=True):
        if "deadly" in path.name:
            assert isinstance(clip, VideoError) and clip.details == "signal 9"
            assert str(clip).startswith(f"Reading '{path.name}' ended its process twice")
        else:
            assert_same(clip, path)
    given = (tmp_path / "given").read_text().split()
    assert sorted(given) == sorted([*names, *(name for name in names if "-" in name)])


def test_a_clip_without_an_end_is_given_up(paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clip's time is over once a decoder reads it, however long a busy machine took to come so far."""
    given = tmp_path / "given"
    awaited: list[float] = []

    class Impatient(decoders._Decoder):
        def _line(self) -> Any:
            if self.ready:
                awaited.append(self._seconds)
                until(lambda: given.exists() and len(given.read_text().split()) == len(awaited), 60)
                self._seconds = 0.0
            return super()._line()

    monkeypatch.setattr(decoders, "_Decoder", Impatient)
    several = strange(tmp_path, ["endless.mp4"], paths[0], monkeypatch)
    (clip,) = decode_ahead(several, replace(READING, limits=VideoLimits(max_seconds=90)), 1, 0)
    assert isinstance(clip, VideoError) and "ended its process twice" in str(clip)
    assert given.read_text().split() == ["endless.mp4"] * 2
    assert awaited == [90 + decoders.GRACE_SECONDS] * 2


def test_closing_waits_for_nobody(paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several = strange(tmp_path, ["a.mp4", "endless-1.mp4", "endless-2.mp4"], paths[0], monkeypatch)
    clips = decode_ahead(several, READING, 3, 2)
    assert_same(next(clips), paths[0])
    clips.close()
    assert "an end" not in (tmp_path / "given").read_text()


@pytest.mark.parametrize("start", ["raise SystemExit(3)", "absent"])
def test_decoders_that_cannot_be_started(paths: list[Path], monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    if start == "absent":
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
    else:
        monkeypatch.setattr(decoders, "START", start)
    with pytest.raises(UserError, match="could be started") as error:
        next(decode_ahead(paths, READING, 1, 0))
    assert ("exit status 3" if start != "absent" else "/nowhere/python") in error.value.details


SCRIPT = """
import sys, time
import psutil
from vivit.decoders import Reading, decode_ahead
from vivit.processing import VivitImageProcessor
reading = Reading(4, VivitImageProcessor(size=40, crop_size=32))
clips = decode_ahead(sys.argv[1:], reading, 2, 3)
print(next(clips).pixels.shape, *(child.pid for child in psutil.Process().children()), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_they_end_with_a_program_that_needs_no_guard(paths: list[Path], tmp_path: Path, number: signal.Signals) -> None:
    """The program waits in the middle of its clips, in a folder whose files are none of the library's."""
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "json.py").write_text("raise ImportError")
    (tmp_path / "script.py").write_text(SCRIPT)
    command: list[str | Path] = [sys.executable, tmp_path / "script.py", *paths]
    said = tmp_path / "said"
    options: dict[str, Any] = {"cwd": tmp_path / "cwd", "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    with (
        said.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True, **options
        ) as script,
    ):
        assert script.stdout
        shape, _, pids = script.stdout.readline().partition(") ")
        children = [psutil.Process(int(pid)) for pid in pids.split()]
        os.killpg(script.pid, number)  # as a terminal does, or whoever ends it
        _, alive = psutil.wait_procs(children, timeout=60)
        for child in alive:
            child.kill()
    assert shape == "(1, 4, 32, 32, 3" and 1 <= len(children) <= 2 and not alive
    assert said.read_text().count("Traceback") == (number == signal.SIGINT)
