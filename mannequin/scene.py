"""Everything around the action that a seed decides: body, clothes, light, camera, floor, background, pace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mannequin.body import vec
from mannequin.clocks import Traits

NUM_DRAWS = 80
SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 8.0

SKINS = ("f1c9a5", "e0ac82", "c98f62", "a8703f", "85522f", "5f3a22", "f5d5bd", "d39b76")
SHIRTS = (
    "d94f3d", "f2a541", "3d7ea6", "2a9d8f", "e9e4d8", "6c5b9b", "c3447a", "4c9f50", "27496d", "f4d35e", "8ecae6",
    "3c3c48", "b5651d", "ef8d9c",
)  # fmt: skip
TROUSERS = ("2b2d42", "3f4e6b", "5b4b3a", "7c7f8a", "26453e", "8a5a44", "4a3458", "c2b8a3", "1f1f24", "345995")
SHOE_COLOURS = ("f4f1ea", "22223b", "c8553d", "3a7d44", "e3b23c")
HAIRS = ("1b1412", "3b2417", "6b4226", "a6763d", "d9b56d", "8d8d92", "7a2e1d", "101318")
PROPS = ("e76f51", "f4a261", "e9c46a", "2a9d8f", "457b9d", "9b5de5", "ef476f", "f8f4e3")
METALS = ("c9ced6", "8d99ae", "3a3f4b", "d8b26a", "a44a3f")
# Wall at the bottom, wall at the top, floor, the floor's other tone.
ROOMS = (
    ("e7ddcf", "b9c4c9", "c9b091", "a98c6c"),
    ("cfd8dc", "8fa3ad", "9aa7ad", "7c8a92"),
    ("f0d9c8", "d49a86", "b98672", "96664f"),
    ("c7d9d3", "6f9c97", "a8bfae", "7d9c8a"),
    ("d9d3e6", "8c82ad", "9d95b3", "776f92"),
    ("2f3648", "171b28", "59627a", "3e465c"),
    ("f4e8c9", "d9b66a", "c9a35f", "a37f42"),
    ("dfe7ee", "a4bfd6", "c4b7a6", "9f917f"),
    ("3a2c33", "1d151b", "7b5a55", "58403e"),
    ("e4e4e0", "c2c2bd", "8e8e88", "6d6d68"),
    ("bcd0e6", "5b83b3", "7f9d6b", "5f7f50"),
    ("1f3b3d", "0f2022", "4f7772", "365855"),
    ("f2cfd2", "c98a9b", "caa7a0", "a8817c"),
    ("d6e2c4", "9ab07c", "b79f77", "94805c"),
)


@dataclass
class Scene:
    """What surrounds the action. N clips, T frames; colours are linear light; lengths in m.

    `traits` say how the figure does what it does; `seconds` (N, T) when each frame is taken.
    `scale` (N, 1) of the whole figure; `build` (N, 1) of its girth; `mirror` (N, 1) is -1 where left and right swap;
    `sleeves`, `socks` (N, 1) palette indices; `palette` (N, 9, 3).
    `eye` (N, T, 3) and `axes` (N, T, 3, 3: right, up, ahead) are the camera; `view` (N, 1) is the tangent of half its
    vertical field of view.
    `light` (N, 3) points to the key light; `key`, `sky` (N, 3) are strengths; `sharpness` (N, 1) is that of the shadows.
    `wall` (N, 2, 3) bottom and top; `glow` (N, 3) a direction; `panels` (N, 3): width, contrast, offset.
    `floor` (N, 2, 3) two tones; `tiles` (N, 7): length, width, angle, contrast, checkering, grout, offset.
    """

    traits: Traits
    seconds: Tensor
    scale: Tensor
    build: Tensor
    mirror: Tensor
    sleeves: Tensor
    socks: Tensor
    palette: Tensor
    eye: Tensor
    axes: Tensor
    view: Tensor
    light: Tensor
    key: Tensor
    sky: Tensor
    sharpness: Tensor
    wall: Tensor
    glow: Tensor
    panels: Tensor
    floor: Tensor
    tiles: Tensor


def linear(colours: Sequence[str]) -> Tensor:
    """'rrggbb' strings → linear light (len, 3)."""
    srgb = torch.tensor([[int(c[i : i + 2], 16) / 255 for i in (0, 2, 4)] for c in colours])
    return srgb**2.2


class Dice:
    """Hands out columns of uniform numbers, so that each draw of a scene is one line. Args: numbers: as from `draws`."""

    def __init__(self, numbers: Tensor):
        self.numbers = numbers
        self.column = 0

    def unit(self) -> Tensor:
        self.column += 1
        return self.numbers[:, self.column - 1 : self.column]

    def between(self, low: float, high: float) -> Tensor:
        return low + (high - low) * self.unit()

    def choose(self, table: Tensor) -> Tensor:
        """One row of the table per clip: (N, …)."""
        index = (self.unit()[:, 0] * len(table)).long().clamp(max=len(table) - 1)
        return table.to(self.numbers)[index]


def draws(seeds: Sequence[int]) -> Tensor:
    """The uniform numbers that decide everything about a clip: (N, NUM_DRAWS) in [0, 1), each row from its own seed."""
    return torch.stack([torch.rand(NUM_DRAWS, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def clip_lengths(numbers: Tensor) -> Tensor:
    """How long each clip lasts, seconds: (N, 1)."""
    return SHORTEST_SECONDS + (LONGEST_SECONDS - SHORTEST_SECONDS) * numbers[:, -1:]


def make_scene(numbers: Tensor, seconds: Tensor, centre: float, radius: float) -> Scene:
    """Turn uniform numbers into a scene.

    Args:
        numbers: (N, NUM_DRAWS), from `draws`.
        seconds: (N, T), when the frames are taken; only the camera's shake depends on them.
        centre, radius: m, the height to look at and how much around it to show.
    """
    d = Dice(numbers)
    traits = Traits(phase=d.unit(), rate=d.unit(), size=d.between(0.86, 1.06), style=d.unit())
    scale, build = d.between(0.88, 1.08), d.between(0.85, 1.22)
    mirror = torch.where(d.unit() < 0.5, -1.0, 1.0)
    sleeves = torch.where(d.unit() < 0.6, 0.0, 1.0)
    socks = torch.where(d.unit() < 0.3, 0.0, 2.0)

    def vary(colours: Tensor, amount: float) -> Tensor:
        return colours * torch.exp(torch.cat([d.between(-amount, amount) for _ in range(3)], -1))

    skin, shirt = vary(d.choose(linear(SKINS)), 0.08), vary(d.choose(linear(SHIRTS)), 0.3)
    trousers, shoes = vary(d.choose(linear(TROUSERS)), 0.25), d.choose(linear(SHOE_COLOURS))
    hair, prop = d.choose(linear(HAIRS)), vary(d.choose(linear(PROPS)), 0.25)
    metal, dark = d.choose(linear(METALS)), linear(("15151a",)).to(numbers).expand_as(skin)
    wood = linear(("9a6b3f",)).to(numbers).expand_as(skin)
    palette = torch.stack((skin, shirt, trousers, shoes, hair, dark, prop, metal, wood), 1)

    # The camera stands anywhere but behind the figure's back, and its hand is not quite still.
    azimuth, elevation = d.between(-1.9, 1.9), d.between(0.04, 0.5)
    view = torch.tan(d.between(0.26, 0.4))
    distance = radius * scale * d.between(0.9, 1.15) / view
    shake = [0.012 * d.unit() * torch.sin(seconds * d.between(2, 9) + d.between(0, 6.28)) for _ in range(3)]
    target = vec(
        radius * d.between(-0.08, 0.08) + radius * shake[0],
        centre * scale + radius * d.between(-0.05, 0.05) + radius * shake[1],
        radius * d.between(-0.08, 0.08) + radius * shake[2],
    )
    outward = vec(azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos())
    eye = target + outward * distance[..., None]
    eye[..., 1] = eye[..., 1].clamp(min=0.12)
    ahead = torch.nn.functional.normalize(target - eye, dim=-1)
    tilt = d.between(-0.035, 0.035)
    right = torch.nn.functional.normalize(
        torch.linalg.cross(ahead, vec(tilt.sin(), tilt.cos(), 0.0).expand_as(ahead)), dim=-1
    )
    axes = torch.stack((right, torch.linalg.cross(right, ahead), ahead), -2)

    light_azimuth, light_elevation = azimuth + d.between(-1.4, 1.4), d.between(0.6, 1.2)
    light = vec(
        light_azimuth.sin() * light_elevation.cos(), light_elevation.sin(), light_azimuth.cos() * light_elevation.cos()
    )[:, 0]
    warmth = d.between(-0.14, 0.14)
    key = torch.cat((1 + warmth, torch.ones_like(warmth), 1 - warmth), -1) * d.between(1.5, 2.4)
    sky = torch.cat((1 - warmth * 0.7, torch.ones_like(warmth), 1 + warmth * 0.7), -1) * d.between(0.42, 0.75)

    room = d.choose(torch.stack([linear(colours) for colours in ROOMS]))
    room = room * torch.exp(d.between(-0.2, 0.2))[..., None]
    glow = torch.nn.functional.normalize(
        -outward[:, 0] + vec(d.between(-0.5, 0.5), d.between(0, 0.5), d.between(-0.5, 0.5))[:, 0], dim=-1
    )
    panels = torch.cat((d.between(3, 14).floor(), d.between(-0.12, 0.24).clamp(min=0), d.between(0, 50)), -1)
    shape = d.unit()
    tiles = torch.cat(
        (
            torch.where(shape < 0.5, d.between(0.35, 0.9), d.between(1.0, 2.0)),
            torch.where(shape < 0.5, d.between(0.35, 0.9), d.between(0.16, 0.35)),
            d.between(0, math.pi),
            d.between(0.45, 1.0),
            d.between(-0.4, 0.6).clamp(min=0),
            d.between(0.0, 0.4),
            d.between(0, 40),
        ),
        -1,
    )
    return Scene(
        traits, seconds, scale, build, mirror, sleeves, socks, palette, eye, axes, view, light, key, sky,
        d.between(4, 11), room[:, :2], glow, panels, room[:, 2:], tiles,
    )  # fmt: skip
