"""Intervals of shares and of ratios for any counts and times: where they lie, how they shrink, and scipy's own."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tests.properties import PROPERTY
from vivit.benchmark.ratios import LOOKS, SHORT, Ratio, find_ratio, find_ratio_between
from vivit.intervals import wilson

COUNTS = st.integers(1, 5000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
CONFIDENCES = st.floats(0.01, 0.9999)
TIMES = st.floats(1e-3, 1e3)


@PROPERTY
@given(counts=COUNTS, confidence=CONFIDENCES)
def test_an_interval_of_a_share_is_scipys_and_holds_it(counts: tuple[int, int], confidence: float) -> None:
    right, of = counts
    low, high = wilson(right, of, confidence)
    assert 0 <= low <= right / of + 1e-12 and right / of - 1e-12 <= high <= 1
    wanted = binomtest(right, of).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@PROPERTY
@given(counts=COUNTS, times=st.integers(2, 50), confidence=CONFIDENCES)
def test_it_shrinks_with_more_of_the_same_and_grows_with_confidence(
    counts: tuple[int, int], times: int, confidence: float
) -> None:
    right, of = counts
    low, high = wilson(right, of, confidence)
    fewer = high - low
    low, high = wilson(times * right, times * of, confidence)
    assert high - low < fewer
    low, high = wilson(right, of, (1 + confidence) / 2)
    assert high - low > fewer
    # What is counted is right or not: the interval of the others is the mirror image.
    low, high = wilson(of - right, of, confidence)
    assert (1 - high, 1 - low) == pytest.approx(wilson(right, of, confidence), abs=1e-12)


@PROPERTY
@given(ratios=st.lists(TIMES, max_size=70), looks=st.sampled_from([SHORT, LOOKS, {**SHORT, **LOOKS}]))
def test_a_ratio_of_rounds_has_its_median_between_places_of_the_sorted(
    ratios: list[float], looks: dict[int, tuple[int, int]]
) -> None:
    found = find_ratio(ratios, looks)
    reached = max((n for n in looks if n <= len(ratios)), default=0)
    if not reached:
        assert found is None
        return
    assert found
    seen = ratios[:reached]  # what comes after the last look is not looked at
    assert found.value == statistics.median(seen) and found.low <= found.value <= found.high
    # As many are outside on either side, and one less than the place says.
    below, above = sum(r < found.low for r in seen), sum(r > found.high for r in seen)
    low, high = looks[reached]
    assert below <= low - 1 and above <= reached - high and low - 1 == reached - high
    assert sum(r <= found.low for r in seen) >= low and sum(r >= found.high for r in seen) >= reached - high + 1
    assert find_ratio(sorted(seen), looks) == found
    assert find_ratio([4 * r for r in seen], looks) == Ratio(4 * found.value, 4 * found.low, 4 * found.high)


@PROPERTY
@given(first=st.lists(TIMES, min_size=1, max_size=12), second=st.lists(TIMES, min_size=1, max_size=12))
def test_a_ratio_between_sets_is_that_of_the_other_way_round_turned_over(
    first: list[float], second: list[float]
) -> None:
    found, other = find_ratio_between(first, second), find_ratio_between(second, first)
    if min(len(first), len(second)) < min(SHORT):
        assert found is None and other is None
        return
    assert found and other
    assert min(first) / max(second) <= found.low <= found.value <= found.high <= max(first) / min(second)
    assert (found.low, found.high) == pytest.approx((1 / other.high, 1 / other.low), rel=1e-12)
    # Medians of an even number of pairs lie half way between two: above the geometric middle, both ways round.
    assert found.value * other.value >= 1 or math.isclose(found.value * other.value, 1)
