"""Play with balls, a rope and a hoop."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from mannequin.body import ANKLE_HEIGHT, PROP, PROP_2, STANDING, Joints, Pose, Segment, both, pair, vec
from mannequin.clocks import Traits
from mannequin.paths import TAU, keys, up, wave


def juggle(phase: Tensor, traits: Traits) -> Pose:
    a = TAU * phase
    return Pose(
        root=vec(0.015 * a.sin(), STANDING - 0.02, 0.0),
        head=up(-0.12),
        hands=both(
            vec(0.23 - 0.07 * (3 * a).sin(), -0.3 + 0.05 * (3 * a).cos(), 0.36),
            vec(-0.23 - 0.07 * (3 * a).sin(), -0.3 - 0.05 * (3 * a).cos(), 0.36),
        ),
        elbows=pair(0.4, -1.0, -0.5),
        feet=pair(0.14, ANKLE_HEIGHT, 0.0),
    )


def three_balls(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    balls: list[Segment] = []
    for k in range(3):
        x = keys(phase + k / 3, {0.0: 0.17, 0.36: -0.29, 0.5: -0.17, 0.86: 0.29})
        f = ((phase + k / 3) * 2).remainder(1) / 0.72
        rise = torch.where(f < 1, 4 * f * (1 - f) * 0.75 * traits.size, -0.06 * torch.sin(math.pi * (f - 1) / 0.39))
        ball = joints.chest + vec(x, -0.22 + rise, 0.42)
        balls.append((ball, ball + vec(0.0, 0.01, 0.0).to(ball), 0.062, PROP if k else PROP_2))
    return balls


def dribble_height(phase: Tensor) -> Tensor:
    f = phase.remainder(1)
    return 0.12 + 0.62 * 4 * f * (1 - f)


def dribble(phase: Tensor, traits: Traits) -> Pose:
    touch = (dribble_height(phase) + 0.15).clamp(min=0.72)
    return Pose(
        root=vec(0.0, STANDING - 0.16 + 0.03 * wave(phase), -0.05),
        facing=up(0.2),
        spine=vec(0.2, 0.12, 0.0),
        head=up(-0.2),
        hands=both(vec(0.42, 0.98, 0.22), vec(-0.3, touch, 0.36)),
        hands_in_world=True,
        elbows=pair(0.8, -0.2, -1.0),
        feet=both(vec(0.17, ANKLE_HEIGHT, 0.17), vec(-0.17, ANKLE_HEIGHT, -0.15)),
    )


def bouncing_ball(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    ball = vec(-0.3, dribble_height(phase), 0.42)
    return [(ball, ball + vec(0.0, 0.01, 0.0).to(ball), 0.122, PROP)]


def skip(phase: Tensor, traits: Traits) -> Pose:
    jump = 0.14 * (torch.cos(TAU * phase) - 0.1).clamp(min=0)
    a = TAU * phase
    return Pose(
        root=vec(0.0, STANDING - 0.04 + jump, 0.0),
        hands=pair(0.42, -0.36 - 0.03 * a.cos(), 0.12 + 0.03 * a.sin()),
        feet=pair(0.07, ANKLE_HEIGHT + jump, 0.0),
        elbows=pair(0.5, -0.6, -1.0),
    )


def rope(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    left, right = joints.hands.unbind(-2)
    around = vec(0.0, -torch.cos(TAU * phase), torch.sin(TAU * phase))
    points = [
        torch.lerp(left, right, k / 10) * torch.tensor([1.35, 1.0, 1.0]).to(phase)
        + around * 1.02 * math.sin(math.pi * k / 10) ** 0.6
        for k in range(1, 10)
    ]
    points = [left, *points, right]
    return [(a, b, 0.014, PROP) for a, b in pairwise(points)]


def hula(phase: Tensor, traits: Traits) -> Pose:
    a = TAU * phase
    circle = 0.085 * traits.size
    return Pose(
        root=vec(circle * a.cos(), STANDING - 0.03, circle * a.sin()),
        facing=vec(0.2 * a.sin(), 0.0, -0.2 * a.cos()),
        spine=vec(-0.2 * a.sin(), 0.0, 0.2 * a.cos()),
        hands=pair(0.5, 0.14, 0.12),
        feet=pair(0.17, ANKLE_HEIGHT, 0.0),
    )


def hoop(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    a = TAU * (phase - 0.1)
    points = []
    for k in range(13):
        b = torch.as_tensor(TAU * k / 12).to(phase)
        tilt = 0.1 * torch.cos(b - a - 1.2)
        points.append(vec(0.36 * a.cos() + 0.52 * b.cos(), STANDING + 0.09 + tilt, 0.36 * a.sin() + 0.52 * b.sin()))
    return [(p, q, 0.021, PROP if k % 2 else PROP_2) for k, (p, q) in enumerate(pairwise(points))]
