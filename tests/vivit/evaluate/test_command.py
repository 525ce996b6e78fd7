"""`python -m vivit evaluate`: figures of known clips, what is kept of them, and a sentence for what cannot be had."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hub_client import clean
from tests.hub_server import Fault, HubServer, Repository
from tests.killing import kill_once
from tests.vivit import command_line
from vivit.evaluate.journal import CLIPS, load_evaluation
from vivit.evaluate.sources import CHOSEN
from vivit.hub import ASSETS
from vivit.intervals import wilson

CLIPS_HERE = ASSETS / "clips"
# As spelled by folders; the second is not what its clip shows, the third is no class, the last is a broken file.
FOLDERS = {"clapping": "clapping", "Push_Up": "yawning", "yodelling": "squat", "tai_chi": "tai_chi", "jogging": ""}


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    return command_line.run_here(capsys, "evaluate", *arguments)


def rows_of(text: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Clips, and the summary at the end."""
    *clips, last = [command_line.from_json(line) for line in text.splitlines()]
    assert last["kind"] == "summary" and all(clip["kind"] == "clip" for clip in clips)
    return clips, last


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips, of which the embedded checkpoint knows four classes, can read three, and is right about two."""
    root = tmp_path_factory.mktemp("clips")
    for label, file in FOLDERS.items():
        (root / label).mkdir()
        if file:
            shutil.copy(CLIPS_HERE / f"{file}.mp4", root / label / "1.mp4")
        else:
            (root / label / "1.mp4").write_text("not a video")
    return root


@pytest.mark.full
def test_a_process_tells_what_is_known_of_the_bundled_clips() -> None:
    command = [sys.executable, "-m", "vivit", "evaluate", "bundled", "--json", "--batch-size", "4"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, f"  warning: {CHOSEN}\n")
    clips, summary = rows_of(done.stdout)
    assert [clip["index"] for clip in clips] == list(range(36)) and (summary["clips"], summary["failed"]) == (36, 0)
    low, high = wilson(36, 36)
    assert summary["top1"] == {"value": 1.0, "low": low, "high": high} and summary["top5"]["value"] == 1.0
    assert summary["familiar"]["value"] == 1.0 and summary["clips_per_second"] > 0
    assert len(summary["per_class"]) == 36 and summary["confusion"] == [[k, k, 1] for k in range(36)]
    assert summary["calibration"]["clips"] == 36 and 0 <= summary["calibration"]["error"] < 0.2
    for clip in clips:
        assert clip["path"] == f"{clip['label'].replace(' ', '_')}.mp4" and clip["rank"] == 1
        assert clip["top"][0]["label"] == clip["label"] and clip["top"][0]["score"] == clip["score"]
        assert clip["decode_seconds"] > 0 and clip["model_seconds"] > 0


def test_wrong_answers_unknown_labels_and_broken_files_are_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    status, out, err = run_here(capsys, folder, "--batch-size", "1", "--out", kept)
    assert status == 0
    assert err == "  warning: 1 label of 1 clip the checkpoint does not know, left out: 'yodelling' (1).\n"
    lines = out.splitlines()
    assert lines[0] == f"{folder.name}: 4 of 4 clips; vivit-mannequin, sdpa, float32, cpu"
    assert lines[1] == "  top-1  66.7 % (20.8 to 93.9)"
    assert "    push up  0 of 1, 0.0 % (0.0 to 79.3)" in lines and "of 1 of 3 classes" in out
    assert any(line.startswith("  failed: jogging/1.mp4: ") for line in lines) and "core-seconds to read" in out
    # The same again measures nothing more, and says the same as JSON; another precision is held against it.
    before = (kept / CLIPS).read_bytes()
    clips, summary = rows_of(run_here(capsys, folder, "--batch-size", "1", "--out", kept, "--json")[1])
    assert (kept / CLIPS).read_bytes() == before and summary["clips_per_second"] is None
    assert (summary["clips"], summary["failed"], summary["source"]["left_out"]) == (4, 1, {"yodelling": 1})
    assert [bool(clip["error"]) for clip in clips] == [False, False, True, False]
    arguments: list[str | Path] = [folder, "--precision", "float16-weights", "--batch-size", "1", "--against", kept]
    status, out, _ = run_here(capsys, *arguments)
    assert (
        f"  against {kept}: No answer changes in 3 clips: at most 56.1 % of answers would (95 %)." in out.splitlines()
    )
    (found,) = rows_of(run_here(capsys, *arguments, "--json")[1])[1]["against"]
    assert (found["clips"], found["changed"], found["p_value"]) == (3, [], 1.0)
    # What else is asked for is another evaluation.
    status, out, err = run_here(capsys, folder, "--batch-size", "2", "--out", kept)
    assert (status, out) == (2, "") and "batch size 1 where 2 is asked for" in err


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        (["--limit", "0"], "--limit"),
        (["--batch-size", "0"], "--batch-size"),
        (["--decoders", "-1"], "--decoders"),
        (["--views", "4"], "4x3"),
        (["--views", "4x3", "--sampling", "center"], "leave these away"),
        (["--precision", "int8-bitsandbytes", "--batch-size", "2"], "--batch-size 1"),
        (["--models", "2"], "--engine ray"),
        (["--model", "no/such/folder"], "no/such/folder"),
        (["--model", "vivit-b-16x2-random"], "None of the labels"),
        (["--attention", "flash"], "sdpa-flash"),
        (["--execution", "captured"], "CUDA graph"),
        (["--against", "/nowhere"], "There is no evaluation in '/nowhere'"),
        (["--out", "/dev/null"], "no folder that an evaluation can be kept in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_choice_that_cannot_be_had_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], choice: list[str], named: str
) -> None:
    status, out, err = run_here(capsys, folder / "clapping" / "..", *choice)
    assert (status, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("vivit: ") and named in last


def test_without_ray_a_sentence_says_how_to_get_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    status, out, err = run_here(capsys, folder, "--engine", "ray")
    assert (status, out) == (2, "") and "pip install 'ray[data]'" in err.splitlines()[-1]


def test_no_clip_that_can_be_read_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clips.csv").write_text("nowhere.mp4,clapping\n")
    status, out, _ = run_here(capsys, tmp_path / "clips.csv")
    assert status == 2 and "top-1" not in out and "failed: nowhere.mp4: " in out


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vivit.evaluate.passes import Classifier

    usual, calls = Classifier.begin, []

    def interrupted(self: Classifier, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return usual(self, *arguments)

    monkeypatch.setattr(Classifier, "begin", interrupted)
    arguments: list[str | Path] = ["bundled", "--limit", "5", "--batch-size", "1", "--out", tmp_path, "--json"]
    status, out, err = run_here(capsys, *arguments)
    clips, summary = rows_of(out)
    assert status == 130 and 1 <= len(clips) == summary["clips"] <= 2
    assert err == f"  warning: {CHOSEN}\n  {len(clips)} clips are kept; the same command goes on from there.\n"
    status, out, err = run_here(capsys, *arguments)
    assert (status, err) == (0, f"  warning: {CHOSEN}\n")
    assert [clip["index"] for clip in rows_of(out)[0]] == list(range(5))


@pytest.mark.full
def test_a_run_that_is_killed_goes_on_with_every_clip_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vivit", "evaluate", "bundled", "--batch-size", "1"]
    command += ["--out", str(tmp_path)]
    lines = tmp_path / CLIPS
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        kill_once(running, lambda: lines.exists() and lines.read_bytes().count(b"\n") >= 3)
    before = len(load_evaluation(tmp_path).records)
    assert 3 <= before < 36
    done = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, encoding="utf-8", timeout=240, check=True
    )
    clips, summary = rows_of(done.stdout)
    assert sorted(clip["index"] for clip in clips) == list(range(36)) and summary["top1"]["value"] == 1.0
    assert sorted(record.index for record in load_evaluation(tmp_path).records) == list(range(36))
    assert lines.read_bytes().count(b"\n") == 36


def test_clips_of_a_dataset_come_as_they_are_needed(tmp_path: Path) -> None:
    server = HubServer()
    clip = (CLIPS_HERE / "clapping.mp4").read_bytes()
    names = ("val/clapping/1", "val/clapping/2", "val/yodelling/1", "train/clapping/1")
    server.datasets["tiny/clips"] = Repository({f"{name}.mp4": clip + name.encode() for name in names})
    server.faults = [
        Fault("hub HEAD .*val/clapping/2.mp4", status=404),
        Fault("hub GET .*val/clapping/2.mp4", status=404),
    ]
    environment = clean(HF_ENDPOINT=server.address(), HF_HOME=str(tmp_path), VIVIT_DEVICE="cpu", no_proxy="127.0.0.1")

    command = [sys.executable, "-m", "vivit", "evaluate", "tiny/clips:val", "--batch-size", "1", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
        clips, summary = rows_of(done.stdout)
        assert [(row["path"], row["rank"], bool(row["error"])) for row in clips] == [
            ("val/clapping/1.mp4", 1, False),
            ("val/clapping/2.mp4", 0, True),
        ], done.stderr
        assert "'yodelling' (1)" in done.stderr and (summary["clips"], summary["failed"]) == (2, 1)
        assert not server.seen("train/|yodelling"), "nothing else is downloaded"
    finally:
        server.stop()


@pytest.mark.full
def test_both_engines_tell_the_same(tmp_path: Path) -> None:
    found = []
    for engine in ("local", "ray"):
        command = [sys.executable, "-m", "vivit", "evaluate", "bundled", "--limit", "4", "--batch-size", "2", "--json"]
        command += ["--engine", engine, "--device", "cpu", "--decoders", "1", "--out", str(tmp_path / engine)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}  # as an actor has
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=True)
        clips, summary = rows_of(done.stdout)
        clips.sort(key=lambda clip: clip["index"])
        found.append([{k: v for k, v in clip.items() if not k.endswith("_seconds")} for clip in clips])
        assert (summary["clips"], summary["failed"]) == (4, 0) and summary["clips_per_second"] > 0
    assert found[0] == found[1]
