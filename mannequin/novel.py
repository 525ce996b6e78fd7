"""Six actions that no embedded checkpoint was trained on: what a head that is taught from a few clips has to learn.

They never come into training, since none of the lists of `mannequin.actions` has them. In three of them nothing is held or
touched.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mannequin.actions import Action
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
    unit,
    vec,
)
from mannequin.clocks import Traits, steady
from mannequin.paths import TAU, keys, mix, up, wave


def air_drum(phase: Tensor, traits: Traits) -> Pose:
    """A bar of eight strokes, hand by hand, from the drums on one side to the cymbal on the other; a foot on the pedal."""
    size = traits.size
    over = keys(phase, {0.0: -0.08, 0.4: 0.1, 0.62: 0.1, 0.85: 0.24})
    cymbal = keys(phase, {0.0: 0.0, 0.55: 0.0, 0.78: 1.0, 0.9: 1.0})
    beat = wave(4 * phase)

    def hand(side: float, lifted: Tensor, higher: Tensor | float) -> Tensor:
        return vec(side * 0.16 + over, -0.36 + 0.3 * lifted * size + higher, 0.36 + 0.05 * lifted)

    return Pose(
        root=vec(0.02 * torch.sin(TAU * phase), STANDING - 0.07, -0.03),
        facing=up(0.04),
        spine=vec(0.1 + 0.06 * beat, 0.9 * over, 0.0),
        head=up(0.12 - 0.3 * beat * size),
        hands=both(hand(1, beat, 0.24 * cymbal), hand(-1, 1 - beat, 0.0)),
        elbows=pair(0.7, -0.8, -0.7),
        feet=both(vec(0.17, ANKLE_HEIGHT, 0.0), vec(-0.17, ANKLE_HEIGHT + 0.05 * beat, 0.1)),
    )


def shake_head(phase: Tensor, traits: Traits) -> Pose:
    """The head to the left and to the right; the arms hang, or the hands are on the hips."""
    aside = torch.sin(TAU * phase) * traits.size
    hang, on_hips = pair(0.25, -0.53, 0.04), pair(0.19, -0.4, 0.06)
    return Pose(
        root=vec(-0.008 * aside, STANDING - 0.012, 0.0),
        spine=vec(0.02, 0.08 * aside, 0.0),
        head=vec(0.1, 0.8 * aside, 0.0),
        hands=torch.where(traits.style[..., None, None] < 0.5, hang, on_hips),
        elbows=pair(1.0, -0.1, -0.6),
        feet=pair(0.13, ANKLE_HEIGHT, 0.0),
    )


def jumpstyle(phase: Tensor, traits: Traits) -> Pose:
    """Four hops: right leg kicked ahead, left leg ahead, right leg thrown back, left leg back."""
    hop = 0.1 * torch.sin(4 * math.pi * phase).abs() * traits.size
    ahead, behind = (0.3 * traits.size, 0.6), (0.34 * traits.size, -0.42)

    def kicks(first: float, second: float) -> tuple[Tensor, Tensor, Tensor]:
        """How far ahead and behind a foot is, 0 to 1, and their difference."""
        out = [keys(phase - at, {0.0: 0.0, 0.125: 1.0, 0.27: 0.0}) for at in (first, second)]
        return out[0], out[1], out[0] - out[1]

    left, right = kicks(0.25, 0.75), kicks(0.0, 0.5)

    def foot(side: float, kick: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        rise = hop + ahead[0] * kick[0] + behind[0] * kick[1]
        return vec(side * 0.1, ANKLE_HEIGHT + rise, ahead[1] * kick[0] + behind[1] * kick[1])

    lean = left[2] + right[2]
    swing = 0.2 * (right[2] - left[2])
    return Pose(
        root=vec(0.0, STANDING - 0.05 + hop, -0.04 * lean),
        facing=up(-0.16 * lean),
        spine=vec(0.06, 0.6 * swing, 0.0),
        hands=both(vec(0.29, -0.4, 0.14 + swing), vec(-0.29, -0.4, 0.14 - swing)),
        elbows=pair(0.8, -0.3, -0.6),
        feet=both(foot(1, left), foot(-1, right)),
    )


RUNG, RUNGS, CLIMB, LEAN = 0.3, 9, 3, 0.17


def on_ladder(height: Tensor | float) -> Tensor | float:
    """How far ahead the ladder is at a height, m."""
    return LEAN * height - 0.22


def climb_ladder(phase: Tensor, traits: Traits) -> Pose:
    """Three rungs up and three down, each hand with the other side's foot."""
    climbed = CLIMB * (1 - (2 * phase.remainder(1) - 1).abs())

    def limb(first: int) -> tuple[Tensor, Tensor]:
        """The rung that a limb is at, two rungs at a time, and how far it is from any, 0 to 1."""
        x = (climbed - first) / 2
        part = (2 * x.remainder(1)).clamp(max=1)
        return first + 2 * (x.floor() + part * part * (3 - 2 * part)), torch.sin(math.pi * part)

    def at(side: float, limb: tuple[Tensor, Tensor], more: float, off: float) -> Tensor:
        rung, away = limb
        height = RUNG * (1 + rung) + more
        return vec(side, height, on_ladder(height) - off - 0.07 * away)

    even, odd = limb(0), limb(1)
    hips = 1.16 + RUNG * climbed
    hands = both(at(0.17, odd, 4 * RUNG, 0.05), at(-0.17, even, 4 * RUNG, 0.05))
    sway = 0.03 * (odd[0] - even[0])
    return Pose(
        root=vec(sway, hips, on_ladder(hips) - 0.38),
        facing=vec(0.12, 0.0, 0.0),
        spine=vec(0.02, 0.0, -sway),
        head=up(-0.25),
        hands=hands,
        hands_in_world=True,
        elbows=pair(0.8, -0.9, -0.3),
        feet=both(at(0.1, even, 0.09, 0.08), at(-0.1, odd, 0.09, 0.08)),
        knees=pair(0.35, 0.0, 1.0),
    )


def ladder(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    top = RUNG * RUNGS + 0.06

    def at(x: float, y: float, z: Tensor | float) -> Tensor:
        return vec(x, y, z).to(phase)

    rails = [(at(x, 0.02, on_ladder(0.0)), at(x * 0.85, top, on_ladder(top)), 0.026, PROP) for x in (0.27, -0.27)]
    legs = [
        (at(x, 0.02, on_ladder(1.9 * top)), at(x * 0.85, top, on_ladder(top)), 0.022, PROP_2) for x in (0.27, -0.27)
    ]
    heights = [RUNG * (1 + k) for k in range(RUNGS)]
    return [*rails, *legs, *((at(0.25, y, on_ladder(y)), at(-0.25, y, on_ladder(y)), 0.018, PROP_2) for y in heights)]


JAB, CROSS, BAG = 0.12, 0.42, 0.5


def punch(phase: Tensor, traits: Traits) -> Pose:
    """Left straight, right straight, and back to the guard, on the balls of the feet."""
    jab, cross = (keys(phase - at, {0.0: 1.0, 0.03: 1.0, 0.2: 0.0, 0.86: 0.0}) for at in (JAB, CROSS))
    bob = 0.012 * torch.cos(2 * TAU * phase)
    return Pose(
        root=vec(0.0, STANDING - 0.07 + bob, -0.26 + 0.07 * (jab + cross)),
        facing=vec(0.05, -0.35 + 0.3 * cross, 0.0),
        spine=vec(0.12, -0.2 - 0.2 * jab + 0.75 * cross, 0.0),
        head=vec(-0.05, 0.5 + 0.2 * jab - 0.95 * cross, 0.0),
        hands=both(
            mix(vec(0.16, -0.08, 0.27), vec(0.34, 0.02, 0.36), jab),
            mix(vec(-0.1, -0.06, 0.24), vec(0.0, 0.02, 0.53), cross),
        ),
        elbows=pair(0.6, -1.0, -0.2),
        feet=both(vec(0.14, ANKLE_HEIGHT, -0.05), vec(-0.15, ANKLE_HEIGHT + 0.03 * cross, -0.48)),
        knees=pair(0.3, 0.0, 1.0),
    )


def bag_on_gallows(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    swing = (
        sum(keys(phase - at, {0.0: 0.02, 0.08: 0.16, 0.24: -0.05, 0.4: 0.0, 0.95: 0.0}) for at in (JAB, CROSS))
        * traits.size
    )
    hook = vec(0.0, 2.2, BAG).to(phase)
    down = vec(0.0, -torch.cos(swing), torch.sin(swing))
    foot, head = vec(0.0, 0.03, BAG + 0.55).to(phase), vec(0.0, 2.2, BAG + 0.55).to(phase)
    return [
        (hook, hook + 0.62 * down, 0.015, PROP_2),
        (hook + 0.75 * down, hook + 1.35 * down, 0.17, PROP),
        (foot, head, 0.04, DARK),
        (head, hook, 0.03, DARK),
        (foot + vec(0.35, 0.0, 0.0).to(phase), foot - vec(0.35, 0.0, 0.0).to(phase), 0.035, DARK),
    ]


def broom_ends(phase: Tensor, traits: Traits) -> tuple[Tensor, Tensor]:
    """The broom's upper end and its head, m: the head is drawn over the floor from the right to the left, then lifted back."""
    s = keys(phase, {0.0: 0.0, 0.08: 0.0, 0.56: 1.0, 0.64: 1.0})
    lifted = keys(phase, {0.0: 0.0, 0.62: 0.0, 0.8: 0.09, 0.96: 0.0})
    x = (-0.5 + 0.9 * s) * traits.size
    return vec(0.16 + 0.12 * s, 1.34, 0.16), vec(x, 0.07 + lifted, 0.56 + 0.12 * torch.sin(math.pi * s))


def sweep(phase: Tensor, traits: Traits) -> Pose:
    """Bent a little, both hands on the stick, turning with the stroke."""
    upper, head = broom_ends(phase, traits)
    along = unit(head - upper)
    swing = keys(phase, {0.0: -1.0, 0.08: -1.0, 0.56: 1.0, 0.64: 1.0})
    return Pose(
        root=vec(0.05 * swing, STANDING - 0.07, -0.1),
        facing=vec(0.12, 0.12 * swing, 0.0),
        spine=vec(0.28, 0.22 * swing, 0.0),
        head=vec(0.12, 0.1 * swing, 0.0),
        hands=both(upper + 0.08 * along, upper + 0.4 * along),
        hands_in_world=True,
        elbows=pair(1.0, -0.7, -0.3),
        feet=both(vec(0.17, ANKLE_HEIGHT, -0.14), vec(-0.15, ANKLE_HEIGHT, 0.1)),
    )


def broom(phase: Tensor, joints: Joints, traits: Traits) -> list[Segment]:
    upper, head = broom_ends(phase, traits)
    wide = vec(0.05, 0.0, 0.16).to(phase)
    low = vec(0.0, 0.03, 0.0).to(phase)
    return [
        (upper - 0.06 * unit(head - upper), head, 0.016, WOOD),
        (head + wide, head - wide, 0.04, PROP),
        (head + 1.1 * wide - low, head - 1.1 * wide - low, 0.032, PROP_2),
    ]


NOVEL: dict[str, Action] = {
    action.label: action
    for action in (
        Action("air drumming", air_drum, steady(0.4, 0.6), radius=1.05),
        Action("climbing ladder", climb_ladder, steady(0.16, 0.26), ladder, centre=1.4, radius=1.6),
        Action("jumpstyle dancing", jumpstyle, steady(0.4, 0.55), radius=1.1),
        Action("punching bag", punch, steady(0.5, 0.8), bag_on_gallows, centre=1.1, radius=1.3),
        Action("shaking head", shake_head, steady(0.7, 1.2), radius=1.05),
        Action("sweeping floor", sweep, steady(0.45, 0.75), broom, centre=0.85, radius=1.15),
    )
}
