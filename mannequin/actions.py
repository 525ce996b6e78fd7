"""What the figure can do: each action is a pose that depends on a phase, and a clock that turns seconds into phase.

A phase counts cycles. Actions of one group share the pose function and everything else that a single frame shows; they
differ only in their clocks: how fast, in which order, in which direction, with which accents. The clocks of a group
visit the poses equally often, so one frame, however well understood, can't tell its members apart.

To add an action: write its pose, choose a clock, and add a line to `ACTIONS`. Its label must be a Kinetics-400 label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

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
    Number,
    Pose,
    both,
    pair,
    turn,
    unit,
    vec,
)

TAU = 2 * math.pi


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
Segment = tuple[Tensor, Tensor, float, int]


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
    return vec(angle, 0.0, 0.0)


# Poses that groups share.


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
    """Head and chest thrown back, hands raised to the chin, then bent far forward."""
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


def step(phase: Tensor, size: Tensor, reach: float, lift: float, knee: float) -> Tensor:
    """One foot's path while walking on the spot of the body: (N, T, 3) without the sideways part.

    Args:
        phase: 0 where the foot lands. size: scales the whole step.
        reach: how far ahead it lands, m. lift, knee: how high it swings behind and ahead, m.
    """
    ahead = keys(phase, {0.0: reach, 0.25: 0.0, 0.45: -reach, 0.6: -reach * 1.05, 0.8: reach * 0.6})
    height = keys(phase, {0.0: 0.0, 0.4: 0.02, 0.62: lift, 0.8: knee, 0.92: knee * 0.35})
    return vec(0.0, ANKLE_HEIGHT + height * size, ahead * size)


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


# Poses of single actions.


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


@dataclass(frozen=True)
class Action:
    """One thing to do.

    Args:
        label: a Kinetics-400 label.
        pose: phase (N, T) and traits → pose.
        clock: seconds (N, T) and traits → phase, cycles.
        props: phase, joints and traits → what the figure holds or stands at.
        stride: m of floor (to the left, ahead) that pass for each cycle of phase; the camera goes along.
        belt: m that the strip under the feet moves for each cycle besides the floor; None where there is no strip.
        rolls: the figure is lowered or lifted until its lowest part touches the floor, whatever part that is.
        centre, radius: m, the height that the camera looks at and how far around it things happen.
        group: actions with the same group share all but clock, stride and belt.
    """

    label: str
    pose: Callable[[Tensor, Traits], Pose]
    clock: Clock
    props: Callable[[Tensor, Joints, Traits], list[Segment]] | None = None
    stride: tuple[float, float] = (0.0, 0.0)
    belt: float | None = None
    rolls: bool = False
    centre: float = 0.92
    radius: float = 1.12
    group: str | None = None


_RUN: dict[str, Any] = dict(pose=high_knees, belt=0.0, group="running", radius=1.08)
_PUSH: dict[str, Any] = dict(pose=push_walk, props=trolley, stride=(0.0, 1.1), group="trolley", centre=0.85, radius=1.2)
_FORM: dict[str, Any] = dict(pose=form, group="form", radius=1.05)
_MEET: dict[str, Any] = dict(pose=arms_meet, group="arms meet", radius=1.05)
_NOD: dict[str, Any] = dict(pose=nod, group="nod", radius=1.05)
_RISE: dict[str, Any] = dict(pose=arms_rise, group="arms rise", centre=1.0, radius=1.25)
_LIFT: dict[str, Any] = dict(props=barbell, centre=1.0, radius=1.3)

# Speeds within a group lie far enough apart that even the slowest fast clip, of 5 s, shows more cycles than the
# fastest slow clip, of 8 s: a model that sees evenly spread frames doesn't know how long a clip lasted.
ACTIONS: tuple[Action, ...] = tuple(
    sorted(
        (
            Action("tai chi", clock=steady(0.1, 0.18), **_FORM),
            Action("doing aerobics", clock=steady(0.75, 1.15), **_FORM),
            Action("robot dancing", clock=halting(0.26, 0.36, steps=6, moving=0.3), **_FORM),
            Action("stretching arm", clock=steady(0.13, 0.2), **_MEET),
            Action("clapping", clock=accented(0.45, 0.62, slow=0.72), **_MEET),
            Action("applauding", clock=steady(1.25, 1.6), **_MEET),
            Action("yawning", clock=steady(0.13, 0.19), **_NOD),
            Action("sneezing", clock=accented(0.34, 0.46, slow=0.85), **_NOD),
            Action("headbanging", clock=steady(1.1, 1.55), **_NOD),
            Action("front raises", clock=steady(0.2, 0.3), **_RISE),
            Action("celebrating", clock=steady(1.0, 1.45), **_RISE),
            Action("cheerleading", clock=halting(0.36, 0.48, steps=4, moving=0.3), **_RISE),
            Action("pushing cart", clock=steady(0.5, 0.7), **_PUSH),
            Action("mowing lawn", clock=to_and_fro(0.55, 0.75, cycles=1.2), **_PUSH),
            Action("moving furniture", clock=steady(-0.42, -0.6), **_PUSH),
            Action("jogging", clock=steady(1.15, 1.5), **(_RUN | {"stride": (0.0, 1.3)})),
            Action("running on treadmill", clock=steady(1.15, 1.5), **(_RUN | {"belt": 1.3})),
            Action("marching", clock=steady(0.38, 0.54), **(_RUN | {"stride": (0.0, 1.3)})),
            Action("squat", squat, steady(0.3, 0.5)),
            Action("lunge", lunge, steady(0.28, 0.42)),
            Action("push up", push_up, steady(0.35, 0.7), centre=0.35, radius=1.1),
            Action("situp", situp, steady(0.3, 0.5), centre=0.4, radius=1.0),
            Action("pull ups", pull_up, steady(0.28, 0.5), high_bar, centre=1.3, radius=1.4),
            Action(
                "cartwheeling", cartwheel, steady(0.4, 0.65), stride=(-3.4, 0.0), rolls=True, centre=0.98, radius=1.2
            ),
            Action(
                "somersaulting", somersault, steady(0.4, 0.65), stride=(0.0, 1.9), rolls=True, centre=0.5, radius=0.95
            ),
            Action("high kick", high_kick, steady(0.35, 0.55), radius=1.2),
            Action("side kick", side_kick, steady(0.35, 0.55), radius=1.2),
            Action("juggling balls", juggle, steady(0.55, 0.8), three_balls, centre=1.0, radius=1.15),
            Action("dribbling basketball", dribble, steady(0.9, 1.4), bouncing_ball, centre=0.85, radius=1.1),
            Action("skipping rope", skip, steady(0.9, 1.4), rope, centre=1.05, radius=1.35),
            Action("hula hooping", hula, steady(0.7, 1.2), hoop, radius=1.12),
            Action("deadlifting", deadlift, steady(0.22, 0.38), **(_LIFT | {"centre": 0.9, "radius": 1.2})),
            Action("clean and jerk", clean_and_jerk, steady(0.16, 0.22), **_LIFT),
            Action("snatch weight lifting", snatch, steady(0.16, 0.24), **_LIFT),
            Action("golf driving", golf, steady(0.25, 0.38), golf_club, centre=0.95, radius=1.25),
            Action("chopping wood", chop, accented(0.4, 0.6, slow=0.78), axe_and_log, centre=0.95, radius=1.3),
        ),
        key=lambda action: action.label,
    )
)
LABELS: tuple[str, ...] = tuple(action.label for action in ACTIONS)
BY_LABEL: dict[str, Action] = {action.label: action for action in ACTIONS}
MOTION_ONLY: tuple[str, ...] = tuple(action.label for action in ACTIONS if action.group)
