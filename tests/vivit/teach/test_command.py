"""`python -m vivit teach`: from folders of clips to a checkpoint, what it costs a second time, and what goes wrong."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.killing import kill_once
from tests.oracle import save
from tests.vivit import command_line
from vivit.hub import ASSETS
from vivit.model import VivitForVideoClassification, VivitModel
from vivit.pipelines import pipeline
from vivit.processing import VivitImageProcessor
from vivit.timeline.trained import KEY as CLIP_SECONDS

CLIPS = ASSETS / "clips"
ARMS, LEGS = ("clapping", "front_raises", "applauding"), ("jogging", "lunge", "high_kick")


def fill(folder: Path, **classes: tuple[str, ...]) -> Path:
    for name, files in classes.items():
        (folder / name).mkdir(parents=True)
        for file in files:
            shutil.copy(CLIPS / f"{file}.mp4", folder / name)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    return command_line.run_here(capsys, "teach", *arguments)


def taught(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    found: dict[str, Any] = command_line.from_json(out)
    return found


def test_folders_become_a_checkpoint_and_a_new_class_costs_its_own_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVIT_RESULTS", str(tmp_path / "results"))
    folder = fill(tmp_path / "clips", arms=ARMS, legs=LEGS)
    (folder / "legs" / "broken.mp4").write_text("no video")
    shutil.copy(CLIPS / "clapping.mp4", folder / "legs" / "wrong.mp4")
    report = taught(capsys, folder, tmp_path / "one")
    assert report["classes"] == {"arms": 3, "legs": 4} and report["clips"] == 7 and report["features_kept"] == 0
    assert [Path(one["clip"]).name for one in report["failed"]] == ["broken.mp4"] and report["failed"][0]["error"]
    assert {Path(one).name for one in report["same"][0]} == {"clapping.mp4", "wrong.mp4"}
    assert any("said to show both" in notice for notice in report["notices"])
    left = report["left_out"]
    assert left["accuracy"] == left["right"] / 7 and left["interval"][0] < left["accuracy"] < left["interval"][1]
    assert left["chance"] == pytest.approx(4 / 7) and left["one_by_one"]
    assert len(report["confused"]) == 7 - left["right"]
    assert report["seconds"]["features"] > 0 and report["seconds"]["fit"] > 0

    (folder / "legs" / "wrong.mp4").unlink()
    fill(folder, ground=("push_up", "situp"))
    again = taught(capsys, folder, tmp_path / "two")
    assert again["classes"] == {"arms": 3, "ground": 2, "legs": 3} and again["features_kept"] == 6
    third = taught(capsys, folder, tmp_path / "three")
    assert third["features_kept"] == 8 and third["seconds"]["features"] == 0
    otherwise = taught(capsys, folder, tmp_path / "four", "--normalisation", "transformers")
    assert otherwise["features_kept"] == 0, "features of other pixel values"
    one, other = (VivitForVideoClassification.from_pretrained(tmp_path / name) for name in ("two", "three"))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert one.config.id2label == {0: "arms", 1: "ground", 2: "legs"}
    assert 5 < one.config.extra[CLIP_SECONDS] < 8
    answer = pipeline(model=tmp_path / "two")(CLIPS / "push_up.mp4", top_k=1)
    assert answer[0]["label"] == "ground"


def test_words_say_how_it_was_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVIT_RESULTS", str(tmp_path / "results"))
    save(tmp_path / "headless", "VivitModel")
    VivitModel.from_pretrained(tmp_path / "headless").save_pretrained(tmp_path / "headless")
    VivitImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 20}).save_pretrained(
        tmp_path / "headless"
    )
    folder = fill(tmp_path / "clips", arms=ARMS[:2], legs=LEGS[:1])
    status, out, err = run(capsys, folder, tmp_path / "out", "--model", tmp_path / "headless", "--precision", "float16")
    assert status == 0, err
    assert "2 classes from 3 clips" in out and "always naming the largest class would get 66.7 %" in out
    assert "warning: 1 clip of 'legs' counts as named wrong" in out and "left out one by one" in out
    assert re.search(r"features [\d.]+ s; fit [\d.]+ s", out)
    model = VivitForVideoClassification.from_pretrained(tmp_path / "out")
    assert model.dtype == torch.float32 and model.config.num_labels == 2


@pytest.mark.full
def test_a_run_that_is_killed_has_kept_its_features(tmp_path: Path) -> None:
    folder = fill(
        tmp_path / "clips", arms=(*ARMS, "celebrating", "stretching_arm"), legs=(*LEGS, "side_kick", "marching")
    )
    command = [sys.executable, "-m", "vivit", "teach", str(folder), str(tmp_path / "out"), "--json"]
    environment = os.environ | {"VIVIT_RESULTS": str(tmp_path / "results")}
    kept = tmp_path / "results" / "features"
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        kill_once(running, lambda: len([*kept.glob("*/[!.]*.npy")]) >= 2)
    before = len([*kept.glob("*/[!.]*.npy")])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True)
    report = json.loads(done.stdout)
    assert 2 <= before <= report["features_kept"] and report["clips"] == 10


@pytest.mark.full
def test_a_checkpoint_that_the_disk_does_not_take_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    folder, most = fill(tmp_path / "clips", arms=ARMS[:1], legs=LEGS[:1]), 1_000_000  # bytes of a file
    done = subprocess.run(
        [sys.executable, "-m", "vivit", "teach", str(folder), str(tmp_path / "out")],
        env=os.environ | {"VIVIT_RESULTS": str(tmp_path / "results")},
        capture_output=True,
        text=True,
        timeout=240,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert done.returncode == 2 and "could not be written" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_features_that_the_disk_does_not_take_are_done_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVIT_RESULTS", str(tmp_path))
    (tmp_path / "features").write_text("a file where the folder would be")
    folder = fill(tmp_path / "clips", arms=ARMS[:1], legs=LEGS[:1])
    status, _, err = run(capsys, folder, tmp_path / "out")
    assert status == 0 and err.count("features cannot be kept") == 1
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_what_cannot_be_taught_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVIT_RESULTS", str(tmp_path / "results"))
    out, empty = tmp_path / "out", tmp_path / "empty"
    empty.mkdir()
    alone = fill(tmp_path / "alone", arms=ARMS[:2])
    unread = fill(tmp_path / "unread", arms=ARMS[:2], legs=())
    (unread / "legs" / "broken.mp4").write_text("no video")
    loose = tmp_path / "loose"
    loose.mkdir()
    shutil.copy(CLIPS / "clapping.mp4", loose)
    unnamed = fill(tmp_path / "unnamed", arms=ARMS[:1], legs=LEGS[:1])
    os.rename(bytes(unnamed / "legs"), bytes(unnamed) + b"/\xff")
    for source, said in (
        (empty, "There are no clips"),
        (tmp_path / "missing", "no source of labelled clips"),
        (loose, "lie in no class folder"),
        (alone, "clips of 'arms' alone"),
        (unread, "Only clips of 'arms' could be used"),
        (unnamed, "no text in UTF-8"),
    ):
        status, _, err = run(capsys, source, out)
        assert status == 2 and said in err and "Traceback" not in err
        assert not out.exists()
    status, _, err = run(capsys, alone, empty.parent / "alone")
    assert status == 2 and "is not empty" in err
    status, _, err = run(capsys, unread, out, "--model", "vivit-b-16x2-random")
    assert status == 2 and "random weights" in err
    broken = tmp_path / "broken"
    model = VivitForVideoClassification.from_pretrained("vivit-mannequin")
    model.vivit.layernorm.bias.data[0] = torch.nan
    model.save_pretrained(broken)
    VivitImageProcessor.from_pretrained("vivit-mannequin").save_pretrained(broken)
    status, _, err = run(capsys, fill(tmp_path / "two", arms=ARMS[:1], legs=LEGS[:1]), out, "--model", broken)
    assert status == 2 and "infinite or no numbers" in err and not out.exists()
