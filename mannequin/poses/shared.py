"""Poses that groups of actions share."""

from __future__ import annotations

import torch
from torch import Tensor

from mannequin.body import ANKLE_HEIGHT, DARK, PROP, PROP_2, STANDING, Joints, Pose, Segment, both, pair, vec
from mannequin.clocks import Traits
from mannequin.paths import TAU, step, up, wave


def form(phase: Tensor, traits: Traits) -> Pose:
    """Weight shifting from foot to foot while the hands draw wide circles."""
    a = TAU * phase
    hands = both(
        vec(0.26 + 0.26 * traits.size * a.cos(), -0.02 + 0.36 * traits.size * a.sin(), 0.3),
        vec(-0.26 + 0.26 * traits.size * a.cos(), -0.02 - 0.36 * traits.size * a.sin(), 0.3),
    )
    feet = both(
        vec(0.3, ANKLE_HEIGHT + 0.2 * (a.sin() - 0.45).clamp(min=0), 0.05),
        vec(-0.3, ANKLE_HEIGHT + 0.2 * (-a.sin() - 0.45).clamp(min=0), 0.05),
    )
    return Pose(
        root=vec(-0.13 * a.sin(), STANDING - 0.15 - 0.05 * (2 * a).cos(), 0.0),
        facing=vec(0.05, 0.3 * a.cos(), 0.0),
        spine=vec(0.05, 0.3 * a.cos(), -0.12 * a.sin()),
        head=vec(0.0, -0.4 * a.cos(), 0.0),
        hands=hands,
        feet=feet,
        knees=pair(0.5, 0.0, 1.0),
    )


def arms_meet(phase: Tensor, traits: Traits) -> Pose:
    """Hands together before the chest, and apart."""
    s = wave(phase)
    apart = 0.055 + 0.62 * s * traits.size
    return Pose(
        root=vec(0.0, STANDING - 0.015, 0.0),
        spine=vec(0.06 - 0.12 * s, 0.0, 0.0),
        head=vec(0.1 - 0.2 * s, 0.0, 0.0),
        hands=pair(apart, -0.13 + 0.1 * s, 0.44 - 0.34 * s),
        elbows=pair(0.8, -0.9, -0.3),
    )


def nod(phase: Tensor, traits: Traits) -> Pose:
    """Head and chest bent far forward, then thrown back, the hands raised to the chin all the while."""
    s = wave(phase)
    return Pose(
        root=vec(0.0, STANDING - 0.05, -0.05 + 0.08 * s),
        facing=up(0.16 - 0.16 * s),
        spine=up((0.5 - 0.85 * s) * traits.size),
        head=up((0.62 - 1.12 * s) * traits.size),
        hands=pair(0.1, -0.1, 0.25),
        feet=pair(0.15, ANKLE_HEIGHT, 0.0),
        elbows=pair(0.9, -0.8, -0.2),
    )


def arms_rise(phase: Tensor, traits: Traits) -> Pose:
    """Straight arms from the thighs, ahead and up."""
    s = wave(phase)
    angle = 0.2 + 2.3 * traits.size * s
    return Pose(
        root=vec(0.0, STANDING - 0.012, 0.0),
        spine=up(0.03 - 0.12 * s),
        head=up(-0.15 * s),
        hands=pair(0.2 + 0.12 * s, -0.55 * angle.cos(), 0.55 * angle.sin()),
        feet=pair(0.13, ANKLE_HEIGHT, 0.0),
    )


def push_walk(phase: Tensor, traits: Traits) -> Pose:
    """Walking behind a trolley with both hands on its handle."""
    sway = torch.cos(TAU * phase)
    return Pose(
        root=vec(0.0, STANDING - 0.06 + 0.02 * torch.cos(2 * TAU * phase), -0.1),
        facing=up(0.16),
        spine=vec(0.2, 0.1 * sway, 0.0),
        head=up(-0.25),
        hands=pair(0.22, 0.98, 0.46),
        feet=both(
            step(phase, traits.size, 0.3, 0.2, 0.14) + vec(0.1, 0.0, -0.1),
            step(phase + 0.5, traits.size, 0.3, 0.2, 0.14) + vec(-0.1, 0.0, -0.1),
        ),
        hands_in_world=True,
    )


def trolley(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    def at(x: float, y: float, z: float) -> Tensor:
        return vec(x, y, z).to(phase)

    box = [(at(x, y, 0.78), at(x, y, 1.04), 0.12, PROP) for x in (0.12, -0.12) for y in (0.27, 0.4)]
    wheels = [(at(x, 0.08, z), at(x * 1.1, 0.08, z), 0.08, DARK) for x in (0.26, -0.26) for z in (0.74, 1.08)]
    rods = [(at(x, 0.45, 0.72), at(x, 0.97, 0.5), 0.02, PROP_2) for x in (0.22, -0.22)]
    return [*box, *wheels, *rods, (at(0.27, 0.97, 0.5), at(-0.27, 0.97, 0.5), 0.022, PROP_2)]


def high_knees(phase: Tensor, traits: Traits) -> Pose:
    """Running with lifted knees and bent, swinging arms."""
    swing = torch.sin(TAU * phase)
    size = traits.size

    def hand(side: float, s: Tensor) -> Tensor:
        return vec(side * (0.2 - 0.06 * s), -0.3 + 0.1 * s, 0.16 + 0.24 * s * size)

    return Pose(
        root=vec(0.0, STANDING - 0.06 + 0.035 * torch.cos(2 * TAU * (phase - 0.2)), 0.0),
        facing=vec(0.08, 0.1 * swing, 0.0),
        spine=vec(0.08, -0.25 * swing, 0.0),
        head=vec(-0.08, 0.15 * swing, 0.0),
        hands=both(hand(1, swing), hand(-1, -swing)),
        feet=both(
            step(phase, size, 0.24, 0.36, 0.42) + vec(0.1, 0.0, 0.0),
            step(phase + 0.5, size, 0.24, 0.36, 0.42) + vec(-0.1, 0.0, 0.0),
        ),
        elbows=pair(0.5, -0.4, -1.0),
    )
