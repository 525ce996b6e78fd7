"""The rule that says whether a clip is like the training clips."""

from pathlib import Path

import numpy as np
import pytest

from vivit.familiarity import Familiarity, fit, load


def clouds(per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes in 6 dimensions, the first stretched along x, the second small."""
    random = np.random.default_rng(seed)
    spread = np.array([[5.0, 1, 1, 1, 1, 1], [0.5] * 6])
    means = np.array([[0.0] * 6, [20.0] * 6])
    labels = np.repeat([0, 1], per_class)
    return means[labels] + random.normal(size=(2 * per_class, 6)) * spread[labels], labels


def test_the_score_is_the_mahalanobis_distance_when_nothing_is_shared() -> None:
    features, labels = clouds(400, 0)
    statistics = fit(features, labels, num_directions=6 - 1, shared=0.0)
    point = np.array([3.0, -1, 2, 0, 1, 1])
    cloud = features[labels == 0]
    away = point - cloud.mean(0)
    expected = away @ np.linalg.inv(np.cov(cloud.T)) @ away / 6
    assert statistics.score(point) == pytest.approx(expected, rel=1e-3)


def test_typical_clips_score_about_one_and_strangers_far_more() -> None:
    features, labels = clouds(400, 1)
    fresh, _ = clouds(200, 2)
    statistics = fit(features, labels, num_directions=2)
    assert np.median([statistics.score(one) for one in fresh]) == pytest.approx(1, abs=0.3)
    assert statistics.score(np.full(6, 10.0)) > 20
    # As far from the small class as the large one reaches: each class is measured by its own size.
    assert statistics.score(np.array([20.0 + 8, 20, 20, 20, 20, 20])) > 20
    assert statistics.score(np.array([8.0, 0, 0, 0, 0, 0])) < 2


@pytest.mark.parametrize(("clips", "directions"), [(50, 6), (5, 5)])
def test_directions_take_as_many_numbers_and_clips(clips: int, directions: int) -> None:
    with pytest.raises(ValueError, match=f"^{directions} directions of each class take"):
        fit(*clouds(clips, 0), num_directions=directions)
    assert np.isfinite(fit(*clouds(clips, 0), num_directions=directions - 1).score(np.ones(6)))


def test_it_is_the_same_after_saving(tmp_path: Path) -> None:
    features, labels = clouds(50, 3)
    fitted = vars(fit(features, labels, num_directions=2)) | {"threshold": 1.5}
    statistics = Familiarity(**fitted)
    statistics.save(tmp_path)
    again = load(tmp_path)
    assert again is not None and again.threshold == 1.5
    for one in features[::10]:
        assert again.score(one) == pytest.approx(statistics.score(one), rel=1e-5)
        assert again.is_familiar(one) == (statistics.score(one) <= 1.5)


def test_a_checkpoint_without_statistics_has_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None
