"""When a movement does what: clocks turn seconds into the phase that a pose depends on, each clip by traits of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Traits:
    """How this clip's figure does whatever it does. All (N, 1).

    `phase` in [0, 1) cycles at the start; `rate` in [0, 1], from the slowest to the fastest that the action allows;
    `size` near 1, how large the movements are; `style` in [0, 1], free for the action to use.
    """

    phase: Tensor
    rate: Tensor
    size: Tensor
    style: Tensor


Clock = Callable[[Tensor, Traits], Tensor]


def steady(low: float, high: float) -> Clock:
    """Even speed, between `low` and `high` cycles per second; negative runs backwards."""

    def clock(seconds: Tensor, traits: Traits) -> Tensor:
        return traits.phase + (low + (high - low) * traits.rate) * seconds

    return clock


def accented(low: float, high: float, slow: float) -> Clock:
    """The first half of each cycle takes the share `slow` of its time, the second half snaps through the rest."""

    def clock(seconds: Tensor, traits: Traits) -> Tensor:
        cycles = steady(low, high)(seconds, traits)
        x = cycles.remainder(1)
        return cycles.floor() + torch.where(x < slow, 0.5 * x / slow, 0.5 + 0.5 * (x - slow) / (1 - slow))

    return clock


def halting(low: float, high: float, steps: int, moving: float) -> Clock:
    """Each cycle in `steps` jerks: a quick move during the share `moving` of each step's time, then stillness.

    Where it stands still differs from clip to clip, so that over clips every phase is seen equally often.
    """

    def clock(seconds: Tensor, traits: Traits) -> Tensor:
        x = traits.style + steady(low, high)(seconds, traits) * steps
        jerk = (x.remainder(1) / moving).clamp(max=1)
        return (x.floor() + jerk * jerk * (3 - 2 * jerk) + traits.phase * 7) / steps

    return clock


def to_and_fro(low: float, high: float, cycles: float) -> Clock:
    """Forward through `cycles` cycles at even speed, then backward through them, and again."""

    def clock(seconds: Tensor, traits: Traits) -> Tensor:
        x = (steady(low, high)(seconds, traits) / cycles + traits.style * 2).remainder(2)
        return traits.phase * 5 + (1 - (x - 1).abs()) * cycles

    return clock
