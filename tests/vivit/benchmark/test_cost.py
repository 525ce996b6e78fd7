"""The cost of a forward pass, against PyTorch's own count of the same pass."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests import oracle
from vivit import VivitConfig, VivitForVideoClassification
from vivit.benchmark.cost import attention_flops, linear_flops

SHAPES: dict[str, dict[str, Any]] = {
    "odd": {},
    "other channels and labels": {"num_channels": 1, "num_labels": 100},
    "one layer": {"num_hidden_layers": 1, "intermediate_size": 7},
    "no layers": {"num_hidden_layers": 0},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_counts_are_pytorchs(shape: str) -> None:
    config = VivitConfig(**oracle.TINY | SHAPES[shape])
    model = VivitForVideoClassification(config, attn_implementation="eager").eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(oracle.clip(config, batch=1))
    counts = {str(op): flops for op, flops in counter.get_flop_counts()["Global"].items()}
    assert attention_flops(config) == counts.get("aten.bmm", 0)
    assert linear_flops(config) == sum(counts.values()) - counts.get("aten.bmm", 0)


def test_vivit_b_costs_what_is_known() -> None:
    config = VivitConfig(num_labels=400)
    tokens, hidden = 3137, 768
    assert attention_flops(config) == 12 * 2 * (2 * tokens * tokens * hidden)
    projections, mlp = tokens * 4 * hidden * hidden, tokens * 2 * hidden * 3072
    tubelets, head = 3136 * (3 * 2 * 16 * 16) * hidden, 400 * hidden
    assert linear_flops(config) == 2 * (12 * (projections + mlp) + tubelets + head)
    assert linear_flops(config) + attention_flops(config) == 903_049_506_816
