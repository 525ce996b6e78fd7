"""Attention backends: one result, and the kernel that was asked for or a reason."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from vivit.attention import ATTENTION, attention_probabilities, get_attention
from vivit.benchmark.probes import check_support
from vivit.dynamic_int8 import has_vnni
from vivit.errors import AttentionUnavailable
from vivit.machine import Probes
from vivit.names import DYNAMIC_INT8, TF32
from vivit.precision import DTYPES

CPU = ["eager", "sdpa", "sdpa-math", "sdpa-flash"]  # what runs on a CPU
CUDA_ONLY = ["sdpa-efficient", "sdpa-cudnn"]
PACKAGES = ["flash_attention_2", "flash_attention_3", "flash_attention_4"]

# PyTorch's own names of the kernels, as its profiler records them on a CPU.
EVENTS = {
    "sdpa-math": "aten::_scaled_dot_product_attention_math",
    "sdpa-flash": "aten::_scaled_dot_product_flash_attention_for_cpu",
}


def random_qkv(batch: int = 2, heads: int = 3, tokens: int = 37, width: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, batch, heads, tokens, width, generator=generator)
    return query, key, value


def by_definition(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(QKᵀ/√D)V in float64, token by token."""
    query, key, value = (t.double() for t in (query, key, value))
    out = torch.empty_like(query)
    for n in range(query.shape[2]):
        weights = (query[:, :, n : n + 1] * key).sum(-1).div(math.sqrt(query.shape[-1])).exp()  # (B, A, N)
        out[:, :, n] = (weights[..., None] * value).sum(2) / weights.sum(-1, keepdim=True)
    return out


def test_the_published_names() -> None:
    assert list(ATTENTION) == [*CPU, *CUDA_ONLY, *PACKAGES, "flex_attention"]


@pytest.mark.parametrize("name", CPU)
@pytest.mark.parametrize("shape", [(2, 3, 37, 7), (1, 1, 1, 1), (1, 2, 300, 64), (3, 1, 5, 33)])
def test_every_backend_computes_the_definition(name: str, shape: tuple[int, int, int, int]) -> None:
    query, key, value = random_qkv(*shape)
    result = ATTENTION[name](query, key, value, 0.0)
    # float32 sums of up to 300 terms of about 1
    torch.testing.assert_close(result.double(), by_definition(query, key, value), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", CPU)
def test_gradients_of_every_backend(name: str) -> None:
    query, key, value = inputs = [t.requires_grad_() for t in random_qkv()]
    pull = torch.randn(query.shape, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad(ATTENTION[name](query, key, value, 0.0), inputs, pull)
    wanted = torch.autograd.grad(by_definition(query, key, value), inputs, pull.double())
    for gradient, exact in zip(ours, wanted, strict=True):
        torch.testing.assert_close(gradient, exact, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("name", CPU)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_and_near(name: str, dtype: torch.dtype) -> None:
    query, key, value = (t.to(dtype) for t in random_qkv())
    result = ATTENTION[name](query, key, value, 0.0)
    assert result.dtype == dtype
    # Probabilities and the result are each rounded to the dtype: a few of its steps at values up to about 2.
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(result.double(), by_definition(query, key, value), rtol=2 * step, atol=4 * step)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_probabilities_are_a_softmax_in_float32(dtype: torch.dtype) -> None:
    query, key, _ = (t.to(dtype) for t in random_qkv())
    probabilities = attention_probabilities(query, key)
    assert probabilities.dtype == dtype and probabilities.shape == (2, 3, 37, 37)
    exact = (query.double() @ key.double().transpose(-2, -1) / math.sqrt(7)).softmax(-1)
    step = torch.finfo(dtype).eps
    # A score of up to 8 is rounded to the dtype before the exponential, so the relative error is a few steps times that.
    torch.testing.assert_close(probabilities.double(), exact, rtol=16 * step, atol=2 * step)


@pytest.mark.parametrize("name", ["eager", "sdpa", "sdpa-math"])
def test_dropout_has_the_stated_rate_and_keeps_the_mean(name: str) -> None:
    """With the identity for values, the result is the dropped probabilities themselves."""
    tokens, rate = 64, 0.3
    query, key, _ = random_qkv(1, 8, tokens, tokens)
    value = torch.eye(tokens).expand(1, 8, -1, -1)
    torch.manual_seed(0)
    dropped = ATTENTION[name](query, key, value, rate)
    whole = attention_probabilities(query, key)
    zero = dropped == 0
    # 32,768 draws: the standard error is 0.0025, five of them 0.013.
    assert zero.float().mean().item() == pytest.approx(rate, abs=0.013)
    torch.testing.assert_close(dropped[~zero], whole[~zero] / (1 - rate), rtol=1e-5, atol=1e-6)
    torch.manual_seed(0)
    assert torch.equal(ATTENTION[name](query, key, value, rate), dropped), "the same seed drops the same"
    assert not torch.equal(ATTENTION[name](query, key, value, rate), dropped)


@pytest.mark.parametrize("name", CUDA_ONLY)
def test_a_kernel_without_a_gpu_says_so(name: str) -> None:
    with pytest.raises(AttentionUnavailable) as caught:
        ATTENTION[name](*random_qkv(), 0.0)
    assert name in str(caught.value) and "CUDA" in str(caught.value) and "'cpu'" in str(caught.value)
    assert "Choose 'sdpa'" in str(caught.value)
    assert "backend" in caught.value.details, "PyTorch's own words belong in the details"
    assert caught.value.details not in str(caught.value)


def test_flash_on_a_cpu_has_no_dropout_and_says_so() -> None:
    with pytest.raises(AttentionUnavailable, match=r"dropout.*CPU.*attention_probs_dropout_prob") as caught:
        ATTENTION["sdpa-flash"](*random_qkv(), 0.5)
    assert caught.value.details


@pytest.mark.parametrize("name", EVENTS)
def test_the_kernel_asked_for_is_the_one_that_runs(name: str) -> None:
    inputs = random_qkv()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        ATTENTION[name](*inputs, 0.0)
    ran = {event.name for event in profiler.events()}
    assert EVENTS[name] in ran
    assert not ran & (set(EVENTS.values()) - {EVENTS[name]})


def test_eager_runs_no_fused_kernel() -> None:
    inputs = random_qkv()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        ATTENTION["eager"](*inputs, 0.0)
    assert not [event.name for event in profiler.events() if "scaled_dot_product" in event.name]


def test_a_refused_kernel_leaves_no_setting_behind() -> None:
    with pytest.raises(AttentionUnavailable):
        ATTENTION["sdpa-cudnn"](*random_qkv(), 0.0)
    inputs = random_qkv()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        ATTENTION["sdpa"](*inputs, 0.0)
    assert EVENTS["sdpa-flash"] in {event.name for event in profiler.events()}


@pytest.mark.parametrize("name", ["", "SDPA", "flash", "flash_attention_5", {"": "eager"}, ["sdpa"], 3, True], ids=str)
def test_an_unknown_name_lists_the_known(name: Any) -> None:
    with pytest.raises(ValueError) as caught:
        get_attention(name)
    assert repr(name) in str(caught.value)
    assert all(known in str(caught.value) for known in ATTENTION)


@pytest.mark.parametrize(
    ("kernel", "same"),
    [
        ("kernels-community/flash-attn2", "'flash_attention_2' takes that kernel from the package flash-attn"),
        ("kernels-community/flash-attn", "'flash_attention_2' takes that kernel from the package flash-attn"),
        ("kernels-community/vllm-flash-attn3", "'flash_attention_3' takes that kernel from the package flash-attn-3"),
        ("kernels-community/flash-attn3@v1", "'flash_attention_3' takes that kernel from the package flash-attn-3"),
        ("kernels-community/flash-attn4:fn", "'flash_attention_4' takes that kernel from the package flash-attn-4"),
        ("someone/metal-flash-sdpa", f"known are {', '.join(ATTENTION)}"),
    ],
)
def test_a_kernel_of_the_hub_is_refused_and_ours_is_named(kernel: str, same: str) -> None:
    with pytest.raises(ValueError) as caught:
        get_attention(kernel)
    assert (
        str(caught.value) == f"attn_implementation='{kernel}' is a kernel of the Hub, which is not loaded here; {same}"
    )


def test_none_is_the_usual_one() -> None:
    assert get_attention(None) is ATTENTION["sdpa"]


def test_support_tries_everything_and_tells_why_not() -> None:
    support = {(s.attention, s.precision): s for s in check_support(torch.device("cpu"), Probes(16, 2, 8), head_size=8)}
    assert support.keys() == {(a, p) for a in ATTENTION for p in DTYPES}
    for (attention, precision), found in support.items():
        if precision == TF32:
            assert found.flops_per_second == 0 and found.reason.startswith("TF32 needs an NVIDIA GPU")
        elif precision == DYNAMIC_INT8 and not has_vnni():
            assert found.flops_per_second == 0 and "VNNI" in found.reason
        elif attention in CPU:
            assert found.flops_per_second > 0 and not found.reason
        elif attention == "flex_attention":
            assert found.flops_per_second == 0 and not found.reason
        else:
            assert found.flops_per_second == 0 and "CUDA" in found.reason
            assert bool(found.details) == (attention in CUDA_ONLY), "a package has not been asked"
