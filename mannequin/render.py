"""Ray casting on tensors: capsules and a floor under one soft light.

Every pixel's ray meets every capsule in closed form; the nearest wins. Shadows and contact shading are closed forms too,
so nothing is sampled, and the same input gives the same picture.

Letters: N clips, T frames, P rays, K capsules. Vectors that belong to rays are (N, T, 3, P): the long axis last, because
everything is done for all rays at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from mannequin.body import Capsules
from mannequin.scene import Scene

RAYS_AT_ONCE = 32768
PADDED = (26, 36)
NEAR = 0.8  # m from the figure beyond which it dims nothing that an eye could see


def normalise(vectors: Tensor) -> Tensor:
    """Unit vectors along (…, 3, P); none of zero length."""
    return vectors * (vectors * vectors).sum(-2, keepdim=True).clamp(min=1e-12).rsqrt()


def dot(vectors: Tensor, others: Tensor) -> Tensor:
    """All scalar products: (…, K, 3) and (…, 3, P) → (…, K, P)."""
    if not torch.compiler.is_compiling():
        return vectors @ others
    # Written out, a compiler can fuse it into what follows; a matrix product would go through memory.
    a, b = vectors[..., None], others[..., None, :, :]
    return a[..., 0, :] * b[..., 0, :] + a[..., 1, :] * b[..., 1, :] + a[..., 2, :] * b[..., 2, :]


def capsule_distance(eye: Tensor, rays: Tensor, start: Tensor, end: Tensor, radius: Tensor) -> Tensor:
    """How far along each ray each capsule is met.

    The infinite cylinder around the axis says which point of the axis the surface point belongs to; the sphere around
    that point, or around the nearer end, then gives the distance, inside the capsule's length and at its caps alike.

    Args:
        eye: (…, 3). rays: (…, 3, P), unit. start, end: (…, K, 3), not equal. radius: (…, K). All m.

    Returns:
        (…, K, P), m; huge where the capsule is missed or lies behind.
    """
    axis, from_start = (end - start), eye[..., None, :] - start
    axis_2, along = (axis * axis).sum(-1)[..., None], (axis * from_start).sum(-1)[..., None]
    start_2, radius_2 = (from_start * from_start).sum(-1)[..., None], (radius * radius)[..., None]
    ray_axis, ray_start = dot(axis, rays), dot(from_start, rays)
    a = (axis_2 - ray_axis * ray_axis).clamp(min=1e-12)
    b = axis_2 * ray_start - along * ray_axis
    root = (b * b - a * (axis_2 * (start_2 - radius_2) - along * along)).clamp(min=0).sqrt()
    share = ((along - (b + root) / a * ray_axis) / axis_2).clamp(0, 1)
    ray_centre = ray_start - share * ray_axis
    h = ray_centre * ray_centre - (start_2 + share * (share * axis_2 - 2 * along)) + radius_2
    distance = -ray_centre - h.clamp(min=0).sqrt()
    return distance + ((-h).clamp(min=0) + (-distance).clamp(min=0)) * 1e12


def shadow_and_contact(
    points: Tensor, normals: Tensor, light: Tensor, sharpness: Tensor, start: Tensor, end: Tensor, radius: Tensor
) -> tuple[Tensor, Tensor]:
    """How much of the light and of the surroundings each point sees past the capsules.

    Args:
        points, normals: (…, 3, P). light: (…, 3), unit, towards the light. sharpness: (…, 1), larger is sharper.
        start, end: (…, K, 3), m. radius: (…, K), m.

    Returns:
        light in [0, 1] and openness in (0, 1], (…, P) each.

    Source:
        The ideas, not the code, of https://iquilezles.org/articles/rmshadows/ (the penumbra from the narrowest angle
        between ray and obstacle) and https://iquilezles.org/articles/sphereao/ (a sphere's share of the hemisphere).
    """
    axis, light = end - start, light[..., None]
    axis_2, radius = (axis * axis).sum(-1)[..., None], radius[..., None]
    light_axis, light_start = axis @ light, start @ light
    start_axis, start_2 = (start * axis).sum(-1)[..., None], (start * start).sum(-1)[..., None]
    point_axis = dot(axis, points) - start_axis
    point_light = (points * light).sum(-2, keepdim=True) - light_start
    point_2 = (points * points).sum(-2, keepdim=True) + start_2 - 2 * dot(start, points)

    # Where the way to the light comes nearest to the axis: `share` along the axis, `x` along the way.
    share = ((point_axis - point_light * light_axis) / (axis_2 - light_axis * light_axis).clamp(min=1e-6)).clamp(0, 1)
    x = (share * light_axis - point_light).clamp(min=0.04)
    gap_2 = point_2 + share * (share * axis_2 - 2 * point_axis) + x * (x + 2 * (point_light - share * light_axis))
    lit = (((gap_2.clamp(min=0).sqrt() - radius) / x).amin(-2) * sharpness + 0.5).clamp(0, 1)

    share = (point_axis / axis_2).clamp(0, 1)
    away_2 = (point_2 + share * (share * axis_2 - 2 * point_axis)).clamp(min=1e-5)
    facing = dot(start, normals) + share * dot(axis, normals) - (points * normals).sum(-2, keepdim=True)
    hidden = (facing.clamp(min=0) * (radius * radius) / (away_2 * away_2.sqrt())).clamp(max=1).sum(-2)
    return lit * lit * (3 - 2 * lit), torch.exp(-1.1 * hidden)


def may_touch(origin: Tensor, rays: Tensor, start: Tensor, end: Tensor, radius: Tensor, margin: float) -> Tensor:
    """Indices of the rays that pass the box around the capsules, made larger by `margin` m, in any clip and frame.

    Args:
        origin, rays: (…, 3, 1) or (…, 3, P). start, end: (…, K, 3). radius: (…, K).
    """
    reach = (radius + margin)[..., None]
    low = (torch.minimum(start, end) - reach).amin(-2)[..., None]
    high = (torch.maximum(start, end) + reach).amax(-2)[..., None]
    slope = torch.where(rays.abs() < 1e-6, 1e-6, rays)
    first, second = (low - origin) / slope, (high - origin) / slope
    enter, leave = torch.minimum(first, second).amax(-2), torch.maximum(first, second).amin(-2)
    return (enter <= leave.clamp(min=0)).flatten(0, -2).any(0).nonzero()[:, 0]


def scatter(*cells: Tensor) -> Tensor:
    """A number in [0, 1) for each cell, without visible order."""
    x = cells[0] * 12.9898 + (cells[1] * 78.233 if len(cells) > 1 else 0.0)
    return (torch.sin(x) * 4375.85).remainder(1)


def floor_colour(points: Tensor, travel: Tensor, belt: Tensor, scene: Scene) -> Tensor:
    """The floor's albedo at points (N, T, 3, P); `travel` and `belt` as for `render`."""
    length, width, angle, contrast, checkering, grout, offset = (v[:, None, None] for v in scene.tiles.unbind(-1))
    x, z = points[..., 0, :] + travel[..., :1], points[..., 2, :] + travel[..., 1:]
    row_at = (z * angle.cos() - x * angle.sin()) / width + offset
    row = row_at.floor()
    cell_at = (x * angle.cos() + z * angle.sin()) / length + offset + scatter(row)
    cell = cell_at.floor()
    tone = torch.lerp(scatter(cell, row), (cell + row).remainder(2), checkering) * contrast
    edge = torch.minimum((0.5 - (cell_at - cell - 0.5).abs()) * length, (0.5 - (row_at - row - 0.5).abs()) * width)
    line = grout * (1 - edge / 0.012).clamp(0, 1)
    first, second = scene.floor[:, None, 0, :, None], scene.floor[:, None, 1, :, None]
    colour = torch.lerp(first, second, tone[..., None, :]) * (1 - line)[..., None, :]
    moved, half_width = belt[..., :1], belt[..., 1:]
    lane = ((half_width - points[..., 0, :].abs()) / 0.01).clamp(0, 1)
    band = scatter(((points[..., 2, :] + moved) / 0.45).floor(), offset) * 0.75 + 0.25
    return torch.lerp(colour, second * 0.75 * band[..., None, :], lane[..., None, :])


def wall_colour(rays: Tensor, scene: Scene) -> Tensor:
    """What is seen past floor and figure along rays (N, T, 3, P), linear light."""
    width, contrast, offset = (v[:, None, None] for v in scene.panels.unbind(-1))
    height = ((rays[..., 1, :] + 0.12) / 0.75).clamp(0, 1)
    colour = torch.lerp(scene.wall[:, None, 0, :, None], scene.wall[:, None, 1, :, None], height[..., None, :])
    panel = (torch.atan2(rays[..., 0, :], rays[..., 2, :]) * width / math.pi + offset).floor()
    glow = (rays * scene.glow[:, None, :, None]).sum(-2).clamp(min=0) ** 6
    return colour * ((1 - contrast * scatter(panel, offset)) * (0.72 + 0.5 * glow))[..., None, :]


def shade(
    rays: Tensor, eye: Tensor, start: Tensor, end: Tensor, radius: Tensor, colours: Tensor, travel: Tensor,
    belt: Tensor, scene: Scene,
) -> Tensor:  # fmt: skip
    """The colour that each ray brings back.

    Args:
        rays: (N, T, 3, P), unit. eye: (N, T, 3). start, end: (N, T, K, 3). radius: (N, T, K). colours: (N, T, K, 3).
        travel, belt: (N, T, 2), m, as for `render`.

    Returns:
        (N, T, 3, P), ready for display, in [0, 1].
    """
    figure = (start, end, radius)
    if torch.compiler.is_compiling():
        distance, nearest = capsule_distance(eye, rays, *figure).min(-2)
    else:
        near = may_touch(eye[..., None], rays, *figure, 0.0)
        distance, nearest = torch.full_like(rays[..., 0, :], 1e6), torch.zeros_like(rays[..., 0, :], dtype=torch.long)
        if len(near):
            distance[..., near], nearest[..., near] = capsule_distance(eye, rays[..., near], *figure).min(-2)
    down = rays[..., 1, :].clamp(max=-1e-4)
    to_floor = -eye[..., 1:2] / down
    on_figure = (distance < to_floor)[..., None, :].float()
    distance = torch.minimum(distance, to_floor).clamp(max=60)[..., None, :]
    points = eye[..., None] + rays * distance

    def pick(values: Tensor) -> Tensor:
        return values.transpose(-1, -2).gather(-1, nearest[..., None, :].expand(*nearest.shape[:-1], 3, -1))

    axis, from_start = pick(end - start), points - pick(start)
    share = (from_start * axis).sum(-2, keepdim=True) / (axis * axis).sum(-2, keepdim=True)
    outward = normalise(from_start - axis * share.clamp(0, 1))
    level = torch.tensor([[0.0], [1.0], [0.0]], device=rays.device)
    normals = torch.lerp(level, outward, on_figure)
    floor = floor_colour(points, travel, belt, scene)
    albedo = torch.lerp(floor, pick(colours), on_figure)

    light = scene.light[:, None].expand(eye.shape)
    if torch.compiler.is_compiling():
        lit, openness = shadow_and_contact(points, normals, light, scene.sharpness[:, None], *figure)
    else:
        near = may_touch(points, light[..., None], *figure, NEAR)
        lit, openness = torch.ones_like(distance[..., 0, :]), torch.ones_like(distance[..., 0, :])
        if len(near):
            lit[..., near], openness[..., near] = shadow_and_contact(
                points[..., near], normals[..., near], light, scene.sharpness[:, None], *figure
            )
    lit, openness, light = lit[..., None, :], openness[..., None, :], light[..., None]
    key, sky = scene.key[:, None, :, None], scene.sky[:, None, :, None]
    height, up = points[..., 1:2, :].clamp(min=0), normals[..., 1:2, :]
    facing = ((normals * light).sum(-2, keepdim=True) + 0.08 * on_figure).clamp(min=0)
    grounded = 1 - 0.45 * on_figure * torch.exp(-height * 4)
    bounce = scene.floor[:, None, 0, :, None] * (0.5 - 0.5 * up) * 0.55 * on_figure
    half = normalise(light - rays)
    shine = (normals * half).sum(-2, keepdim=True).clamp(min=0) ** 40 * lit * 0.16
    rim = (1 + (normals * rays).sum(-2, keepdim=True)).clamp(0, 1) ** 4 * 0.22
    colour = albedo * (key * 0.8 * facing * lit + (sky * (0.62 + 0.38 * up) * grounded + bounce) * openness)
    colour = colour + key * 0.5 * (shine + rim * openness) * on_figure

    depth = distance / (7 * scene.scale[:, :, None, None])
    colour = torch.lerp(colour, wall_colour(rays, scene), (1 - on_figure) * (1 - torch.exp(-depth * depth)))
    # Narkowicz's fit of the ACES film curve: https://knarkowicz.wordpress.com/2016/01/06/aces-filmic-tone-mapping-curve/
    colour = colour * 0.9
    colour = (colour * (2.51 * colour + 0.03)) / (colour * (2.43 * colour + 0.59) + 0.14)
    return colour.clamp(1e-5, 1) ** (1 / 2.2)


_compiled = torch.compile(shade, dynamic=False)


class PerFrame(NamedTuple):
    """What changes from frame to frame, as `shade` takes it: N clips, T frames, K capsules."""

    eye: Tensor  # (N, T, 3)
    start: Tensor  # (N, T, K, 3)
    end: Tensor  # (N, T, K, 3)
    radius: Tensor  # (N, T, K)
    colours: Tensor  # (N, T, K, 3)
    travel: Tensor  # (N, T, 2)
    belt: Tensor  # (N, T, 2)


def directions(axes: Tensor, view: Tensor, height: int, width: int) -> Tensor:
    """Unit rays through the pixels' centres, row by row: (N, T, 3, height·width)."""
    y = (1 - (torch.arange(height, device=axes.device) + 0.5) * (2 / height))[:, None].expand(height, width)
    x = ((torch.arange(width, device=axes.device) + 0.5) * (2 / height) - width / height)[None].expand(height, width)
    x, y = (v.reshape(-1) * view[:, :, None, None] for v in (x, y))
    right, up, ahead = (axis[..., None] for axis in axes.unbind(-2))
    return normalise(right * x + up * y + ahead)


def render(
    figure: Capsules,
    travel: Tensor,
    belt: Tensor,
    scene: Scene,
    height: int,
    width: int,
    samples: int = 1,
    compiled: bool = False,
) -> Tensor:
    """Draw the frames.

    Args:
        figure: capsules in the world.
        travel: (N, T, 2), m, how far the floor has moved to the right and to the back.
        belt: (N, T, 2), m, how far the strip under the feet has moved to the back, and half its width, 0 for none.
        height, width: pixels. samples: rays along each edge of a pixel, averaged.
        compiled: on a CPU too, first build a kernel, which takes a minute and a C++ compiler, and then be much faster.

    Returns:
        (N, T, height, width, 3), uint8.
    """
    frames = figure.start.shape[:2]
    colours = scene.palette.gather(1, figure.colour.long()[..., None].expand(-1, -1, 3))
    moving = PerFrame(
        scene.eye,
        figure.start,
        figure.end,
        figure.radius[:, None].expand(*frames, -1),
        colours[:, None].expand(*frames, -1, -1),
        travel,
        belt,
    )
    rays = directions(scene.axes, scene.view, height * samples, width * samples)
    draw = shade
    if compiled or not rays.is_cpu:
        draw, moving = _compiled, padded(moving)
    picture = in_pieces(draw, rays, moving, scene) if rays.is_cpu else draw(rays, *moving, scene)
    picture = picture.view(*frames, 3, height, samples, width, samples).mean((-3, -1))
    return (picture * 255 + 0.5).to(torch.uint8).movedim(2, -1)


def padded(moving: PerFrame) -> PerFrame:
    """With capsules added deep under the floor, up to a number of `PADDED`: few numbers of capsules need few kernels."""
    count = moving.radius.shape[-1]
    more = min(k for k in PADDED if k >= count) - count
    return moving._replace(
        start=pad(moving.start, (0, 0, 0, more), value=-50.0),
        end=pad(moving.end, (0, 0, 0, more), value=-50.1),
        radius=pad(moving.radius, (0, more), value=1e-3),
        colours=pad(moving.colours, (0, 0, 0, more), value=0.0),
    )


def in_pieces(draw: Callable[..., Tensor], rays: Tensor, moving: PerFrame, scene: Scene) -> Tensor:
    """Draw frame by frame, in equal pieces that fit the processor's cache.

    Args:
        draw: `shade`, compiled or not.
        rays, moving, scene: as `shade` takes them.
    """
    clips, frames = rays.shape[:2]
    count = -(-rays.shape[-1] * clips // RAYS_AT_ONCE)
    while rays.shape[-1] % count:
        count += 1
    pictures = []
    for t in range(frames):
        # Copies, because kernels are compiled for the strides too, and a slice of one frame has those of the whole.
        now = PerFrame._make(whole(v[:, t : t + 1]) for v in moving)
        parts = rays[:, t : t + 1].chunk(count, dim=-1)
        pictures.append(torch.cat([draw(whole(part), *now, scene) for part in parts], -1))
    return torch.cat(pictures, 1)


def whole(part: Tensor) -> Tensor:
    """A copy whose numbers lie one after the other."""
    return part.clone(memory_format=torch.contiguous_format)
