"""Graphs that are recorded and replayed, and kernels that do two steps: the numbers of the plain model, on an NVIDIA GPU."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import gelu, linear

from tests import oracle
from vivit import VivitConfig, VivitForVideoClassification
from vivit.execution import ExecutionUnavailable
from vivit.fused import HALF, can_fuse, linear_gelu
from vivit.precision import set_precision

pytestmark = pytest.mark.gpu

WIDE = {"hidden_size": 96, "num_attention_heads": 3, "intermediate_size": 200, "num_hidden_layers": 3}


def classifier(dtype: str, attention: str = "sdpa", **changes: Any) -> VivitForVideoClassification:
    config = VivitConfig(image_size=64, num_frames=8, num_labels=7, **(WIDE | changes))
    model = VivitForVideoClassification(config, attn_implementation=attention)
    oracle.randomise(model)
    return set_precision(model.cuda().eval(), dtype)


def clips(model: VivitForVideoClassification, batch: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 8, 3, 64, 64, generator=generator).to("cuda", model.dtype)


@torch.no_grad()
def as_the_graph(model: VivitForVideoClassification, pixel_values: torch.Tensor, fused: pytest.MonkeyPatch) -> Any:
    """The same model layer by layer, with the kernels that a graph records."""
    with fused.context() as patch:
        patch.setattr("vivit.fused.WORTH_A_LAUNCH", 0)
        model.execution, former = "plain", model.execution
        logits = model(pixel_values).logits
        model.execution = former
    return logits


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_graph_is_the_plain_pass_bit_by_bit_for_two_sizes_in_turn(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = classifier(dtype)
    model.set_execution("captured")
    for k, batch in enumerate((1, 3, 1, 3)):
        pixel_values = clips(model, batch, seed=k)
        with torch.inference_mode(k % 2 == 1), torch.no_grad():
            found = model(pixel_values).logits
        assert torch.equal(found, as_the_graph(model, pixel_values, monkeypatch)), (k, batch)
    (made,) = model.executions.values()
    assert len(made._graphs) == 2
    with torch.no_grad():
        first, kept = clips(model, 1, 7), clips(model, 1, 8)
        logits = model(first).logits
        before = logits.clone()
        model(kept)
    assert torch.equal(logits, before), "an answer is its caller's, and not the graph's"


def test_a_graph_is_made_anew_where_the_weights_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    model = classifier("float32")
    model.set_execution("captured")
    changes: list[Any] = [
        lambda: set_precision(model, "bfloat16"),
        lambda: model.to(torch.float32),
        lambda: model.half(),
        lambda: model.load_state_dict({name: value * 1.5 for name, value in model.state_dict().items()}),
    ]
    for change in changes:
        with torch.no_grad():
            before = model(clips(model, 2)).logits
            change()
            found = model(clips(model, 2)).logits
        assert torch.equal(found, as_the_graph(model, clips(model, 2), monkeypatch))
        assert not torch.equal(found.float(), before.float())
    model.set_attn_implementation("sdpa-math")
    with torch.no_grad():
        found = model(clips(model, 2)).logits
    assert torch.equal(found, as_the_graph(model, clips(model, 2), monkeypatch))


def test_a_graph_has_no_gradients() -> None:
    model = classifier("float32")
    model.set_execution("captured")
    with pytest.raises(ExecutionUnavailable, match="'captured' has no gradients"):
        model(clips(model, 1))


def test_gelu_in_the_epilogue_is_its_tanh_form() -> None:
    """Odd sizes too: widths that no tile divides."""
    for rows, wide, narrow, dtype in (
        (5, 200, 96, torch.float16),
        (777, 3072, 768, torch.bfloat16),
        (3, 35, 44, HALF[1]),
    ):
        generator = torch.Generator("cuda").manual_seed(0)
        x, weight = (
            torch.randn(shape, generator=generator, device="cuda").to(dtype)
            for shape in ((2, rows, narrow), (wide, narrow))
        )
        bias = torch.randn(wide, generator=generator, device="cuda").to(dtype)
        weight /= narrow**0.5
        found = linear_gelu(x, weight, bias).double()
        wanted = gelu(linear(x.double(), weight.double(), bias.double()), approximate="tanh")
        # The product is summed in float32 and rounded once or twice to 8 or 11 bits.
        bits = torch.finfo(dtype).eps
        torch.testing.assert_close(found, wanted, rtol=2 * bits, atol=2 * bits)
        exact = gelu(linear(x.double(), weight.double(), bias.double()))
        if dtype == torch.float16:  # whose bits tell the two forms apart
            assert (found - wanted).abs().mean() < (found - exact).abs().mean()


@pytest.mark.parametrize("width", [35, 96, 768, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_sum_and_its_norm_in_one_kernel_are_the_two(width: int, dtype: torch.dtype) -> None:
    generator = torch.Generator("cuda").manual_seed(width)
    x, change = (torch.randn(3, 17, width, generator=generator, device="cuda").to(dtype) for _ in range(2))
    norm = nn.LayerNorm(width, eps=1e-6, device="cuda", dtype=dtype)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    from vivit.kernels import add_norm as kernel  # Triton, which there is on GPUs alone

    total, normed = kernel(x, change, norm.weight, norm.bias, norm.eps)
    assert torch.equal(total, x + change)
    # Both compute in float32; in half precision both round once at the end.
    bits = torch.finfo(dtype).eps
    torch.testing.assert_close(normed, norm(x + change), rtol=max(bits, 1e-6), atol=max(bits, 1e-6))


def test_what_cannot_be_fused_is_not() -> None:
    linear_, tanh = nn.Linear(8, 16, device="cuda", dtype=torch.float16), nn.GELU("tanh")
    x = torch.randn(2, 8, device="cuda", dtype=torch.float16)
    assert not can_fuse(x, linear_, tanh), "gradients are wanted"
    with torch.no_grad():
        assert can_fuse(x, linear_, tanh)
        assert not can_fuse(x.float(), linear_, tanh) and not can_fuse(x.cpu(), linear_, tanh)
        handle = tanh.register_forward_hook(lambda *_: None)
        assert not can_fuse(x, linear_, tanh)
        handle.remove()
        with linear_.register_forward_pre_hook(lambda *_: None):
            assert not can_fuse(x, linear_, tanh)
        assert can_fuse(x, linear_, tanh)
        assert not can_fuse(x, linear_, nn.GELU()), "the exact form is another function"
        assert not can_fuse(x, linear_, nn.ReLU())
