"""Two steps in one GPU kernel, where no gradient is wanted: those that PyTorch has, and one of our own, in Triton.

Letters: E the width of a token.
"""

import shutil
from functools import cache
from importlib.util import find_spec
from os import environ

import torch
from torch import Tensor, nn

HALF = (torch.float16, torch.bfloat16)
# Fewer numbers than this are added and normalised by PyTorch's two kernels before a Triton kernel is launched: on one H200 two
# clips of ViViT-B/16x2 take 0.86 of its time that way, four 1.06. A CUDA graph launches for nothing.
WORTH_A_LAUNCH = 2**23
MOST_WIDE = 8192  # numbers that one program of the kernel holds


def can_fuse(x: Tensor, linear: nn.Linear, activation: nn.Module) -> bool:
    """Whether `linear_gelu` may stand for the two modules: on CUDA in half precision, and if no hook of theirs is left out."""
    return (
        x.is_cuda
        and x.dtype in HALF
        and not torch.is_grad_enabled()
        and hasattr(torch, "_addmm_activation")
        and linear.weight.dtype == x.dtype
        and linear.bias is not None
        and not _hooked(linear)
        and not _hooked(activation)
    )


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """gelu(x · weightᵀ + bias) by its tanh form, the GELU in the product's epilogue.

    Args:
        x: (…, I), float16 or bfloat16 on CUDA; on a CPU PyTorch would compute the exact form.
        weight: (O, I), of x's dtype.
        bias: (O,), of x's dtype.
    Returns:
        (…, O).
    """
    rows = torch._addmm_activation(bias, x.flatten(0, -2), weight.t(), use_gelu=True)
    return rows.unflatten(0, x.shape[:-1])


def add_norm(x: Tensor, change: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    """A residual sum and its LayerNorm.

    Args:
        x, change: (…, E), of one shape and dtype.
        norm: over E.
    Returns:
        x + change, and `norm` of it. In one kernel the sum is rounded before it is normalised, as it is in two.
    """
    if _one_kernel(x, norm):
        from vivit.kernels import add_norm as kernel

        return kernel(x.contiguous(), change.contiguous(), norm.weight, norm.bias, norm.eps)
    x = x + change
    return x, norm(x)


def _one_kernel(x: Tensor, norm: nn.LayerNorm) -> bool:
    if torch.compiler.is_compiling():  # Inductor makes such a kernel by itself
        return False
    return (
        x.is_cuda
        and not torch.is_grad_enabled()
        and norm.weight.dtype == x.dtype
        and x.dtype in (torch.float32, *HALF)
        and x.shape[-1] <= MOST_WIDE
        and (x.numel() >= WORTH_A_LAUNCH or torch.cuda.is_current_stream_capturing())
        and type(norm) is nn.LayerNorm
        and norm.bias is not None
        and not _hooked(norm)
        and not torch.jit.is_tracing()
        and has_triton()
    )


@cache
def has_triton() -> bool:
    """Whether Triton is on this machine, and the C compiler with which it makes what launches a kernel."""
    compilers = [environ["CC"]] if "CC" in environ else ["gcc", "clang", "cc"]
    return find_spec("triton") is not None and any(map(shutil.which, compilers))


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
