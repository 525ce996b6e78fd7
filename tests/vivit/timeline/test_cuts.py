"""Where shots change, on pictures whose changes are known and on bundled clips that were joined."""

from pathlib import Path

import numpy as np
import pytest

from mannequin.film import join_clips
from vivit.checkpoint import open_checkpoint
from vivit.timeline.cuts import Cuts, histogram
from vivit.video.streaming import open_film


def found(images: list[np.ndarray]) -> list[int]:
    cuts = Cuts()
    return [k - 1 for k, image in enumerate(images) if cuts.add(image)]


def plain(level: int) -> np.ndarray:
    return np.full((32, 48, 3), level, np.uint8)


def sliding(step: int, count: int, seed: int = 0) -> list[np.ndarray]:
    """A wide random picture that slides past, so many pixels at a time."""
    wide = np.random.default_rng(seed).integers(0, 256, (4, 200, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    return [wide[:, k * step : k * step + 48] for k in range(count)]


def test_a_change_of_scene_is_a_cut() -> None:
    assert found([plain(10)] * 5 + [plain(130)] * 5 + [plain(250)] * 2) == [5, 10]


def test_neither_a_still_nor_a_moving_camera_nor_a_fade_is_one() -> None:
    assert found([plain(10)] * 30) == []
    assert found(sliding(24, 40)) == []
    assert found([plain(level) for level in range(0, 256, 2)]) == []


def test_a_cut_between_moving_cameras_is_found() -> None:
    quiet = [image // 4 for image in sliding(1, 20, 1)]
    assert found(sliding(1, 20) + quiet) == [20]


def test_a_histogram_is_of_shares() -> None:
    image = np.concatenate((plain(0)[:16], plain(255)[:16]))
    counted = histogram(image)
    assert counted.shape == (512,) and counted.sum() == pytest.approx(1)
    assert counted[0] == counted[511] == pytest.approx(0.5)


def test_every_cut_of_joined_clips_is_found_and_no_other(tmp_path: Path) -> None:
    labels = ["somersaulting", "applauding", "jogging", "juggling balls", "push up", "tai chi"]
    truth = join_clips(labels, tmp_path / "film.mp4")
    cuts, processor, places = Cuts(), open_checkpoint("vivit-mannequin").processor, []
    with open_film(tmp_path / "film.mp4") as film:
        for tick in film.ticks(6.5 / 32, processor.resize_and_crop):
            if cuts.add(tick.image):
                places.append(tick.number - 1)
    assert places == [int(np.ceil(start * 32 / 6.5 - 1e-6)) for start, _, _ in truth[1:]]
