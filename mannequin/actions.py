"""What the figure can do: each action is a pose that depends on a phase, and a clock that turns seconds into phase.

A phase counts cycles. Actions of one group share the pose function and everything else that a single frame shows; they
differ only in their clocks: how fast, in which order, in which direction, with which accents. The clocks of a group
visit the poses equally often, so one frame, however well understood, can't tell its members apart.

To add an action: write its pose in a room of `mannequin.poses`, choose a clock, and add a line to `ACTIONS`. Its label must be
a Kinetics-400 label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mannequin.body import Joints, Pose, Segment
from mannequin.clocks import Clock, Traits, accented, halting, steady, to_and_fro
from mannequin.poses.exercises import (
    cartwheel,
    high_bar,
    high_kick,
    lunge,
    pull_up,
    push_up,
    side_kick,
    situp,
    somersault,
    squat,
)
from mannequin.poses.lifting import barbell, clean_and_jerk, deadlift, snatch
from mannequin.poses.playthings import bouncing_ball, dribble, hoop, hula, juggle, rope, skip, three_balls
from mannequin.poses.shared import arms_meet, arms_rise, form, high_knees, nod, push_walk, trolley
from mannequin.poses.swings import axe_and_log, chop, golf, golf_club


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
