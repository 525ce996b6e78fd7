"""`python -m vivit convert --from scenic`: what is written, and when nothing is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.serving import running, serving
from tests.vivit import command_line
from tests.vivit.checkpoint.flax_files import SCENIC, model, tree_of, write
from vivit import VivitForVideoClassification, VivitImageProcessor, pipeline
from vivit.checkpoint import open_checkpoint

CLIP = ("--num-frames", "8", "--image-size", "32")


def convert(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    return command_line.run_here(capsys, "convert", *arguments)


def told(result: tuple[int, str, str], *words: str) -> None:
    status, out, err = result
    assert (status, out) == (2, "") and len(err.splitlines()) == 1 and err.startswith("vivit: "), result
    assert all(word in err for word in words), err


@pytest.mark.parametrize("name", ["none", "encoder", "self_attention", "dot_product"])
def test_what_is_converted_answers_as_the_original_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    status, out, err = convert(capsys, "--from", "scenic", SCENIC / f"{name}.msgpack", tmp_path / "out", *CLIP)
    assert (status, err) == (0, "")
    kind = {"none": 1, "encoder": 2, "self_attention": 3, "dot_product": 4}[name]
    assert f"'{name}.msgpack', model {kind}" in out and "7 classes, which it does not name" in out
    files = {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == files
    pixels = torch.from_numpy(np.load(SCENIC / "pixels.npy").astype(np.float32)).permute(0, 1, 4, 2, 3)
    wanted = torch.from_numpy(np.load(SCENIC / f"{name}.logits.npy"))
    for attention in ("eager", "sdpa"):
        made = VivitForVideoClassification.from_pretrained(tmp_path / "out", attn_implementation=attention)
        assert made.config.factorization == name
        with torch.inference_mode():
            logits = made(pixels).logits
        # float32 of another library: sums in another order.
        torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=0)


def test_pixels_are_those_of_the_original(tmp_path: Path, capsys: pytest.CaptureFixture[str], clip_path: Path) -> None:
    file = write(tmp_path / "checkpoint", {"params": tree_of(model(num_labels=400))})
    status, out, err = convert(
        capsys, "--from", "scenic", file, tmp_path / "out", "--num-frames", "8", "--image-size", "24", "20"
    )
    assert (status, err) == (0, "") and "400 classes from" in out
    checkpoint = open_checkpoint(tmp_path / "out")
    processor = checkpoint.processor
    assert processor == VivitImageProcessor.from_pretrained(tmp_path / "out")
    assert (processor.size, processor.output_size) == ({"shortest_edge": 27}, (24, 20))
    frames = [np.full((40, 50, 3), value, np.uint8) for value in (0, 255)]
    pixels = processor(frames, return_tensors="np")["pixel_values"]
    assert (pixels[0, 0] == -1).all() and (pixels[0, 1] == 1).all()
    assert checkpoint.labels[0] == "abseiling"
    assert len(pipeline("video-classification", tmp_path / "out")(clip_path)) == 5


def test_the_usual_clip_is_that_of_the_published_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usual = model(num_frames=32, image_size=224, tubelet_size=(16, 112, 112))
    write(tmp_path / "checkpoint_30", {"optimizer": {"target": tree_of(usual)}})
    assert convert(capsys, "--from", "scenic", tmp_path, tmp_path / "out")[0] == 0
    made = open_checkpoint(tmp_path / "out")
    assert made.config.clip_size == (32, 224, 224) and made.config.image_size == 224
    assert made.processor == VivitImageProcessor(do_normalize=False)


def test_the_order_of_attention_is_what_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("self_attention", "encoder"):
        status, _, err = convert(
            capsys,
            *("--from", "scenic", SCENIC / f"{name}.msgpack", tmp_path / name, *CLIP),
            *("--attention-order", "space_time"),
        )
        values = json.loads((tmp_path / name / "config.json").read_text())
        if name == "encoder":
            assert status == 0 and "attention_order" not in values and "no model 3" in err
        else:
            assert (status, err, values["attention_order"]) == (0, "", "space_time")


def test_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "web").mkdir()
    shutil.copy(SCENIC / "encoder.msgpack", tmp_path / "web" / "checkpoint")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with running(serving(tmp_path / "web")) as base:
        status, out, err = convert(capsys, "--from", "scenic", f"{base}/checkpoint", tmp_path / "out", *CLIP)
        assert (status, err) == (0, "") and "'checkpoint', model 2" in out
        gone = convert(capsys, "--from", "scenic", f"{base}/none?key=secret", tmp_path / "other", *CLIP)
        told(gone, "404", "download the checkpoint yourself")
        assert "secret" not in gone[2]
        convert(capsys, "--from", "scenic", SCENIC / "encoder.msgpack", tmp_path / "file", *CLIP)
    for file in ("model.safetensors", "config.json", "preprocessor_config.json"):
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "file" / file).read_bytes()
    assert not [*(tmp_path / "temporary").iterdir()] and not (tmp_path / "other").exists()


def test_how_far_a_download_is_is_shown_to_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    write(tmp_path / "checkpoint", {"params": tree_of(model()), "more": {"bytes": bytes(3 * 2**20)}})
    arguments = ["--num-frames", "8", "--image-size", "24", "20"]
    with running(serving(tmp_path)) as base:
        status, _, err = convert(capsys, "--from", "scenic", f"{base}/checkpoint", tmp_path / "out", *arguments)
    lines = [line.strip() for line in err.split("\r") if line.strip()]
    assert status == 0 and len(lines) >= 3 and lines[0].startswith("checkpoint: ") and lines[0].endswith(" of 3 MB")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vivit-mannequin", "--num-frames", "8"], ["--num-frames", "Add --from scenic"]),
        (["vivit-mannequin", "--image-size", "8", "--attention-order", "time_space"], ["--image-size and --attention"]),
        (["--from", "scenic", SCENIC / "none.msgpack", "--revision", "main"], ["--revision"]),
        (["--from", "scenic", SCENIC / "none.msgpack", "--image-size", "1", "2", "3"], ["--image-size", "3 numbers"]),
        (["--from", "scenic", SCENIC / "none.msgpack", "--num-frames", "0"], ["num_frames", "not 0"]),
        (["--from", "scenic", SCENIC / "none.msgpack", "--image-size", "-32"], ["image_size", "-32"]),
        (
            ["--from", "scenic", SCENIC / "none.msgpack"],
            ["positions", "--image-size 16, ", "--num-frames 8 --image-size 32"],
        ),
        (["--from", "scenic", SCENIC / "none.msgpack", "--num-frames", "5"], ["not whole tubelets"]),
        (["--from", "scenic", SCENIC / "none.logits.npy"], ["none.logits.npy", "Flax"]),
        (["--from", "scenic", SCENIC], ["4 checkpoints"]),
        (["--from", "scenic", "no/such/file"], ["no file 'no/such/file'"]),
        (["--from", "scenic", "gs://scenic-bucket/vivit/checkpoint"], ["gs://"]),
    ],
    ids=lambda value: " ".join(str(word).rpartition("/")[2] for word in value),
)
def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[Any], words: list[str]
) -> None:
    place = next((k for k, a in enumerate(arguments) if str(a).startswith("--") and a != "--from"), len(arguments))
    told(convert(capsys, *arguments[:place], tmp_path / "out", *arguments[place:]), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["a full folder", "a file"])
def test_a_place_that_is_taken_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    out = tmp_path / "out"
    if place == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "config.json").write_text("mine")
    told(convert(capsys, "--from", "scenic", "no/such/file", out), "'", str(out), "Give a")
    assert (out if place == "a file" else out / "config.json").read_text() == "mine"


@pytest.mark.parametrize("was_there", [True, False])
def test_a_disk_that_fills_up_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, was_there: bool
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    if was_there:
        out.mkdir()
    monkeypatch.setattr(VivitImageProcessor, "save_pretrained", full)
    told(convert(capsys, "--from", "scenic", SCENIC / "none.msgpack", out, *CLIP), "No space left")
    assert out.is_dir() == was_there and (not was_there or not [*out.iterdir()])


def test_the_process_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes((SCENIC / "none.msgpack").read_bytes()[:1000])
    command = [sys.executable, "-m", "vivit", "convert", "--from", "scenic"]
    command += [str(tmp_path / name) for name in ("checkpoint", "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "") and not (tmp_path / "out").exists()
    assert "cut short" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("given", ["https://host.invalid/checkpoint", "file", "vivit-b-16x2-encoder-random"])
def test_what_is_no_published_checkpoint_is_told_of_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    file = tmp_path / "checkpoint_7"
    file.write_bytes(b"\x80")
    words = "random weights" if "random" in given else "Add --from scenic"
    told(convert(capsys, file if given == "file" else given, tmp_path / "out"), words)
    assert not (tmp_path / "out").exists()


def test_nothing_is_fetched_for_a_folder_that_cannot_be_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    # Nobody listens at this port: an answer about the network would say that the folder was not looked at first.
    told(
        convert(capsys, "--from", "scenic", "http://127.0.0.1:9/checkpoint", tmp_path / "file" / "out", *CLIP),
        "is no folder that can be written to",
    )


def test_folders_that_were_made_go_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(convert(capsys, "--from", "scenic", SCENIC / "none.msgpack", tmp_path / "a" / "b"), "The positions in")
    assert not (tmp_path / "a").exists()
