"""Where the moving limbs are in rendered clips, told by the renderer's own geometry and not by pixels.

A capsule, a piece of a limb or of a prop, is moving at a frame's moment if its image moves at least a quarter as fast as that
of the clip's fastest capsule at any frame. What the camera's hand does is no movement of the capsule, nor is a shadow's; a
figure that travels is followed by the camera, so that only what it does counts.

Letters: N clips, T frames, K capsules; a grid of L time steps of H × W tubelets.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mannequin.render import capsule_distance, directions
from mannequin.sample import perform

MOVING = 0.25  # of the clip's fastest capsule
COVERED = 1 / 16  # of a tubelet's pixels, in either of its frames: a hand that lies across four tubelets is in each
BETWEEN = 0.04  # s, over which a capsule's displacement is taken: that of one frame to the next at 25 a second
STILL = 0.01  # heights of the picture a second: what is slower does not move, however still all else stands
RAYS = 8  # along each edge of a tubelet


def image_speed(start: Tensor, end: Tensor, eye: Tensor, axes: Tensor, view: Tensor) -> Tensor:
    """How far each capsule's image moves from the first moment to the second, seen by a camera that stands still.

    Args:
        start, end: (N, T, 2, K, 3), m, at both moments.
        eye, axes, view: the camera, as in `Scene`.

    Returns:
        (N, T, K), heights of the picture: the mean of both ends of the axis.
    """
    ends = torch.stack((start, end), -2) - eye[:, :, None, None, None]  # (N, T, 2, K, 2, 3)
    right, up, ahead = (ends @ axes[:, :, None, None].transpose(-1, -2)).unbind(-1)
    image = torch.stack((right, up), -1) / (2 * view[:, :, None, None, None, None] * ahead.clamp(min=0.1)[..., None])
    moved: Tensor = (image[:, :, 1] - image[:, :, 0]).norm(dim=-1)
    return moved.mean(-1)


@torch.no_grad()
def seen_speed(
    label: str,
    numbers: Tensor,
    seconds: Tensor,
    height: int,
    width: int,
    device: str | torch.device = "cpu",
    ever: bool = False,
) -> Tensor:
    """How fast what each pixel shows is moving, as a share of the speed of the clip's fastest capsule.

    Args:
        label, numbers, seconds: as for `perform`.
        height, width: pixels, square ones, of the same field of view as in `render`.
        device: where rays are cast.
        ever: each capsule's speed is the highest that it has at any of the frames, not that of the frame's own moment.

    Returns:
        (N, T, height, width) float32 in [0, 1], on the device; 0 where no capsule is seen.
    """
    moments = torch.stack((seconds - BETWEEN / 2, seconds, seconds + BETWEEN / 2), -1)  # (N, T, 3)
    figure, _, _, scene = perform(label, numbers, moments.flatten(1))
    start, end, eye, axes = (
        x.unflatten(1, (-1, 3)) for x in (figure.start, figure.end, scene.eye, scene.axes)
    )  # (N, T, 3, …)
    eye, axes = eye[:, :, 1], axes[:, :, 1]
    speed = image_speed(start[:, :, ::2], end[:, :, ::2], eye, axes, scene.view) / BETWEEN
    speed = speed / speed.amax((1, 2), keepdim=True).clamp(min=STILL)
    if ever:
        speed = speed.amax(1, keepdim=True).expand_as(speed)
    found = []
    # One clip at a time, which bounds the memory.
    for k in range(len(numbers)):
        one = (eye[k], start[k, :, 1], end[k, :, 1], figure.radius[k].expand(seconds.shape[1], -1), speed[k])
        here, from_, to, radius, fast = (x.to(device) for x in one)
        rays = directions(axes[k : k + 1].to(device), scene.view[k : k + 1].to(device), height, width)[0]  # (T, 3, P)
        distance, nearest = capsule_distance(here, rays, from_, to, radius).min(-2)
        to_floor = -here[:, 1:2] / rays[:, 1].clamp(max=-1e-4)
        found.append((fast.gather(1, nearest) * (distance < to_floor)).unflatten(-1, (height, width)))
    return torch.stack(found)


def moving_tubelets(
    label: str,
    numbers: Tensor,
    seconds: Tensor,
    grid: tuple[int, int, int],
    device: str | torch.device = "cpu",
    ever: bool = False,
) -> Tensor:
    """Which tubelets show a moving part: in one of their frames it covers at least `COVERED` of their pixels.

    Args:
        label, numbers, seconds: as for `perform`; T a multiple of L.
        grid: (L, H, W), of square tubelets that fill the picture.
        device: where rays are cast.
        ever: capsules that move at any frame of the clip, whether they do in this one or not.

    Returns:
        (N, L, H, W) bool, on the device.
    """
    time, rows, columns = grid
    moving = seen_speed(label, numbers, seconds, rows * RAYS, columns * RAYS, device, ever) >= MOVING
    cells = moving.view(len(numbers), time, -1, rows, RAYS, columns, RAYS)
    return (cells.float().mean((-3, -1)) >= COVERED).any(2)
