"""What is swung with both hands: a golf club, an axe."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mannequin.body import (
    ANKLE_HEIGHT,
    DARK,
    PROP,
    PROP_2,
    STANDING,
    WOOD,
    Joints,
    Pose,
    Segment,
    both,
    pair,
    turn,
    unit,
    vec,
)
from mannequin.clocks import Traits
from mannequin.paths import keys, up, wave

GOLF = {0.0: 0.0, 0.12: 0.0, 0.46: -1.0, 0.54: -1.0, 0.61: 0.0, 0.69: 1.0, 0.84: 1.0}


def golf(phase: Tensor, traits: Traits) -> Pose:
    s = keys(phase, GOLF)
    hands = vec(0.5 * torch.sin(1.4 * s), -0.5 + 0.55 * s * s, 0.3 - 0.12 * s * s)
    return Pose(
        root=vec(0.06 * s, STANDING - 0.06, -0.08),
        facing=vec(0.25, 0.35 * s, 0.0),
        spine=vec(0.3, 0.75 * s, 0.0),
        head=vec(0.1, -0.7 * s, 0.0),
        hands=both(hands + vec(0.02, 0.0, 0.0).to(hands), hands - vec(0.02, 0.05, 0.0).to(hands)),
        feet=pair(0.2, ANKLE_HEIGHT, 0.0),
        elbows=pair(0.6, -1.0, -0.4),
    )


def golf_club(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    s = keys(phase, GOLF)
    grip = joints.hands.mean(-2)
    reach = vec(torch.sin(2.6 * s), -torch.cos(2.6 * s) * 0.8, 0.42 - 0.5 * s * s)
    head = grip + unit(reach) * 0.82
    return [(grip, head, 0.014, PROP_2), (head, head + vec(0.05, 0.0, 0.04).to(head), 0.042, PROP)]


def chop(phase: Tensor, traits: Traits) -> Pose:
    s = wave(phase)
    size = traits.size
    hands = vec(0.0, -0.42 + 0.82 * s, 0.42 - 0.3 * s + 0.25 * torch.sin(math.pi * s))
    return Pose(
        root=vec(0.0, STANDING - 0.05 - 0.1 * (1 - s), -0.1),
        facing=up(0.25 * (1 - s)),
        spine=up((0.5 - 0.68 * s) * size),
        head=up(-0.1),
        hands=both(hands + vec(0.03, 0.0, 0.0).to(hands), hands - vec(0.03, -0.06, 0.0).to(hands)),
        feet=pair(0.22, ANKLE_HEIGHT, 0.0),
        knees=pair(0.3, 0.0, 1.0),
        elbows=pair(1.0, -0.4, -0.2),
    )


def axe_and_log(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    s = wave(phase)
    a = -0.35 + 2.6 * s
    grip = joints.hands.mean(-2)
    reach = turn(joints.chest_turn, vec(torch.zeros_like(a), a.sin(), a.cos())[..., None, :])[..., 0, :]
    head = grip + reach * 0.6
    down = turn(joints.chest_turn, vec(torch.zeros_like(a), -a.cos(), a.sin())[..., None, :])[..., 0, :]
    stump = vec(0.0, 0.1, 0.98).to(head)
    return [
        (grip - reach * 0.08, head, 0.018, PROP_2),
        (head, head + down * 0.12, 0.045, DARK),
        (stump, stump + vec(0.0, 0.12, 0.0).to(head), 0.17, WOOD),
    ]
