"""From the maps of all layers and heads to one, and what stands out in it. No torch is used.

Letters: A heads; a grid of L time steps of H × W tubelets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LAYER: int | None = None  # the mean of all: of the embedded checkpoints it is true more often than the last layer
TOP = 5  # tubelets


@dataclass(frozen=True)
class Tubelet:
    """One tubelet of a map.

    Args:
        step: its place in time, from 0.
        seconds: when its first frame is shown, from the clip's first frame on.
        x, y, width, height: its place in the frames that the model gets, in pixels.
        weight: its share of the whole map, 0 to 1.
    """

    step: int
    seconds: float
    x: int
    y: int
    width: int
    height: int
    weight: float


def choose(maps: np.ndarray, layer: int | None = LAYER, head: int | None = None) -> np.ndarray:
    """One map of many.

    Args:
        maps: (layers, A, L, H, W).
        layer, head: which, as Python indexes; None for the mean of all.

    Returns:
        (L, H, W) float32.

    Raises:
        ValueError: for a layer or a head that is not there.
    """
    for name, chosen, count in (("layer", layer, maps.shape[0]), ("head", head, maps.shape[1])):
        if chosen is not None and not -count <= chosen < count:
            raise ValueError(f"{name}={chosen} is not there: this map has {count}, numbered from 0")
    of_layer = maps.mean(0) if layer is None else maps[layer]
    return np.asarray(of_layer.mean(0) if head is None else of_layer[head], np.float32)


def shares(weights: np.ndarray) -> np.ndarray:
    """A map that sums to 1. Args: weights: any shape, not negative; of nothing but zeros all shares are equal."""
    total = weights.sum(dtype=np.float64)
    return weights / total if total > 0 else np.full(weights.shape, 1 / weights.size)


def over_time(weights: np.ndarray) -> tuple[float, ...]:
    """The share of each time step, which sum to 1. Args: weights: (L, H, W)."""
    return tuple(shares(weights).sum((1, 2)).tolist())


def top_tubelets(
    weights: np.ndarray, tubelet_size: tuple[int, int, int], seconds: Sequence[float], count: int = TOP
) -> tuple[Tubelet, ...]:
    """The tubelets of most weight, most first; of equal ones the earlier, upper, left one first.

    Args:
        weights: (L, H, W).
        tubelet_size: (time, height, width) in frames and pixels.
        seconds: (T,) when each frame is shown.
        count: how many at most.
    """
    part, (depth, height, width) = shares(weights), tubelet_size
    places = np.argsort(-part, axis=None, kind="stable")[:count]
    found = []
    for step, row, column in zip(*np.unravel_index(places, part.shape), strict=True):
        when, weight = float(seconds[step * depth]), float(part[step, row, column])
        found.append(Tubelet(int(step), when, int(column) * width, int(row) * height, width, height, weight))
    return tuple(found)
