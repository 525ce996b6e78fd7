"""Every kernel of attention on an NVIDIA GPU: which one ran, what it gives, and that it compiles."""

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from tests import oracle
from tests.gpu.here import ABSENT, ANY_PRECISION, PACKAGES
from tests.vivit.benchmark import children
from vivit import VivitConfig, VivitForVideoClassification
from vivit.attention import ATTENTION
from vivit.benchmark.child import in_child
from vivit.errors import AttentionUnavailable
from vivit.names import BACKENDS
from vivit.precision import set_precision

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_products")]

KERNELS = {
    "eager": "_softmax",
    "sdpa-math": "_scaled_dot_product_attention_math",
    "sdpa-flash": "_scaled_dot_product_flash_attention",
    "sdpa-efficient": "_scaled_dot_product_efficient_attention",
    "sdpa-cudnn": "_scaled_dot_product_cudnn_attention",
}
TRACED = [name for name in ATTENTION if name not in PACKAGES]  # a package answers for its own tracing
SMALL = {
    "hidden_size": 128,
    "num_attention_heads": 2,
    "intermediate_size": 256,
}  # heads of a width that every kernel has


@pytest.mark.parametrize(
    ("attention", "dtype"),
    [
        (name, dtype)
        for name in TRACED
        for dtype in ("float32", "float16")
        if dtype != "float32" or name in ANY_PRECISION
    ],
)
def test_every_kernel_compiles_to_one_graph(attention: str, dtype: str) -> None:
    """By Inductor, on a small model: each kernel's own conditions hold there as in ViViT-B."""
    model = VivitForVideoClassification(VivitConfig(**oracle.TINY | SMALL), attn_implementation=attention)
    oracle.randomise(model)
    model = set_precision(model.eval(), dtype).cuda()
    pixel_values = oracle.clip(model.config).cuda()
    torch._dynamo.reset()
    count = CompileCounterWithBackend("inductor")
    with torch.inference_mode():
        found = torch.compile(model, fullgraph=True, backend=count)(pixel_values).logits
        wanted = model(pixel_values).logits
    assert count.frame_count == 1 and found.dtype == wanted.dtype
    # Fused kernels round less often: a unit or two in the last place of half-precision logits of about 2.
    off = 1e-5 if dtype == "float32" else 8e-3
    torch.testing.assert_close(found, wanted, rtol=0, atol=off)


@pytest.mark.parametrize("attention", KERNELS)
def test_the_kernel_that_ran_is_seen(attention: str) -> None:
    found = in_child(children.attend, attention, "float16")
    assert found["kernel"] == KERNELS[attention] and found["device_kernels"]


QueryKeyValue = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def random_qkv(tokens: int, dtype: torch.dtype, batch: int = 2) -> QueryKeyValue:
    """As ViViT-B makes them: views of one (B, N, 3, 12, 64)."""
    generator = torch.Generator().manual_seed(tokens)
    made = torch.randn(batch, tokens, 3, 12, 64, generator=generator).to("cuda", dtype)
    query, key, value = (part.permute(0, 2, 1, 3).requires_grad_() for part in made.unbind(2))
    return query, key, value


def result_and_gradients(attention: str, inputs: QueryKeyValue) -> list[torch.Tensor]:
    """A backend's result where no gradients are wanted, its result where they are, and these: of query, key and value."""
    with torch.inference_mode():
        plain = ATTENTION[attention](*inputs, 0.0)
    found = ATTENTION[attention](*inputs, 0.0)
    pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(found)
    return [plain.clone(), found.detach(), *torch.autograd.grad(found, inputs, pull)]


@pytest.mark.parametrize("tokens", [65, 197, 3137])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("attention", [*PACKAGES, "flex_attention"])
def test_packages_and_flex_agree_with_eager(attention: str, dtype: torch.dtype, tokens: int) -> None:
    """Where a package is absent, and in float32, which none of them has, the sentence says so."""
    inputs = random_qkv(tokens, dtype)
    if attention in ABSENT or (BACKENDS[attention].half_only and dtype == torch.float32):
        with pytest.raises(AttentionUnavailable) as caught:
            ATTENTION[attention](*inputs, 0.0)
        assert (f"the package {BACKENDS[attention].package} (" in str(caught.value)) == (attention in ABSENT)
        assert ("not float32" in str(caught.value)) == (dtype == torch.float32)
        return
    query, key, value = (t.detach().float().requires_grad_() for t in inputs)
    exact = result_and_gradients("eager", (query, key, value))
    # Relative to the whole tensor's norm. Half precision: inputs are the same, probabilities and results are each rounded to a
    # step of the dtype, and gradients are products of three such. float32: another order of sums.
    off = 1e-5 if dtype == torch.float32 else 4 * torch.finfo(dtype).eps
    for found, wanted in zip(result_and_gradients(attention, inputs), exact, strict=True):
        assert found.dtype == dtype and found.shape == wanted.shape
        assert (found.float() - wanted).norm() <= off * wanted.norm()
        assert (found.float() - wanted).abs().max() <= 10 * off * wanted.abs().max()


def test_flex_is_true_float32_whatever_products_are_rounded_to() -> None:
    usual = torch.get_float32_matmul_precision()
    query, key, value = (t.detach() for t in random_qkv(197, torch.float32))
    wanted = ATTENTION["eager"](query, key, value, 0.0)
    torch.set_float32_matmul_precision("high")
    try:
        found = ATTENTION["flex_attention"](query, key, value, 0.0)
    finally:
        torch.set_float32_matmul_precision(usual)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-6)  # TF32 would be off by some 1e-4


@pytest.mark.parametrize("attention", [*PACKAGES, "flex_attention"])
def test_the_kernel_of_a_package_or_of_flex_is_seen(attention: str) -> None:
    if attention in ABSENT:
        with pytest.raises(AttentionUnavailable, match=f"the package {BACKENDS[attention].package} "):
            children.attend(attention, "float16")
        return
    found = in_child(children.attend, attention, "float16")
    word = "flex" if attention == "flex_attention" else "flash"
    assert word in found["kernel"].lower() and any(word in name.lower() for name in found["device_kernels"]), found
