"""Two steps in one GPU kernel, where PyTorch has one that gives the same numbers."""

import torch
from torch import Tensor, nn

TANH_GELUS = ("gelu_fast", "gelu_new", "gelu_pytorch_tanh")  # the form that the kernel on CUDA computes
HALF = (torch.float16, torch.bfloat16)


def can_fuse(x: Tensor, linear: nn.Linear, activation: nn.Module) -> bool:
    """Whether `linear_gelu` does what the two modules would: on CUDA in half precision, without gradients, which it has not.

    A hook on either module is to be called, so they are then.
    """
    return (
        x.is_cuda
        and x.dtype in HALF
        and not torch.is_grad_enabled()
        and hasattr(torch, "_addmm_activation")
        and linear.weight.dtype == x.dtype
        and linear.bias is not None
        and not any(m._forward_hooks or m._forward_pre_hooks for m in (linear, activation))
    )


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """gelu(x · weightᵀ + bias) by its tanh form, the GELU in the product's epilogue.

    Args:
        x: (…, I), float16 or bfloat16 on CUDA.
        weight: (O, I), of x's dtype.
        bias: (O,), of x's dtype.
    Returns:
        (…, O).
    """
    rows = torch._addmm_activation(bias, x.flatten(0, -2), weight.t(), use_gelu=True)
    return rows.unflatten(0, x.shape[:-1])
