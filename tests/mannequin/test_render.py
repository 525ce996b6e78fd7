"""The renderer beside geometry that is known by other means."""

import math

import pytest
import torch
from torch import Tensor

from mannequin.actions import LABELS
from mannequin.render import capsule_distance, directions, shadow_and_contact
from mannequin.sample import render_clips


def ball(x: float, y: float, z: float, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    centre = torch.tensor([[[[x, y, z]]]])
    return centre, centre + torch.tensor([0.0, 0.002, 0.0]), torch.tensor([[[radius]]])


def marched(eye: Tensor, ray: Tensor, start: Tensor, end: Tensor, radius: Tensor) -> float:
    """Sphere tracing: step by the distance to the capsule until it is 0."""
    t = 0.0
    for _ in range(2000):
        point = eye + ray * t
        axis = end - start
        y = ((point - start) @ axis / (axis @ axis)).clamp(0, 1)
        gap = float((point - start - y * axis).norm() - radius)
        t += gap
        if gap < 1e-9 or t > 100:
            break
    return t


def test_distances_agree_with_sphere_tracing() -> None:
    random = torch.Generator().manual_seed(0)
    start = torch.rand(1, 1, 6, 3, generator=random, dtype=torch.float64) * 2 - 1
    end = start + torch.rand(1, 1, 6, 3, generator=random, dtype=torch.float64) - 0.5
    radius = torch.rand(1, 1, 6, generator=random, dtype=torch.float64) * 0.4 + 0.2
    eye = torch.tensor([[[0.3, 0.2, 5.0]]], dtype=torch.float64)
    aims = torch.rand(1, 1, 3, 40, generator=random, dtype=torch.float64) * 2 - 1
    rays = aims - eye[..., None]
    rays = rays / rays.norm(dim=2, keepdim=True)
    found = capsule_distance(eye, rays, start, end, radius)[0, 0]
    hits = 0
    for k in range(6):
        for p in range(40):
            expected = marched(eye[0, 0], rays[0, 0, :, p], start[0, 0, k], end[0, 0, k], radius[0, 0, k])
            if expected < 100:
                hits += 1
                assert float(found[k, p]) == pytest.approx(expected, abs=1e-6)
            else:
                assert float(found[k, p]) > 100
    assert hits > 20


def test_what_lies_behind_is_not_met() -> None:
    rays = torch.tensor([0.0, 0.0, 1.0]).view(1, 1, 3, 1)
    assert float(capsule_distance(torch.zeros(1, 1, 3), rays, *ball(0, 0, -3, 0.5))) > 1e6


def test_a_sphere_covers_the_pixels_that_perspective_gives_it() -> None:
    axes = torch.eye(3)[None, None]
    rays = directions(axes, torch.tensor([[0.5]]), 200, 200)
    distance, radius = 4.0, 0.6
    seen = capsule_distance(torch.zeros(1, 1, 3), rays, *ball(0, 0, distance, radius)) < 100
    # The cone that touches the sphere meets the image plane, 2 * 0.5 high at distance 1, in a circle.
    expected = math.pi * math.tan(math.asin(radius / distance)) ** 2 / (2 * 0.5) ** 2
    assert float(seen.float().mean()) == pytest.approx(expected, rel=0.01)


def test_a_shadow_falls_where_the_light_throws_it() -> None:
    light = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, 0.0]), dim=0).view(1, 1, 3)
    figure = ball(0.0, 1.0, 0.0, 0.2)
    # The light comes from +x and above, so the shadow of a ball 1 m up lies half a metre to -x.
    points = torch.tensor([[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [-2.5, 0.0, 0.0], [-0.5, 0.0, 1.2]]).T[None, None]
    normals = torch.tensor([0.0, 1.0, 0.0]).view(1, 1, 3, 1).expand(1, 1, 3, 4)
    lit, openness = shadow_and_contact(points, normals, light, torch.full((1, 1, 1), 8.0), *figure)
    assert lit[0, 0].tolist() == pytest.approx([0.0, 1.0, 1.0, 1.0], abs=0.02)
    assert openness.min() > 0.9


def test_contact_darkens_the_floor_by_the_solid_angle() -> None:
    radius, height = 0.3, 0.5
    points = torch.tensor([0.0, 0.0, 0.0]).view(1, 1, 3, 1)
    up = torch.tensor([0.0, 1.0, 0.0]).view(1, 1, 3, 1)
    light = torch.tensor([0.0, -1.0, 0.0]).view(1, 1, 3)
    _, openness = shadow_and_contact(points, up, light, torch.ones(1, 1, 1), *ball(0, height, 0, radius))
    # A sphere straight above hides (r / d)² of the cosine-weighted hemisphere.
    assert float(openness) == pytest.approx(math.exp(-1.1 * (radius / height) ** 2), rel=0.01)


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others() -> None:
    seconds = torch.tensor([[0.0, 1.0]])
    one, again, other = (render_clips("hula hooping", [seed], seconds, 48, 64) for seed in (11, 11, 12))
    assert torch.equal(one, again)
    assert (one.int() - other.int()).abs().float().mean() > 5


def test_a_clip_does_not_depend_on_what_is_rendered_beside_it() -> None:
    seconds = torch.tensor([[0.0, 1.0]]).expand(2, -1)
    both = render_clips("squat", [3, 4], seconds, 40, 40)
    alone = render_clips("squat", [4], seconds[:1], 40, 40)
    # Vector and scalar code of the same sine differ by a rounding.
    assert (both[1].int() - alone[0].int()).abs().max() <= 1


@pytest.mark.parametrize("label", LABELS)
def test_every_action_is_in_the_picture_and_lit(label: str) -> None:
    frames = render_clips(label, [1, 2], torch.tensor([[0.7], [1.3]]), 64, 64)
    assert frames.shape == (2, 1, 64, 64, 3) and frames.dtype == torch.uint8
    assert all(20 < float(frame.float().mean()) < 245 for frame in frames)
    middle = frames[:, 0, 8:56, 16:48].float()
    assert middle.std() > 12
