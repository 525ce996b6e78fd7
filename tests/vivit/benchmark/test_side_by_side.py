"""In which order a comparison times its cells, when it ends, and what it tells then."""

import itertools
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.vivit.benchmark.stepping import FOUND, TWO, drive, restless
from vivit.benchmark.measurement import MIB, Cell
from vivit.benchmark.ratios import LOOKS, SHORT, Ratio, find_ratio
from vivit.benchmark.side_by_side import BUSY_SHARE, SideBySide, as_json


def test_orders_are_uniform_and_independent_of_the_one_before() -> None:
    cells = [Cell("m", name) for name in ("eager", "sdpa", "sdpa-math")]
    runs = [drive(SideBySide(cells, seconds=1e9, seed=seed), restless) for seed in range(100)]
    assert {len(run) for run in runs} == {64}

    def chi_square(counts: Counter[Any], kinds: int) -> float:
        expected = counts.total() / kinds
        return (kinds - len(counts)) * expected + sum((n - expected) ** 2 / expected for n in counts.values())

    # By chance a sum is beyond these one time in a thousand, with 5 and with 35 degrees of freedom.
    assert chi_square(Counter(itertools.chain(*runs)), 6) < 20.5
    assert chi_square(Counter(pair for run in runs for pair in itertools.pairwise(run)), 36) < 66.6
    # A thousand first rounds: seeds next to one another give other orders too.
    assert chi_square(Counter(drive(SideBySide(cells, seed=seed), rounds=1)[0] for seed in range(1000)), 6) < 20.5


def test_the_same_seed_gives_the_same_orders_and_another_seed_others() -> None:
    first, again, other = (drive(SideBySide(TWO, seconds=1e9, seed=seed), restless) for seed in (5, 5, 6))
    assert first == again != other


def test_a_quiet_pair_ends_at_the_first_look_and_a_restless_one_at_the_last() -> None:
    assert len(drive(SideBySide(TWO, seconds=1e9))) == 8
    assert len(drive(SideBySide(TWO, seconds=1e9), restless)) == 64
    three = [*TWO, Cell("m", "sdpa-math")]
    one_restless = SideBySide(three, seconds=1e9)
    assert len(drive(one_restless, lambda place, number: restless(place, number) if place == 2 else 100.0)) == 64


def test_it_ends_at_the_look_from_which_on_every_interval_is_narrow() -> None:
    """One wild round in the first 8; of 16 the two outermost on each side do not count."""
    comparison = SideBySide(TWO, seconds=1e9)
    assert len(drive(comparison, lambda place, number: 150.0 if (place, number) == (1, 3) else 100.0)) == 16
    assert comparison.ratio(1) == Ratio(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [(1e9, 64), (19.3, 64), (19.1, 32), (9.7, 32), (9.5, 16), (4.9, 16), (4.7, 8), (2.5, 8), (2.3, 6), (1.9, 6)],
)
def test_it_ends_at_the_last_look_that_the_time_allows(seconds: float, rounds: int) -> None:
    """Rounds take 0.3 s, and none is begun towards a look for which the time is too short."""
    comparison = SideBySide(TWO, seconds=seconds)
    assert len(drive(comparison, restless)) == rounds
    assert comparison.ratio(1) and comparison.looks == (SHORT if rounds == 6 else LOOKS)


@pytest.mark.parametrize(("seconds", "rounds"), [(0.01, 1), (0.7, 2), (1.7, 5)])
def test_fewer_than_six_rounds_tell_no_ratio(seconds: float, rounds: int) -> None:
    comparison = SideBySide(TWO, seconds=seconds)
    assert len(drive(comparison)) == rounds
    assert comparison.ratio(1) is None and [row.ratio for row in comparison.rows()] == [None, None]
    assert [row.median for row in comparison.rows()] == [100.0, 100.0]
    found = as_json(comparison, comparison.rows()[1], model="m", clip="c")
    assert found["ratio"] == {"value": None, "low": None, "high": None, "verdict": None} and found["rounds"] == rounds


def test_a_sound_one_makes_six_rounds_whatever_they_take() -> None:
    comparison = SideBySide(TWO, seconds=0.01, sound=True)
    assert len(drive(comparison)) == 6 and comparison.ratio(1)
    assert len(drive(SideBySide(TWO, seconds=1e9, sound=True), restless)) == 64, "it takes nothing away"


def test_the_looks_stay_as_they_were_fixed_where_rounds_turn_out_slower_or_faster() -> None:
    slower = SideBySide(TWO, seconds=2.5)
    assert len(drive(slower, restless, seconds=30.0)) == 8
    faster = SideBySide(TWO, seconds=2.0)
    assert len(drive(faster, restless, seconds=0.001)) == 6 and faster.ratio(1)


@pytest.mark.parametrize(("ended", "counts"), [(0, None), (5, None), (8, 8), (9, 8), (31, 16), (33, 32), (63, 32)])
def test_ended_early_the_last_look_that_was_reached_counts(ended: int, counts: int | None) -> None:
    comparison = SideBySide(TWO, seconds=1e9)
    ms = np.random.default_rng(0).lognormal(4, 0.4, (2, 64)).tolist()
    drive(comparison, lambda place, number: ms[place][number], rounds=ended)
    assert comparison.rounds == ended and comparison.progress == 1.0 and comparison.seconds_left == 0.0
    ratios = [a / b for a, b in zip(*ms, strict=True)]
    assert comparison.ratio(1) == (find_ratio(ratios[:counts], LOOKS) if counts else None)


def test_a_ratio_is_the_first_cells_latency_over_the_others() -> None:
    comparison = SideBySide(TWO)
    drive(comparison, lambda place, number: (300.0, 100.0)[place])
    assert comparison.ratio(1) == Ratio(3.0, 3.0, 3.0) and comparison.rows()[1].ratio == comparison.ratio(1)
    assert comparison.ratio(0, 1) == Ratio(1 / 3, 1 / 3, 1 / 3)
    first, second = comparison.rows()
    assert first.ratio is None and (first.median, second.median, first.p5, second.p95) == (300.0, 100.0, 300.0, 100.0)


def progress(comparison: SideBySide) -> list[float]:
    """The progress of a comparison whenever a slot is timed, of rounds that tell nothing."""
    seen = []

    def slot(place: int, number: int) -> float:
        seen.append(comparison.progress)
        return restless(place, number)

    drive(comparison, slot)
    return seen


def test_progress_begins_with_a_tenth_for_the_passes_before_and_ends_with_all() -> None:
    comparison = SideBySide(TWO, seconds=2.5)
    assert comparison.progress == 0.0
    seen = progress(comparison)
    assert seen == sorted(seen) and seen[0] == pytest.approx(0.1) and seen[-1] < comparison.progress == 1.0


def test_the_same_cell_may_come_twice() -> None:
    comparison = SideBySide([TWO[0], TWO[0]])
    drive(comparison)
    assert [row.cell for row in comparison.rows()] == [TWO[0]] * 2 and comparison.ratio(1) == Ratio(1.0, 1.0, 1.0)


def test_one_cell_alone_is_timed_and_none_is_refused() -> None:
    alone = SideBySide(TWO[:1])
    assert len(drive(alone)) == 8 and alone.rows()[0].ratio is None
    with pytest.raises(ValueError, match="at least one cell"):
        SideBySide([])


def test_what_others_took_is_told_once_there_is_enough_to_tell_it_by() -> None:
    comparison = SideBySide(TWO)
    assert comparison.others_share is None and not comparison.busy
    drive(comparison, others=1.0, rounds=1)
    assert comparison.others_share == 0.5 and comparison.busy
    for others, busy in ((2 * BUSY_SHARE, False), (2 * BUSY_SHARE + 0.01, True), (5.0, True), (-0.1, False)):
        comparison = SideBySide(TWO)
        drive(comparison, others=others)
        assert comparison.busy == busy and 0 <= (comparison.others_share or 0) <= 1
    on_gpu = SideBySide(TWO)
    drive(on_gpu, others=2.0, found=[replace(FOUND, device="cuda")] * 2)
    assert on_gpu.others_share == 1.0 and not on_gpu.busy, "a GPU's kernels do not wait for processors"


def test_a_cells_json_has_what_was_promised_and_nothing_that_json_cannot_hold() -> None:
    comparison = SideBySide([*TWO, Cell("m", "sdpa", "float16")], seed=7)
    logits = (4.0, 3.0, 2.0, 1.0, 0.5, 0.0)
    overflowing = replace(FOUND, weights=4 * MIB)
    drive(
        comparison,
        lambda place, number: (200.0, 100.0, 50.0)[place],
        found=[replace(FOUND, logits=logits), replace(FOUND, logits=(4.0, 3.0, 2.0, 1.0, 0.0, 0.25)), overflowing],
    )
    first, second, third = (
        json.loads(json.dumps(as_json(comparison, row, model="model", clip="clip.mp4"), allow_nan=False))
        for row in comparison.rows()
    )
    promised = "attention precision model clip rounds latency_ms memory_mib ratio agreement others_share method"
    for found in (first, second, third):
        assert set(promised.split()) <= set(found) and (found["model"], found["clip"]) == ("model", "clip.mp4")
        assert set(found["latency_ms"]) == {"median", "p5", "p95", "samples"} and found["seed"] == 7
        assert len(found["latency_ms"]["samples"]) == found["rounds"] == 8 and "seed 7" in found["method"]
    assert first["ratio"] == {"value": None, "low": None, "high": None, "verdict": None}
    assert first["agreement"] == {"max_logit_difference": None, "top1": None, "top5": None}
    assert second["ratio"] == {"value": 2.0, "low": 2.0, "high": 2.0, "verdict": "faster"}
    assert second["agreement"] == {"max_logit_difference": 0.5, "top1": True, "top5": False}
    assert third["agreement"] == {"max_logit_difference": None, "top1": None, "top5": None}, "it has no answer"
    assert third["memory_mib"] == {"weights": 4.0, "activations": 12.0, "peak": 16.0}
    assert (third["attention"], third["precision"], third["others_share"]) == ("sdpa", "float16", 0.0)


def test_before_the_first_round_json_has_nulls_and_no_nan() -> None:
    comparison = SideBySide(TWO)
    drive(comparison, rounds=0)
    found = as_json(comparison, comparison.rows()[1], model="m", clip="c")
    assert found["latency_ms"] == {"median": None, "p5": None, "p95": None, "samples": []}
    assert found["rounds"] == 0 and found["others_share"] is None and json.dumps(found, allow_nan=False)


def test_the_method_says_what_the_interval_is() -> None:
    comparison = SideBySide(TWO, seed=3)
    drive(comparison)
    assert comparison.method.startswith("8 rounds in random order (seed 3), after a warm-up;")
    assert "from their 1st to their 8th, which misses the truth in at most 5 % of cases" in comparison.method
    drive(comparison := SideBySide(TWO, seconds=1e9), restless, rounds=63)
    assert comparison.method.startswith("63 rounds") and "the first 32 rounds' ratios" in comparison.method
    assert "from their 9th to their 24th" in comparison.method
    drive(comparison := SideBySide(TWO, seconds=0.1))
    assert "no ratio: 1 round cannot tell one, it takes 6 here" in comparison.method


# Progress up to the last look


def test_progress_never_goes_back() -> None:
    seen = progress(SideBySide(TWO, seconds=1e9))
    assert seen == sorted(seen)
