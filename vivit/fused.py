"""Two steps in one GPU kernel, where no gradient is wanted: those that PyTorch has, and one of our own, in Triton.

Letters: E the width of a token.
"""

from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn.modules import module as every_module

from vivit.compiling import being_recorded

HALF = (torch.float16, torch.bfloat16)
# PyTorch's two kernels add and normalise fewer numbers than this before a Triton kernel is launched: on one H200 they take 0.86
# of the Triton kernel's time for two clips of ViViT-B/16x2, and 1.06 for four. In a CUDA graph a launch costs nothing.
WORTH_A_LAUNCH = 2**23
MOST_WIDE = 8192  # numbers of a row, all of which one program of the kernel holds


def can_fuse(x: Tensor, linear: nn.Linear, activation: nn.Module) -> bool:
    """Whether `linear_gelu` may stand for the two modules: on CUDA in half precision, without gradients or hooks."""
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
        x + change, and `norm` of the sum. One kernel rounds the sum before it is normalised, as two kernels do.
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
    """Whether a sum of tensors like this and the LayerNorm after it are to be one kernel, if the LayerNorm allows it."""
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
    """Whether Triton makes and runs kernels on a CUDA device, tried once; False if not tried before a graph is recorded."""
    if device not in _makes_kernels:
        if torch.cuda.is_current_stream_capturing():  # the trial's kernel could not be waited for
            return False
        _makes_kernels[device] = _try_triton(device)
    return _makes_kernels[device]


_makes_kernels: dict[torch.device, bool] = {}


def _try_triton(device: torch.device) -> bool:
    """Triton wants a C compiler, headers and a folder for what it makes."""
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
    """Whether a module has forward hooks, its own or those of every module, or another `forward` than its class's."""
    return own_hooks(module) or bool(every_module._global_forward_hooks or every_module._global_forward_pre_hooks)


def own_hooks(module: nn.Module) -> bool:
    """Whether a module has forward hooks of its own, or another `forward` than its class's."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))
