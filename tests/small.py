"""A checkpoint that reads small clips and is written in a moment, for tests of what is around a model."""

from pathlib import Path
from typing import Any

import torch

from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor

SMALL = {
    "image_size": 32,
    "num_frames": 4,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def save_small(folder: Path, shortest_edge: int = 32, **changes: Any) -> Path:
    """Write a checkpoint of random weights, always the same, with its processor; returns its folder.

    Args:
        folder: to write to; made if it is not there.
        shortest_edge: of a resized frame, in pixels.
        changes: to `SMALL`.
    """
    torch.manual_seed(0)
    VivitForVideoClassification(VivitConfig(**SMALL | changes)).save_pretrained(folder)
    crop = {"height": 32, "width": 32}
    VivitImageProcessor(size={"shortest_edge": shortest_edge}, crop_size=crop).save_pretrained(folder)
    return folder
