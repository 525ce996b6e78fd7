"""Answers of windows as segments: what any rule must give, and by hand where there is one answer."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vivit.timeline.segments import (
    SMOOTHING,
    UNKNOWN,
    Answered,
    Segment,
    find_segments,
    moments,
)

LABELS = {0: "walking", 1: "running", 2: "jumping"}
DEFAULT = next(iter(SMOOTHING))


def window(start: float, end: float, label: int, score: float = 0.9, familiar: bool | None = True) -> Answered:
    scores = np.full(3, (1 - score) / 2, np.float32)
    scores[label] = score
    return Answered(start, end, scores, familiar)


def film(labels: list[int], stride: float = 0.5, length: float = 2.0, **options: Any) -> list[Answered]:
    return [window(k * stride, k * stride + length, label, **options) for k, label in enumerate(labels)]


def randomly(seed: int) -> list[Answered]:
    """Windows as a film gives them: of one length, a stride apart but for the last, any scores, some of them unfamiliar."""
    random = np.random.default_rng(seed)
    count, length = int(random.integers(1, 40)), float(random.uniform(0.5, 4))
    stride = length / random.integers(1, 9)
    found = []
    for k in range(count):
        scores = random.dirichlet([0.3] * 4).astype(np.float32)
        found.append(Answered(k * stride, k * stride + length, scores, [True, False, None][random.integers(3)]))
    if random.random() < 0.5 and count > 1:  # the last ends with the film
        last, end = found[-1], found[-2].end + stride * 0.4
        found[-1] = Answered(end - length, end, last.scores, last.familiar)
    return found


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("seed", range(30))
def test_segments_tile_the_film_and_neighbours_differ(smoothing: str, seed: int) -> None:
    windows = randomly(seed)
    found = find_segments(windows, smoothing)
    assert found[0].start == pytest.approx(windows[0].start, abs=1e-6)
    assert found[-1].end == pytest.approx(max(w.end for w in windows), abs=1e-6)
    for segment in found:
        assert segment.start < segment.end
        assert (segment.label is None) == (segment.score is None)
        assert segment.score is None or 0 <= segment.score <= 1
        assert segment.label is None or 0 <= segment.label < 4
    for left, right in pairwise(found):
        assert left.end == right.start and left.label != right.label
    assert found == find_segments(windows, smoothing), "the same again"


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("seed", range(30))
def test_moments_are_means_of_windows_that_lie_over_them(smoothing: str, seed: int) -> None:
    windows = randomly(seed)
    found = moments(windows, smoothing)
    assert (np.diff(found.edges) > 0).all() and len(found.edges) == len(found.scores) + 1 == len(found.known) + 1
    np.testing.assert_allclose(found.scores.sum(-1), 1, atol=1e-5)
    for low, high, scores in zip(found.edges, found.edges[1:], found.scores, strict=False):
        over = np.stack([w.scores for w in windows if w.start - 1e-6 < (low + high) / 2 < w.end + 1e-6])
        assert (over.min(0) - 1e-5 <= scores).all() and (scores <= over.max(0) + 1e-5).all()


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_one_label_everywhere_is_one_segment(smoothing: str, count: int) -> None:
    (only,) = find_segments(film([1] * count), smoothing)
    assert only == Segment(0.0, pytest.approx(0.5 * (count - 1) + 2.0), 1, pytest.approx(0.9))  # type: ignore[arg-type]
    assert only.name(LABELS) == "running"


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_two_long_actions_are_two_segments_near_their_change(smoothing: str) -> None:
    """Windows whose middles lie before 10 s answer one thing, and the others another."""
    windows = film([0 if 0.5 * k + 1.0 < 10 else 2 for k in range(40)])
    first, second = find_segments(windows, smoothing)
    assert (first.label, second.label) == (0, 2) and first.end == pytest.approx(10.0, abs=1.0)


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("familiar", [True, None])
def test_what_is_known_is_never_unknown(smoothing: str, familiar: bool | None) -> None:
    windows = [Answered(w.start, w.end, w.scores, familiar) for w in randomly(3)]
    assert all(segment.label is not None for segment in find_segments(windows, smoothing))


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_where_nothing_is_like_the_training_clips_it_is_unknown(smoothing: str) -> None:
    (only,) = find_segments(film([0, 1, 2, 1, 0], familiar=False), smoothing)
    assert (only.label, only.score, only.name(LABELS)) == (None, None, UNKNOWN)
    windows = film([0] * 20) + [window(10 + 0.5 * k, 12 + 0.5 * k, 1, familiar=False) for k in range(20)]
    found = find_segments(windows, smoothing)
    assert [segment.label for segment in found] == [0, None] and found[0].end == pytest.approx(10.5, abs=1.6)


def test_one_odd_window_among_many_is_smoothed_away() -> None:
    labels = [0] * 30
    labels[15] = 1
    assert [segment.label for segment in find_segments(film(labels), DEFAULT)] == [0]
    assert [segment.label for segment in find_segments(film(labels), "none")] == [0, 1, 0]


def test_a_scores_rise_never_lowers_its_segment() -> None:
    scores = [find_segments(film([1] * 9, score=score), DEFAULT)[0].score for score in (0.5, 0.7, 0.99)]
    assert scores == sorted(scores)  # type: ignore[type-var]


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_a_longer_film_does_not_change_what_was_long_over(smoothing: str) -> None:
    """A timeline fills while the work goes on: what lies well before the last window stays."""
    windows = film([*([0] * 20), *([1] * 20), *([2] * 20)])
    early, late = find_segments(windows[:40], smoothing), find_segments(windows, smoothing)
    assert early[0] == late[0] and early[1].start == late[1].start and early[1].label == late[1].label


def test_unknown_ways_are_refused_and_nothing_gives_nothing() -> None:
    assert find_segments([]) == []
    with pytest.raises(ValueError, match="smoothing must be one of"):
        find_segments(film([0]), "soft")
    with pytest.raises(ValueError, match="no window"):
        moments([])


def test_exact_numbers_without_smoothing() -> None:
    """Each moment by the window whose middle is nearest: changes lie between middles, which are here at 1, 1.5 and 2 s."""
    first, second = find_segments([window(0, 2, 0), window(0.5, 2.5, 1, 0.8), window(1, 3, 1, 0.6)], "none")
    assert first == Segment(0.0, 1.25, 0, pytest.approx(0.9))  # type: ignore[arg-type]
    # 0.5 s of 0.8, then 1.25 s of 0.6
    assert second == Segment(1.25, 3.0, 1, pytest.approx((0.5 * 0.8 + 1.25 * 0.6) / 1.75))  # type: ignore[arg-type]
