"""`python -m vivit timeline`: segments or windows of a film, in three forms, and a sentence for what cannot be had."""

import csv
import io
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mannequin.film import join_clips
from tests.serving import running, serving
from tests.unusable import stating
from tests.vivit import command_line
from vivit import VideoClassificationPipeline, pipeline
from vivit.__main__ import main
from vivit.checkpoint import open_checkpoint
from vivit.errors import UserError
from vivit.timeline import UNKNOWN, Grid, find_segments
from vivit.timeline.whole import WindowClassifier, classify_film
from vivit.timeline.windows import Batch
from vivit.video import decode, probe

CLOSE = 1e-5  # of a probability, where sums may be rounded in another order
# Of the film of 4.5 s at 10 frames a second: every other frame, and a window at every other one of these; the last window
# ends with the film.
WINDOWS = ["--window", "1.6", "--stride", "0.4"]
STARTS = [0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.0]


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """As `command_line.run_here`, with the film taken as one shot."""
    return command_line.run_here(capsys, "timeline", "--ignore-cuts", *arguments)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return command_line.run("timeline", *arguments)


def rows_of(text: str) -> list[dict[str, Any]]:
    """One JSON object a line."""
    return [command_line.from_json(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def knowing(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint, which says that it was trained on clips of 1.6 s."""
    folder = shutil.copytree(checkpoint, tmp_path_factory.mktemp("knowing") / "checkpoint")
    stating("config.json", clip_seconds=1.6)(folder)
    return folder


def test_a_process_finds_what_the_library_finds(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    pieces = join_clips(["clapping", "pull ups"], film)
    done = run(film, "--json")
    assert done.returncode == 0
    (told,) = done.stderr.splitlines()  # the clips are shots, and one is shorter than a window
    assert told.startswith("  warning: 1 of ") and "shorter than 6.5 s" in told
    rows = rows_of(done.stdout)
    labels = open_checkpoint("vivit-mannequin").labels
    for row in rows:
        assert list(row) == ["start", "end", "label", "score"]
        assert (row["score"] is None) == (row["label"] == UNKNOWN)
        assert row["label"] == UNKNOWN or (row["label"] in labels.values() and 0 < row["score"] <= 1)
    assert rows[0]["start"] == 0 and all(a["end"] == b["start"] for a, b in pairwise(rows))
    grid = Grid(6.5, 0.5, 32)
    assert 0 <= rows[-1]["end"] - pieces[-1][1] < grid.tick_seconds
    loaded = pipeline("video-classification", "vivit-mannequin")
    classifier = WindowClassifier(loaded.model, loaded.image_processor, loaded.familiarity)
    with classify_film(film, classifier, grid, 3) as ours:
        segments = find_segments([one for some in ours.answers for one in some])
    assert [row["label"] for row in rows] == [segment.name(labels) for segment in segments]
    for row, segment in zip(rows, segments, strict=True):
        assert (row["start"], row["end"]) == pytest.approx(
            (segment.start, segment.end), abs=1e-3
        )  # milliseconds are told
        assert row["score"] == (segment.score and pytest.approx(segment.score, abs=CLOSE))


def test_windows_are_where_they_should_be_and_the_pipelines_answers(
    checkpoint: Path, clip_path: Path, classify: VideoClassificationPipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    for batch in (["--batch-size", "1"], ["--batch-size", "4"], []):
        status, out, _ = run_here(capsys, clip_path, "--model", checkpoint, *WINDOWS, "--windows", "--json", *batch)
        assert status == 0
        rows = rows_of(out)
        assert [row["start"] for row in rows] == STARTS
        assert [row["end"] for row in rows] == pytest.approx([min(start + 1.6, 4.5) for start in STARTS]), (
            "none ends after the film"
        )
        frames = np.stack([frame.image for frame in decode(probe(clip_path), range(0, 45, 2))])
        for row in rows:
            assert list(row) == ["start", "end", "label", "score", "familiar"]
            tick = round(row["start"] / 0.2)
            best = classify(frames[tick : tick + 8], top_k=1)[0]
            assert row["label"] == best["label"] and row["familiar"] is None  # this checkpoint does not tell
            assert row["score"] == pytest.approx(best["score"], abs=CLOSE)


@pytest.mark.parametrize("choice", [[], ["--windows", "--batch-size", "4"]], ids=["segments", "windows"])
def test_the_three_forms_say_the_same(
    knowing: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], choice: list[str]
) -> None:
    arguments: list[str | Path] = [clip_path, "--model", knowing, "--stride", "0.4", *choice]
    status, out, err = run_here(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    rows = rows_of(out)
    status, out, err = run_here(capsys, *arguments, "--csv")
    assert (status, err) == (0, "")
    cells = [*csv.DictReader(io.StringIO(out))]
    assert list(cells[0]) == list(rows[0])
    for row, told in zip(rows, cells, strict=True):
        assert told["label"] == row["label"] and float(told["start"]) == row["start"]
        assert float(told["score"]) == pytest.approx(row["score"], abs=CLOSE)
    status, out, err = run_here(capsys, *arguments)
    assert (status, err) == (0, "")
    *lines, last = out.splitlines()
    for row, line in zip(rows, lines, strict=True):
        begin, end = (f"0:{row[side]:04.1f}" for side in ("start", "end"))
        assert line == f"{begin} – {end}  {row['label']}  {100 * row['score']:.1f} %"
    assert re.fullmatch(
        r"  [\d.e+]+ times real time, 9 windows of 1\.6 s every 0\.4 s; the model waited for pictures \d+ % of the time, "
        r"the decoder for the model \d+ %; sdpa, float32, cpu",
        last,
    )


def test_options_reach_the_model_and_the_pictures(
    knowing: Path, clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = rows_of(run_here(capsys, clip_path, "--model", knowing, "--windows", "--json")[1])
    out = run_here(capsys, clip_path, "--model", knowing, "--attention", "eager", "--precision", "float16-weights")[1]
    assert out.splitlines()[-1].endswith("eager, float16-weights, cpu")
    other = rows_of(
        run_here(capsys, clip_path, "--model", knowing, "--windows", "--json", "--normalisation", "original")[1]
    )
    assert len(other) == len(usual) == 7  # every 0.5 s; the last ends with the film
    assert [row["score"] for row in other] != pytest.approx([row["score"] for row in usual], abs=CLOSE)


@pytest.mark.full
def test_without_smoothing_an_answer_gives_way_to_the_next_halfway_between_their_middles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = tmp_path / "film.mp4"
    join_clips(["clapping", "pull ups"], film)
    windows = rows_of(run_here(capsys, film, "--windows", "--json")[1])
    labels = [row["label"] if row["familiar"] else UNKNOWN for row in windows]
    middles = [(row["start"] + row["end"]) / 2 for row in windows]
    neighbours = zip(pairwise(labels), pairwise(middles), strict=True)
    changes = [(before + after) / 2 for (label, other), (before, after) in neighbours if label != other]
    assert len(changes) > 1
    plain = rows_of(run_here(capsys, film, "--smoothing", "none", "--json")[1])
    assert [row["start"] for row in plain] == pytest.approx([0, *changes], abs=2e-3)
    assert [row["label"] for row in plain] == [label for label, _ in groupby(labels)]


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv", "--windows"]], ids=" ".join)
def test_a_window_that_the_checkpoint_does_not_know_is_told(
    checkpoint: Path, knowing: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    """The warning is in the text for people; of what programs read, it is on stderr."""

    def warnings(folder: Path, *choice: str) -> list[str]:
        status, out, err = run_here(capsys, clip_path, "--model", folder, *form, *choice)
        assert status == 0 and (not err if not form else "warning" not in out)
        return [line for line in (err if form else out).splitlines() if "warning" in line]

    assert warnings(knowing) == warnings(knowing, "--window", "1.6") == []
    (outside,) = warnings(knowing, "--window", "3")
    assert outside.startswith("  warning: A window of 3 s is outside") and "1.6 s" in outside
    (assumed,) = warnings(checkpoint)  # which says nothing of its clips
    assert "0.64 s is assumed" in assumed


@pytest.mark.parametrize("ending", ["mkv", "ts"])
@pytest.mark.parametrize("fault", ["damaged", "cut"])
def test_of_a_film_that_is_not_whole_what_is_good_is_told(
    knowing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, ending: str
) -> None:
    film = tmp_path / f"film.{ending}"
    length = join_clips(["clapping"], film)[-1][1]
    content = bytearray(film.read_bytes())
    if fault == "cut":
        del content[len(content) * 2 // 3 :]
    else:
        content[len(content) // 2 : len(content) * 6 // 10] = bytes(len(content) // 10 + 1)
    film.write_bytes(content)
    status, out, err = run_here(capsys, film, "--model", knowing, "--json")
    assert status == 0
    rows = rows_of(out)
    assert rows[0]["start"] == 0 and all(a["end"] == b["start"] for a, b in pairwise(rows))
    assert (length / 2 < rows[-1]["end"] < length - 1) if fault == "cut" else abs(rows[-1]["end"] - length) < 0.5
    if (fault, ending) != ("cut", "ts"):  # a cut MPEG-TS promises nothing, and may end anywhere
        assert "damaged" in err and all(line.startswith("  warning: ") for line in err.splitlines())


def test_a_film_shorter_than_a_window_is_one_window_and_told(
    knowing: Path, short_clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run_here(capsys, short_clip_path, "--model", knowing, "--windows", "--json")
    assert status == 0 and "1 of 1 window is shorter than 1.6 s" in err
    (row,) = rows_of(out)
    assert row["start"] == 0 and 0.5 <= row["end"] < 0.8


def test_a_film_may_be_an_address(
    knowing: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running(serving(clip_path.parent)) as base:
        status, out, err = run_here(capsys, f"{base}/{clip_path.name}?key=secret", "--model", knowing, "--json")
        assert (status, err) == (0, "")
        assert out == run_here(capsys, clip_path, "--model", knowing, "--json")[1]
        status, out, err = run_here(capsys, f"{base}/none.mp4?key=secret", "--model", knowing, "--json")
    assert (status, out) == (2, "") and "secret" not in err
    command_line.assert_one_sentence(err, "404")


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        (["--model", "no/such/folder"], ["no/such/folder"]),
        (["--model", "vivit-b-16x2-random"], ["predict nothing", "Choose a trained checkpoint"]),
        (["--attention", "flash"], ["'flash'", "sdpa-flash"]),
        (["--attention", "sdpa-cudnn"], ["'sdpa-cudnn'", "CUDA"]),
        (["--precision", "int3"], ["'int3'", "float32"]),
        (["--execution", "fast"], ["'fast'", "plain"]),
        (["--execution", "captured"], ["CUDA graph"]),
        (["--device", "cuda:7"], ["'cuda:7'"]),
        (["--window", "0"], ["window", "0 s"]),
        (["--window", "nan"], ["window", "nan s"]),
        (["--window", "6000"], ["window", "6000 s"]),
        (["--stride", "0"], ["stride", "0 s"]),
        (["--stride", "-1"], ["stride", "-1 s"]),
        (["--stride", "2", "--window", "1"], ["stride", "2 s", "1 s"]),
        (["--batch-size", "0"], ["--batch-size", "0"]),
        (["--windows", "--smoothing", "none"], ["--smoothing", "--windows"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_choice_that_cannot_be_had_is_one_sentence(
    knowing: Path,
    clip_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    choice: list[str],
    named: list[str],
) -> None:
    monkeypatch.setenv("VIVIT_DEVICE", "cpu")  # which the command sets, and the test puts back
    status, out, err = run_here(capsys, clip_path, "--model", knowing, "--csv", *choice)
    assert (status, out) == (2, "")
    command_line.assert_one_sentence(err, *named)


@pytest.mark.parametrize(
    ("film", "named"),
    [
        ("none.mp4", ["none.mp4"]),
        ("bad.mp4", ["bad.mp4", "plain text"]),
        ("", ["is a folder"]),
        ("file:///film.mp4", ["file://"]),
    ],
    ids=["none", "bad", "folder", "address"],
)
def test_a_film_that_cannot_be_used_is_one_sentence(
    knowing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], film: str, named: list[str]
) -> None:
    (tmp_path / "bad.mp4").write_text("not a video")
    path = film if "://" in film else tmp_path / film
    status, out, err = run_here(capsys, path, "--model", knowing, "--csv", "--window", "3")
    assert (status, out) == (2, "")
    command_line.assert_one_sentence(err, *named)


@pytest.mark.parametrize("choice", [["--json", "--csv"], ["--smoothing", "much"], ["--window", "x"], ["b.mp4"]])
def test_wrong_usage_is_explained(capsys: pytest.CaptureFixture[str], choice: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["timeline", "a.mp4", *choice])
    assert stopped.value.code == 2 and "usage: python -m vivit" in capsys.readouterr().err


def ending(after: int, error: BaseException) -> Callable[[WindowClassifier, Batch], Sequence[Any]]:
    """A `WindowClassifier.__call__` that raises `error` once it has classified `after` batches."""
    usual = WindowClassifier.__call__
    calls: list[Any] = []

    def classify(self: WindowClassifier, batch: Batch) -> Sequence[Any]:
        if len(calls) == after:
            raise error
        calls.append(batch)
        return usual(self, batch)

    return classify


@pytest.mark.parametrize("choice", [[], ["--windows"]], ids=["segments", "windows"])
@pytest.mark.parametrize(
    ("error", "wanted"), [(KeyboardInterrupt(), 130), (UserError("A sentence. Do so."), 2)], ids=["Ctrl-C", "fault"]
)
def test_what_is_done_is_kept(
    knowing: Path,
    clip_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    wanted: int,
    choice: list[str],
) -> None:
    monkeypatch.setattr(WindowClassifier, "__call__", ending(4, error))
    arguments: list[str | Path] = [
        clip_path,
        "--model",
        knowing,
        "--stride",
        "0.4",
        "--batch-size",
        "1",
        "--json",
        *choice,
    ]
    status, out, err = run_here(capsys, *arguments)
    assert status == wanted and err == ("vivit: A sentence. Do so.\n" if wanted == 2 else "")
    rows = rows_of(out)
    assert rows[0]["start"] == 0 and rows[-1]["end"] == pytest.approx(STARTS[3] + 1.6)
    assert len(rows) == 4 or not choice


def test_without_an_answer_nothing_is_told(
    knowing: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WindowClassifier, "__call__", ending(0, KeyboardInterrupt()))
    assert run_here(capsys, clip_path, "--model", knowing, "--csv") == (130, "", "")


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four minutes: of more windows than a pipe holds lines of, so that whoever prints them waits for a reader."""
    path = tmp_path_factory.mktemp("films") / "long.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for k in range(6000):
            picture = np.full((48, 64, 3), k % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def windows_command(film: Path, model: Path) -> list[str]:
    """The command that tells every window of a film, one each 0.2 s."""
    asked = ["timeline", str(film), "--model", str(model), "--stride", "0.2", "--windows"]
    return [sys.executable, "-m", "vivit", *asked]


def test_an_interrupt_ends_the_process_with_130_and_whole_lines(knowing: Path, long_film: Path) -> None:
    command = windows_command(long_film, knowing)
    with subprocess.Popen(
        [*command, "--ignore-cuts", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        lines = [process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        lines += process.stdout.readlines()
        assert process.stderr.read() == "" and process.wait(60) == 130
    assert len(rows_of("".join(lines))) == len(lines) < 1190


@pytest.mark.full
def test_a_reader_that_leaves_is_no_fault(knowing: Path, long_film: Path) -> None:
    """As `| head -1` does: before the first line, and after some."""
    command = windows_command(long_film, knowing)
    for lines in (0, 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout and process.stderr
            assert all(process.stdout.readline() for _ in range(lines))
            process.stdout.close()
            assert process.stderr.read() == "" and process.wait(60) == 141


def test_a_terminal_sees_how_far_it_is_and_is_left_clean(
    knowing: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    status, out, err = run_here(capsys, clip_path, "--model", knowing, "--batch-size", "4", "--json", "--windows")
    assert status == 0 and len(rows_of(out)) == 7
    assert re.search(r"\r0:03\.2 of 0:04\.5, [\d.e+]+ times real time, 0:\d\d\.\d left", err)
    *_, last, empty = err.split("\r")
    assert not last.strip() and not empty
