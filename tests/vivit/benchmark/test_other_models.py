"""Cells of several models on one clip: what may be compared, what is said, and the command line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.four_models import LABELS, write_four, write_one
from tests.vivit.benchmark.stepping import drive
from vivit.__main__ import main
from vivit.benchmark.families import explain_models, model_names
from vivit.benchmark.headline import headline
from vivit.benchmark.measurement import MIB, Cell
from vivit.benchmark.side_by_side import Examined, SideBySide, other_input
from vivit.checkpoint import RANDOM_CONFIGS, open_checkpoint

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
        "With eager in float32, two is 2.00 times as fast as one (2.00 to 2.00) and takes 50 % less memory; with sdpa in "
        "float32, two is 1.25 times as fast as one (1.25 to 1.25) and takes 10 % less memory; in each, all give the same three "
        "answers; one answers 'waltz' and two answers 'tango'."
    )
    _, other, *_ = comparison.rows()
    assert other.agreement is None, "answers of other weights are not compared"
    assert [row.agreement is not None for row in comparison.rows()] == [False, False, True, True]


def test_random_weights_are_compared_in_time_and_memory_alone() -> None:
    comparison = compared([Cell(ONE), Cell(FOUR)], [100.0, 50.0], [(1.0, 0.0), (0.0, 1.0)], [99, 99])
    for trained in (True, False):
        said = headline(comparison, trained=trained)
        assert said == (
            "With sdpa in float32, model 4 is 2.00 times as fast as model 1 (2.00 to 2.00) and takes the same memory."
        )


def test_what_one_gets_of_a_clip_serves_the_four_and_not_another_size(four: dict[str, Path], tmp_path: Path) -> None:
    first, *others = map(open_checkpoint, four.values())
    assert [other_input(first, other) for other in others] == [""] * 3
    larger = open_checkpoint(write_one(tmp_path / "larger", "none", side=48))
    assert other_input(first, larger) == "it takes 4 frames of 48 × 48 pixels, not 4 frames of 32 × 32 pixels"
    file = tmp_path / "larger" / "preprocessor_config.json"
    write_one(tmp_path / "larger", "none")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"do_normalize": False}))
    unlike = open_checkpoint(tmp_path / "larger")
    assert other_input(first, unlike) == "its image processor has another do_normalize"
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
    words = ["compare", str(CLIP), "--cells", "eager/float32,sdpa/float32", "--seconds", "2", "--seed", "1"]
    words += [word for name in models for word in ("--model", name)]
    assert main([*words, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["attention"], row["model"]) for row in rows] == [(a, m) for a in ("eager", "sdpa") for m in models]
    assert rows[0]["ratio"]["value"] is None and all(row["ratio"]["value"] for row in rows[1:])
    assert [row["agreement"]["top1"] for row in rows] == [None, None, True, True]
    assert rows[0]["memory_mib"]["weights"] < rows[1]["memory_mib"]["weights"], (
        "it has a temporal encoder beside the same"
    )
    assert main(words) == 0
    verdict, _, head, *lines = capsys.readouterr().out.splitlines()
    assert "tiny-none answers '" in verdict and "tiny-encoder answers '" in verdict
    assert head.split()[:3] == ["model", "attention", "precision"]
    assert [line.split()[:2] for line in lines[:2]] == [["tiny-none", "eager"], ["tiny-encoder", "eager"]]


def test_the_same_cell_otherwise_is_the_first_models() -> None:
    """A cell of another model without a partner is in the bars and in no sentence."""
    cells = [Cell("one"), Cell("two", "eager"), replace(Cell("one"), attention="sdpa-math")]
    said = headline(compared(cells, [100.0, 50.0, 100.0], [(1.0, 0.0)] * 3, [9] * 3), trained=False)
    assert said == "In one, sdpa-math is as fast as sdpa (1.00 to 1.00) and takes the same memory."
