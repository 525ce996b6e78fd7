"""Intervals of shares beside published ones, and beside the equation that they solve."""

from statistics import NormalDist
from typing import Any

import pytest

from vivit.intervals import wilson


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals(right: int, of: int, low: float, high: float) -> None:
    """Newcombe 1998, 'Two-sided confidence intervals for the single proportion', table I, method 3, given to four places."""
    assert wilson(right, of) == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("right", "of"), [(1, 2), (3, 7), (50, 100), (1999, 2000)])
def test_both_ends_are_shares_from_which_the_count_is_just_so_far(right: int, of: int, confidence: float) -> None:
    """The ends are the roots of |right / of - p| = z √(p (1 - p) / of)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    for p in wilson(right, of, confidence):
        # Float64 rounds once in 1e16; the ends of few counts lie where the root is steep.
        assert abs(right / of - p) == pytest.approx(z * (p * (1 - p) / of) ** 0.5, rel=1e-9)


def test_none_all_and_nothing() -> None:
    assert wilson(0, 10)[0] == pytest.approx(0, abs=1e-15) and wilson(10, 10)[1] == pytest.approx(1)
    assert wilson(0, 10)[1] == pytest.approx(1 - wilson(10, 10)[0])
    assert wilson(0, 0) == (0.0, 1.0)
    assert all(0 <= end <= 1 for n in (1, 3, 1000) for right in (0, n) for end in wilson(right, n))


@pytest.mark.parametrize("wrong", [(-1, 5), (6, 5), (0, -1), (1, 2, 0.0), (1, 2, 1.0)])
def test_what_is_no_count_is_refused(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="no count"):
        wilson(*wrong)
