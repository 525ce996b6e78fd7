"""Position embeddings of another grid of tubelets than the trained one."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

Grid = tuple[int, int, int]  # tubelets along (time, height, width)


def interpolate(positions: Tensor, of: Grid, to: Grid) -> Tensor:
    """Trilinear interpolation over time, height and width; the position of [CLS], before those of the grid, stays.

    Args:
        positions: (1, time · height · width, E), or one more, [CLS] first; floating point.
        of: the grid of `positions`.
        to: the grid that is wanted.

    Returns:
        The same of `to`, in the dtype of `positions`; computed in float32. `positions` themselves where the grids are one.
    """
    if of == to:
        return positions
    first = positions.shape[1] - math.prod(of)
    stored = positions[:, first:].unflatten(1, of).movedim(-1, 1)  # (1, E, time, height, width)
    resized = F.interpolate(stored.float(), size=to, mode="trilinear", align_corners=False).to(positions.dtype)
    return torch.cat([positions[:, :first], resized.flatten(2).mT], dim=1)
