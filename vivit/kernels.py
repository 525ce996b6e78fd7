"""GPU kernels of our own, in Triton, which is imported here alone.

Letters: E the width of a token.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit  # type: ignore[untyped-decorator]
def _add_norm(  # type: ignore[no-untyped-def]  # Triton's own types, which no checker knows
    x, change, weight, bias, total, normed, width, eps, WIDTH: tl.constexpr
):
    """One row: the sum, and its LayerNorm in float32."""
    row = tl.program_id(0).to(tl.int64) * width
    columns = tl.arange(0, WIDTH)
    there = columns < width
    a = tl.load(x + row + columns, mask=there, other=0.0).to(tl.float32)
    b = tl.load(change + row + columns, mask=there, other=0.0).to(tl.float32)
    rounded = (a + b).to(total.dtype.element_ty)
    tl.store(total + row + columns, rounded, mask=there)
    value = rounded.to(tl.float32)
    centred = tl.where(there, value - tl.sum(value, 0) / width, 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred, 0) / width + eps)
    w = tl.load(weight + columns, mask=there, other=0.0).to(tl.float32)
    c = tl.load(bias + columns, mask=there, other=0.0).to(tl.float32)
    tl.store(normed + row + columns, (centred * scale * w + c).to(normed.dtype.element_ty), mask=there)


def add_norm(x: Tensor, change: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x + change, and the LayerNorm of that: every number is read once and written once.

    Args:
        x, change: (…, E) contiguous, on CUDA, of one dtype.
        weight, bias: (E,), of that dtype.
        eps: of the LayerNorm.

    Returns:
        Two tensors like x.
    """
    total, normed = torch.empty_like(x), torch.empty_like(x)
    width = x.shape[-1]
    launch: Any = _add_norm[(x.numel() // width,)]
    with torch.cuda.device(x.device):
        launch(x, change, weight, bias, total, normed, width, eps, WIDTH=triton.next_power_of_2(width), num_warps=4)
    return total, normed
