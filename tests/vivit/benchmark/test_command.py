"""`python -m vivit bench` as a person or a script meets it."""

import csv
import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import oracle
from tests.shorter import some
from vivit.__main__ import main
from vivit.benchmark.results import find_ratio_of, list_results
from vivit.benchmark.verdict import verdict

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def checkpoint(classifier: Path) -> str:
    return str(classifier)


def test_a_sweep_from_the_command_line(checkpoint: str, tmp_path: Path) -> None:
    """In a process of its own: nothing but the objects may come out on stdout."""
    words = ["--model", checkpoint, "--attention", "eager,sdpa,sdpa-cudnn", "--precision", "float32"]
    words += ["--batch-sizes", "1", "--budget", "20", "--json", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "vivit", "bench", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["precision"], r["batch_size"], r["attention"]) for r in rows] == [
        ("float32", 1, a) for a in ("eager", "sdpa", "sdpa-cudnn")
    ]
    assert {r["attention"]: r["status"] for r in rows} == {"eager": "ok", "sdpa": "ok", "sdpa-cudnn": "unavailable"}
    first, second = rows[:2]
    assert first["model"] == checkpoint and first["mode"] == "inference" and first["kernel"] == "_softmax"
    assert first["agreement"]["max_logit_difference"] == 0.0 and second["agreement"]["max_logit_difference"] < 1e-4
    assert "round 6: " in done.stderr and "round 7: " not in done.stderr
    assert "round 1: " in done.stderr and "3 cells" in done.stderr and "Traceback" not in done.stderr
    assert "USDT" not in done.stderr  # the profiler's own words
    (kept,) = list_results(tmp_path / "out")
    assert [r.cell.attention for r in kept.rows] == [r["attention"] for r in rows]
    for row in kept.rows[:2]:
        assert row.sound and row.latency and [r.number for r in row.latency.rounds] == [*range(6)]
    assert kept.others_share is not None and find_ratio_of(kept.rows[1], kept.rows[0])
    (table,) = (tmp_path / "out").glob("*.csv")
    assert len(list(csv.DictReader(table.open(encoding="utf-8")))) == 3
    (page,) = (tmp_path / "out").glob("*.html")
    written = page.read_text(encoding="utf-8")
    assert "plotly-graph-div" in written and html.escape(verdict(kept)) in written


@pytest.mark.full
def test_a_table_on_stdout(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--model", checkpoint, "--attention", "sdpa", "--budget", "30", "--mode", "training"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"training, {checkpoint}: ") and out[1].split()[:2] == ["attention", "precision"]
    assert out[2].split()[:3] == ["sdpa", "float32", "1"] and "ok" in out[2]
    assert re.match(r"One cell alone: sdpa in float32 takes [\d.]+ ms and [\d.]+ MiB; there is nothing", out[-1])


@pytest.mark.full
def test_a_checkpoint_that_cannot_be_measured_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    stated = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(stated | {"num_hidden_layers": 9}))
    command = [
        sys.executable,
        "-m",
        "vivit",
        "bench",
        "--model",
        str(tmp_path),
        "--attention",
        "sdpa",
        "--budget",
        "15",
    ]
    ran = subprocess.run([*command, "--json"], capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert ran.returncode == 2, ran.stderr
    assert [json.loads(line)["status"] for line in ran.stdout.splitlines()] == ["failed"]
    said = ran.stderr.splitlines()[-1]
    assert said.startswith(f"vivit: The checkpoint '{tmp_path.name}' does not fit the model") and said.endswith(".")


@pytest.mark.full
def test_an_interrupted_sweep_prints_what_it_has(checkpoint: str, tmp_path: Path) -> None:
    words = [
        "--model",
        checkpoint,
        "--attention",
        "sdpa,sdpa-math",
        "--batch-sizes",
        "1,2,3",
        "--json",
        "--budget",
        "full",
    ]
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        command = [sys.executable, "-m", "vivit", "bench", *words]
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, cwd=ROOT)
    while err.read_text().count("round 1: ") < 3:  # the reference and a cell are done
        assert process.poll() is None, err.read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(300) == 130, err.read_text()
    statuses = [json.loads(line)["status"] for line in out.read_text().splitlines()]
    assert len(statuses) == 6 and {"ok", "cancelled"} == set(statuses) and "Traceback" not in err.read_text()


@pytest.mark.full
@pytest.mark.parametrize("whole_group", some([True, False], True))
def test_an_interrupt_in_the_first_cell_ends_soon_and_quietly(checkpoint: str, whole_group: bool) -> None:
    """Ctrl-C reaches the fork server too, which imports torch at that time."""
    command = [sys.executable, "-m", "vivit", "bench", "--model", checkpoint, "--attention", "sdpa", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    assert process.stderr
    while b"round 1: " not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.3)  # the fork server's Python is up by then
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    process.wait(300)
    begin = time.monotonic()
    out, err = process.communicate(timeout=300)  # until nobody holds the pipes, the fork server included
    assert (
        time.monotonic() - begin < 5.0
    )  # at once on a busy machine too; 8 s if the fork server is left to end by itself
    assert process.returncode == 130 and json.loads(out)["status"] == "cancelled" and b"Traceback" not in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--attention", "sdpa-flush"], "attn_implementation='sdpa-flush' is unknown"),
        (["--attention", "eager,,sdpa"], "--attention wants names with commas"),
        (["--precision", "float12"], "precision 'float12' is unknown"),
        (["--batch-sizes", "1,zero"], "--batch-sizes wants whole numbers"),
        (["--batch-sizes", "0"], "--batch-sizes wants whole numbers"),
        (["--budget", "long"], "--budget wants a number of seconds"),
        (["--budget", "nan"], "--budget wants a number of seconds"),
        (["--model", "/nowhere/at/all"], "nowhere"),
        (["--clip", "/nowhere/at/all.mp4"], "all.mp4"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    checkpoint: str, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--model", checkpoint, *words]) == 2
    said = capsys.readouterr()
    assert (
        said.out == "" and said.err.startswith("vivit: ") and sentence in said.err and len(said.err.splitlines()) == 1
    )
