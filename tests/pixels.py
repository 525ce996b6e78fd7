"""The pixels of transformers' classes that need torchvision, by the formulas of their sources.

Source: transformers 5.23, `TorchvisionBackend` in `image_processing_backends.py` and the two classes in `models/*/`;
torchvision 0.24, `resize` with antialias, which on CPUs without its own kernel for bytes is `torch.nn.functional.interpolate`.
"""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers.image_utils import PILImageResampling
from transformers.utils.constants import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD

MODES = {2: "bilinear", 3: "bicubic"}


def class_defaults(model: str, name: str) -> dict[str, Any]:
    """What a class of transformers states in its body, read from its source, since it cannot be imported here."""
    source = Path(transformers.__file__).parent / "models" / model / f"video_processing_{model}.py"
    names = {
        "IMAGENET_STANDARD_MEAN": IMAGENET_STANDARD_MEAN,
        "IMAGENET_STANDARD_STD": IMAGENET_STANDARD_STD,
        "PILImageResampling": PILImageResampling,
    }
    (body,) = [n.body for n in ast.parse(source.read_text()).body if isinstance(n, ast.ClassDef) and n.name == name]
    stated = [n for n in body if isinstance(n, ast.Assign)]
    return {n.targets[0].id: eval(compile(ast.Expression(n.value), "", "eval"), names) for n in stated}  # type: ignore[attr-defined]


def video_pixels(name: str, frames: list[np.ndarray], **stated: Any) -> np.ndarray:
    """`pixel_values` of 'VivitVideoProcessor' or 'VideoMAEVideoProcessor'.

    Args:
        frames: (H, W, 3) uint8, all of one size.
        stated: what the processor's file states.

    Returns:
        (1, T, 3, H, W) float32.
    """
    model = name.removesuffix("VideoProcessor").lower()
    options = class_defaults(model, name) | stated
    video = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
    if options["do_resize"]:
        video = _resize(video, options["size"], int(options["resample"]))
    if options["do_center_crop"]:
        video = _crop(video, options["crop_size"])
    mean, std = (torch.tensor(options[k])[:, None, None] for k in ("image_mean", "image_std"))
    factor = options["rescale_factor"]
    pixels = video.float()
    if model == "vivit":
        if options["do_rescale"]:
            pixels = pixels * factor - 1
        if options["do_normalize"]:
            pixels = (pixels - mean) / std
    elif options["do_rescale"] and options["do_normalize"]:
        pixels = (pixels - mean * (1 / factor)) / (std * (1 / factor))
    elif options["do_normalize"]:
        pixels = (pixels - mean) / std
    elif options["do_rescale"]:
        pixels = pixels * factor
    return pixels[None].numpy()


def _resize(video: torch.Tensor, size: dict[str, int], resample: int) -> torch.Tensor:
    height, width = video.shape[-2:]
    if "shortest_edge" in size:
        short, long = size["shortest_edge"], int(size["shortest_edge"] * max(height, width) / min(height, width))
        new = (long, short) if width <= height else (short, long)
    else:
        new = (size["height"], size["width"])
    if new == (height, width):
        return video
    if resample == 3:  # on a CPU torchvision hands bytes to torch as they are
        return F.interpolate(video, size=new, mode="bicubic", antialias=True)
    return F.interpolate(video.float(), size=new, mode=MODES[resample], antialias=True).round().to(torch.uint8)


def _crop(video: torch.Tensor, size: dict[str, int]) -> torch.Tensor:
    missing = [max(0, size[side] - length) for side, length in zip(("height", "width"), video.shape[-2:], strict=True)]
    left, top, right, bottom = missing[1] // 2, missing[0] // 2, (missing[1] + 1) // 2, (missing[0] + 1) // 2
    video = F.pad(video, (left, right, top, bottom))
    y, x = int((video.shape[-2] - size["height"]) / 2.0), int((video.shape[-1] - size["width"]) / 2.0)
    return video[..., y : y + size["height"], x : x + size["width"]]
