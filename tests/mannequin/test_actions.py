"""The actions: real names, bones that keep their lengths, and groups that a single frame can't tell apart."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from mannequin.actions import ACTIONS, BY_LABEL, LABELS, MOTION_ONLY, Action
from mannequin.body import Joints, solve
from mannequin.clocks import Traits
from mannequin.sample import frame_times, perform
from mannequin.scene import LONGEST_SECONDS, SHORTEST_SECONDS, clip_lengths, draws
from tests.mannequin.limbs import assert_limbs_keep_their_length
from vivit.hub import kinetics400_labels
from vivit.video import choose_indices

GROUPS: defaultdict[str, list[Action]] = defaultdict(list)
for _action in ACTIONS:
    if _action.group:
        GROUPS[_action.group].append(_action)


def joints_at_random_moments(action: Action, clips: int, seed: int) -> Joints:
    """One frame of each of many clips, as a single-frame model would meet them."""
    random = torch.Generator().manual_seed(seed)
    phase, rate, size, style, moment = torch.rand(5, clips, 1, generator=random)
    traits = Traits(phase, rate, 0.86 + 0.2 * size, style)
    phase = action.clock(moment * LONGEST_SECONDS, traits)
    return solve(action.pose(phase, traits), phase.shape)


def largest_gap(one: np.ndarray, other: np.ndarray) -> float:
    """Kolmogorov and Smirnov's statistic: the largest distance between two empirical distributions."""
    values = np.sort(np.concatenate((one, other)))
    shares = (np.searchsorted(np.sort(x), values, side="right") / len(x) for x in (one, other))
    return float(np.abs(np.subtract(*shares)).max())


def test_every_label_is_one_of_kinetics_400() -> None:
    assert len(LABELS) == len(set(LABELS)) >= 24
    assert set(LABELS) <= set(kinetics400_labels())
    assert list(LABELS) == sorted(LABELS)


def test_enough_actions_stand_in_groups_of_three() -> None:
    assert len(MOTION_ONLY) >= 12
    assert all(len(members) >= 3 for members in GROUPS.values())


@pytest.mark.parametrize("members", GROUPS.values(), ids=GROUPS)
def test_members_of_a_group_differ_only_in_motion(members: list[Action]) -> None:
    alike = [replace(a, label="", clock=members[0].clock, stride=(0.0, 0.0), belt=None) for a in members]
    assert all(a == alike[0] for a in alike)
    # Whether there is a strip on the floor can be seen in one frame; how fast it moves can't.
    assert len({a.belt is None for a in members}) == 1


@pytest.mark.parametrize("members", GROUPS.values(), ids=GROUPS)
def test_members_of_a_group_show_the_same_poses_equally_often(members: list[Action]) -> None:
    clips = 3000
    places = []
    for k, action in enumerate(members):
        joints = joints_at_random_moments(action, clips, seed=k)
        parts = torch.cat([joints.hands, joints.ankles, joints.elbows, joints.head[..., None, :]], -2)
        places.append(parts[:, 0].flatten(1).numpy())
    # 2.7 * sqrt(2 / clips) is exceeded by chance once in a million comparisons.
    bound = 2.7 * (2 / clips) ** 0.5
    for other in places[1:]:
        assert max(largest_gap(a, b) for a, b in zip(places[0].T, other.T, strict=True)) < bound


def test_that_comparison_tells_different_poses_apart() -> None:
    one, other = (joints_at_random_moments(BY_LABEL[name], 3000, 0).hands[:, 0, 0, 1] for name in ("clapping", "squat"))
    assert largest_gap(one.numpy(), other.numpy()) > 0.3


@pytest.mark.parametrize("members", GROUPS.values(), ids=GROUPS)
def test_members_of_a_group_move_differently(members: list[Action]) -> None:
    seconds = torch.linspace(0, 5, 60)[None]
    middle = torch.full((1, 1), 0.5)
    motions = []
    for action in members:
        phase = action.clock(seconds, Traits(middle, middle, middle * 2, middle))
        speed = phase.diff() * 12
        motions.append((speed * action.stride[1], speed * (action.belt or 0.0), speed))
    for k, one in enumerate(motions):
        for other in motions[k + 1 :]:
            assert max(float((a - b).abs().mean()) for a, b in zip(one, other, strict=True)) > 0.1


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.label)
def test_bones_keep_their_lengths_and_nothing_sinks(action: Action) -> None:
    numbers = draws(range(3))
    seconds = torch.linspace(0, 5, 40).expand(3, -1)
    figure, travel, belt, scene = perform(action.label, numbers, seconds)
    for x in (figure.start, figure.end, travel, belt):
        assert x.isfinite().all()
    lowest = torch.minimum(figure.start[..., 1], figure.end[..., 1]) - figure.radius[:, None]
    # The toes of a push-up and an axe's head dig in a little; what rolls touches the floor exactly.
    allowed = 1e-4 if action.rolls else 0.1
    assert float(lowest.min()) > -allowed
    joints = solve(action.pose(action.clock(seconds, scene.traits), scene.traits), seconds.shape)
    assert_limbs_keep_their_length(joints)


def test_a_rolling_figure_touches_the_floor() -> None:
    figure, *_ = perform("cartwheeling", draws([5]), torch.linspace(0, 6, 50)[None])
    lowest = (torch.minimum(figure.start[..., 1], figure.end[..., 1]) - figure.radius[:, None]).amin(-1)
    assert torch.allclose(lowest, torch.zeros(()), atol=1e-5)


def test_the_mirrored_figure_is_the_mirror_image() -> None:
    numbers = draws([8])
    seconds = torch.linspace(0, 3, 5)[None]
    numbers[:, 6] = 0.1
    one, _, _, scene = perform("golf driving", numbers, seconds)
    numbers[:, 6] = 0.9
    other, _, _, other_scene = perform("golf driving", numbers, seconds)
    assert scene.mirror == -other_scene.mirror
    assert torch.equal(one.start * torch.tensor([-1.0, 1.0, 1.0]), other.start)


def test_frames_are_taken_where_the_reader_takes_them() -> None:
    numbers = draws(range(50))
    for fps in (8.0, 25.0):
        times = frame_times(numbers, 32, fps)
        for length, row in zip(clip_lengths(numbers)[:, 0], times, strict=True):
            assert SHORTEST_SECONDS <= length <= LONGEST_SECONDS
            indices = choose_indices(32, total=round(float(length) * fps))
            assert [round(float(t) * fps) for t in row] == list(indices)
