"""What is done with the layers of a loaded model, of whatever factorisation: told of, and made ready."""

import pytest
import torch

from tests import oracle
from vivit import VivitConfig, VivitForVideoClassification
from vivit.benchmark import passes


def model_of(factorization: str, attention: str) -> VivitForVideoClassification:
    even = {"hidden_size": 36, "num_attention_heads": 6, "num_temporal_layers": 2, "factorization": factorization}
    return VivitForVideoClassification(VivitConfig(**oracle.TINY | even), attn_implementation=attention).eval()


@pytest.mark.parametrize(("factorization", "layers"), [("none", 3), ("encoder", 5), ("self_attention", 3)])
def test_every_layer_is_told_of_in_its_order(factorization: str, layers: int) -> None:
    model, told = model_of(factorization, "sdpa"), []
    with torch.inference_mode(), passes.telling(model, lambda *said: told.append(said)):
        model(oracle.clip(model.config, batch=1))
    assert told == [(k / layers, f"Layer {k} of {layers}") for k in range(1, layers + 1)]
    assert not any(layer._forward_hooks for layer in model.vivit.encoder_layers())


# Between them these two models have every kind of layer.
@pytest.mark.parametrize("factorization", [pytest.param("encoder", marks=pytest.mark.full), "dot_product"])
@pytest.mark.usefixtures("fresh_compiler")  # or another test's kernels would be found
def test_a_pass_after_making_ready_compiles_nothing(factorization: str) -> None:
    model = model_of(factorization, "flex_attention")
    pixels = oracle.clip(model.config, batch=1)
    assert passes.make_ready(model, pixels)
    before = passes._compiled_graphs()
    with torch.inference_mode():
        model(pixels)
    assert passes._compiled_graphs() == before
