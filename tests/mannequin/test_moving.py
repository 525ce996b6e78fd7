"""Where the moving limbs are, beside pictures in which the renderer paints known limbs in a colour of their own."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mannequin.actions import ACTIONS, BY_LABEL, Action
from mannequin.body import Pose, both, vec
from mannequin.clocks import Traits, steady
from mannequin.moving import COVERED, MOVING, RAYS, moving_tubelets, seen_speed
from mannequin.paths import TAU
from mannequin.render import render
from mannequin.sample import frame_times, perform
from mannequin.scene import draws

LEFT_ARM, LEFT_HAND, LEGS = (11, 12, 13), (12, 13), (14, 15, 16, 20, 21, 22)  # in the order in which `flesh` makes them
GRID = (2, 8, 8)
SIZE = 8 * RAYS


def circling(phase: Tensor, traits: Traits) -> Pose:
    """Nothing moves but the left hand, on a circle beside the shoulder, and what hangs on it."""
    a = TAU * phase
    left = vec(0.42, 0.1 + 0.14 * a.sin(), 0.14 * a.cos())
    return Pose(hands=both(left, vec(-0.25, -0.53, 0.04)))


@pytest.fixture
def perform_alone(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], str]:
    """Makes an action of that pose known to `perform`, at so many cycles a second; returns its label."""

    def known(cycles: float) -> str:
        action = Action("circling", pose=circling, clock=steady(cycles, cycles))
        monkeypatch.setitem(BY_LABEL, action.label, action)
        return action.label

    return known


def painted(label: str, numbers: Tensor, seconds: Tensor, capsules: tuple[int, ...]) -> Tensor:
    """Where the renderer shows these capsules, which are red in a blue world: (N, T, SIZE, SIZE) bool."""
    figure, travel, belt, scene = perform(label, numbers, seconds)
    red, blue = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    colour = torch.zeros_like(figure.colour)
    colour[:, list(capsules)] = 1
    palette = torch.stack((blue, red)).expand(len(numbers), 2, 3)
    world = replace(scene, palette=palette, wall=blue.expand_as(scene.wall), floor=blue.expand_as(scene.floor))
    picture = render(replace(figure, colour=colour), travel, belt, world, SIZE, SIZE)
    return picture[..., 0] > picture[..., 2]


def test_a_figure_that_stands_still_has_none_whatever_the_camera_does(perform_alone: Callable[[float], str]) -> None:
    numbers, seconds = draws(range(3)), torch.linspace(0, 5, 4).expand(3, -1)
    label = perform_alone(0.0)
    eyes = perform(label, numbers, seconds)[3].eye
    assert not torch.equal(eyes[:, 0], eyes[:, 1])  # the camera's hand is not quite still
    for ever in (False, True):
        assert not moving_tubelets(label, numbers, seconds, GRID, ever=ever).any()


def test_the_limb_that_moves_is_marked_where_it_is_seen_and_nothing_else(perform_alone: Callable[[float], str]) -> None:
    numbers, seconds = draws(range(4)), torch.linspace(0, 5, 4).expand(4, -1)
    label = perform_alone(1.0)
    moving = seen_speed(label, numbers, seconds, SIZE, SIZE) >= MOVING
    arm, hand = (painted(label, numbers, seconds, capsules) for capsules in (LEFT_ARM, LEFT_HAND))
    assert hand.any((1, 2, 3)).all()
    # The camera decides whether the upper arm is fast enough beside the hand, and whether the hand just comes towards it.
    assert not (moving & ~arm).any()
    assert (moving & hand).sum() > 0.9 * hand.sum()


def test_arms_that_rise_are_marked_and_legs_are_not() -> None:
    numbers = draws(range(4))
    seconds = frame_times(numbers, 32, 25.0)[:, ::5]
    for label in ("front raises", "stretching arm"):
        moving = seen_speed(label, numbers, seconds, SIZE, SIZE) >= MOVING
        assert moving.any() and not (moving & painted(label, numbers, seconds, LEGS)).any()


@pytest.mark.parametrize("label", ["dribbling basketball", "juggling balls", "golf driving"])
def test_what_is_held_or_thrown_is_marked_wherever_it_is_seen(label: str) -> None:
    """The last capsule of each is the fastest or nearly so: the ball, the third of three, the club's head."""
    numbers, seconds = draws(range(3)), torch.linspace(0, 4, 24).expand(3, -1)
    speed = seen_speed(label, numbers, seconds, SIZE, SIZE)
    last = perform(label, numbers, seconds[:, :1])[0].radius.shape[1] - 1
    seen = painted(label, numbers, seconds, (last,))
    # The capsule has one speed in each frame, and in some frame the highest or nearly so.
    frames = zip(speed.flatten(0, 1), seen.flatten(0, 1), strict=True)
    spans = [(one[here].min(), one[here].max()) for one, here in frames if here.any()]
    assert all(low == high for low, high in spans)
    assert max(high for _, high in spans) > 0.8
    everywhere = seen_speed(label, numbers, seconds, SIZE, SIZE, ever=True) >= MOVING
    assert everywhere[seen].all()


def test_the_mask_follows_the_mirrored_figure(perform_alone: Callable[[float], str]) -> None:
    numbers = torch.full((2, draws([0]).shape[1]), 0.5)  # the camera stands right before the figure
    numbers[:, 6] = torch.tensor([0.1, 0.9])
    seconds = torch.tensor([[0.1, 0.4]]).expand(2, -1)
    moving = (seen_speed(perform_alone(1.0), numbers, seconds, SIZE, SIZE) >= MOVING).float()
    one, other = ((x.sum((0, 1)) * torch.arange(SIZE)).sum() / x.sum() for x in moving)
    assert abs(one - (SIZE - 1) / 2) > 8
    # The camera's hand shifts the picture by less than half a pixel of these.
    assert float(one + other) == pytest.approx(SIZE - 1, abs=1)


def test_a_tubelet_counts_by_its_pixels_in_either_frame() -> None:
    numbers, seconds = draws([3]), torch.tensor([[0.2, 0.3, 1.1, 1.2]])
    moving = seen_speed("cartwheeling", numbers, seconds, SIZE, SIZE)[0] >= MOVING
    found = moving_tubelets("cartwheeling", numbers, seconds, GRID)[0]
    for step, row, column in torch.cartesian_prod(*map(torch.arange, GRID)).tolist():
        part = moving[2 * step : 2 * step + 2, row * RAYS :, column * RAYS :][:, :RAYS, :RAYS]
        assert bool(found[step, row, column]) == any(int(x.sum()) >= COVERED * RAYS**2 for x in part)
    assert found.any() and not found.all()


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.label)
def test_every_action_shows_what_moves_in_it(action: Action) -> None:
    numbers = draws([7, 8])
    seconds = frame_times(numbers, 32, 25.0)
    now, ever = (moving_tubelets(action.label, numbers, seconds, (16, 4, 4), ever=ever) for ever in (False, True))
    assert now.any((1, 2, 3)).all()
    assert not (now & ~ever).any()
    assert not ever.all((1, 2, 3)).any()


def test_a_clip_does_not_depend_on_what_is_beside_it() -> None:
    numbers = draws([3, 4])
    seconds = frame_times(numbers, 4, 25.0)
    both_ = moving_tubelets("jogging", numbers, seconds, GRID)
    # A capsule that is just so fast, or a pixel on an edge, may fall either way by a rounding.
    for k in range(2):
        alone = moving_tubelets("jogging", numbers[k : k + 1], seconds[k : k + 1], GRID)[0]
        assert (both_[k] != alone).sum() <= 1
