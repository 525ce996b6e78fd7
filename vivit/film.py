"""A film as plain data: what is known of one, and its pictures on a grid of times. Imports nothing of ours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FilmInfo:
    """What is known of a film once its first picture is here.

    Args:
        container, codec: FFmpeg's names; pages get the container by the browsers' name.
        width, height: of its pictures in pixels, upright and with square pixels.
        fps: as the file says, or usual; where pictures come unevenly their own times count.
        promised_seconds: how long the file says that it is; 0 if it does not.
        begin_seconds: the first picture's time in the file, from which all others here are counted.
        plain: whether a player that shows pictures as they are stored shows the same.
    """

    container: str
    codec: str
    width: int
    height: int
    fps: float
    promised_seconds: float
    begin_seconds: float
    plain: bool


@dataclass(frozen=True)
class Tick:
    """The picture that is on screen at one time of the grid.

    Args:
        number: the time, in steps of the grid from 0.
        seconds: the picture's own, from the film's first picture on; no later than the grid's.
        image: (H, W, 3) uint8, transformed; the same object where one picture is on screen at several times.
    """

    number: int
    seconds: float
    image: np.ndarray


def clock(seconds: float) -> str:
    """A time as players write it: 1:02:03, or 2:03.4 within the first hour."""
    tenths = round(seconds * 10)
    hours, minutes = tenths // 36_000, tenths // 600 % 60
    return f"{hours}:{minutes:02d}:{tenths // 10 % 60:02d}" if hours else f"{minutes}:{tenths % 600 / 10:04.1f}"


def end_of(seconds: Sequence[float]) -> float:
    """When the last of some pictures has been shown, in seconds: it is shown as long as the others in the mean.

    Args:
        seconds: (n,) when each is shown, ascending; n > 0.
    """
    return seconds[-1] + (seconds[-1] - seconds[0]) / max(1, len(seconds) - 1)
