"""Linear maps, with whichever of PyTorch's two CPU libraries is the faster."""

import torch
from torch import Tensor
from torch.nn import functional as F

SMALL = 20_480  # numbers in x up to which PyTorch gives a convolution to another library than oneDNN


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · weightᵀ + bias, as `torch.nn.functional.linear`.

    PyTorch leaves float32 products on x86 CPUs to MKL, and convolutions to oneDNN. A 1 × 1 convolution over the rows is the
    same product, and where nothing is to be differentiated it is done that way: on 2 cores of an AMD EPYC 1.9 to 2.3 times as
    fast at this model's sizes. Elsewhere (a GPU, another dtype, little input, a PyTorch without oneDNN) it is a plain product.

    Args:
        x: (…, I).
        weight: (O, I), of x's dtype.
        bias: (O,), of x's dtype.
    Returns:
        (…, O).
    """
    if torch.compiler.is_compiling():  # asked first: the compiler cannot look into what else is asked here
        return F.linear(x, weight, bias)
    on_cpu = x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    if not on_cpu or x.numel() <= SMALL or torch.is_grad_enabled():
        return F.linear(x, weight, bias)
    picture = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # rows as pixels, channels last: no copy
    # Dilation means nothing to one pixel, but on one thread PyTorch asks oneDNN only if there is some.
    product = F.conv2d(picture, weight[:, :, None, None], bias, dilation=2)
    return product.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)
