"""From a label and a seed to frames, and from frames to a video file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mannequin.actions import BY_LABEL
from mannequin.body import Capsules, Segment, flesh, side_by_side, solve, vec
from mannequin.novel import NOVEL
from mannequin.render import render
from mannequin.scene import Scene, clip_lengths, draws, make_scene

LANE_HALF_WIDTH = 0.42


def frame_times(numbers: Tensor, num_frames: int, fps: float) -> Tensor:
    """When a reader that spreads `num_frames` evenly over a clip of `fps` frames per second finds them.

    Args:
        numbers: (N, …), from `draws`; they decide how long each clip lasts.

    Returns:
        (N, num_frames), seconds.
    """
    total = (clip_lengths(numbers) * fps).round()
    share = torch.arange(num_frames, device=numbers.device) / (num_frames - 1)
    return (share * (total - 1) + 0.5).floor() / fps


def perform(label: str, numbers: Tensor, seconds: Tensor) -> tuple[Capsules, Tensor, Tensor, Scene]:
    """Move the figure through an action.

    Args:
        label: one of `actions.LABELS`, or of `NOVEL`.
        numbers: (N, NUM_DRAWS), from `draws`.
        seconds: (N, T).

    Returns:
        figure, travel, belt and scene, as `render` takes them.
    """
    action = BY_LABEL.get(label) or NOVEL[label]
    scene = make_scene(numbers, seconds, action.centre, action.radius)
    phase = action.clock(seconds, scene.traits)
    joints = solve(action.pose(phase, scene.traits), phase.shape)
    body = flesh(joints, scene.build, scene.sleeves, scene.socks)
    if action.rolls:
        body = on_the_floor(body)
    if action.props:
        body = with_props(body, action.props(phase, joints, scene.traits))
    flip = torch.stack((scene.mirror, torch.ones_like(scene.mirror), torch.ones_like(scene.mirror)), -1)[:, :, None]
    scale = scene.scale[..., None, None]
    figure = Capsules(body.start * flip * scale, body.end * flip * scale, body.radius * scene.scale, body.colour)
    stride = torch.tensor(action.stride).to(phase) * scene.scale[..., None]
    travel = phase[..., None] * stride * flip[:, :, 0, :2]
    moved = travel[..., 1] + (action.belt or 0.0) * phase * scene.scale
    half_width = scene.scale.expand_as(moved) * (0.0 if action.belt is None else LANE_HALF_WIDTH)
    belt = torch.stack((moved, half_width), -1)
    return figure, travel, belt, scene


def on_the_floor(body: Capsules) -> Capsules:
    """Lowered or lifted in each frame until its lowest part touches the floor."""
    lowest = (torch.minimum(body.start[..., 1], body.end[..., 1]) - body.radius[:, None]).amin(-1)
    down = vec(0.0, lowest, 0.0)[..., None, :]
    return replace(body, start=body.start - down, end=body.end - down)


def with_props(body: Capsules, props: Sequence[Segment]) -> Capsules:
    """The figure with what it holds or stands at."""
    clips, frames = len(body.start), body.start.shape[:2]
    numbers = torch.tensor([prop[2:] for prop in props]).to(body.radius)
    return Capsules(
        start=torch.cat((body.start, side_by_side([prop[0] for prop in props], frames)), -2),
        end=torch.cat((body.end, side_by_side([prop[1] for prop in props], frames)), -2),
        radius=torch.cat((body.radius, numbers[:, 0].expand(clips, -1)), -1),
        colour=torch.cat((body.colour, numbers[:, 1].expand(clips, -1)), -1),
    )


def on_device(value: Any, device: torch.device) -> Any:
    """Tensors, and dataclasses and tuples of them, on another device."""
    if isinstance(value, Tensor):
        # Pinned for CUDA, so that the copy need not wait for what the accelerator is doing.
        return value.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else value.to(device)
    if isinstance(value, tuple):
        return tuple(on_device(v, device) for v in value)
    return replace(value, **{f.name: on_device(getattr(value, f.name), device) for f in fields(value)})


def render_clips(
    label: str,
    seeds: Sequence[int],
    seconds: Tensor,
    height: int,
    width: int,
    samples: int = 1,
    device: str | torch.device = "cpu",
    compiled: bool = False,
) -> Tensor:
    """Frames of one action, one clip per seed.

    Args:
        seconds: (N, T), when the frames are taken.
        height, width: pixels. samples: rays along each edge of a pixel.
        compiled: as for `render`.
        device: where the rays are cast; the figure is moved on the CPU, where so little work is done sooner.

    Returns:
        (N, T, height, width, 3), uint8.
    """
    figure, travel, belt, scene = on_device(perform(label, draws(seeds), seconds), torch.device(device))
    return render(figure, travel, belt, scene, height, width, samples, compiled)


def write_video(path: str | Path, frames: Tensor, fps: float, crf: int = 23, preset: str = "veryfast") -> None:
    """Write frames (T, H, W, 3), uint8, even sides, as H.264 in MP4 that a browser can start before all has arrived.

    Args:
        crf: x264's quality, lower is better. preset: x264's effort.
    """
    from fractions import Fraction

    import av

    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.options = {"crf": str(crf), "preset": preset}
        for frame in frames.numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
