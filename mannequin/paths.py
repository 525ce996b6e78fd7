"""What poses are made of: ways out and back, from key to key, and a foot's step, as functions of the phase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mannequin.body import ANKLE_HEIGHT, Number, vec

TAU = 2 * math.pi


def wave(phase: Tensor) -> Tensor:
    """0 at whole cycles, 1 half way between, smooth: the way out and back along a path."""
    return 0.5 - 0.5 * torch.cos(TAU * phase)


def keys(phase: Tensor, frames: Mapping[float, float | Sequence[float]]) -> Tensor:
    """Ease from key to key, and from the last to the first.

    Args:
        phase: (N, T).
        frames: phase in [0, 1) → a number, or several; ascending.

    Returns:
        (N, T), or (N, T, 3) if the keys are triples.
    """
    times = torch.tensor([*frames, 1 + next(iter(frames))]).to(phase)
    values = torch.tensor([*frames.values(), next(iter(frames.values()))]).to(phase)
    x = (phase - times[0]).remainder(1) + times[0]
    k = torch.searchsorted(times, x.contiguous(), right=True).clamp(1, len(frames)) - 1
    s = ((x - times[k]) / (times[k + 1] - times[k])).clamp(0, 1)
    s = s * s * (3 - 2 * s)
    return torch.lerp(values[k], values[k + 1], s if values.ndim == 1 else s[..., None])


def mix(a: Tensor, b: Tensor, s: Tensor) -> Tensor:
    """From a (…, 3) to b (…, 3) as s (N, T) goes from 0 to 1; pairs (…, 2, 3) too."""
    s = s[..., None] if max(a.ndim, b.ndim) < 2 or a.shape[-2] != 2 else s[..., None, None]
    return a.to(s) + (b - a).to(s) * s


def up(angle: Number) -> Tensor:
    """The angles of a joint that only bends forward, by so many radians."""
    return vec(angle, 0.0, 0.0)


def step(phase: Tensor, size: Tensor, reach: float, lift: float, knee: float) -> Tensor:
    """One foot's path while walking, as seen from the body: (N, T, 3), 0 sideways.

    Args:
        phase: 0 where the foot lands. size: scales the whole step.
        reach: how far ahead it lands, m. lift, knee: how high it swings behind and ahead, m.
    """
    ahead = keys(phase, {0.0: reach, 0.25: 0.0, 0.45: -reach, 0.6: -reach * 1.05, 0.8: reach * 0.6})
    height = keys(phase, {0.0: 0.0, 0.4: 0.02, 0.62: lift, 0.8: knee, 0.92: knee * 0.35})
    return vec(0.0, ANKLE_HEIGHT + height * size, ahead * size)
