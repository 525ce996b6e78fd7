"""`python -m vivit compare` as a person or a script meets it, on a busy machine too."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import engine.model as worker
from engine.loaded import unload
from engine.tasks import Classify
from tests.busy import busy
from tests.shorter import some
from tests.vivit.benchmark.children import MACHINE
from vivit import VivitConfig, VivitForVideoClassification
from vivit.__main__ import main
from vivit.benchmark import passes
from vivit.benchmark.child import measure_in_child
from vivit.benchmark.compare_command import as_text, parse_cells
from vivit.benchmark.cost import default_cells, paying_precision
from vivit.benchmark.measurement import Cell, StoppingRule
from vivit.benchmark.ratios import FASTER, SLOWER
from vivit.benchmark.side_by_side import Examine, Examined, SideBySide
from vivit.benchmark.sweep import PlannedRound
from vivit.checkpoint import open_checkpoint
from vivit.machine import Machine
from vivit.preparing import prepare_clip
from vivit.threads import OWN_WORD

ROOT = Path(__file__).parents[3]
CLIP = ROOT / "vivit" / "assets" / "clips" / "jogging.mp4"
MANNEQUIN = "vivit-mannequin"


def command(*arguments: object) -> dict[str, Any]:
    """Arguments of `subprocess` for the command, whose threads wait as `vivit.threads` says and not as the tests' do."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN_WORD}
    words = [sys.executable, "-m", "vivit", "compare", *map(str, arguments)]
    return {"args": words, "cwd": ROOT, "env": environment, "text": True, "encoding": "utf-8"}


def run(*arguments: object) -> str:
    """The command's stdout. Fails if its exit status is not 0, or if it prints a traceback."""
    done = subprocess.run(**command(*arguments), capture_output=True, timeout=300)
    assert isinstance(done.stdout, str) and isinstance(done.stderr, str)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return done.stdout


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.full
def test_two_names_of_one_kernel_are_not_told_apart() -> None:
    """In a process of its own: nothing but the objects may come out on stdout."""
    first, second = rows(run(CLIP, "--cells", "sdpa/float32,sdpa-flash/float32", "--seconds", 6, "--seed", 1, "--json"))
    assert (first["attention"], second["attention"]) == ("sdpa", "sdpa-flash")
    assert second["ratio"]["verdict"] not in (FASTER, SLOWER), second
    assert set(first["ratio"].values()) == set(first["agreement"].values()) == {None}
    assert second["agreement"]["max_logit_difference"] < 1e-4  # sums that threads may take in another order
    assert second["agreement"]["top1"] and second["agreement"]["top5"]
    assert first["memory_mib"] == second["memory_mib"], "it is the same kernel"
    for row in (first, second):
        assert (row["precision"], row["model"], row["clip"]) == ("float32", MANNEQUIN, str(CLIP))
        latency, memory = row["latency_ms"], row["memory_mib"]
        assert len(latency["samples"]) == row["rounds"] >= 1
        assert min(latency["samples"]) <= latency["p5"] <= latency["median"] <= latency["p95"]
        assert memory["weights"] + memory["activations"] == pytest.approx(memory["peak"])
        assert row["seed"] == 1 and "seed 1" in row["method"] and 0 <= (row["others_share"] or 0) <= 1


def here(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, list[str]]:
    """The same without a new process. Returns: the exit status, stdout, and stderr's lines but for the progress."""
    capsys.readouterr()
    status = main(["compare", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, [line for line in said.err.splitlines() if not re.match("warming up |round ", line)]


def test_text_is_a_sentence_a_table_and_the_method(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = "eager/float32,sdpa/float32"
    status, out, err = here(capsys, clip_path, "--model", checkpoint, "--cells", cells, "--seconds", 60, "--seed", 5)
    assert (status, err) == (0, [])
    verdict, nothing, head, eager, sdpa, nothing_more, method = out.splitlines()
    assert verdict.endswith(".") and not nothing and not nothing_more
    assert re.split("  +", head)[:4] == ["attention", "precision", "ms", "p5–p95"]
    assert eager.split()[:2] == ["eager", "float32"] and sdpa.split()[:2] == ["sdpa", "float32"]
    of_eager, of_sdpa = (re.split("  +", line)[4] for line in (eager, sdpa))
    assert of_eager == "–" and re.fullmatch(r"\d+\.\d+ \(\d+\.\d+ to \d+\.\d+\)", of_sdpa)
    assert "random order (seed 5)" in method


def test_without_a_seed_every_run_has_its_own(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [clip_path, "--model", checkpoint, "--cells", "sdpa/float32", "--seconds", 0.01, "--json"]
    seeds = [rows(here(capsys, *words, *seed)[1])[0]["seed"] for seed in ([], [], ["--seed", 9], ["--seed", 9])]
    assert seeds[0] != seeds[1] and seeds[2:] == [9, 9]


def test_without_cells_it_takes_the_usual_four(
    checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = here(capsys, clip_path, "--model", checkpoint, "--seconds", 0.01, "--json")
    found = rows(out)
    assert status == 0 and [row["attention"] for row in found] == ["eager", "sdpa"] * 2
    first, _, third, _ = (row["precision"] for row in found)
    assert first == "float32" and third in ("float16", "bfloat16", "float16-weights")
    assert {row["ratio"]["verdict"] for row in found} == {None}, "time for a round at most"
    assert "KINETO_USE_DAEMON" not in os.environ, "or this process would end ten seconds late"


def faster(precision: str, times: float) -> Machine:
    """A machine whose attention and products are so many times as fast in this precision as in the others."""
    support = tuple(
        replace(s, flops_per_second=times * s.flops_per_second) if s.precision == precision else s
        for s in MACHINE.support
    )
    rates = MACHINE.flops_per_second | {precision: times * MACHINE.flops_per_second[precision]}
    return replace(MACHINE, support=support, flops_per_second=rates)


@pytest.mark.parametrize(
    ("machine", "precision"),
    [
        (MACHINE, "float16-weights"),
        (faster("bfloat16", 1.5), "bfloat16"),
        (faster("float16", 1.5), "float16"),
        (faster("float32", 3.0), "float16-weights"),
        (replace(faster("float32", 3.0), device="cuda"), "float16"),
        (
            replace(MACHINE, support=tuple(replace(s, flops_per_second=0.0) for s in MACHINE.support)),
            "float16-weights",
        ),
    ],
    ids=["alike", "fast bfloat16", "fast float16", "fast float32", "GPU", "nothing known"],
)
def test_the_precision_that_pays(machine: Machine, precision: str) -> None:
    config = VivitConfig(num_labels=400)
    assert paying_precision(config, machine) == precision
    assert default_cells(config, machine) == [
        ("eager", "float32"), ("sdpa", "float32"), ("eager", precision), ("sdpa", precision)
    ]  # fmt: skip


def test_cells_are_read_in_their_order_with_spaces_and_twice() -> None:
    assert parse_cells("sdpa/float16-weights, eager/float32,eager/float32/compiled,eager/float32") == [
        ("sdpa", "float16-weights", "plain"),
        ("eager", "float32", "plain"),
        ("eager", "float32", "compiled"),
        ("eager", "float32", "plain"),
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--cells", "eager"], "--cells wants attention/precision[/execution] with commas between them, not 'eager'"),
        (
            ["--cells", "eager/float32,"],
            "--cells wants attention/precision[/execution] with commas between them, not ''",
        ),
        (["--cells", "flash/float32"], "The attention backend 'flash' is unknown; known are eager, sdpa"),
        (["--cells", "sdpa/int3"], "The precision 'int3' is unknown; known are float32"),
        (["--cells", "sdpa/float32/fast"], "The execution 'fast' is unknown; known are plain, compiled, captured"),
        (["--cells", "sdpa/float32/plain/1"], "--cells wants attention/precision[/execution] with commas between them"),
        (["--cells", "sdpa/float32/captured"], "'captured' is a CUDA graph, and there is none on 'cpu'"),
        (["--seconds", "0"], "--seconds wants a number above 0"),
        (["--seconds", "-3"], "--seconds wants a number above 0"),
        (["--seconds", "nan"], "--seconds wants a number above 0"),
        (["--seconds", "inf"], "--seconds wants a number above 0"),
        (["--model", "/nowhere/at/all"], "nowhere"),
        (["--cells", "sdpa/float32,sdpa-cudnn/float32"], "'sdpa-cudnn' runs on CUDA GPUs only"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_status_2(
    checkpoint: Path, clip_path: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = here(capsys, clip_path, "--model", checkpoint, *words)
    assert (status, out) == (2, "")
    assert len(err) == 1 and err[0].startswith("vivit: ") and sentence in err[0]


def test_a_clip_that_cannot_be_read_is_one_sentence(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"not a video")
    for name in ("missing.mp4", "bad.mp4"):
        status, out, err = here(capsys, tmp_path / name, "--model", checkpoint)
        assert (status, out) == (2, "") and len(err) == 1 and name in err[0]


def test_wrong_usage_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["a.mp4", "b.mp4"], ["a.mp4", "--seed", "x"], ["a.mp4", "--seconds", "long"]):
        with pytest.raises(SystemExit) as stopped:
            main(["compare", *words])
        assert stopped.value.code == 2 and "usage: python -m vivit" in capsys.readouterr().err


def interrupted(said: str, out: Path, *arguments: object) -> tuple[int, str]:
    """Run the command until its stderr holds `said`, and press Ctrl-C. Returns: the exit status, and stderr."""
    err = out.with_suffix(".err")
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(**command(*arguments), stdout=stdout, stderr=stderr)
    try:
        while said not in err.read_text():
            assert process.poll() is None, err.read_text()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        return process.wait(300), err.read_text()
    finally:
        process.kill()
        process.wait()


def test_an_interrupt_keeps_the_rounds_that_are_done(tmp_path: Path) -> None:
    """8 rounds of four slots, each of 50 ms at least, are not over before 'round 2' is noticed."""
    cells = "eager/float32,sdpa/float32,sdpa-math/float32,sdpa-flash/float32"
    status, err = interrupted("round 2,", tmp_path / "out", CLIP, "--cells", cells, "--seconds", 100, "--json")
    assert status == 130 and "Traceback" not in err, err
    found = rows((tmp_path / "out").read_text())
    assert [row["attention"] for row in found] == ["eager", "sdpa", "sdpa-math", "sdpa-flash"]
    (rounds,) = {row["rounds"] for row in found}
    assert 1 <= rounds < 8 and all(row["latency_ms"]["median"] > 0 for row in found)
    assert {row["ratio"]["verdict"] for row in found} == {None}


@pytest.mark.full
def test_an_interrupt_before_the_rounds_keeps_the_cells_that_were_looked_at(tmp_path: Path) -> None:
    cells = "sdpa/float32,eager/float32"
    status, err = interrupted("warming up eager", tmp_path / "out", CLIP, "--cells", cells, "--json")
    assert status == 130 and "Traceback" not in err, err
    found = rows((tmp_path / "out").read_text())
    assert found[0]["attention"] == "sdpa" and found[0]["memory_mib"]["activations"] > 0
    assert found[0]["rounds"] == 0 and set(found[0]["ratio"].values()) == {None}


PRESSED_AS_THE_PROFILER_STOPS = """
import os, signal, sys, torch.profiler
from vivit.__main__ import main

stop = torch.profiler.profile.stop

def press(profiler):
    os.kill(os.getpid(), signal.SIGINT)
    stop(profiler)

torch.profiler.profile.stop = press
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.full
def test_an_interrupt_within_the_profiler_waits_until_it_has_stopped() -> None:
    """A profiler that never stopped has the process crash: status -11."""
    words = command(CLIP, "--cells", "sdpa/float32,eager/float32", "--json")
    words["args"][1:3] = ["-c", PRESSED_AS_THE_PROFILER_STOPS]
    done = subprocess.run(**words, capture_output=True, timeout=300)
    assert done.returncode == 130 and "Traceback" not in done.stderr, done.stderr


def test_an_empty_list_of_cells_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = here(capsys, "missing.mp4", "--cells", "")
    assert status == 2 and "--cells wants attention/precision[/execution]" in err[0]


def test_a_table_without_a_round_has_no_nan() -> None:
    comparison = SideBySide([Cell(MANNEQUIN, "eager")])
    step = comparison.next()
    assert isinstance(step, Examine)
    comparison.examined(step, Examined(100.0, 8, 12, None, "cpu"))
    comparison.end()
    assert "nan" not in "\n".join(as_text(comparison))


# Memory


@pytest.mark.parametrize(
    ("attention", "precision"),
    some(
        [
            ("eager", "float32"),
            ("sdpa", "float32"),
            ("sdpa", "float16"),
            ("sdpa", "bfloat16"),
            ("eager", "float16-weights"),
            ("sdpa", "float16-weights"),
        ],
        ("eager", "float32"),
        ("sdpa", "bfloat16"),
    ),
)
def test_memory_is_the_sweeps_and_the_pages(usual_threads: int, attention: str, precision: str) -> None:
    """To 2 %: a sweep records a later pass, the others the first. On all threads, by each of which kernels take memory."""
    torch.set_num_threads(usual_threads)
    checkpoint = open_checkpoint(MANNEQUIN)
    clip = prepare_clip(CLIP, checkpoint.config.num_frames, checkpoint.processor)
    pixel_values = checkpoint.processor.normalise(clip.pixels[0])
    model = checkpoint.load(VivitForVideoClassification, dtype=precision)
    here = passes.examine(passes.enter(model, attention, pixel_values))

    rule = StoppingRule(min_samples=1, max_samples=1, warm_up_seconds=0.001)
    row, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, attention, precision), rule), pixel_values)
    assert row.memory, row.details
    assert here.weights == row.memory.weights
    assert here.activations == pytest.approx(row.memory.activations, rel=0.02)

    request = Classify(MANNEQUIN, attention, precision, "checkpoint", 5, clip.pixels.shape[1:])
    page, _ = worker.classify(request, [clip.pixels.tobytes()], lambda *_: None)
    unload()
    assert here.weights == page.weights_bytes
    assert here.activations == pytest.approx(page.peak_bytes, rel=0.02)


# A busy machine


@pytest.mark.full
def test_beside_other_programs_no_verdict_is_the_wrong_way_round() -> None:
    """SDPA is about twice as fast as eager. Where six rounds do not fit, nothing may be said."""
    with busy():
        out = run(CLIP, "--seconds", 8)
    verdict, _, _, _, sdpa, *_, method = out.splitlines()
    assert sdpa.split()[:2] == ["sdpa", "float32"]
    if "no ratio:" in method:
        assert verdict.startswith("No ratio can be told") and "(" not in sdpa
    else:
        assert "Measured while other programs held" in verdict, "they had half of the processors"
        assert "SDPA takes" not in verdict, verdict
        high = re.search(r"to (\d+\.\d\d)\)", sdpa)
        assert high and float(high[1]) >= 0.98, sdpa


@pytest.mark.full
def test_beside_other_programs_no_verdict_of_ten_is_the_wrong_way_round() -> None:
    told = []
    for _ in range(10):
        with busy():
            found = rows(run(CLIP, "--seconds", 20, "--json"))
        assert (found[0]["others_share"] or 0) > 0.25
        told += [row["ratio"]["verdict"] for row in found if row["attention"] == "sdpa"]
    assert SLOWER not in told, told
    assert FASTER in told, "it should have told something"
