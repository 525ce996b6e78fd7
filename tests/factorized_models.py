"""Small models of each kind with random weights and no two sizes alike, and what the reference answers in their place."""

from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor

from tests import factorized, oracle
from vivit import VivitConfig, VivitForVideoClassification
from vivit.checkpoint.layout import published_tensors

# 6 × (3, 5) tubelets: no two sizes alike, nor any of them like the heads, their width (9 or 18) or the layers.
TINY = oracle.TINY | {"num_frames": 12, "hidden_size": 36, "num_attention_heads": 4, "num_temporal_layers": 2}
KINDS = ("none", "encoder", "self_attention", "dot_product")
NEW = KINDS[1:]
ORDERED = [*((kind, "time_space") for kind in KINDS), ("self_attention", "space_time")]
RUN_ON_CPU = ("eager", "sdpa", "sdpa-math", "sdpa-flash")
FLOAT32: oracle.Tolerance = {
    "rtol": 1e-5,
    "atol": 1e-5,
}  # sums of some 40 terms of about 1, through three to five layers
FLOAT64: oracle.Tolerance = {"rtol": 1e-12, "atol": 1e-12}

load = VivitForVideoClassification.from_pretrained


def config_of(kind: str, **changes: Any) -> VivitConfig:
    return VivitConfig(**TINY | {"factorization": kind} | changes)


def randomise(model: Any, seed: int = 0) -> Any:
    """As the oracle's weights, by the names on disk: no bias, position, [CLS] or LayerNorm is left at 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in sorted(published_tensors(model).items()):
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1 + ("norm" in name and "weight" in name))
    return model.eval()


def made(kind: str, attention: str = "eager", **changes: Any) -> Any:
    """A classifier with random weights."""
    return randomise(VivitForVideoClassification(config_of(kind, **changes), attn_implementation=attention))


def wanted_of(model: Any, pixel_values: Tensor, config: VivitConfig | None = None) -> factorized.Answer:
    tensors = {name.removeprefix("vivit."): tensor for name, tensor in published_tensors(model).items()}
    return factorized.answer(tensors, config or model.config, pixel_values)


def logits_of(model: Any, pixel_values: Tensor | None = None, **options: Any) -> Tensor:
    with torch.no_grad():
        output = model(oracle.clip(model.config) if pixel_values is None else pixel_values, **options)
    logits: Tensor = output.logits
    return logits


def flat(values: Any) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else [tensor for value in values for tensor in flat(value)]


def same(mine: Any, wanted: Any, dtype: torch.dtype, **tolerance: Unpack[oracle.Tolerance]) -> None:
    """Tensors or nested tuples of them: as many, of one shape, of the dtype, and near."""
    assert isinstance(mine, Tensor) == isinstance(wanted, Tensor)
    if isinstance(mine, Tensor):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine.double(), wanted, **tolerance)
        return
    assert isinstance(mine, tuple)
    for one, other in zip(mine, wanted, strict=True):
        same(one, other, dtype, **tolerance)


def write_kinds(where: Path) -> dict[str, Path]:
    """A checkpoint of each kind. Returns: factorization → its folder."""
    for kind in KINDS:
        made(kind).save_pretrained(where / kind)
    return {kind: where / kind for kind in KINDS}
