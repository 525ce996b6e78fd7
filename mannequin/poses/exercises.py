"""Exercises, rolls and kicks, with nothing in the hands but a bar to hang on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mannequin.body import ANKLE_HEIGHT, PROP, PROP_2, STANDING, Joints, Pose, Segment, both, pair, vec
from mannequin.clocks import Traits
from mannequin.paths import TAU, keys, mix, up, wave


def squat(phase: Tensor, traits: Traits) -> Pose:
    s = wave(phase) * traits.size
    return Pose(
        root=vec(0.0, STANDING - 0.01 - 0.47 * s, -0.2 * s),
        facing=up(0.35 * s),
        spine=up(0.3 * s),
        head=up(-0.45 * s),
        hands=mix(pair(0.24, -0.52, 0.05), pair(0.12, 0.02, 0.55), s.clamp(max=1)),
        feet=pair(0.18, ANKLE_HEIGHT, 0.02),
        knees=pair(0.4, 0.0, 1.0),
    )


def lunge(phase: Tensor, traits: Traits) -> Pose:
    s = keys(phase, {0.0: 0.0, 0.12: 0.0, 0.42: 1.0, 0.58: 1.0, 0.9: 0.0})
    lift = keys(phase, {0.0: 0.0, 0.12: 0.0, 0.26: 0.1, 0.4: 0.0, 0.6: 0.0, 0.74: 0.1, 0.9: 0.0})
    size = traits.size
    return Pose(
        root=vec(0.0, STANDING - 0.012 - 0.36 * s * size, 0.36 * s),
        hands=pair(0.19, -0.43, 0.03),
        elbows=pair(1.0, 0.0, -0.5),
        feet=both(vec(0.11, ANKLE_HEIGHT + lift, 0.72 * s * size), vec(-0.11, ANKLE_HEIGHT + 0.11 * s, -0.03 * s)),
    )


def push_up(phase: Tensor, traits: Traits) -> Pose:
    tilt = 0.29 - 0.25 * wave(phase) * traits.size
    return Pose(
        root=vec(0.0, 0.2 + 0.87 * tilt.sin(), 0.87 * tilt.cos() - 1.0),
        facing=up(math.pi / 2 - tilt),
        head=up(-0.35),
        hands=pair(0.3, 0.04, 0.31),
        feet=pair(0.08, -0.88, 0.0),
        elbows=pair(1.0, -0.6, -0.4),
        hands_in_world=True,
        feet_in_pelvis=True,
    )


def situp(phase: Tensor, traits: Traits) -> Pose:
    s = wave(phase) * traits.size
    return Pose(
        root=vec(0.0, 0.13, 0.0),
        facing=up(-1.5 + 0.55 * s),
        spine=up(0.05 + 0.95 * s),
        head=up(0.1 + 0.2 * s),
        hands=pair(0.13, 0.2, -0.03),
        elbows=pair(1.0, 0.3, 0.3 * 1.0),
        feet=pair(0.13, ANKLE_HEIGHT, 0.56),
        knees=pair(0.1, 0.3, 1.0),
    )


def pull_up(phase: Tensor, traits: Traits) -> Pose:
    s = wave(phase) * traits.size
    return Pose(
        root=vec(0.0, 1.13 + 0.42 * s, -0.04 - 0.06 * s),
        facing=up(0.05 - 0.1 * s),
        head=up(-0.15 - 0.15 * s),
        hands=pair(0.33, 2.13, 0.02),
        feet=pair(0.07, -0.72, -0.3),
        elbows=pair(1.0, -0.6, -0.1),
        hands_in_world=True,
        feet_in_pelvis=True,
    )


def high_bar(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    top = [vec(x, 2.17, 0.04).to(phase) for x in (0.75, -0.75)]
    posts = [(end, end * torch.tensor([1.0, 0.0, 1.0]).to(phase), 0.035, PROP_2) for end in top]
    return [(top[0], top[1], 0.022, PROP), *posts]


def cartwheel(phase: Tensor, traits: Traits) -> Pose:
    return Pose(
        facing=vec(0.0, 0.0, TAU * phase),
        head=up(-0.3),
        hands=pair(0.4, 0.46, 0.04),
        feet=pair(0.46 * traits.size, -0.72, 0.0),
        feet_in_pelvis=True,
    )


def somersault(phase: Tensor, traits: Traits) -> Pose:
    open_ = keys(phase, {0.0: 1.0, 0.3: 0.0, 0.7: 0.0})
    return Pose(
        facing=up(TAU * phase + 0.4),
        spine=up(0.95 - 0.2 * open_),
        head=up(0.65),
        hands=pair(0.2, -0.4 + 0.1 * open_, 0.38),
        feet=pair(0.1, -0.36 - 0.08 * open_, 0.3),
        feet_in_pelvis=True,
        elbows=pair(1.0, -0.2, 0.0),
    )


def guard(phase: Tensor, traits: Traits, leg: Tensor, lean: Tensor, knee: Tensor) -> Pose:
    """On the right leg, fists up, the left leg wherever it is told."""
    hop = 0.01 * torch.cos(2 * TAU * phase)
    return Pose(
        root=vec(0.0, STANDING - 0.03 + hop, 0.0),
        spine=lean,
        hands=both(vec(0.16, -0.13, 0.3), vec(-0.12, -0.1, 0.24)),
        elbows=pair(0.6, -1.0, -0.2),
        feet=both(leg, vec(-0.1, ANKLE_HEIGHT - STANDING, 0.0)),
        knees=both(knee, vec(-0.25, 0.0, 1.0)),
        feet_in_pelvis=True,
    )


def high_kick(phase: Tensor, traits: Traits) -> Pose:
    down, chamber, out = (0.12, -0.86, -0.1), (0.1, -0.3, 0.32), (0.05, 0.42, 0.74)
    leg = keys(phase, {0.0: down, 0.2: down, 0.36: chamber, 0.47: out, 0.54: out, 0.66: chamber, 0.82: down})
    lean = keys(phase, {0.0: 0.05, 0.2: 0.05, 0.47: -0.32, 0.54: -0.32, 0.82: 0.05})
    return guard(phase, traits, leg, up(lean), vec(0.0, 0.4, 1.0))


def side_kick(phase: Tensor, traits: Traits) -> Pose:
    down, chamber, out = (0.15, -0.86, 0.0), (0.3, -0.28, 0.2), (0.86, 0.06, 0.0)
    leg = keys(phase, {0.0: down, 0.2: down, 0.36: chamber, 0.47: out, 0.54: out, 0.66: chamber, 0.82: down})
    lean = keys(phase, {0.0: 0.0, 0.2: 0.0, 0.47: 0.6, 0.54: 0.6, 0.82: 0.0})
    return guard(phase, traits, leg, vec(0.0, 0.0, lean), vec(0.6, 0.6, 1.0))
