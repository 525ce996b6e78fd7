"""A figure of capsules: from a pose to the segments and radii that the renderer draws.

Metres and radians. x runs to the figure's left, y up, z ahead; the floor is y = 0. Every tensor has leading axes
(N clips, T frames); left is index 0 of a pair, right is index 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Number = Tensor | float

SKIN, SHIRT, TROUSERS, SHOES, HAIR, DARK, PROP, PROP_2, WOOD = range(9)

UPPER_ARM, FOREARM, THIGH, SHIN = 0.29, 0.27, 0.44, 0.43
HIP_HALF_WIDTH, SHOULDER_HALF_WIDTH = 0.095, 0.185
TORSO = 0.49
ANKLE_HEIGHT = 0.08
STANDING = ANKLE_HEIGHT + THIGH + SHIN - 0.015


def vec(x: Number, y: Number, z: Number) -> Tensor:
    """Stack three numbers or tensors, broadcast against each other, into vectors (…, 3)."""
    return torch.stack(torch.broadcast_tensors(*(torch.as_tensor(v, dtype=torch.float32) for v in (x, y, z))), -1)


def pair(x: Number, y: Number, z: Number) -> Tensor:
    """A left vector and its mirror image on the right: (…, 2, 3)."""
    return torch.stack((vec(x, y, z), vec(-torch.as_tensor(x), y, z)), -2)


def both(left: Tensor, right: Tensor) -> Tensor:
    """A left and a right vector, broadcast against each other: (…, 2, 3)."""
    return torch.stack(torch.broadcast_tensors(left, right), -2)


def rotation(angles: Tensor) -> Tensor:
    """Rotation matrices from angles.

    Args:
        angles: (…, 3), radians: pitch (positive bends forward), yaw (positive turns left), roll (positive leans right).

    Returns:
        (…, 3, 3) = Ry(yaw) Rx(pitch) Rz(roll), for column vectors.
    """
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(-1), angles.sin().unbind(-1)
    rows = (
        (cy * cz + sy * sx * sz, -cy * sz + sy * sx * cz, sy * cx),
        (cx * sz, cx * cz, -sx),
        (-sy * cz + cy * sx * sz, sy * sz + cy * sx * cz, cy * cx),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def turn(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Rotate vectors (…, k, 3) by matrices (…, 3, 3)."""
    turned: Tensor = vectors @ matrix.transpose(-1, -2)
    return turned


def unit(vector: Tensor) -> Tensor:
    """Vectors (…, 3) of length 1 in the same directions; a vector of zero length stays zero."""
    length: Tensor = vector.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return vector / length


def side_by_side(points: Sequence[Tensor], frames: torch.Size) -> Tensor:
    """K points, each (N, T, 3) or broadcast to it, as one tensor (N, T, K, 3). Args: frames: (N, T)."""
    return torch.stack([point.expand(*frames, 3) for point in points], -2)


def bend_limb(start: Tensor, target: Tensor, pole: Tensor, upper: float, lower: float) -> tuple[Tensor, Tensor]:
    """Two-bone inverse kinematics: where elbow and hand, or knee and ankle, go so that the end is as near its target as it can.

    Args:
        start: (…, 3) shoulder or hip.
        target: (…, 3) wanted place of hand or ankle.
        pole: (…, 3) the direction to which the middle joint points.
        upper, lower: bone lengths, m.

    Returns:
        middle joint and end, (…, 3) each; both bones keep their lengths.
    """
    reach = target - start
    distance = reach.norm(dim=-1, keepdim=True).clamp(abs(upper - lower) + 0.02, upper + lower - 1e-3)
    along = unit(reach)
    to_middle = (upper**2 - lower**2 + distance**2) / (2 * distance)
    side = unit(pole - (pole * along).sum(-1, keepdim=True) * along)
    middle = start + along * to_middle + side * (upper**2 - to_middle**2).clamp(min=0).sqrt()
    return middle, start + along * distance


@dataclass
class Pose:
    """What the figure does at each moment. Every field is (N, T, …) or broadcasts to it.

    `hands` are targets in the chest's frame (origin between the shoulders) unless `hands_in_world`; `feet` are ankle
    targets in the world unless `feet_in_pelvis` (origin at the pelvis). Out of reach, a limb stretches towards its target.
    """

    root: Tensor = field(default_factory=lambda: vec(0.0, STANDING, 0.0))
    facing: Tensor = field(default_factory=lambda: vec(0.0, 0.0, 0.0))
    spine: Tensor = field(default_factory=lambda: vec(0.0, 0.0, 0.0))
    head: Tensor = field(default_factory=lambda: vec(0.0, 0.0, 0.0))
    hands: Tensor = field(default_factory=lambda: pair(0.25, -0.53, 0.04))
    feet: Tensor = field(default_factory=lambda: pair(0.11, ANKLE_HEIGHT, 0.0))
    elbows: Tensor = field(default_factory=lambda: pair(0.5, -0.3, -1.0))
    knees: Tensor = field(default_factory=lambda: pair(0.12, 0.0, 1.0))
    hands_in_world: bool = False
    feet_in_pelvis: bool = False


@dataclass
class Joints:
    """Where the joints are, in the world: (N, T, 3), or (N, T, 2, 3) for those that come in pairs."""

    pelvis: Tensor
    chest: Tensor
    head: Tensor
    hips: Tensor
    knees: Tensor
    ankles: Tensor
    toes: Tensor
    shoulders: Tensor
    elbows: Tensor
    hands: Tensor
    pelvis_turn: Tensor
    chest_turn: Tensor
    head_turn: Tensor


@dataclass
class Capsules:
    """Rounded segments.

    `start`, `end`: (N, T, K, 3), m; `radius`: (N, K), m; `colour`: (N, K), an index into the scene's palette.
    """

    start: Tensor
    end: Tensor
    radius: Tensor
    colour: Tensor


# What the figure holds or stands at, one capsule: start and end (N, T, 3), radius, an index into the palette.
Segment = tuple[Tensor, Tensor, float, int]


def solve(pose: Pose, frames: torch.Size) -> Joints:
    """Place every joint.

    Args:
        pose: what the figure does.
        frames: (N, T), to which the pose's fields are broadcast.
    """
    root, facing, spine, head = (x.expand(*frames, 3) for x in (pose.root, pose.facing, pose.spine, pose.head))
    hands, feet, elbows, knees = (x.expand(*frames, 2, 3) for x in (pose.hands, pose.feet, pose.elbows, pose.knees))
    pelvis_turn = rotation(facing)
    chest_turn = pelvis_turn @ rotation(spine)
    head_turn = chest_turn @ rotation(head)

    def at(origin: Tensor, matrix: Tensor, offsets: Tensor) -> Tensor:
        return origin[..., None, :] + turn(matrix, offsets.to(origin))

    # The spine bends in its middle: half of the torso follows the pelvis, half the chest.
    waist = at(root, pelvis_turn, vec(0, TORSO * 0.42, 0)[None])[..., 0, :]
    chest = at(waist, chest_turn, vec(0, TORSO * 0.58, 0)[None])[..., 0, :]
    neck = at(chest, chest_turn, vec(0, 0.10, 0)[None])[..., 0, :]
    skull = at(neck, head_turn, vec(0, 0.125, 0.025)[None])[..., 0, :]
    hips = at(root, pelvis_turn, pair(HIP_HALF_WIDTH, -0.02, 0))
    shoulders = at(chest, chest_turn, pair(SHOULDER_HALF_WIDTH, 0, 0))

    hand_targets = hands if pose.hands_in_world else at(chest, chest_turn, hands)
    elbow, hand = bend_limb(shoulders, hand_targets, turn(chest_turn, elbows), UPPER_ARM, FOREARM)
    foot_targets = at(root, pelvis_turn, feet) if pose.feet_in_pelvis else feet
    knee_pole = turn(pelvis_turn, knees)
    knee, ankle = bend_limb(hips, foot_targets, knee_pole, THIGH, SHIN)

    shin = unit(ankle - knee)
    ahead = unit(knee_pole - (knee_pole * shin).sum(-1, keepdim=True) * shin)
    level = knee_pole * torch.tensor([1.0, 0.0, 1.0]).to(root)
    # A foot near the floor lies flat on it, unless the knees point at the floor as they do in a push-up.
    flat = ((0.24 - ankle[..., 1:2]) / 0.1).clamp(0, 1) * (level.norm(dim=-1, keepdim=True) * 3 - 1).clamp(0, 1)
    toes = ankle + unit(torch.lerp(unit(ahead + 0.35 * shin), unit(level), flat)) * 0.15
    toes = torch.cat((toes[..., :1], torch.lerp(toes[..., 1:2], toes[..., 1:2] - 0.03, flat), toes[..., 2:]), -1)
    return Joints(
        root, chest, skull, hips, knee, ankle, toes, shoulders, elbow, hand, pelvis_turn, chest_turn, head_turn
    )


def flesh(joints: Joints, build: Tensor, sleeves: Tensor, socks: Tensor) -> Capsules:
    """Clothe the joints in capsules.

    Args:
        joints: from `solve`.
        build: (N, 1), 1 for an average figure: scales the radii.
        sleeves, socks: (N, 1) palette indices of the forearms and of the shins.
    """
    j, frames = joints, joints.pelvis.shape[:-1]

    def on(origin: Tensor, matrix: Tensor, x: float, y: float, z: float) -> Tensor:
        return origin + turn(matrix, vec(x, y, z)[None].to(origin))[..., 0, :]

    belly = on(j.pelvis, j.pelvis_turn, 0, 0.2, 0.01)
    palms = j.hands + unit(j.hands - j.elbows) * 0.06
    parts: list[tuple[Tensor, Tensor, float, int | Tensor]] = [
        (on(j.pelvis, j.pelvis_turn, 0.06, 0, 0), on(j.pelvis, j.pelvis_turn, -0.06, 0, 0), 0.115, TROUSERS),
        (on(j.pelvis, j.pelvis_turn, 0, 0.05, 0), belly, 0.118, SHIRT),
        (belly, on(j.chest, j.chest_turn, 0, -0.14, 0.01), 0.125, SHIRT),
        (on(j.chest, j.chest_turn, 0.09, -0.1, 0), on(j.chest, j.chest_turn, -0.09, -0.1, 0), 0.125, SHIRT),
        (on(j.chest, j.chest_turn, 0.15, -0.005, 0), on(j.chest, j.chest_turn, -0.15, -0.005, 0), 0.072, SHIRT),
        (j.chest, on(j.head, j.head_turn, 0, -0.05, -0.02), 0.052, SKIN),
        (on(j.head, j.head_turn, 0, -0.035, 0.012), on(j.head, j.head_turn, 0, 0.035, 0), 0.092, SKIN),
        (on(j.head, j.head_turn, 0, 0.03, -0.035), on(j.head, j.head_turn, 0, 0.055, -0.012), 0.1, HAIR),
        (on(j.head, j.head_turn, 0, -0.01, 0.095), on(j.head, j.head_turn, 0, -0.03, 0.102), 0.017, SKIN),
        (on(j.head, j.head_turn, 0.034, 0.014, 0.088), on(j.head, j.head_turn, 0.034, 0.02, 0.087), 0.014, DARK),
        (on(j.head, j.head_turn, -0.034, 0.014, 0.088), on(j.head, j.head_turn, -0.034, 0.02, 0.087), 0.014, DARK),
    ]
    for side in (0, 1):
        parts += [
            (j.shoulders[..., side, :], j.elbows[..., side, :], 0.052, SHIRT),
            (j.elbows[..., side, :], j.hands[..., side, :], 0.041, sleeves),
            (j.hands[..., side, :], palms[..., side, :], 0.045, SKIN),
            (j.hips[..., side, :], j.knees[..., side, :], 0.082, TROUSERS),
            (j.knees[..., side, :], j.ankles[..., side, :], 0.056, socks),
            (j.ankles[..., side, :], j.toes[..., side, :], 0.05, SHOES),
        ]
    start, end = side_by_side([part[0] for part in parts], frames), side_by_side([part[1] for part in parts], frames)
    # Head, face, hands and feet do not grow with the waist.
    grows = torch.tensor([isinstance(part[3], Tensor) or part[3] in (SHIRT, TROUSERS) for part in parts])
    radius = torch.tensor([part[2] for part in parts]).to(start) * torch.where(grows.to(start.device), build, 1.0)
    colour = torch.cat(
        [torch.full_like(sleeves, part[3]) if isinstance(part[3], int) else part[3] for part in parts], -1
    )
    return Capsules(start, end, radius, colour)
