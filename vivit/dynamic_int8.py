"""Matrices kept in 8 bit and multiplied as whole numbers, on CPUs that have instructions for it (VNNI).

A weight is int8, row by row, and each row has a scale, the largest magnitude in it. Tokens are rounded to int8 when they come,
each over its own range: dynamic quantisation, as PyTorch's quantised linear layers do it over the range of all tokens. Nothing
but PyTorch is needed.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vivit.errors import UserError
from vivit.names import DYNAMIC_INT8, ROWS_AT_A_TIME
from vivit.rounded import RoundedLinear

_LEAST = torch.finfo(torch.float32).tiny  # of a step, so that a token of zeros can be divided by it
_CHOOSE = "Choose another precision."


class DynamicInt8Unavailable(UserError):
    """'int8-dynamic' cannot be had on this machine, or for what was asked."""


class DynamicInt8Linear(RoundedLinear):
    """A linear layer whose weight is int8, and its input too while it is multiplied; it answers in its input's dtype.

    Args:
        weight: (O, I) floating point, on a CPU; on 'meta' its values are yet to come.
        bias: (O,), or None.
    """

    @staticmethod
    def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
        """As the function."""
        return quantise(weight)

    def forward(self, x: Tensor) -> Tensor:
        """(…, I) → (…, O), of x's dtype.

        Raises:
            DynamicInt8Unavailable: on a GPU; and in a backward pass through this layer.
        """
        if x.device.type != "cpu":
            raise DynamicInt8Unavailable(
                f"'{DYNAMIC_INT8}' runs on CPUs, and this model was moved to '{x.device.type}'. Move it back with "
                "model.cpu(), or load it in another precision."
            )
        given = (self.weight, self.SCB, self.bias)
        if torch.is_grad_enabled() and x.requires_grad:
            return _Product.apply(x, *given)  # type: ignore[no-any-return,no-untyped-call]
        return product(x, *given)


class _Product(torch.autograd.Function):
    """A product that is not differentiated: a gradient that ignores the rounding would train everything else wrongly."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        return product(*given)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise DynamicInt8Unavailable(
            f"A model in '{DYNAMIC_INT8}' cannot be trained: its weights are whole numbers, and have no gradients. {_CHOOSE}"
        )


def product(x: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · weightᵀ + bias, each row of x rounded to 256 levels over its range, which includes 0.

    Args:
        x: (…, I) floating point, on a CPU.
        weight: (O, I) int8.
        scales: (O,) float32: row · scale / 127 is what is meant.
        bias: (O,), or None.

    Returns:
        (…, O), of x's dtype.
    """
    rows = x.reshape(-1, x.shape[-1])
    if torch.compiler.is_compiling() or len(rows) <= (block := ROWS_AT_A_TIME * torch.get_num_threads()):
        return _product(rows, weight, scales, bias).reshape(*x.shape[:-1], len(weight))
    made = x.new_empty(len(rows), len(weight))
    for part, result in zip(rows.split(block), made.split(block), strict=True):
        result.copy_(_product(part, weight, scales, bias))
    return made.reshape(*x.shape[:-1], len(weight))


def _product(x: Tensor, weight: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    """(M, I) → (M, O)."""
    least = x.amin(-1, keepdim=True).float().clamp_(max=0)  # (M, 1); `aminmax` of rows takes 20 times as long
    step = (x.amax(-1, keepdim=True).float().clamp_(min=0) - least).div_(255).clamp_(min=_LEAST)
    per_step = 1 / step
    whole = x.new_empty(len(x) + 1, x.shape[1], dtype=torch.int8)
    whole[0] = 1  # so that the sums of the weight's rows come with the product: by themselves they take a quarter of it
    whole[1:] = (x * per_step).add_(-128 - least * per_step).round_()
    found = torch._int_mm(whole, weight.t())  # (M + 1, O) int32
    made = found[1:].float().mul_(step).addcmul_(least + 128 * step, found[0].float()).mul_(scales / 127)
    return (made if bias is None else made.add_(bias)).to(x.dtype)


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix to 8 bit. On 'meta' nothing is computed.

    Args:
        weight: (O, I), floating point, on a CPU.

    Returns:
        (O, I) int8 and (O,) float32: row · scale / 127 is the weight again, nearly. Rounding that once more gives the same int8
        and the same scales, bit by bit.

    Raises:
        DynamicInt8Unavailable: if the weight is elsewhere.
    """
    if weight.is_meta:
        return torch.empty_like(weight, dtype=torch.int8), torch.empty_like(weight[:, 0], dtype=torch.float32)
    if reason := why_not(weight.device)[0]:
        raise DynamicInt8Unavailable(reason)
    # Up to the next number of 16 significant bits: then 127 · scale is exact in float32, and a row that is made floating and
    # rounded again comes back as it was.
    bits = weight.abs().amax(1).float().view(torch.int32)
    scales = bits.add_(0xFF).bitwise_and_(~0xFF).view(torch.float32)
    rounded = weight.float().mul((127 / scales.clamp(min=_LEAST))[:, None]).round_()
    return rounded.nan_to_num_(nan=0.0).to(torch.int8), scales  # a row of zeros has been multiplied by infinity


def why_not(device: torch.device) -> tuple[str, str]:
    """Why 'int8-dynamic' does not run on a device, and PyTorch's own words; two times '' where it does."""
    if device.type != "cpu":
        return f"'{DYNAMIC_INT8}' runs on CPUs alone, and this is '{device.type}'. {_CHOOSE}", ""
    if not has_vnni():
        return (
            f"'{DYNAMIC_INT8}' needs a processor with VNNI, instructions for products of whole numbers, and this one has none. "
            f"{_CHOOSE}",
            "",
        )
    if not hasattr(torch, "_int_mm") or not torch.backends.mkldnn.is_available():
        return (
            f"PyTorch {torch.__version__} has no fast products of int8 on a CPU, which '{DYNAMIC_INT8}' is. {_CHOOSE}",
            "",
        )
    return "", ""


def has_vnni() -> bool:
    """Whether this processor has instructions for products of int8, as PyTorch sees it."""
    known: Mapping[str, Any] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # PyTorch before 2.12 tells of AVX-512's alone
    return bool(known.get("avx512_vnni") or known.get("avx_vnni") or torch.cpu._is_vnni_supported())
