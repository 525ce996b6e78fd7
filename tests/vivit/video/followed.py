"""Films followed from one tick of a grid to the next, for tests."""

from math import ceil
from pathlib import Path

import numpy as np
import pytest

from tests.clips import read_number
from vivit.film import Tick
from vivit.video import VideoInfo, examined
from vivit.video.streaming import open_film

TICK = 0.05


def same(picture: np.ndarray) -> np.ndarray:
    return picture


def on_screen(info: VideoInfo, tick: float = TICK) -> list[int]:
    """Which picture is on screen at each time of the grid."""
    times = np.array(info.frame_seconds) - info.frame_seconds[0]
    count = max(1, ceil(info.duration_seconds / tick - 1e-6))
    return [int(np.searchsorted(times, k * tick + 1e-6, "right")) - 1 for k in range(count)]


def followed(path: Path, tick: float = TICK) -> tuple[list[Tick], int, tuple[str, ...], float]:
    with open_film(path) as film:
        ticks = list(film.ticks(tick, same))
        assert film.ended
        return ticks, film.decoded, film.warnings, film.end_seconds


def numbers(ticks: list[Tick]) -> list[int]:
    """What the pictures say; -1 where damage leaves nothing to be read."""

    def said(tick: Tick) -> int:
        try:
            return read_number(tick.image)
        except ValueError:
            return -1

    return [said(tick) for tick in ticks]


def assert_as_decoded(path: Path) -> None:
    found = examined(path, lambda info: sorted({*on_screen(info)}), lambda info, frames: {f.index: f for f in frames})
    info, frames = found.info, found.result
    ticks, decoded, warnings, end = followed(path)
    assert decoded == info.num_frames
    assert warnings == info.warnings
    wanted = on_screen(info)
    # A decoder of pictures with alpha tells no durations: the last picture's is then the others' mean, to a millisecond.
    assert end == pytest.approx(info.duration_seconds, abs=1e-3) and 0 <= len(ticks) - len(wanted) <= 1
    assert [tick.number for tick in ticks] == list(range(len(ticks)))
    for tick, index in zip(ticks, wanted, strict=False):
        np.testing.assert_array_equal(tick.image, frames[index].image)
        assert tick.seconds == pytest.approx(info.frame_seconds[index] - info.frame_seconds[0], abs=1e-9)
