"""Tiny checkpoints of the paper's four models in folders: random weights, and quick."""

from pathlib import Path

import torch

from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor
from vivit.names import FACTORIZATIONS

LABELS = {0: "waltz", 1: "tango", 2: "polka"}


def write_four(folder: Path, *, side: int = 32) -> dict[str, Path]:
    """A checkpoint of each model, alike in shape. Args: side: of a picture, in pixels. Returns: factorisation → its folder."""
    return {name: write_one(folder / f"tiny-{name}", name, side=side) for name in FACTORIZATIONS}


def write_one(folder: Path, factorization: str, *, side: int = 32) -> Path:
    torch.manual_seed(0)
    config = VivitConfig(
        image_size=side,
        num_frames=4,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        num_temporal_layers=1,
        id2label=LABELS,
        factorization=factorization,
    )
    VivitForVideoClassification(config).save_pretrained(folder)
    VivitImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side}).save_pretrained(folder)
    return folder
