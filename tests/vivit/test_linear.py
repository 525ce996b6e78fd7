"""vivit.linear: the same product, whichever library does it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

import vivit.linear
from vivit.linear import MANY, SMALL, convolution, linear, onednn_pays

CONVOLUTION = "aten::mkldnn_convolution"
WITH_ONEDNN = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


@pytest.fixture
def unraced() -> Iterator[None]:
    """No race has been run yet, and what the test's own races find is forgotten."""
    vivit.linear._race.cache_clear()
    yield
    vivit.linear._race.cache_clear()


@pytest.fixture
def races(unraced: None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The sizes (rows, I, O) of races that are run; oneDNN is twice as fast where O is even, and 1.05 times elsewhere."""
    ran: list[tuple[int, ...]] = []

    def race(products: tuple[Callable[..., Tensor], ...], *size: int) -> list[float]:
        assert products == (F.linear, convolution)
        ran.append(size)
        return [1.0, 0.95 if size[2] % 2 else 0.5]

    monkeypatch.setattr(vivit.linear, "_best_seconds", race)
    return ran


def used(call: Callable[[], object]) -> set[str]:
    """The operators that a call runs."""
    with profile() as seen:
        call()
    return {event.key for event in seen.key_averages()}


@pytest.mark.parametrize("rows", [(1,), (64,), (2, 197), (3, 5, 67), (20_481,)])
@pytest.mark.parametrize(("width", "out"), [(1, 7), (24, 1), (192, 576), (768, 100)])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("product", [linear, convolution])
def test_the_product_of_float64(
    rows: tuple[int, ...], width: int, out: int, biased: bool, product: Callable[..., Tensor]
) -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(*rows, width), torch.randn(out, width), torch.randn(out) if biased else None
    exact = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    with torch.inference_mode():
        found = product(x, weight, bias)
    assert found.shape == (*rows, out) and found.dtype == torch.float32 and found.is_contiguous()
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=3e-6 * float(exact.abs().max()))


@pytest.mark.parametrize("product", [linear, convolution])
def test_rows_that_are_not_contiguous(product: Callable[..., Tensor]) -> None:
    x, weight = torch.randn(3, 40, 700).transpose(1, 2)[:, 1:], torch.randn(9, 40)
    with torch.no_grad():
        torch.testing.assert_close(product(x, weight), F.linear(x, weight), rtol=1e-5, atol=3e-5)


@WITH_ONEDNN
@pytest.mark.parametrize(
    ("rows", "grad", "dtype", "out", "raced", "fast"),
    [
        (SMALL // 32 + 1, False, torch.float32, 16, True, True),
        (SMALL // 32 + 1, False, torch.float32, 17, True, False),
        (SMALL // 32, False, torch.float32, 16, False, False),
        (SMALL // 32 + 1, True, torch.float32, 16, False, False),
        (SMALL // 32 + 1, False, torch.bfloat16, 16, False, False),
    ],
)
def test_the_clearly_faster_takes_long_float32_products_without_gradients(
    rows: int, grad: bool, dtype: torch.dtype, out: int, raced: bool, fast: bool, races: list[tuple[int, ...]]
) -> None:
    x, weight = torch.randn(rows, 32, dtype=dtype), torch.randn(out, 32, dtype=dtype)
    with torch.set_grad_enabled(grad):
        assert (CONVOLUTION in used(lambda: linear(x, weight))) == fast
    assert bool(races) == raced


def test_one_race_for_each_size_and_number_of_threads(races: list[tuple[int, ...]]) -> None:
    former = torch.get_num_threads()
    with ThreadPoolExecutor(8) as several:
        assert all(several.map(onednn_pays, [257, 300, 400, 512, 513, 5000, 2**20] * 8, [32] * 56, [16] * 56))
    assert races == [(MANY, 32, 16)]
    assert onednn_pays(256, 32, 16) and not onednn_pays(512, 16, 33)
    try:
        torch.set_num_threads(former + 1)
        assert onednn_pays(150, 32, 16) and onednn_pays(200, 32, 16)
    finally:
        torch.set_num_threads(former)
    assert races[1:] == [(256, 32, 16), (512, 16, 33), (256, 32, 16)]


@WITH_ONEDNN
@pytest.mark.usefixtures("unraced")
def test_a_race_is_nothing_that_the_caller_sees_or_settles() -> None:
    x, weight, found = torch.randn(900, 32), torch.randn(16, 32), []
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
            found.append(linear(x, weight))
        vivit.linear._race.cache_clear()
        with torch.inference_mode(), profile() as seen:
            found.append(linear(x, weight))
    finally:
        torch.set_default_dtype(torch.float32)
    assert counter.get_total_flops() == 2 * x.numel() * 16
    assert sum(e.count for e in seen.key_averages() if e.key in ("aten::addmm", "aten::mm", CONVOLUTION)) == 1
    for product in found:
        torch.testing.assert_close(product, F.linear(x, weight), rtol=1e-5, atol=3e-5)
    with torch.inference_mode():
        assert torch.equal(linear(x, weight), found[1]), "and its answer holds"


def test_what_is_traced_or_compiled_is_a_plain_product(races: list[tuple[int, ...]]) -> None:
    x, weight = torch.randn(SMALL // 8, 32), torch.randn(16, 32)
    with torch.no_grad():
        traced = torch.jit.trace(linear, (x, weight), check_trace=False)  # whose check calls it untraced
        torch.testing.assert_close(traced(x[1:], weight), F.linear(x[1:], weight), rtol=1e-5, atol=3e-5)
        compiled = torch.compile(linear, backend="eager", fullgraph=True)
        assert torch.equal(compiled(x, weight), F.linear(x, weight))
    assert "convolution" not in str(traced.graph) and races == []


def test_gradients() -> None:
    x, weight = torch.randn(SMALL, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)
    linear(x, weight).sum().backward()
    assert x.grad is not None and torch.allclose(x.grad, weight.sum(0).expand_as(x))
