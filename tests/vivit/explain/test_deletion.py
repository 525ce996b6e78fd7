"""What is deleted to check a map, and what is said of the curves that come of it."""

import json
from itertools import pairwise

import numpy as np
import pytest

from vivit.explain.deletion import CONTROLS, LEAST, SHARES, Deletion, plan

GRIDS = [(4, 6, 5), (16, 1, 1), (2, 3, 5), (3, 3, 3)]


def some_map(grid: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(grid, dtype=np.float32)


def shifts_between(one: np.ndarray, other: np.ndarray) -> list[tuple[int, ...]]:
    """Every cyclic shift that makes (3, L, H, W) `other` of `one`."""
    return [shift for shift in np.ndindex(one.shape[1:]) if (np.roll(one, shift, (1, 2, 3)) == other).all()]


# What is deleted


@pytest.mark.parametrize("grid", GRIDS)
def test_first_come_the_maps_own_largest_tubelets(grid: tuple[int, int, int]) -> None:
    weights, own = some_map(grid), plan(some_map(grid))[0]
    for deleted, share in zip(own, SHARES, strict=True):
        assert deleted.sum() == max(1, round(share * weights.size))
        assert weights[deleted].min() > weights[~deleted].max()
    assert all((more | less == more).all() for less, more in pairwise(own))


@pytest.mark.parametrize("grid", GRIDS)
def test_every_control_is_that_map_shifted(grid: tuple[int, int, int]) -> None:
    own, *controls = plan(some_map(grid))
    assert len(controls) == min(CONTROLS, np.prod(grid) - 1)
    found = [shifts_between(own, control) for control in controls]
    assert all(len(some) == 1 for some in found)  # of a random map no two shifts are alike
    assert len({some[0] for some in found}) == len(controls) and ((0, 0, 0),) not in map(tuple, found)


def test_every_shift_can_be_drawn() -> None:
    """Over many seeds each of the 23 comes about as often: of 200 · 19 draws 165 each, whose standard deviation is 5."""
    weights = some_map((2, 3, 4))
    drawn = [
        shifts_between(own, one)[0] for seed in range(200) for own, *some in [plan(weights, seed=seed)] for one in some
    ]
    counts = np.array([drawn.count(shift) for shift in np.ndindex(2, 3, 4)])
    assert counts[0] == 0 and (abs(counts[1:] - 200 * 19 / 23) < 30).all()


def test_it_is_the_same_every_time_and_another_by_another_seed() -> None:
    weights = some_map((4, 6, 5))
    assert (plan(weights) == plan(weights.copy())).all() and (plan(weights, seed=0) == plan(weights)).all()
    assert (plan(weights, seed=1)[0] == plan(weights)[0]).all() and (plan(weights, seed=1) != plan(weights)).any()


def test_of_equal_tubelets_the_first_is_deleted() -> None:
    assert plan(np.zeros((2, 2, 5), np.float32))[0].reshape(3, -1).tolist() == [
        [k < count for k in range(20)] for count in (1, 2, 4)
    ]


@pytest.mark.parametrize(("grid", "controls"), [((1, 1, 1), 0), ((2, 1, 1), 1), ((1, 3, 3), 8), ((4, 5, 1), 19)])
def test_small_grids_have_as_many_controls_as_there_are_shifts(grid: tuple[int, int, int], controls: int) -> None:
    masks = plan(some_map(grid))
    assert masks.shape == (1 + controls, 3, *grid) and masks.dtype == bool
    assert len({mask.tobytes() for mask in masks}) == 1 + controls


def test_a_map_without_meaning_ranks_evenly() -> None:
    """Where what matters has nothing to do with the map, p is at most k/20 in k/20 of cases.

    Of 2000 cases: 4 standard deviations of a share are 0.045 at the most.
    """
    ranks = []
    for seed in range(2000):
        matters = some_map((4, 4, 4), 10_000 + seed) ** 4
        masks = plan(some_map((4, 4, 4), seed), seed=seed)
        left = 1 - (masks * matters).sum((2, 3, 4)) / matters.sum()
        ranks.append(Deletion.of(1, left.ravel().tolist()).p)
    for k in (1, 5, 10, 15):
        assert abs(np.mean(np.array(ranks) <= k / 20 + 1e-9) - k / 20) < 0.045


# What is said of the curves


def test_the_area_by_hand() -> None:
    """Trapezoids over 0, 5, 10, 20 %: widths 1/4, 1/4, 1/2 of the whole."""
    found = Deletion(0.8, (0.4, 0.2, 0.0), ((0.8, 0.8, 0.8), (0.8, 0.6, 0.4)))
    mine = (0.6 + 0.3) / 4 + 0.1 / 2
    others = (0.8 + ((0.8 + 0.7) / 4 + 0.5 / 2)) / 2
    assert found.area == pytest.approx(others - mine)
    assert found.control == pytest.approx((0.8, 0.7, 0.6))
    assert found.p == pytest.approx(1 / 3) and not found.better
    assert Deletion(0.8, (0.9, 0.9, 0.9), ((0.8, 0.8, 0.8),)).area == pytest.approx(0.8 - (0.85 / 4 + 0.9 * 3 / 4))


def test_equal_controls_count_against_the_map() -> None:
    flat, lower = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)
    assert Deletion(0.5, flat, (flat,) * 19).p == 1
    assert Deletion(0.5, lower, (flat,) * 19).p == pytest.approx(1 / 20)
    assert Deletion(0.5, lower, (flat,) * 18 + (lower,)).p == pytest.approx(2 / 20)
    assert Deletion(0.5, lower, (flat,) * 17 + (lower, (0.1, 0.2, 0.2))).p == pytest.approx(3 / 20)
    # Equal but for the last digits of float32, which differ from batch to batch.
    assert Deletion(0.5, (0.49999997,) * 3, (flat,) * 19).p == 1


def test_better_takes_every_control_and_a_difference_that_counts() -> None:
    flat = (0.5, 0.5, 0.5)
    assert Deletion(0.5, (0.3, 0.3, 0.3), (flat,) * 19).better
    assert not Deletion(0.5, (0.3, 0.3, 0.3), (flat,) * 18).better  # p = 1/19 at best
    assert not Deletion(0.5, (0.3, 0.3, 0.3), (flat,) * 18 + ((0.2, 0.2, 0.2),)).better
    tiny = Deletion(0.5, (0.496, 0.496, 0.496), (flat,) * 19)
    assert tiny.p == pytest.approx(1 / 20) and 0 < tiny.area < LEAST and not tiny.better
    assert "but by 0.35 percentage points: less than 1 counts as no better than chance (p = 0.05)" in tiny.sentence


def test_the_sentence_has_the_numbers() -> None:
    found = Deletion(0.83, (0.41, 0.3, 0.0001), ((0.8, 0.8, 0.7),) * 19)
    assert found.sentence == (
        "With the most attended 5, 10 and 20 % of tubelets deleted the answer's probability goes from 83.0 % to 41.0 %, 30.0 % "
        "and below 0.1 %; with those of 19 controls, the same map shifted, to 80.0 %, 80.0 % and 70.0 % in the mean: a "
        "lower curve than that of any of them, which is the most that 19 can tell (p = 0.05)."
    )
    worse = Deletion(0.83, (0.8, 0.8, 0.7), ((0.81, 0.81, 0.81),) * 4 + ((0.2, 0.2, 0.2),) * 3)
    assert worse.sentence.endswith("no better than chance, since 3 of 7 leave no more of it (p = 0.50).")
    few = Deletion(0.83, (0.1, 0.1, 0.1), ((0.8, 0.8, 0.7),) * 7)
    assert few.sentence.endswith("no better than chance, of which so few controls (7 of 19) cannot tell it (p = 0.12).")
    assert "with those of 1 control, the" in Deletion(0.8, (0.1, 0.1, 0.1), ((0.8, 0.8, 0.7),)).sentence


@pytest.mark.parametrize("count", [0, 1, 7, 18, 19])
def test_it_says_no_better_than_chance_wherever_it_is_not_better(count: int) -> None:
    for attended in ((0.1,) * 3, (0.5,) * 3, (0.9,) * 3, (0.4999,) * 3):
        found = Deletion(0.5, attended, ((0.5, 0.5, 0.5),) * count)
        assert ("no better than chance" in found.sentence) != found.better
        assert str(count) in found.sentence


def test_without_controls_nothing_can_be_told() -> None:
    found = Deletion(0.9, (0.1, 0.1, 0.1))
    assert (found.p, found.area, found.better, found.control) == (1, 0, False, ())
    assert "nothing can be told" in found.sentence
    assert json.loads(json.dumps(found.to_dict()))["control"] == []


def test_scores_in_the_order_of_the_plan() -> None:
    """A cancelled check keeps the controls that are done, whole ones."""
    scores = [k / 100 for k in range(12)]
    assert Deletion.of(0.5, scores[:3]) == Deletion(0.5, (0.0, 0.01, 0.02))
    found = Deletion.of(0.5, scores[:11])
    assert found == Deletion(0.5, (0.0, 0.01, 0.02), ((0.03, 0.04, 0.05), (0.06, 0.07, 0.08)))
    assert len(Deletion.of(0.5, scores).controls) == 3
    with pytest.raises(ValueError, match="3 scores are the least"):
        Deletion.of(0.5, scores[:2])


def test_as_json() -> None:
    found = Deletion(0.5, (0.4, 0.3, 0.2), ((0.5, 0.5, 0.5), (0.3, 0.3, 0.3)))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told == {
        "shares": [0, 0.05, 0.1, 0.2],
        "attended": [0.5, 0.4, 0.3, 0.2],
        "control": [0.5, 0.4, 0.4, 0.4],
        "controls": [[0.5, 0.5, 0.5, 0.5], [0.5, 0.3, 0.3, 0.3]],
        "area": pytest.approx(found.area),
        "p": pytest.approx(2 / 3),
        "better": False,
        "sentence": found.sentence,
    }


def test_of_a_small_answer_a_quarter_counts() -> None:
    """Of 400 classes an unsure answer may be less than the percentage point that counts of others."""
    controls = ((0.03,) * 3,) * CONTROLS
    most = Deletion(0.03, (0.018, 0.018, 0.018), controls)
    assert most.area == pytest.approx(0.0105) and most.better
    some = Deletion(0.03, (0.021, 0.021, 0.021), controls)
    assert 0.25 * 0.03 < some.area < LEAST and some.better
    little = Deletion(0.03, (0.023, 0.023, 0.023), controls)
    assert little.area < 0.25 * 0.03 and not little.better
    assert "less than 0.75 counts as no better than chance" in little.sentence
