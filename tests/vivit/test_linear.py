"""vivit.linear: the same product, whichever library does it."""

import pytest
import torch
from torch.nn import functional as F
from torch.profiler import profile

from vivit.linear import SMALL, linear


@pytest.mark.parametrize("rows", [(1,), (64,), (2, 197), (3, 5, 67), (20_481,)])
@pytest.mark.parametrize(("width", "out"), [(1, 7), (24, 1), (192, 576), (768, 100)])
@pytest.mark.parametrize("biased", [True, False])
def test_the_product_of_float64(rows: tuple[int, ...], width: int, out: int, biased: bool) -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(*rows, width), torch.randn(out, width), torch.randn(out) if biased else None
    exact = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    with torch.inference_mode():
        found = linear(x, weight, bias)
    assert found.shape == (*rows, out) and found.dtype == torch.float32 and found.is_contiguous()
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=3e-6 * float(exact.abs().max()))


def test_rows_that_are_not_contiguous() -> None:
    x, weight = torch.randn(3, 40, 700).transpose(1, 2)[:, 1:], torch.randn(9, 40)
    with torch.no_grad():
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight), rtol=1e-5, atol=3e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")
@pytest.mark.parametrize(
    ("rows", "grad", "dtype", "fast"),
    [
        (SMALL // 32 + 1, False, torch.float32, True),
        (SMALL // 32, False, torch.float32, False),
        (SMALL // 32 + 1, True, torch.float32, False),
        (SMALL // 32 + 1, False, torch.bfloat16, False),
    ],
)
def test_onednn_takes_long_float32_products_without_gradients(
    rows: int, grad: bool, dtype: torch.dtype, fast: bool
) -> None:
    x, weight = torch.randn(rows, 32, dtype=dtype), torch.randn(16, 32, dtype=dtype)
    with torch.set_grad_enabled(grad), profile() as seen:
        linear(x, weight)
    assert ("aten::mkldnn_convolution" in {event.key for event in seen.key_averages()}) == fast


def test_gradients() -> None:
    x, weight = torch.randn(SMALL, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)
    linear(x, weight).sum().backward()
    assert x.grad is not None and torch.allclose(x.grad, weight.sum(0).expand_as(x))
