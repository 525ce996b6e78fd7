"""A barbell, and ways to lift it."""

from __future__ import annotations

from torch import Tensor

from mannequin.body import ANKLE_HEIGHT, PROP, PROP_2, STANDING, Joints, Pose, Segment, pair, unit, vec
from mannequin.clocks import Traits
from mannequin.paths import keys, up


def lift(bar: Tensor, depth: Tensor, bend: Tensor, grip: float, ahead: Tensor, elbows: Tensor) -> Pose:
    """Holding a bar.

    Args:
        bar: its height, m. depth: 0 standing to 1 crouching. bend: of back and hips, rad. grip: half width, m.
        ahead: how far before the hips' line the bar is, m.
    """
    return Pose(
        root=vec(0.0, STANDING - 0.012 - 0.42 * depth, -0.24 * depth * (bend > 0.3) - 0.1 * depth),
        facing=up(bend * 0.6),
        spine=up(bend * 0.5),
        head=up(-bend * 0.7),
        hands=pair(grip, bar, ahead),
        hands_in_world=True,
        elbows=elbows,
        feet=pair(0.16, ANKLE_HEIGHT, 0.0),
        knees=pair(0.35, 0.0, 1.0),
    )


def deadlift(phase: Tensor, traits: Traits) -> Pose:
    s = keys(phase, {0.0: 0.0, 0.1: 0.0, 0.42: 1.0, 0.6: 1.0, 0.92: 0.0})
    return lift(0.27 + 0.5 * s, 0.75 * (1 - s), 1.15 * (1 - s), 0.28, 0.24 - 0.07 * s, pair(0.6, 0.0, -0.6))


def clean_and_jerk(phase: Tensor, traits: Traits) -> Pose:
    bar = keys(
        phase,
        {0.0: 0.27, 0.06: 0.27, 0.22: 1.38, 0.46: 1.38, 0.5: 1.3, 0.58: 1.98, 0.8: 1.98, 0.86: 1.38, 0.97: 0.27},
    )
    low = keys(phase, {0.0: 1.0, 0.06: 1.0, 0.16: 0.1, 0.22: 0.45, 0.3: 0.0, 0.46: 0.0, 0.5: 0.2, 0.58: 0.0, 0.86: 0.0})
    bend = keys(phase, {0.0: 1.1, 0.06: 1.1, 0.18: 0.0, 0.86: 0.0})
    ahead = keys(phase, {0.0: 0.24, 0.06: 0.24, 0.22: 0.15, 0.46: 0.15, 0.58: 0.02, 0.8: 0.02, 0.86: 0.15})
    return lift(bar, 0.75 * low, bend, 0.26, ahead, pair(0.5, -0.3, 0.5))


def snatch(phase: Tensor, traits: Traits) -> Pose:
    bar = keys(phase, {0.0: 0.27, 0.1: 0.27, 0.32: 1.5, 0.44: 1.5, 0.58: 1.84, 0.78: 1.84, 0.95: 0.27})
    low = keys(phase, {0.0: 1.0, 0.1: 1.0, 0.24: 0.1, 0.32: 0.9, 0.44: 0.9, 0.58: 0.0, 0.78: 0.0, 0.95: 1.0})
    bend = keys(phase, {0.0: 1.1, 0.1: 1.1, 0.26: 0.1, 0.78: 0.0, 0.95: 1.1})
    ahead = keys(phase, {0.0: 0.24, 0.1: 0.24, 0.32: -0.02, 0.78: 0.0, 0.95: 0.24})
    return lift(bar, 0.75 * low, bend, 0.46, ahead, pair(1.0, 0.0, -0.2))


def barbell(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    middle = joints.hands.mean(-2)
    across = unit(joints.hands[..., 0, :] - joints.hands[..., 1, :])
    plates = [(middle + across * x, middle + across * x * 1.1, 0.15, PROP) for x in (0.76, -0.76)]
    return [(middle + across * 0.8, middle - across * 0.8, 0.018, PROP_2), *plates]
