"""Two steps in one GPU kernel, where no gradient is wanted: those that PyTorch has, and one of our own, in Triton.

Letters: E the width of a token.
"""

from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn.modules import module as every_module

from vivit.compiling import being_recorded

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
        and type(activation) is nn.GELU
        and activation.approximate == "tanh"  # the form that the epilogue on CUDA computes
        and (linear.weight.dtype, linear.weight.device) == (x.dtype, x.device)
        and linear.bias is not None
        and not hooked(linear)
        and not hooked(activation)
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
    rows: Tensor = torch._addmm_activation(bias, x.flatten(0, -2), weight.t(), use_gelu=True)
    return rows.reshape(*x.shape[:-1], rows.shape[-1])


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
    return (
        one_kernel_pays(x)
        and x.shape[-1] <= MOST_WIDE
        and type(norm) is nn.LayerNorm
        and norm.bias is not None
        and (norm.weight.dtype, norm.weight.device) == (x.dtype, x.device)
        and not hooked(norm)
    )


def one_kernel_pays(x: Tensor) -> bool:
    """Whether sums of tensors like this and the LayerNorms after them are to be one kernel, if nothing of theirs forbids it."""
    if being_recorded():  # Inductor makes such kernels by itself
        return False
    return (
        x.is_cuda
        and x.dtype in (torch.float32, *HALF)
        and not torch.is_grad_enabled()
        and (x.numel() >= WORTH_A_LAUNCH or torch.cuda.is_current_stream_capturing())
        and has_triton(x.device)
    )


def has_triton(device: torch.device) -> bool:
    """Whether Triton makes and runs kernels on a CUDA device, found out by one, once: no while somebody records a graph."""
    if device not in _makes_kernels:
        if torch.cuda.is_current_stream_capturing():  # where that one could not be waited for
            return False
        _makes_kernels[device] = _try_triton(device)
    return _makes_kernels[device]


_makes_kernels: dict[torch.device, bool] = {}


def _try_triton(device: torch.device) -> bool:
    """It wants a C compiler, headers and a folder for what it makes."""
    if find_spec("triton") is None:
        return False
    try:
        from vivit.kernels import add_norm as kernel

        with torch.inference_mode():
            rows = torch.ones(2, 8, device=device)
            kernel(rows, rows, rows[0], rows[1], 1e-6)
            torch.cuda.synchronize(device)
    except Exception:  # whatever it is, PyTorch's own two kernels compute the same
        return False
    return True


def hooked(module: nn.Module) -> bool:
    """Whether somebody looks at what goes into a module or comes out of it, of it or of every module, or has exchanged it."""
    return own_hooks(module) or bool(every_module._global_forward_hooks or every_module._global_forward_pre_hooks)


def own_hooks(module: nn.Module) -> bool:
    """Whether somebody looks at this very module, or has exchanged what it does."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))
