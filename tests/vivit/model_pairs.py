"""The same weights in our model and in that of transformers, and how near their numbers lie."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import vivit
from tests import oracle
from vivit.checkpoint.layout import published_name, published_tensors


def assert_close(
    ours: Tensor, theirs: Tensor, what: str, rtol: float = oracle.EXACT["rtol"], atol: float = oracle.EXACT["atol"]
) -> None:
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol, msg=oracle.said_of(what))


def both(tmp_path: Path, attention: str, kind: str = "VivitForVideoClassification", **changes: Any) -> tuple[Any, Any]:
    """The same weights in ours and theirs."""
    theirs = oracle.save(tmp_path, kind, attention=attention, **changes) if changes.get("image_size") != 16 else None
    if theirs is None:
        theirs = oracle.reference(kind, attention=attention, **changes)
        theirs.save_pretrained(tmp_path)
    return getattr(vivit, kind).from_pretrained(tmp_path, attn_implementation=attention), theirs


def assert_same_gradients(ours: Any, theirs: Any, **tolerance: float) -> None:
    our_gradients = published_tensors(ours, of=oracle.gradient)
    their_gradients = {published_name(name): p.grad for name, p in theirs.named_parameters()}
    assert our_gradients.keys() == their_gradients.keys()
    for name, gradient in their_gradients.items():
        assert gradient.abs().max() > 0 or name.endswith("key.bias"), f"{name} has no gradient to compare"
        assert_close(our_gradients[name], gradient, name, **tolerance)
