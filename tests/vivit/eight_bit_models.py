"""Models in 8 bit, ours and those of transformers with bitsandbytes, and how near they are."""

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import BitsAndBytesConfig

from tests import oracle
from tests.vivit.checkpoint.folders import rewrite, tensors_of
from vivit.checkpoint.layout import published_name, published_tensors
from vivit.eight_bit import Int8Linear

# transformers 5.23 means to keep the head, and does not find it: the model's last parameter is a bias.
KEPT = ["classifier", "pooler"]


def theirs_of(folder: Path, kind: str = "VivitForVideoClassification", **options: Any) -> Any:
    return getattr(transformers, kind).from_pretrained(folder, device_map="cpu", **options)


def in_8_bit(folder: Path, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=KEPT, **options)
    return theirs_of(folder, quantization_config=config, dtype=dtype)


def layers(model: nn.Module) -> list[Int8Linear]:
    return [module for module in model.modules() if isinstance(module, Int8Linear)]


def logits(model: Any, pixel_values: Tensor | None = None) -> Tensor:
    with torch.inference_mode():
        found: Tensor = model(
            oracle.clip(model.config).to(model.dtype) if pixel_values is None else pixel_values
        ).logits
    return found


def agree(ours: Any, theirs: Any, of: str = "logits") -> None:
    """Whole answers to some clips, with the same whole numbers in every product.

    The same weights in another order of operations are off by some 1e-6. Where that tips a number over to the next of
    int8, what follows is off by a step of the largest number there / 127: by chance in some clips, by a fault in all.
    """
    differences = []
    for seed in range(8):
        pixel_values = oracle.clip(ours.config, batch=1, seed=seed)
        with torch.inference_mode():
            mine, wanted = (getattr(model(pixel_values), of) for model in (ours, theirs))
        differences.append((mine - wanted).abs().max().item())
    assert sorted(differences)[3] <= 1e-5 and max(differences) <= 5e-2, differences


def same_weights(ours: Any, theirs: Any) -> None:
    """Whole matrices and scales, bit by bit, by their published names."""
    wanted = {published_name(name): tensor for name, tensor in theirs.state_dict().items() if "format" not in name}
    mine = published_tensors(ours)
    assert mine.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert tensor.dtype == mine[name].dtype and torch.equal(mine[name], tensor), name


def write_with_large_numbers(where: Path) -> Path:
    """A tiny classifier whose layers see large numbers, each of them in its own columns."""
    oracle.save(where)
    tensors = tensors_of(where)
    for name, tensor in tensors.items():
        if "layernorm_" in name and name.endswith("weight"):
            tensor[::5] *= 6
        if "value.weight" in name or "intermediate.dense.weight" in name:
            tensor[::7] *= 12
    rewrite(where, tensors)
    return where
