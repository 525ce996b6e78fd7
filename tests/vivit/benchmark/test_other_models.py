"""Cells of several models on one clip: what may be compared, what is said, and the command line."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.four_models import LABELS, write_four, write_one
from tests.vivit.benchmark.children import MACHINE, result, row
from tests.vivit.benchmark.made_up import CONFIGS, ran
from tests.vivit.benchmark.stepping import drive
from vivit.__main__ import main
from vivit.benchmark import charts, documentation, report, scaling, tables
from vivit.benchmark.families import explain_models, foremost, gains, model_gains, model_names, together
from vivit.benchmark.headline import headline
from vivit.benchmark.measurement import MIB, Cell, Estimate, Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.results import Result
from vivit.benchmark.side_by_side import Examined, SideBySide, other_input
from vivit.benchmark.sweep import ROUNDS, Sweep
from vivit.benchmark.verdict import ACCURACY, remarks, statement, verdict
from vivit.checkpoint import RANDOM_CONFIGS, open_checkpoint
from vivit.names import colour

ONE, TWO, THREE, FOUR = RANDOM_CONFIGS
CLIP = Path(__file__).parents[3] / "vivit" / "assets" / "clips" / "jogging.mp4"


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_four(tmp_path_factory.mktemp("four"))


def test_models_are_told_apart_in_few_words() -> None:
    assert model_names(["a/b@0123"] * 2) == {"a/b@0123": ""}
    assert model_names([TWO, ONE, TWO]) == {TWO: "model 2", ONE: "model 1"}
    assert model_names([ONE, "a/b@0123", "/x/y"]) == {ONE: ONE, "a/b@0123": "a/b", "/x/y": "y"}
    assert model_names(["/x/y", "/z/y"]) == {"/x/y": "/x/y", "/z/y": "/z/y"}
    assert list(model_names(["a/b@1", "a/b@2"]).values()) == ["a/b@1", "a/b@2"]
    assert explain_models([ONE, TWO]).startswith("Model 1: every token attends to all others")
    assert explain_models([ONE, "a/b"]) == explain_models([ONE]) == ""


def compared(cells: list[Cell], ms: list[float], logits: list[tuple[float, ...]], peaks: list[int]) -> SideBySide:
    found = [Examined(100.0, MIB, size * MIB, answer, "cpu") for answer, size in zip(logits, peaks, strict=True)]
    comparison = SideBySide(cells, seconds=8.5)
    drive(comparison, lambda place, _: ms[place], found=found, seconds=1.0)
    return comparison


def test_a_headline_compares_models_with_the_same_backend_and_names_the_first_answer_of_each() -> None:
    cells = [Cell(name, attention) for attention in ("eager", "sdpa") for name in ("one", "two")]
    first, second = (9.0, 1.0, 0.0), (0.0, 9.0, 1.0)
    comparison = compared(cells, [200.0, 100.0, 100.0, 80.0], [first, second, first, second], [199, 99, 99, 89])
    said = headline(comparison, labels={"one": LABELS, "two": LABELS})
    assert said == (
        "With sdpa in float32, two is 1.25 times as fast as one (1.25 to 1.25) and takes 10 % less memory; with eager in "
        "float32, two is 2.00 times as fast as one (2.00 to 2.00) and takes 50 % less memory; in each model by itself, all "
        "give the same three answers; one answers 'waltz' and two answers 'tango'."
    )
    _, other, *_ = comparison.rows()
    assert other.agreement is None, "answers of other weights are not compared"
    assert [row.agreement is not None for row in comparison.rows()] == [False, False, True, True]


def test_random_weights_are_compared_in_time_and_memory_alone() -> None:
    comparison = compared([Cell(ONE), Cell(FOUR)], [100.0, 50.0], [(1.0, 0.0), (0.0, 1.0)], [99, 99])
    for trained in (True, False):
        said = headline(comparison, trained=trained, labels={ONE: LABELS, FOUR: LABELS})
        assert said == (
            "With sdpa in float32, model 4 is 2.00 times as fast as model 1 (2.00 to 2.00) and takes the same memory."
        )


def test_what_one_gets_of_a_clip_serves_the_four_and_not_another_size(four: dict[str, Path], tmp_path: Path) -> None:
    first, *others = map(open_checkpoint, four.values())
    assert [other_input(first, other) for other in others] == [""] * 3
    larger = open_checkpoint(write_one(tmp_path / "larger", "none", side=48))
    assert other_input(first, larger) == "takes 4 frames of 48 × 48 pixels, not 4 frames of 32 × 32 pixels"
    file = tmp_path / "larger" / "preprocessor_config.json"
    write_one(tmp_path / "larger", "none")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"do_normalize": False}))
    unlike = open_checkpoint(tmp_path / "larger")
    assert other_input(first, unlike) == "has an image processor with another do_normalize"
    assert other_input(first, unlike, do_normalize=True) == ""


@pytest.mark.parametrize("command", [["compare", CLIP], ["bench"]], ids=["compare", "bench"])
@pytest.mark.parametrize("fault", ["another size", "twice"])
def test_models_that_cannot_be_compared_cost_one_sentence(
    command: list[object], fault: str, four: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_one(tmp_path / "larger", "none", side=48) if fault == "another size" else four["none"]
    assert main([*map(str, command), "--model", str(four["none"]), "--model", str(other)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert ("4 frames of 48 × 48 pixels" if fault == "another size" else "twice") in said[0]


def test_compare_runs_every_cell_of_every_model(four: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    models = [str(four["none"]), str(four["encoder"])]
    words = ["compare", str(CLIP), "--cells", "eager/float32,sdpa/float32", "--seconds", "60", "--seed", "1"]
    words += [word for name in models for word in ("--model", name)]
    assert main([*words, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["attention"], row["model"]) for row in rows] == [(a, m) for a in ("eager", "sdpa") for m in models]
    assert rows[0]["ratio"]["value"] is None and all(row["ratio"]["value"] for row in rows[1:])
    assert [row["agreement"]["top1"] for row in rows] == [None, None, True, True]
    assert rows[0]["memory_mib"]["weights"] < rows[1]["memory_mib"]["weights"], (
        "it has a temporal encoder beside the same"
    )
    assert main([*words, "--seconds", "2"]) == 0  # the table needs no ratios
    verdict, _, head, *lines = capsys.readouterr().out.splitlines()
    assert "tiny-none answers '" in verdict and "tiny-encoder answers '" in verdict
    assert head.split()[:3] == ["model", "attention", "precision"]
    assert [line.split()[:2] for line in lines[:2]] == [["tiny-none", "eager"], ["tiny-encoder", "eager"]]


def test_the_same_cell_otherwise_is_the_first_models() -> None:
    """A cell of another model without a partner is in the bars and in no sentence."""
    cells = [Cell("one"), Cell("two", "eager"), replace(Cell("one"), attention="sdpa-math")]
    said = headline(compared(cells, [100.0, 50.0, 100.0], [(1.0, 0.0)] * 3, [9] * 3), trained=False)
    assert said == "In one, sdpa-math is as fast as sdpa (1.00 to 1.00) and takes the same memory."


# A sweep of several models

BASE_MS = {"eager": 200.0, "sdpa": 100.0}
SHARES = {ONE: 1.0, TWO: 0.5, THREE: 0.75, FOUR: 0.99}


def estimate(ms: float) -> Estimate:
    return Estimate(3137, int(ms * 10**9), ms, 100 * MIB, int(9 * ms) * MIB)


def measured(cell: Cell, ms: float, **more: Any) -> Measurement:
    found = row(cell, *[(ms,) * 5] * ROUNDS, weights=100, activations=int(9 * ms), **more)
    return replace(found, estimate=estimate(ms))


def four_models(frames: int = 32, *, missing: tuple[str, ...] = ()) -> list[Measurement]:
    """Rows of the four with eager and sdpa. Args: missing: the models of which sdpa was not begun."""
    found = []
    for name, share in SHARES.items():
        for attention, ms in BASE_MS.items():
            cell = Cell(name, attention, num_frames=frames)
            if name in missing and attention == "sdpa":
                found.append(Measurement(cell, "cancelled", "Not begun.", estimate=estimate(ms * share)))
            else:
                found.append(measured(cell, ms * share))
    return found


def test_the_verdict_says_what_each_model_takes_of_the_first_ones_time_memory_and_operations() -> None:
    whole = result(*four_models())
    assert statement(whole) == (
        "On Test Machine <1> (batch size 1, 32 frames), sdpa in float32: model 2 takes 0.50 of model 1's time (0.50 to 0.50) "
        "and 45 % less memory, with 0.50 of the operations; model 3 takes 0.75 of model 1's time (0.75 to 0.75) and 22 % less "
        "memory, with 0.75 of the operations; model 4 takes the same memory, and no difference in time to model 1 can be told "
        "(0.99 to 0.99 of its time), with 0.99 of the operations."
    )
    assert remarks(whole) == [ACCURACY], "random weights say nothing of accuracy"
    named = [
        replace(each, cell=replace(each.cell, checkpoint=f"{each.cell.checkpoint[12:]}x")) for each in four_models()
    ]
    assert remarks(result(*named)) == [], "of other weights there is nothing to warn of"


def test_of_the_longest_clips_that_were_not_measured_the_prediction_is_told() -> None:
    never = [replace(row, status="cancelled", latency=None, memory=None) for row in four_models(32)]
    said = statement(result(*four_models(8), *never))
    assert said.startswith(
        "On Test Machine <1> (batch size 1, 8 frames), sdpa in float32: model 2 takes 0.50 of model 1's"
    )
    assert (
        "; clips of 32 frames were not measured: beside model 1 model 2 (predicted: 0.50 of the time, with 0.50 of the "
        "operations), model 3 (predicted: 0.75 of the time" in said
    )
    assert "not measured" not in statement(result(*four_models(8), *four_models(32)))


def test_the_table_of_weights_is_of_one_model() -> None:
    """Where the first model was not measured in a precision, another's figure is not held against the first's float32."""
    rows = [measured(Cell(ONE, "sdpa"), 100.0), measured(Cell(TWO, "sdpa", "float16"), 30.0)]
    kept = [replace(row, memory=replace(row.memory, weights_kept_in={"float32": 4})) for row in rows if row.memory]
    assert len(kept) == 2 and documentation.weights_table(result(*kept)) == []


def test_what_was_not_measured_is_told_as_predicted() -> None:
    whole = result(*four_models(missing=(THREE,)))
    assert (
        "; model 3 was not measured (predicted: 0.75 of the time, with 0.75 of the operations); model 4"
        in statement(whole)
    )
    (line,) = [line for line in tables.models_table(whole) if line["status"] == "not measured"]
    assert (line["model"], line["median, ms"], line["predicted, ms"]) == ("model 3", None, 75.0)
    assert line["predicted, of its time"] == line["of its operations"] == 0.75 and line["of its memory"] is None
    assert "not measured" in report.as_html(whole)


def test_models_that_were_not_measured_in_the_same_rounds_are_not_compared() -> None:
    later = [replace(measured(Cell(TWO), 50.0, first=ROUNDS))]
    said = statement(result(measured(Cell(ONE), 100.0), *later))
    assert said.startswith("On Test Machine <1> (batch size 1) the models cannot be compared: it takes 6 rounds")


def test_the_longest_clip_on_which_all_are_compared_is_told_first() -> None:
    whole = result(*four_models(8), *four_models(16), *four_models(32, missing=(TWO, THREE, FOUR)))
    assert foremost(whole) == ("", "inference", 16, 1) and "16 frames" in verdict(whole)
    assert [of[2] for of in together(whole)] == [8, 16, 32]
    assert foremost(result(measured(Cell("m"), 1.0))) == ("m", "inference", None, 1)


def test_a_model_is_compared_with_the_same_cell_of_the_first_and_answers_are_not() -> None:
    rows = [replace(each, logits=(1.0, 0.0)) for each in four_models()]
    found = model_gains(result(*rows))
    assert len(found) == 6 and all(gain.base.cell == replace(gain.row.cell, checkpoint=ONE) for gain in found)
    assert {gain.agreement for gain in found} == {None}


def test_bars_of_several_models_stand_under_their_backend_in_its_colour() -> None:
    whole = result(*four_models())
    ((of, rows),) = together(whole).items()
    bars = charts.bars_of(rows, model_names(SHARES))
    names = [f"model {number}" for number in (1, 2, 3, 4)]
    assert of == ("", "inference", 32, 1)
    assert [text for _, text in charts.by_precision(bars)] == [
        *("<b>eager in float32</b>", *names),
        *("<b>sdpa in float32</b>", *names),
    ]
    assert len({bar.label for bar in bars}) == 8
    assert {(bar.attention, bar.colour) for bar in bars} == {(name, colour(name)) for name in BASE_MS}


def test_each_model_grows_in_a_chart_of_its_own_in_their_order() -> None:
    whole = result(*(grown(each, n) for n in (8, 16) for each in four_models(n)))
    assert list(scaling.scaling(whole, "tokens", "ms")) == [f"float32, model {number}" for number in (1, 2, 3, 4)]
    (first, *_) = scaling.scaling(whole, "tokens", "ms").values()
    assert list(first.layout.xaxis.tickvals) == [800, 1600], "not one on the other"


def grown(of: Measurement, frames: int) -> Measurement:
    """With as many tokens as such clips have; one more with a [CLS]."""
    assert of.estimate
    return replace(of, estimate=replace(of.estimate, num_tokens=100 * frames + (of.cell.checkpoint in (ONE, TWO))))


@pytest.mark.parametrize("budget", [120.0, None])
def test_models_are_measured_in_the_same_rounds(budget: float | None) -> None:
    """Else nothing could be said of one beside another; and each can still be compared with its own base."""
    backends = ("eager", "sdpa", "sdpa-math")
    cells = [cell for name in ("m", "n") for cell in grid(name, backends, ("float32", "float16-weights"))]
    sweep = Sweep(cells, CONFIGS | {"n": CONFIGS["m"]}, MACHINE, budget_seconds=budget)
    ran(sweep)
    whole = Result("", "", MACHINE, tuple(sweep.rows[cell] for cell in sweep.cells), {}, budget, "")
    found = model_gains(whole)
    assert len(found) == 6 and all(gain.ratio for gain in found)
    assert all(gain.ratio for gain in gains(whole))


def test_a_report_names_the_models() -> None:
    whole = result(*four_models())
    text = report.as_text(whole)
    assert "model 4  sdpa" in text and explain_models(SHARES) in text
    assert report.as_html(whole).count("<h2>Models</h2>") == 1
    assert tables.models_table(result(*four_models()[:2])) == []


@pytest.mark.full
def test_bench_measures_every_model_in_the_same_rounds(
    four: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(four["none"]), str(four["dot_product"])]
    words = ["bench", "--attention", "sdpa", "--budget", "full", "--clip", str(CLIP)]
    assert main([*words, *(word for name in models for word in ("--model", name))]) == 0
    said = capsys.readouterr()
    assert "round 1: tiny-dot_product, sdpa, float32, batch 1" in said.err
    head, *lines = said.out.splitlines()[1:4]
    assert head.split()[:3] == ["model", "attention", "precision"] and "GFLOP" in head
    assert [line.split()[:2] for line in lines] == [["tiny-none", "sdpa"], ["tiny-dot_product", "sdpa"]]
    assert re.search(r"sdpa in float32: (of )?tiny-dot_product .*\(\d.* to \d", said.out.splitlines()[-1])
