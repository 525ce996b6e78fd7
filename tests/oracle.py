"""The oracle: transformers' ViViT with random weights, and ways to hand those weights to ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import torch
import transformers
from torch import nn


class Tolerance(TypedDict):
    """How far two numbers may lie apart, as `torch.testing.assert_close` and NumPy's take it."""

    rtol: float
    atol: float


# Float32 in another order of operations: some 1e-6 at values of about 1.
EXACT: Tolerance = {"rtol": 1e-5, "atol": 1e-5}

# 4 × (3, 5) tubelets of 2 × 8 × 4, not square in any direction; an odd number of heads of an odd width.
TINY: dict[str, Any] = {
    "image_size": [24, 20],
    "num_frames": 8,
    "tubelet_size": [2, 8, 4],
    "hidden_size": 35,
    "num_hidden_layers": 3,
    "num_attention_heads": 5,
    "intermediate_size": 44,
    "num_labels": 7,
}


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Weights at the scale of trained ones, and nothing left at 0 or 1 where a fault could hide.

    Every parameter has a standard deviation of 0.1, so that the signal of a tiny layer does not vanish; LayerNorm weights lie
    about 1, everything else about 0.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(std=0.1, generator=generator)
            if "layernorm" in name and name.endswith("weight"):
                parameter.add_(1)


def reference(
    kind: str = "VivitForVideoClassification", seed: int = 0, attention: str = "eager", **changes: Any
) -> Any:
    """A tiny random model of transformers, in evaluation mode.

    Args:
        kind: the class.
        seed: of the weights.
        attention: its `attn_implementation`.
        changes: to the config `TINY`.
    """
    config = transformers.VivitConfig(**TINY | changes)
    config._attn_implementation = attention
    model = getattr(transformers, kind)(config)
    randomise(model, seed)
    return model.eval()


def save(folder: Path, kind: str = "VivitForVideoClassification", **options: Any) -> Any:
    """Write a tiny checkpoint with transformers, with an image processor that fits it, and return its model."""
    model = reference(kind, **options)
    model.save_pretrained(folder)
    height, width = model.config.image_size
    transformers.VivitImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": height, "width": width}
    ).save_pretrained(folder)
    return model


def said_of(name: str) -> Callable[[str], str]:
    """What `assert_close` takes as `msg`: its own message, with `name` before it."""
    return lambda text: f"{name}: {text}"


def gradient(parameter: nn.Parameter) -> torch.Tensor:
    """What a backward pass has left at a parameter that took part."""
    assert parameter.grad is not None
    return parameter.grad


def clip(config: Any, batch: int = 2, seed: int = 0) -> torch.Tensor:
    """Random `pixel_values` of the size that a config wants, (B, T, C, H, W) float32 of about unit scale."""
    size = config.image_size
    height, width = (size, size) if isinstance(size, int) else size
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, config.num_frames, config.num_channels, height, width, generator=generator)
