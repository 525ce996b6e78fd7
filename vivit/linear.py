"""Linear maps, with whichever of PyTorch's two CPU libraries is the faster here."""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from time import thread_time

import torch
from torch import Tensor
from torch.nn import functional as F

from vivit.compiling import being_recorded

Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]

SMALL = 20_480  # numbers in x up to which PyTorch gives a convolution to another library than oneDNN
GAIN = 0.9  # of MKL's time at most, or MKL is used: its rounding is the finer, and a tie would fall out by chance
MANY = 512  # rows that are tried at most; with few rows the libraries are nearer to each other than with many
ENOUGH = 5e-3  # seconds that a race of both takes at least
ROUNDS, MOST_ROUNDS = 2, 8  # rounds of a race at least; rounds at most that are run because neither is far ahead

_one_at_a_time = Lock()
if hasattr(os, "register_at_fork"):  # a child of a process that is racing would wait for a thread that it has not
    os.register_at_fork(after_in_child=lambda: globals().update(_one_at_a_time=Lock()))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · weightᵀ + bias, as `torch.nn.functional.linear`.

    PyTorch leaves float32 products on x86 CPUs to MKL, and convolutions to oneDNN. A 1 × 1 convolution over the rows is the
    same product, and which of the two is faster depends on the processor: on 2 cores of an AMD EPYC oneDNN takes half of MKL's
    time at this model's sizes, on an Intel Xeon about the same. So both are timed once at these sizes (see `onednn_pays`), and
    the faster one is used ever after in this process. Elsewhere (with gradients or deterministic algorithms, a GPU, another
    dtype, little input, a compiler's or a tracer's tensors, a PyTorch without oneDNN) this is a plain product.

    Args:
        x: (…, I).
        weight: (O, I), of x's dtype.
        bias: (O,), of x's dtype.

    Returns:
        (…, O).
    """
    if being_recorded():  # first: whoever records may not see what else is asked here
        return F.linear(x, weight, bias)
    on_cpu = x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    settled = torch.is_grad_enabled() or torch.are_deterministic_algorithms_enabled()  # a race's outcome may be another
    if not on_cpu or type(x) is not Tensor or x.numel() <= SMALL or settled:
        return F.linear(x, weight, bias)
    out, width = weight.shape
    return (convolution if onednn_pays(x.numel() // width, width, out) else F.linear)(x, weight, bias)


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same product as a convolution. Arguments as `linear`'s."""
    picture = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # rows as pixels, channels last: no copy
    # Dilation means nothing to one pixel, but on one thread PyTorch asks oneDNN only if there is some.
    product = F.conv2d(picture, weight[:, :, None, None], bias, dilation=2)
    return product.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


def onednn_pays(rows: int, width: int, out: int) -> bool:
    """Whether oneDNN is clearly faster than MKL at a float32 product, by a race of hundredths of a second, once for each size.

    Args:
        rows: how many; any number up to the next power of two, or beyond `MANY`, counts as the same.
        width, out: I and O.
    """
    alike = min(1 << (rows - 1).bit_length(), MANY)
    with _one_at_a_time:
        return _race(torch.get_num_threads(), alike, width, out)


@cache
def _race(threads: int, rows: int, width: int, out: int) -> bool:
    # In a thread of its own, where no profiler, tracer, autocast or mode of the caller's sees or changes it.
    with ThreadPoolExecutor(1) as alone:
        try:
            race = alone.submit(_best_seconds, (F.linear, convolution), rows, width, out)
        except RuntimeError:  # Python is at its end, and starts no threads
            return False
        mkl, onednn = race.result()
    return onednn < GAIN * mkl


@torch.inference_mode()
def _best_seconds(products: tuple[Product, ...], rows: int, width: int, out: int) -> list[float]:
    """The shortest time of each product in seconds, of a few rounds in which each is run once."""

    def seconds(product: Product) -> float:
        begin = thread_time()  # this thread's own, which other programs disturb less than the clock's
        product(x, weight, bias)
        return thread_time() - begin

    x, weight, bias = (
        torch.ones(size, dtype=torch.float32, device="cpu") for size in ((rows, width), (out, width), (out,))
    )
    times = [[seconds(product) for product in products]]  # in the first round each library makes what it needs
    best = [math.inf, math.inf]
    ends = thread_time() + ENOUGH
    while len(times) <= ROUNDS or thread_time() < ends or (len(times) <= MOST_ROUNDS and not _clear(*best)):
        times.append([seconds(product) for product in products])
        best = [min(each) for each in zip(*times[1:], strict=True)]
    return best


def _clear(mkl: float, onednn: float) -> bool:
    """Whether one of two times is so far ahead that no more rounds are needed."""
    return not 0.75 < onednn / mkl < 1.33
