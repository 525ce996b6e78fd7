"""The factorised models on an NVIDIA GPU: every kernel and every way of running them gives the answers of a CPU in float64."""

from typing import Any

import pytest
import torch

from tests import oracle
from vivit import VivitConfig, VivitForVideoClassification
from vivit.precision import set_precision

pytestmark = pytest.mark.gpu

MODELS: list[dict[str, Any]] = [
    {"factorization": "none"},
    {"factorization": "encoder", "num_temporal_layers": 2},
    {"factorization": "self_attention", "attention_order": "time_space"},
    {"factorization": "self_attention", "attention_order": "space_time"},
    {"factorization": "dot_product"},
]
SHAPE: dict[str, Any] = {"hidden_size": 96, "num_attention_heads": 4, "intermediate_size": 200, "num_hidden_layers": 3}
# Of logits of about 1, through three to five layers: a few roundings of 2⁻²⁴, 2⁻¹¹ and 2⁻⁸.
TOLERANCES = {"float32": 2e-5, "float16": 2e-2, "bfloat16": 1e-1}


def pair(changes: dict[str, Any]) -> tuple[VivitForVideoClassification, torch.Tensor, torch.Tensor]:
    """A model with random weights, clips, and what they are answered in float64 by eager attention on a CPU."""
    model = VivitForVideoClassification(
        VivitConfig(image_size=64, num_frames=8, num_labels=7, **SHAPE, **changes)
    ).eval()
    oracle.randomise(model)
    clips = torch.randn(3, 8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    model.set_attn_implementation("eager")
    with torch.no_grad():
        wanted = model.double()(clips.double()).logits
    return model.float(), clips, wanted


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("execution", ["plain", "captured"])
@pytest.mark.parametrize("changes", MODELS, ids=lambda c: "-".join(map(str, c.values())))
def test_the_answers_are_those_of_a_cpu(
    changes: dict[str, Any], execution: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivit.fused.WORTH_A_LAUNCH", 0)  # so that LayerNorms are made ahead in this small one too
    model, clips, wanted = pair(changes)
    model = set_precision(model.cuda(), dtype)
    for attention in ("eager", "sdpa"):
        model.set_attn_implementation(attention)
        model.set_execution(execution)
        with torch.no_grad():
            for _ in range(2):
                logits = model(clips.cuda()).logits
                torch.testing.assert_close(logits.double().cpu(), wanted, rtol=0, atol=TOLERANCES[dtype])


@pytest.mark.parametrize("attention", ["sdpa-math", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn"])
@pytest.mark.parametrize("changes", MODELS, ids=lambda c: "-".join(map(str, c.values())))
def test_every_kernel_takes_the_attention_over_one_axis(changes: dict[str, Any], attention: str) -> None:
    model, clips, wanted = pair(changes)
    model = set_precision(model.cuda(), "float16")
    model.set_attn_implementation(attention)
    with torch.no_grad():
        logits = model(clips.cuda()).logits
    torch.testing.assert_close(logits.double().cpu(), wanted, rtol=0, atol=TOLERANCES["float16"])
