"""Whether the sentence on a comparison is true of its numbers."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.vivit.benchmark.stepping import FOUND, TWO, drive
from vivit.benchmark.headline import headline
from vivit.benchmark.measurement import MIB, Cell
from vivit.benchmark.side_by_side import (
    Examine,
    Examined,
    SideBySide,
)


def said(
    cells: Sequence[str],
    ms: Sequence[float],
    *,
    shaken: float = 0.0,
    found: Sequence[Examined] = (),
    trained: bool = True,
    rounds: int | None = None,
    **more: float,
) -> str:
    """The headline on cells 'attention/precision', or 'attention/precision/execution', that take these ms.

    Args:
        shaken: in odd rounds all cells but the first take 1 + shaken times as long, in even ones so many times less.
        found: of each cell; by default no answer, and as large as one another.
        rounds, more: as `drive`'s.
    """
    round_seconds = 0.1 * (len(cells) + 1)
    words = [cell.split("/") for cell in cells]
    named = [Cell("m", a, p, execution=more[0] if more else "plain") for a, p, *more in words]
    comparison = SideBySide(named, seconds=8.5 * round_seconds)

    def slot(place: int, number: int) -> float:
        return ms[place] * (1 + shaken if number % 2 else 1 / (1 + shaken)) ** (place > 0)

    drive(comparison, slot, found=found, rounds=rounds, seconds=round_seconds, **more)
    return headline(comparison, trained=trained)


ANSWER = (9.0, 8.0, 7.0, 6.0, 5.0, 0.0, 0.0)


def sizes(*sizes: tuple[float, float], logits: Sequence[Sequence[float]] = ()) -> list[Examined]:
    """Weights and activations of each cell, in MiB; its answer."""
    answers = logits or [ANSWER] * len(sizes)
    return [
        Examined(100.0, int(weights * MIB), int(activations * MIB), tuple(answer), "cpu")
        for (weights, activations), answer in zip(sizes, answers, strict=True)
    ]


FULL, HALF, HALF_STORED = (100.0, 900.0), (50.0, 450.0), (50.0, 900.0)
EAGER_AND_SDPA = ["eager/float32", "sdpa/float32"]


def test_a_clear_win() -> None:
    assert said(EAGER_AND_SDPA, [300.0, 100.0], found=sizes(FULL, (100.0, 300.0))) == (
        "SDPA is 3.00 times as fast as eager (3.00 to 3.00) and takes 60 % less memory; all give the same five answers."
    )
    assert said(EAGER_AND_SDPA, [115.0, 100.0], shaken=0.06, found=sizes(FULL, FULL)) == (
        "SDPA is 1.15 times as fast as eager (1.08 to 1.22) and takes the same memory; all give the same five answers."
    )
    assert said(EAGER_AND_SDPA, [2000.0, 100.0]).startswith("SDPA is 20.0 times as fast as eager (20.0 to 20.0) and")


def test_a_loss() -> None:
    assert said(EAGER_AND_SDPA, [100.0, 150.0], shaken=0.02, found=sizes(FULL, (100.0, 1100.0))) == (
        "SDPA takes 1.50 times as long as eager (1.47 to 1.53) and takes 20 % more memory; all give the same five answers."
    )


def test_a_tie_that_is_known_to_be_one() -> None:
    assert said(EAGER_AND_SDPA, [100.0, 100.0], shaken=0.01, found=sizes(FULL, FULL)) == (
        "SDPA is as fast as eager (0.99 to 1.01) and takes the same memory; all give the same five answers."
    )


def test_a_tie_that_only_cannot_be_told() -> None:
    assert said(EAGER_AND_SDPA, [100.0, 100.0], shaken=0.3, found=sizes(FULL, (100.0, 400.0))) == (
        "Between sdpa and eager no difference in speed can be told (0.77 to 1.30); sdpa takes 50 % less memory; "
        "all give the same five answers."
    )


def test_a_precision_beside_the_usual_one() -> None:
    cells = ["eager/float32", "sdpa/float32", "eager/float16", "sdpa/float16"]
    found = sizes(FULL, (100.0, 300.0), HALF, (50.0, 150.0))
    assert said(cells, [300.0, 100.0, 200.0, 50.0], found=found) == (
        "SDPA is 3.00 times as fast as eager (3.00 to 3.00) and takes 60 % less memory; "
        "float16 is 2.00 times as fast as float32 (2.00 to 2.00) and halves the weights; all give the same five answers."
    )
    assert said(cells, [300.0, 100.0, 900.0, 250.0], found=found) == (
        "SDPA is 3.00 times as fast as eager (3.00 to 3.00) and takes 60 % less memory; "
        "float16 takes 2.50 times as long as float32 (2.50 to 2.50) and halves the weights; all give the same five answers."
    )


def test_a_precision_that_is_as_fast_and_one_of_which_that_is_not_known() -> None:
    cells = ["sdpa/float32", "sdpa/float16-weights"]
    found = sizes(FULL, HALF_STORED)
    assert said(cells, [100.0, 100.0], found=found) == (
        "Float16-weights halves the weights at the same speed; all give the same five answers."
    )
    assert said(cells, [100.0, 100.0], shaken=0.3, found=found) == (
        "Float16-weights halves the weights, and no difference in speed can be told (0.77 to 1.30); "
        "all give the same five answers."
    )
    assert said(cells, [100.0, 100.0], found=sizes(FULL, FULL)).startswith("Float16-weights keeps the weights as large")


def test_smaller_weights_that_gain_nothing_at_the_peak() -> None:
    cells, ms = ["sdpa/float32", "sdpa/int8-bitsandbytes"], [100.0, 200.0]
    assert said(cells, ms, found=sizes(FULL, (40.0, FULL[0] + FULL[1] - 40.0))) == (
        "int8-bitsandbytes takes 2.00 times as long as float32 (2.00 to 2.00) and makes the weights 60 % smaller, "
        "though at the peak it takes the same memory; all give the same five answers."
    )
    assert "at the peak" not in said(cells, ms, found=sizes(FULL, (40.0, 600.0)))


def test_a_pair_that_differs_in_both() -> None:
    assert said(["eager/float32", "sdpa/bfloat16"], [300.0, 100.0], found=sizes(FULL, (50.0, 450.0))) == (
        "SDPA in bfloat16 is 3.00 times as fast as eager in float32 (3.00 to 3.00) and takes 50 % less memory; "
        "all give the same five answers."
    )


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((9.0, 8.0, 7.0, 6.0, 0.0, 5.0, 0.0), "sdpa in float32 gives the same first answer, but not all the others."),
        ((0.0, 8.0, 7.0, 6.0, 5.0, 4.0, 0.0), "sdpa in float32 gives another first answer."),
    ],
)
def test_other_answers_are_told_with_whose_they_are(answer: tuple[float, ...], sentence: str) -> None:
    found = sizes(FULL, FULL, logits=[ANSWER, answer])
    assert said(EAGER_AND_SDPA, [300.0, 100.0], found=found) == (
        "SDPA is 3.00 times as fast as eager (3.00 to 3.00) and takes the same memory; "
        f"not all give the same five answers: {sentence}"
    )


def test_few_classes_are_counted_as_few_answers() -> None:
    found = sizes(FULL, FULL, logits=[(2.0, 1.0)] * 2)
    assert said(EAGER_AND_SDPA, [300.0, 100.0], found=found).endswith("; all give the same two answers.")


def test_answers_that_mean_nothing_are_not_mentioned() -> None:
    assert said(EAGER_AND_SDPA, [300.0, 100.0], trained=False, found=sizes(FULL, FULL)) == (
        "SDPA is 3.00 times as fast as eager (3.00 to 3.00) and takes the same memory."
    )


def test_a_busy_machine_is_told() -> None:
    assert said(EAGER_AND_SDPA, [300.0, 100.0], others=0.8, trained=False) == (
        "SDPA is 3.00 times as fast as eager (3.00 to 3.00) and takes the same memory. "
        "Measured while other programs held 40 % of the processors, which changes the ratios."
    )


def test_too_few_rounds_say_how_long_it_would_take() -> None:
    comparison = SideBySide(TWO, seconds=100.0)
    drive(comparison, seconds=40.0, found=[replace(FOUND, pass_ms=20_000.0)] * 2)
    assert headline(comparison) == ("No ratio can be told from 2 rounds: it takes 6, here about 240 s.")
    drive(comparison := SideBySide(TWO, seconds=0.1))
    assert headline(comparison) == "No ratio can be told from 1 round: it takes 6, here about 2 s."


def test_one_cell_has_nothing_beside_it() -> None:
    comparison = SideBySide(TWO[:1])
    drive(comparison)
    assert headline(comparison) == "One cell alone: there is nothing to compare it with."


def test_an_interval_that_excludes_one_is_no_tie() -> None:
    sentence = said(EAGER_AND_SDPA, [104.5, 100.0], shaken=0.03, found=sizes(FULL, FULL))
    assert sentence.startswith("Between sdpa and eager no difference in speed can be told (1.01 to 1.08); ")


def test_seven_rounds_are_not_said_to_be_fewer_than_six() -> None:
    assert "from 7 rounds: it takes 8," in said(EAGER_AND_SDPA, [100.0, 100.0], rounds=7)


def test_rounds_that_turn_out_faster_are_not_made_for_nothing() -> None:
    comparison = SideBySide(TWO, seconds=100.0)
    drive(comparison, seconds=14.0, found=[replace(FOUND, pass_ms=10_000.0)] * 2)  # the first pass is a cold one
    assert comparison.rounds == 6 and comparison.ratio(1)
    assert headline(comparison).startswith("SDPA is as fast as eager (1.00 to 1.00) and ")


@pytest.mark.parametrize("reached", [1, 2])
def test_where_not_every_cell_was_reached_nothing_is_said_of_those_that_were(reached: int) -> None:
    """Neither that there is one alone, nor what a round would take that nobody has timed."""
    comparison = SideBySide([*TWO, Cell("m", "sdpa-math")])
    for _ in range(reached):
        step = comparison.next()
        assert isinstance(step, Examine)
        comparison.examined(step, FOUND)
    comparison.end()
    assert headline(comparison) == "Stopped before every cell was ready: nothing was compared."


def test_another_first_answer_among_the_same_five_is_told() -> None:
    swapped = (8.0, 9.0, 7.0, 6.0, 5.0, 0.0, 0.0)
    found = sizes(FULL, FULL, logits=[ANSWER, swapped])
    assert said(EAGER_AND_SDPA, [300.0, 100.0], found=found).endswith(
        "; not all give the same five answers: sdpa in float32 gives another first answer."
    )


def test_only_those_with_another_first_answer_are_said_to_have_one() -> None:
    fifth, first = (9.0, 8.0, 7.0, 6.0, 0.0, 5.0, 0.0), (0.0, 8.0, 7.0, 6.0, 5.0, 9.0, 0.0)
    found = sizes(FULL, FULL, FULL, logits=[ANSWER, fifth, first])
    sentence = said(["eager/float32", "sdpa/float32", "sdpa-math/float32"], [300.0, 100.0, 200.0], found=found)
    assert sentence.endswith(
        "; not all give the same five answers: sdpa-math in float32 gives another first answer, and sdpa in float32 gives the "
        "same first answer, but not all the others."
    )


def test_an_answer_that_overflows_is_told() -> None:
    cells = ["sdpa/float32", "sdpa/float16"]
    whole = sizes(FULL, HALF)
    sentence = said(cells, [300.0, 100.0], found=[whole[0], replace(whole[1], logits=None)])
    assert sentence.endswith("; not all give the same five answers: sdpa in float16 gives no answer that is a number.")


def test_an_interval_that_excludes_one_is_not_rounded_to_one() -> None:
    sentence = said(EAGER_AND_SDPA, [240.0, 100.0], shaken=1.3)
    assert sentence.startswith("SDPA is 3.28 times as fast as eager (1.04 to 5.52) and ")


def test_another_way_to_run_beside_the_first() -> None:
    cells = ["eager/float32", "sdpa/float32", "sdpa/float32/compiled"]
    assert said(cells, [300.0, 100.0, 50.0], found=sizes(FULL, FULL, (100.0, 400.0))) == (
        "SDPA is 3.00 times as fast as eager (3.00 to 3.00) and takes the same memory; sdpa in float32 compiled is 2.00 times "
        "as fast as plain (2.00 to 2.00) and takes 50 % less memory; all give the same five answers."
    )
    alone = said(["eager/float32", "sdpa/float32/compiled"], [300.0, 100.0], found=sizes(FULL, FULL))
    assert alone.startswith("SDPA in float32, compiled is 3.00 times as fast as eager in float32 (3.00 to 3.00)"), alone
