"""What goes wrong on the command line: one sentence, a status, and nothing left behind."""

import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import oracle
from tests.serving import Stalling, running
from tests.shorter import some
from tests.unusable import UNUSABLE
from tests.vivit.command_line import CLASSIFY, assert_one_sentence, run, run_here
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor
from vivit.__main__ import main


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        (["--model", "no/such/folder"], ["no/such/folder"]),
        (["--attention", "flash"], ["'flash'", "sdpa-flash", "eager"]),
        (["--precision", "int3"], ["'int3'", "float16-weights"]),
        (["--attention", "sdpa-cudnn"], ["'sdpa-cudnn'", "CUDA"]),
        (["--top-k", "0"], ["top_k", "0"]),
        (["--stride", "0", "--sampling", "consecutive"], ["--stride", "0"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_choice_that_cannot_be_had_is_one_sentence(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str], choice: list[str], named: list[str]
) -> None:
    status, out, err = run_here(capsys, "classify", clip_path, "--model", checkpoint, *choice, "--json")
    assert status == 2 and out == ""
    assert_one_sentence(err, *named)


def test_the_process_says_the_same(clip_path: Path) -> None:
    done = run("classify", clip_path, "--model", "no/such/folder")
    assert done.returncode == 2 and done.stdout == ""
    assert_one_sentence(done.stderr, "no/such/folder")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["classify"],
        ["no-such-command"],
        ["classify", "a.mp4", "--sampling", "random"],
        ["classify", "a.mp4", "--geometry", "sideways"],
        ["classify", "a.mp4", "--top-k", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_explained(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert stopped.value.code == 2 and captured.out == "" and "usage: python -m vivit" in captured.err


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b'{"hidden_size": 35, "num_attention_heads": 4}'),
        ("config.json", b'{"layer_norm_eps": "tiny"}'),
        ("preprocessor_config.json", b"{"),
        ("preprocessor_config.json", b'{"size": "tiny"}'),
        ("model.safetensors", b"\x00" * 100),
        ("model.safetensors", None),
    ],
    ids=lambda value: str(value)[:50].replace("\\x00", ""),
)
def test_a_damaged_checkpoint_is_one_sentence(
    checkpoint: Path,
    clip_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    content: bytes | None,
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "damaged")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    status, out, err = run_here(capsys, "classify", clip_path, "--model", folder)
    assert status == 2 and out == ""
    assert_one_sentence(err, file)


@pytest.mark.parametrize("command", ["classify", "timeline", "convert", "compare", "bench"])
@pytest.mark.parametrize("fault", UNUSABLE)
def test_a_folder_that_cannot_be_used_is_one_sentence_and_writes_nothing(
    checkpoint: Path,
    clip_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    command: str,
) -> None:
    folder, out = shutil.copytree(checkpoint, tmp_path / "theirs"), tmp_path / "out"
    change, words = UNUSABLE[fault]
    change(folder)
    arguments: dict[str, list[str | Path]] = {
        "classify": [clip_path, "--model", folder],
        "timeline": [clip_path, "--model", folder],
        "convert": [folder, out],
        "compare": [clip_path, "--model", folder],
        "bench": ["--clip", clip_path, "--model", folder],
    }
    status, printed, err = run_here(capsys, command, *arguments[command])
    assert status == 2 and printed == "" and not out.exists()
    assert_one_sentence(err, "theirs", *words)


def test_answers_that_are_no_numbers_are_told(
    clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As float16 gives where activations exceed its range: no JSON can hold such answers, and nobody could use them."""
    oracle.save(tmp_path)
    model = VivitForVideoClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        model.classifier.bias.fill_(torch.nan)
    model.save_pretrained(tmp_path)
    status, out, err = run_here(capsys, "classify", clip_path, "--model", tmp_path, "--json")
    assert status == 2 and out == ""
    assert_one_sentence(err)


def test_a_checkpoint_without_a_head_is_told(
    clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle.save(tmp_path, "VivitModel")
    status, out, err = run_here(capsys, "classify", clip_path, "--model", tmp_path)
    assert status == 2 and out == "" and "ignore_mismatched_sizes" not in err
    assert_one_sentence(err, "without a classification head")


@pytest.mark.parametrize("place", ["a file", "in a file"])
@pytest.mark.parametrize("command", ["bench", "convert"])
def test_a_place_that_cannot_be_written_to_is_one_sentence(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" if place == "a file" else tmp_path / "file" / "out"
    arguments: dict[str, list[str | Path]] = {
        "bench": ["bench", "--model", checkpoint, "--out", out],
        "convert": ["convert", checkpoint, out],
    }
    status, _, err = run_here(capsys, *arguments[command])
    assert status == 2 and "Errno" not in err
    assert_one_sentence(err, str(out), "Give a")


@pytest.mark.parametrize(
    "command",
    [
        ["classify", "a.mp4"],
        ["timeline", "a.mp4"],
        ["convert", "vivit-mannequin"],
        ["bench", "--model", "vivit-mannequin"],
    ],
)
def test_an_interrupt_before_the_work_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vivit.hub.download", interrupt)
    monkeypatch.setattr("vivit.checkpoint.opening.locate", interrupt)
    assert run_here(capsys, *command, *([tmp_path] if command[0] == "convert" else [])) == (130, "", "")


@pytest.fixture
def enormous(tmp_path: Path) -> Path:
    """A small model of 200,705 tokens, whose eager scores take 161 GB."""
    config = VivitConfig(
        image_size=448,
        num_frames=8,
        tubelet_size=(2, 2, 2),
        hidden_size=8,
        num_hidden_layers=2,  # the last one holds the scores of [CLS] alone
        num_attention_heads=1,
        intermediate_size=8,
    )
    VivitForVideoClassification(config).save_pretrained(tmp_path / "enormous")
    VivitImageProcessor(crop_size={"height": 448, "width": 448}, size={"shortest_edge": 448}).save_pretrained(
        tmp_path / "enormous"
    )
    return tmp_path / "enormous"


def test_memory_that_runs_out_is_one_sentence_a_clip(enormous: Path, clip_path: Path) -> None:
    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30))

    command = [*CLASSIFY, clip_path, clip_path, "--model", enormous, "--attention", "eager"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=little_memory, timeout=120, check=False)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    assert_one_sentence(lines[0], "memory", "Choose the sdpa attention")


@pytest.mark.parametrize("command", ["classify", "convert", "bench"])
def test_memory_that_runs_out_before_the_work_is_one_sentence(
    command: str, clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("vivit.checkpoint.opening.Checkpoint.load", full)
    monkeypatch.setattr("vivit.benchmark.probes.describe", full)
    arguments: dict[str, list[str | Path]] = {
        "classify": ["classify", clip_path],
        "convert": ["convert", "vivit-mannequin", tmp_path / "out"],
        "bench": ["bench"],
    }
    status, out, err = run_here(capsys, *arguments[command])
    assert (status, out) == (2, "")
    assert_one_sentence(err, "memory")


def test_a_fault_of_ours_is_not_hidden(clip_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a shape that nobody foresaw")

    monkeypatch.setattr("vivit.checkpoint.opening.Checkpoint.load", broken)
    with pytest.raises(RuntimeError, match="nobody foresaw"):
        main(["classify", str(clip_path)])


@pytest.mark.parametrize("attention", some(["sdpa-cudnn", "sdpa-efficient"], "sdpa-cudnn"))
def test_a_backend_that_refuses_at_work_is_one_sentence(checkpoint: Path, clip_path: Path, attention: str) -> None:
    done = run("classify", clip_path, "--model", checkpoint, "--attention", attention)
    assert done.returncode == 2 and done.stdout == ""
    assert_one_sentence(done.stderr, attention, "CUDA GPUs only", "Choose 'sdpa'")


def test_random_weights_are_no_answer(clip_path: Path) -> None:
    done = run("classify", clip_path, "--model", "vivit-b-16x2-random")
    assert done.returncode == 2 and done.stdout == ""
    assert_one_sentence(done.stderr, "predict nothing", "Choose a trained checkpoint")


def test_an_interrupt_ends_the_process_with_130(checkpoint: Path, clip_path: Path) -> None:
    """After its first answer of many: the process is at work then, wherever exactly."""
    command = [*CLASSIFY, *[clip_path] * 500, "--model", checkpoint, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr and process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read() == "" and process.wait(60) == 130


def test_an_interrupt_leaves_no_file_of_an_address(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary"), "no_proxy": "127.0.0.1"}
    server = Stalling()
    with running(server) as base:
        command = [*CLASSIFY, f"{base}/clip.mp4", "--model", checkpoint]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            try:
                assert server.begun.wait(60)
                end = time.monotonic() + 60
                while not [*tmp_path.glob("temporary/vivit-*/clip.mp4")]:
                    assert time.monotonic() < end
                    time.sleep(0.01)
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 130 and process.stderr and process.stderr.read() == ""
            finally:
                server.over.set()
                process.kill()
    assert not [*tmp_path.glob("temporary/vivit-*")]


def test_a_reader_that_leaves_is_no_fault(checkpoint: Path, clip_path: Path) -> None:
    """As `| head -1` does."""
    command = [*CLASSIFY, *[clip_path] * 3, "--model", checkpoint]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait(60) == 141


@pytest.mark.parametrize(
    ("command", "device"),
    some(
        [("classify", "cuda:7"), ("timeline", "cuda:7"), ("bench", "gpu"), ("compare", "mps"), ("classify", "meta")],
        ("classify", "cuda:7"),
        ("bench", "gpu"),
    ),
)
def test_a_device_that_is_not_there_is_one_sentence(command: str, device: str, clip_path: Path) -> None:
    """Before the model is looked for: there is none of that name."""
    clip = ["--clip", clip_path] if command == "bench" else [clip_path]
    done = run(command, *clip, "--model", "nobody/nothing", "--device", device)
    assert done.returncode == 2 and not done.stdout
    assert_one_sentence(done.stderr, f"'{device}'", "PyTorch", "sees cpu here")
