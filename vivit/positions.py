"""Position embeddings of another grid of tubelets than the trained one."""

import torch
from torch import Tensor
from torch.nn import functional as F

Grid = tuple[int, int, int]  # tubelets along (time, height, width)


def interpolate(positions: Tensor, of: Grid, to: Grid) -> Tensor:
    """Trilinear interpolation over time, height and width; that of [CLS] stays.

    Args:
        positions: (1, 1 + time · height · width, E), [CLS] first, floating point.
        of: the grid that they are of.
        to: the grid that is wanted.
    Returns:
        The same of `to`, in the dtype of `positions`; computed in float32.
    """
    stored = positions[:, 1:].unflatten(1, of).movedim(-1, 1)  # (1, E, time, height, width)
    resized = F.interpolate(stored.float(), size=to, mode="trilinear", align_corners=False).to(positions.dtype)
    return torch.cat([positions[:, :1], resized.flatten(2).mT], dim=1)
