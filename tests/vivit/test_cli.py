"""`python -m vivit`, in a process of its own, as a user runs it."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import oracle
from tests.clips import write_clip
from tests.serving import Stalling, running, serving
from tests.unusable import UNUSABLE
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor, pipeline
from vivit.__main__ import main

CLASSIFY: list[str | bytes | Path] = [sys.executable, "-m", "vivit", "classify"]


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """The same without a new process: (exit status, stdout, stderr). An error that is not caught fails the test."""
    capsys.readouterr()  # what the oracle printed while it was saved
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vivit", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def assert_one_sentence(text: str, *named: str) -> None:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("vivit: "), text
    for word in named:
        assert word in lines[0]


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


@pytest.mark.parametrize("choice", [[], ["--json"]], ids=["text", "json"])
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


def test_help_needs_no_torch() -> None:
    code = "import sys, vivit.__main__ as m\ntry: m.main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "classify" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b'{"hidden_size": 35, "num_attention_heads": 4}'),
        ("config.json", b'{"layer_norm_eps": "tiny"}'),
        ("preprocessor_config.json", b"{"),
        ("preprocessor_config.json", b'{"size": [1, 2]}'),
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
    # Where a value is wrong, its name tells; where the file is, its own.
    assert_one_sentence(err, *([] if content and b'"' in content else [file.split(".")[0]]))


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


def test_answers_that_are_no_numbers_are_told(
    clip_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As float16 gives where a model's activations exceed it: no JSON can hold them, and no one could use them."""
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


@pytest.mark.parametrize("attention", ["sdpa-cudnn", "sdpa-efficient"])
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


def test_a_converted_checkpoint_says_its_dtype(checkpoint: Path, tmp_path: Path) -> None:
    half = VivitForVideoClassification.from_pretrained(checkpoint, dtype="float16")
    half.save_pretrained(tmp_path / "half")
    assert main(["convert", str(tmp_path / "half"), str(tmp_path / "out")]) == 0
    written = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert written["dtype"] == "float32" and written["architectures"] == ["VivitForVideoClassification"]


@pytest.mark.parametrize(
    ("command", "device"),
    [("classify", "cuda:7"), ("timeline", "cuda:7"), ("bench", "gpu"), ("compare", "mps"), ("classify", "meta")],
)
def test_a_device_that_is_not_there_is_one_sentence(command: str, device: str, clip_path: Path) -> None:
    """Before anything is downloaded, though the model is none there could be."""
    clip = ["--clip", clip_path] if command == "bench" else [clip_path]
    done = run(command, *clip, "--model", "nobody/nothing", "--device", device)
    assert done.returncode == 2 and not done.stdout
    assert_one_sentence(done.stderr, f"'{device}'", "PyTorch", "sees cpu here")


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
