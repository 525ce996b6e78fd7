"""Folders with tiny checkpoints, read and written again, for the tests here."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests import oracle
from vivit import VivitForVideoClassification
from vivit.checkpoint.layout import published_name, published_tensors
from vivit.errors import UserError

HEAD = ("classifier.weight", "classifier.bias")
POOLER = ("pooler.dense.weight", "pooler.dense.bias")
POSITIONS = "embeddings.position_embeddings"


def tensors_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def rewrite(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file({k: t.contiguous() for k, t in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})


def logits_agree(ours: Any, theirs: Any) -> None:
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        torch.testing.assert_close(ours(pixel_values).logits, theirs(pixel_values).logits, **oracle.EXACT)


def faults(folder: Path, kind: Any = VivitForVideoClassification, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        kind.from_pretrained(folder, **options)
    assert str(caught.value).splitlines()[0].endswith("."), "the first line is a sentence"
    return str(caught.value)


def memory_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that transformers 5 has in memory, which `torch.save(model.state_dict())` writes."""
    rules = [
        (r"encoder\.layer\.", "layers."),
        (r"attention\.attention\.(.)\w+\.", r"attention.\1_proj."),
        (r"attention\.output\.dense\.", "attention.o_proj."),
        (r"intermediate\.dense\.", "mlp.fc1."),
        (r"(layers\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    ]
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def equal_tensors(ours: Any, wanted: dict[str, Tensor], but: tuple[str, ...] = ()) -> None:
    """Whole tensors, bit by bit, by their published names."""
    wanted = {published_name(name): tensor for name, tensor in wanted.items()}
    mine = published_tensors(ours)
    assert {n for n in mine if n not in but} == {n for n in wanted if n not in but}
    for name, tensor in wanted.items():
        if name not in but:
            assert torch.equal(mine[name], tensor), name
