"""`python -m vivit`: in a process of its own, as a user runs it, or by its `main` in this one."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.clips import write_clip
from tests.serving import running, serving
from tests.shorter import some
from tests.unusable import UNUSABLE
from tests.vivit.command_line import CLASSIFY, assert_one_sentence, run, run_here
from vivit import VivitForVideoClassification, VivitImageProcessor, pipeline
from vivit.__main__ import main


def test_json_lines_and_a_bad_file_among_good_ones(
    checkpoint: Path, clip_path: Path, short_clip_path: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    done = run("classify", clip_path, bad, short_clip_path, "--model", checkpoint, "--top-k", "3", "--json")
    assert done.returncode == 2
    assert_one_sentence(done.stderr, "bad.mp4")
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["clip"] for r in reports] == [str(clip_path), str(short_clip_path)]
    keys = "clip model attention precision execution views device frames predictions timings_ms warnings"
    for report in reports:
        assert list(report) == keys.split()
        assert report["model"] == str(checkpoint)
        assert (report["attention"], report["precision"]) == ("sdpa", "float32")
        assert report["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
        assert len(report["frames"]) == 8 and all(f.keys() == {"index", "seconds"} for f in report["frames"])
        assert list(report["timings_ms"]) == ["probe", "decode", "preprocess", "forward", "total"]
        assert len(report["predictions"]) == 3
    classify = pipeline("video-classification", model=checkpoint, top_k=3)
    for report, wanted in zip(reports, classify([clip_path, short_clip_path]), strict=True):
        assert [f["index"] for f in report["frames"]] == wanted.indices
        assert [f["seconds"] for f in report["frames"]] == wanted.seconds
        assert [p["label"] for p in report["predictions"]] == [p["label"] for p in wanted]
        # Another process may run other threads, so sums may be rounded in another order.
        assert [p["score"] for p in report["predictions"]] == pytest.approx([p["score"] for p in wanted], abs=1e-5)
        assert report["warnings"] == wanted.warnings
    assert not reports[0]["warnings"] and "repeated" in reports[1]["warnings"][0]


def test_options_reach_the_model_and_the_sampling(checkpoint: Path, clip_path: Path) -> None:
    choice = ["--attention", "eager", "--precision", "float16-weights", "--sampling", "consecutive", "--stride", "3"]
    done = run("classify", clip_path, "--model", checkpoint, *choice, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["attention"], report["precision"]) == ("eager", "float16-weights")
    assert [f["index"] for f in report["frames"]] == [3 * k for k in range(8)]
    assert len(report["predictions"]) == 5


def test_how_it_runs_is_a_choice(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, _ = run_here(capsys, "classify", clip_path, "--model", checkpoint, "--json")
    usual = json.loads(out)
    status, out, _ = run_here(capsys, "classify", clip_path, "--model", checkpoint, "--execution", "compiled", "--json")
    assert status == 0 and (found := json.loads(out))["execution"] == "compiled" and usual["execution"] == "plain"
    assert [p["label"] for p in found["predictions"]] == [p["label"] for p in usual["predictions"]]
    # Float32 in another order.
    assert [p["score"] for p in found["predictions"]] == pytest.approx(
        [p["score"] for p in usual["predictions"]], abs=1e-5
    )
    monkeypatch.setenv("CXX", "no-such-compiler")
    for name, words in (
        ("fast", "execution='fast' is unknown"),
        ("captured", "CUDA graph"),
        ("compiled", "no-such-com"),
    ):
        status, out, err = run_here(capsys, "classify", clip_path, "--model", checkpoint, "--execution", name)
        assert (status, out) == (2, "")
        assert_one_sentence(err, words)


def test_a_clip_may_be_an_address(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running(serving(clip_path.parent)) as base:
        clips = [f"{base}/{clip_path.name}", f"{base}/none.mp4?key=secret", f"file://{clip_path}", str(clip_path)]
        status, out, err = run_here(capsys, "classify", *clips, "--model", checkpoint, "--json")
    assert status == 2
    reports = [json.loads(line) for line in out.splitlines()]
    assert [r["clip"] for r in reports] == [clips[0], str(clip_path)]
    assert reports[0]["predictions"] == reports[1]["predictions"] and "fetch" in reports[0]["timings_ms"]
    faults = err.splitlines()
    assert len(faults) == 2 and all(line.startswith("vivit: ") for line in faults)
    assert "404" in faults[0] and "secret" not in faults[0] and "file://" in faults[1]


def test_geometry(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turned = write_clip(tmp_path / "turned.mp4", 8, display_matrix=(0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30))
    classify, found = pipeline("video-classification", model=checkpoint), {}
    for geometry in ("stored", "upright"):
        status, out, _ = run_here(capsys, "classify", turned, "--model", checkpoint, "--geometry", geometry, "--json")
        found[geometry] = json.loads(out)["predictions"]
        assert status == 0 and found[geometry] == classify(turned, geometry=geometry)
    assert found["stored"] != found["upright"]
    assert run_here(capsys, "classify", turned, "--model", checkpoint, "--json")[1].count("label") == 5


@pytest.mark.full
@pytest.mark.parametrize("choice", some([[], ["--json"]], ["--json"]), ids=["text", "json"])
def test_names_that_cannot_be_printed_cost_nothing_but_their_looks(
    checkpoint: Path, clip_path: Path, tmp_path: Path, choice: list[str]
) -> None:
    """Bytes that are no UTF-8, and letters that stdout has none for; of files that can be read and of some that cannot."""
    names = [b"\xff\xfe.mp4", "клип.mp4".encode(), b"bad \xff.mp4", "плохо.mp4".encode()]
    paths = [os.fsencode(tmp_path) + b"/" + name for name in names]
    for path in paths[:2]:
        shutil.copy(os.fsencode(clip_path), path)
    for path in paths[2:]:
        Path(os.fsdecode(path)).write_bytes(b"not a video")
    command = [*CLASSIFY, *paths, clip_path, "--model", checkpoint, *choice]
    for encoding in ("ascii", "utf-8"):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False)
        faults = done.stderr.decode(encoding).splitlines()
        assert done.returncode == 2 and len(faults) == 2 and all(line.startswith("vivit: ") for line in faults), faults
        printed = done.stdout.decode(encoding)
        if choice:
            clips = [json.loads(line)["clip"] for line in printed.splitlines()]
            assert clips == [*map(os.fsdecode, paths[:2]), str(clip_path)]
        else:
            clips = [line for line in printed.splitlines() if not line.startswith("  ")]
            cyrillic = "клип" if encoding == "utf-8" else "клип".encode("ascii", "backslashreplace").decode()
            assert [clip.rpartition("/")[2] for clip in clips] == [
                "\\udcff\\udcfe.mp4",
                f"{cyrillic}.mp4",
                clip_path.name,
            ]


def test_text_for_people(checkpoint: Path, clip_path: Path, short_clip_path: Path) -> None:
    done = run("classify", clip_path, short_clip_path, "--model", checkpoint, "--top-k", "2")
    assert (done.returncode, done.stderr) == (0, "")
    (best, second) = pipeline("video-classification", model=checkpoint, top_k=2)(clip_path)
    lines = done.stdout.splitlines()
    assert lines[0] == str(clip_path)
    assert best["label"] in lines[1] and f"{best['score']:.1%}"[:-2] in lines[1]
    assert second["label"] in lines[2]
    assert "8 frames" in lines[3] and "sdpa" in lines[3] and "float32" in lines[3]
    assert str(short_clip_path) in lines and "warning" in done.stdout and "repeated" in done.stdout


def test_help_needs_no_torch() -> None:
    code = "import sys, vivit.__main__ as m\ntry: m.main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "classify" in done.stdout, done.stderr


@pytest.mark.parametrize("kind", ["VideoMAEImageProcessor", "VivitVideoProcessor", None])
def test_what_is_converted_makes_the_same_pixels(
    checkpoint: Path, clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str | None
) -> None:
    """Whoever reads the new folder, and whatever the old one stated; None: no processor's file."""
    folder = shutil.copytree(checkpoint, tmp_path / "theirs")
    (folder / "preprocessor_config.json").unlink()
    if kind:
        inner = {"size": 30, "crop_size": {"height": 24, "width": 20}}
        section, key = ("image", "image_processor_type") if "Image" in kind else ("video", "video_processor_type")
        (folder / "processor_config.json").write_text(json.dumps({f"{section}_processor": inner | {key: kind}}))
    status, _, err = run_here(capsys, "convert", folder, tmp_path / "out")
    assert (status, err) == (0, "")
    old, new = (VivitImageProcessor.from_pretrained(f) for f in (folder, tmp_path / "out"))
    assert new == replace(old, extra=new.extra) and new.output_size == (24, 20)
    answers = [list(pipeline("video-classification", f)(clip_path)) for f in (folder, tmp_path / "out")]
    assert answers[0] == answers[1]


def test_convert_refuses_a_processor_before_torch_is_imported(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "theirs")
    UNUSABLE["a processor left at 224"][0](folder)
    code = (
        f"import sys, vivit.__main__ as m\nassert m.main(['convert', {str(folder)!r}, {str(tmp_path / 'out')!r}]) == 2\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and not (tmp_path / "out").exists(), done.stderr


def test_a_converted_checkpoint_says_its_dtype(checkpoint: Path, tmp_path: Path) -> None:
    half = VivitForVideoClassification.from_pretrained(checkpoint, dtype="float16")
    half.save_pretrained(tmp_path / "half")
    assert main(["convert", str(tmp_path / "half"), str(tmp_path / "out")]) == 0
    written = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert written["dtype"] == "float32" and written["architectures"] == ["VivitForVideoClassification"]


@pytest.mark.parametrize("choice", [("--device", "cpu"), ()])
def test_the_chosen_device_is_where_it_runs(
    choice: tuple[str, ...],
    checkpoint: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VIVIT_DEVICE", "cuda:7" if choice else "cpu")  # the option goes before the variable
    status, out, _ = run_here(capsys, "classify", clip_path, "--model", checkpoint, "--json", *choice)
    assert status == 0 and json.loads(out)["device"] == "cpu"
