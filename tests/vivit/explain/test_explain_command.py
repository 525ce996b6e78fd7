"""`python -m vivit explain`: a line a clip, the files beside it, and a sentence for what cannot be had."""

import json
import shutil
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.four_models import write_one
from tests.serving import running, serving
from tests.vivit import command_line
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor, pipeline
from vivit.__main__ import main
from vivit.crossing import cross
from vivit.explain import look
from vivit.explain.maps import over_time
from vivit.explain.report import RANDOM
from vivit.preparing import prepare_clip

CLIPS = Path(__file__).parents[3] / "vivit" / "assets" / "clips"


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    return command_line.run_here(capsys, "explain", *arguments)


def check(found: dict[str, Any]) -> None:
    """What holds for every report."""
    assert sum(found["time"]) == pytest.approx(1) and len(found["time"]) == found["grid"][0]
    for one in found["top"]:
        assert one["x"] >= 0 and one["x"] + one["width"] <= found["frame"]["width"]
        assert one["y"] >= 0 and one["y"] + one["height"] <= found["frame"]["height"]
        assert 0 < one["weight"] <= 1 and one["seconds"] in [frame["seconds"] for frame in found["frames"]]
    if found["deletion"]:
        assert len(found["deletion"]["attended"]) == 4 and found["deletion"]["sentence"] in found["sentences"]
        names = ["reversed", "shuffled", "frozen", "half_speed", "every_other"]
        assert list(found["counterfactuals"]) == names and found["uses_time"] in (True, False)
        assert all({"label", "score", "familiar"} <= one.keys() for one in found["counterfactuals"].values())


def test_a_process_explains_the_good_clips_and_tells_of_the_bad_one(
    checkpoint: Path, clip_path: Path, short_clip_path: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "vivit",
        "explain",
        clip_path,
        bad,
        short_clip_path,
        "--model",
        checkpoint,
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("vivit: ") and "bad.mp4" in done.stderr
    reports = [command_line.from_json(line) for line in done.stdout.splitlines()]
    assert [found["clip"] for found in reports] == [str(clip_path), str(short_clip_path)]
    for found in reports:
        check(found)
        assert (found["method"], found["layer"], found["head"]) == ("attention", "mean", "mean")
        assert found["familiar"] is None  # this checkpoint does not tell
        assert "weights" not in found
    assert not reports[0]["warnings"] and "repeated" in reports[1]["warnings"][0]


@pytest.mark.parametrize(
    ("choice", "layer", "head"),
    [([], None, None), (["--layer", "mean", "--head", "4"], None, 4), (["--layer", "-3", "--head", "mean"], 0, None)],
    ids=lambda value: str(value),
)
def test_it_is_the_librarys_map_and_the_pipelines_answer(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], choice: list[str], layer: int, head: int
) -> None:
    arguments: list[str | Path] = [
        clip_path,
        "--model",
        checkpoint,
        "--no-checks",
        "--sampling",
        "consecutive",
        "--json",
        *choice,
    ]
    status, out, err = run_here(capsys, *arguments)
    assert (status, err) == (0, "")
    found = command_line.from_json(out)
    check(found)
    assert found["deletion"] is found["counterfactuals"] is found["uses_time"] is None
    assert (found["layer"], found["head"]) == ("mean" if layer is None else layer, "mean" if head is None else head)
    model, processor = (
        VivitForVideoClassification.from_pretrained(checkpoint),
        VivitImageProcessor.from_pretrained(checkpoint),
    )
    prepared = prepare_clip(clip_path, 8, processor, sampling="consecutive")
    maps = look(model, cross([*prepared.pixels], processor, model.device, model.dtype)).maps["attention"][:, 0]
    weights = maps.mean(0) if layer is None else maps[layer]
    weights = weights.mean(0) if head is None else weights[head]
    # The same pass; PyTorch and NumPy may add up means in another order.
    assert found["time"] == pytest.approx(over_time(weights.numpy()), abs=1e-6)
    wanted = pipeline("video-classification", model=checkpoint, sampling="consecutive")(clip_path)
    assert [frame["index"] for frame in found["frames"]] == wanted.indices == [*range(8)]
    assert [one["label"] for one in found["predictions"]] == [one["label"] for one in wanted]
    assert [one["score"] for one in found["predictions"]] == pytest.approx([one["score"] for one in wanted], abs=1e-5)
    assert found["crop_box"] == list(processor.crop_box(48, 64))


def test_a_bundled_clip_and_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    clip = CLIPS / "front_raises.mp4"
    status, said, told = run_here(capsys, clip, "--model", "vivit-mannequin-fe", "--json", "--out", out)
    assert status == 0 and told == ""
    found = command_line.from_json(said)
    check(found)
    assert found["predictions"][0]["label"] == "front raises" and found["familiar"] is True
    assert sorted(file.name for file in out.iterdir()) == ["front_raises.json", "front_raises.mp4", "front_raises.png"]
    written = command_line.from_json((out / "front_raises.json").read_text(encoding="utf-8"))
    weights = np.array(written.pop("weights"))
    assert written == found and list(weights.shape) == found["grid"]
    assert over_time(weights) == pytest.approx(found["time"])
    assert Image.open(BytesIO((out / "front_raises.png").read_bytes())).size[0] > 8 * 128
    with av.open(out / "front_raises.mp4") as container:
        shown = [frame.time for frame in container.decode(video=0)]
    assert shown == pytest.approx([frame["seconds"] for frame in found["frames"]], abs=1e-3)


@pytest.mark.parametrize("method", ["space", "time", "rollout"])
def test_other_maps_of_a_model_without_cls(
    tmp_path: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    folder = write_one(tmp_path / "tiny", "dot_product")
    status, out, err = run_here(capsys, clip_path, "--model", folder, "--method", method, "--json")
    assert (status, err) == (0, "")
    found = command_line.from_json(out)
    check(found)
    assert (found["method"], found["layer"]) == (method, None if method == "rollout" else "mean")
    _, usual, _ = run_here(capsys, clip_path, "--model", folder, "--no-checks", "--json")
    assert command_line.from_json(usual)["method"] == "space"


def test_text_for_people(checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run_here(capsys, clip_path, "--model", checkpoint)
    assert (status, err) == (0, "")
    found = command_line.from_json(run_here(capsys, clip_path, "--model", checkpoint, "--json")[1])
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == str(clip_path)
    assert lines[1] == f"{found['predictions'][0]['score']:.2%}  {found['predictions'][0]['label']}"
    assert lines[6].endswith("attention, layer mean, head mean, most of it:")
    first = found["top"][0]
    place = f"x {first['x']} to {first['x'] + 4}, y {first['y']} to {first['y'] + 8} of 20 × 24"
    assert lines[7] == f"{first['weight']:.2%}  at {first['seconds']:.2f} s, {place}"
    assert lines[-3:] == found["sentences"]
    quick = run_here(capsys, clip_path, "--model", checkpoint, "--no-checks")[1]
    assert "has not been looked at" in quick and "reversed" not in quick


def test_random_weights_are_told_of(
    clip_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = VivitConfig(
        num_frames=2, tubelet_size=(2, 56, 56), hidden_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    monkeypatch.setitem(sys.modules["vivit.checkpoint.random_weights"].RANDOM_CONFIGS, "tiny-random", tiny)
    status, out, err = run_here(capsys, clip_path, "--model", "tiny-random", "--json")
    assert (status, err) == (0, "")
    assert command_line.from_json(out)["sentences"][0] == RANDOM and len(command_line.from_json(out)["sentences"]) == 4


def test_clips_of_one_name_have_files_of_their_own(
    checkpoint: Path,
    clip_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of several folders, of two formats, in capitals, from a server, and one called as another would be with a number."""
    clips = [tmp_path / name for name in ("a/clip.mp4", "b/clip.mp4", "b/CLIP.mkv", "b/clip-2.mp4")]
    for clip in clips:
        clip.parent.mkdir(exist_ok=True)
        shutil.copy(clip_path, clip)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running(serving(tmp_path)) as base:
        addresses = [f"{base}/a/clip.mp4?of=these"]
        status, _, err = run_here(
            capsys, *clips, *addresses, "--model", checkpoint, "--no-checks", "--out", tmp_path / "out"
        )
    assert (status, err) == (0, "")
    names = [file.stem for file in (tmp_path / "out").glob("*.json")]
    assert sorted(names) == ["CLIP-3", "clip", "clip-2", "clip-2-2", "clip-4"]
    told = {
        command_line.from_json((tmp_path / "out" / f"{name}.json").read_text(encoding="utf-8"))["clip"]
        for name in names
    }
    assert told == {*map(str, clips), *addresses}
    assert len([*(tmp_path / "out").iterdir()]) == 15


def test_a_file_that_cannot_be_written_is_a_sentence(
    checkpoint: Path, clip_path: Path, short_clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was found is told, and the other clip is explained."""
    out = tmp_path / "out"
    (out / "moving.mp4").mkdir(parents=True)
    choice: list[str | Path] = ["--model", checkpoint, "--no-checks", "--json"]
    status, said, told = run_here(capsys, clip_path, short_clip_path, *choice, "--out", out)
    assert status == 2 and len(said.splitlines()) == 2
    assert len(told.splitlines()) == 1 and told.startswith("vivit: ") and "moving.mp4' cannot be written" in told
    assert (out / "short.json").is_file()
    status, said, told = run_here(capsys, clip_path, *choice, "--out", clip_path)
    assert (status, said) == (2, "") and "no folder that can be written to" in told


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        (["--method", "time"], ["'time'", "'attention' or 'rollout'"]),
        (["--method", "rollout", "--head", "1"], ["rollout", "--head"]),
        (["--layer", "3"], ["layer=3", "has 3"]),
        (["--layer", "0", "--head", "-6"], ["head=-6", "has 5"]),
        (["--attention", "flash"], ["'flash'", "sdpa"]),
        (["--attention", "sdpa-cudnn"], ["'sdpa-cudnn'", "CUDA"]),
        (["--precision", "int3"], ["'int3'", "float32"]),
        (["--stride", "0", "--sampling", "consecutive"], ["--stride", "0"]),
        (["--model", "no/such/folder"], ["no/such/folder"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_choice_that_cannot_be_had_is_one_sentence(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], choice: list[str], named: list[str]
) -> None:
    status, out, err = run_here(capsys, clip_path, "--model", checkpoint, *choice, "--json")
    assert status == 2 and out == ""
    assert len(err.splitlines()) == 1 and err.startswith("vivit: ") and all(word in err for word in named), err


def test_cls_of_a_model_that_has_none_is_refused(
    tmp_path: Path, clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_one(tmp_path / "tiny", "self_attention")
    status, out, err = run_here(capsys, clip_path, "--model", folder, "--method", "attention")
    assert (status, out) == (2, "") and "no [CLS]" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("choice", [["--layer", "x"], ["--method", "gradient"], ["--top-k", "3"]], ids=" ".join)
def test_wrong_usage_is_explained(capsys: pytest.CaptureFixture[str], choice: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["explain", "a.mp4", *choice])
    assert stopped.value.code == 2 and "usage: python -m vivit" in capsys.readouterr().err


def test_a_terminal_sees_how_far_it_is_and_is_left_clean(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    status, _, err = run_here(capsys, clip_path, "no.mp4", "--model", checkpoint, "--json")
    assert status == 2
    for note in ("moving.mp4: attention 3 of 3", "moving.mp4: deletion 60 of 60", "moving.mp4: order 9 of 9"):
        assert note in err
    *_, empty, sentence = err.rstrip("\n").split("\r")
    assert not empty.strip() and sentence.startswith("vivit: ")


def test_an_interrupt_ends_the_process_with_130(checkpoint: Path, clip_path: Path) -> None:
    """After its first answer of many: the process is at work then, wherever exactly."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "vivit",
        "explain",
        *[clip_path] * 500,
        "--model",
        checkpoint,
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr and process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == "" and process.wait(60) == 130


def test_an_interrupt_in_a_check_is_no_fault_of_the_clip(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vivit.explain.passes.check_orders", interrupt)
    assert run_here(capsys, clip_path, clip_path, "--model", checkpoint, "--json") == (130, "", "")


def test_a_clip_that_lies_where_the_files_go_is_left_alone(
    checkpoint: Path, clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = Path(shutil.copy(clip_path, tmp_path / "clip.mp4"))
    before = clip.read_bytes()
    status, _, _ = run_here(capsys, clip, "--model", checkpoint, "--no-checks", "--out", tmp_path)
    assert status == 0 and clip.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"clip.mp4", "clip-2.mp4", "clip-2.png", "clip-2.json"}


def test_several_labels_a_clip_are_scored_as_the_pipeline_does(
    clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_one(tmp_path / "tiny", "none")
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"problem_type": "multi_label_classification"}))
    found = command_line.from_json(run_here(capsys, clip_path, "--model", folder, "--json")[1])
    wanted = pipeline("video-classification", model=folder)(clip_path)
    assert [one["score"] for one in found["predictions"]] == pytest.approx([one["score"] for one in wanted], abs=1e-5)
    assert sum(one["score"] for one in wanted) > 1.1, "by sigmoid, each for itself"
    assert found["deletion"]["attended"][0] == pytest.approx(wanted[0]["score"], abs=1e-5)
