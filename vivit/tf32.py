"""TF32: products of float32 whose factors the tensor cores of an NVIDIA GPU round to 10 bits, and whose sums are float32.

PyTorch has one setting of TF32 for the whole process. Here it is on only while a model in 'tf32' is called: meanwhile the
float32 products of other threads are rounded too. For a model in 'float32' nothing is set: its products are what the process is
set to, which is true float32 unless its owner said otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import Lock
from typing import Any, TypeVar, cast

import torch
from torch import nn

from vivit.errors import UserError
from vivit.names import TF32

LEAST_CAPABILITY = (8, 0)  # of a GPU, as CUDA numbers its chips
Call = TypeVar("Call", bound=Callable[..., Any])


class Tf32Unavailable(UserError):
    """TF32 cannot be had on this device."""


def why_not(device: torch.device) -> tuple[str, str]:
    """Why TF32 does not run on a device, and always '', as PyTorch has no words for it; two times '' where it does."""
    needs = f"TF32 needs an NVIDIA GPU of compute capability {'.'.join(map(str, LEAST_CAPABILITY))} or newer"
    if device.type != "cuda" or torch.version.cuda is None:
        name = {"cpu": "a CPU", "cuda": "a GPU of another maker"}.get(device.type, f"'{device.type}'")
        return f"{needs}; this is {name}. Choose 'float32'.", ""
    found = torch.cuda.get_device_capability(device)
    if found < LEAST_CAPABILITY:
        return f"{needs}; this one has {found[0]}.{found[1]}. Choose 'float32'.", ""
    return "", ""


class _Rounded:
    """How many calls want TF32 at this moment, and what was set before the first of them."""

    def __init__(self) -> None:
        self.lock, self.calls, self.before = Lock(), 0, ""
        self.on = False  # beside `calls`, since compiled code reads it too

    def enter(self) -> None:
        with self.lock:
            if not self.calls:
                self.before = torch.backends.cuda.matmul.fp32_precision
                # Set by the older of two settings, which sets the newer too: PyTorch's compiler reads both, and raises where
                # they differ.
                torch.backends.cuda.matmul.allow_tf32 = True
            self.calls += 1
            self.on = True

    def leave(self) -> None:
        with self.lock:
            self.calls -= 1
            self.on = self.calls > 0
            if not self.calls and self.before != TF32:
                torch.backends.cuda.matmul.allow_tf32 = False
                torch.backends.cuda.matmul.fp32_precision = self.before


_rounded = _Rounded()


def rounding() -> bool:
    """Whether a model in 'tf32' is being called."""
    return _rounded.on


@contextmanager
def products(rounded: bool) -> Iterator[None]:
    """Meanwhile float32 products on a GPU are TF32 if `rounded`, else as the process is set. Does not ask what the GPU has."""
    if not rounded:
        yield
        return
    _rounded.enter()
    try:
        yield
    finally:
        _rounded.leave()


@contextmanager
def products_of(model: nn.Module) -> Iterator[None]:
    """Meanwhile products are rounded as a model's precision wants: TF32 for a model in 'tf32', else as the process is set.

    Calls of such a model do so themselves. This is for what is around them: a compiled model, whose compiler must know before
    it begins, and a backward pass.

    Args:
        model: one of `vivit.model`, or derived of one.

    Raises:
        Tf32Unavailable: if the model is in 'tf32' and its device has no TF32.
    """
    if wants(model):
        refuse(cast(Any, model).device)
    with products(wants(model)):
        yield


def inside_products_of(model: nn.Module, call: Any) -> Callable[..., Any]:
    """A function that makes a call, of a compiled model for instance, in the `products_of` a model."""

    def inside(*args: Any, **options: Any) -> Any:
        with products_of(model):
            return call(*args, **options)

    return inside


def wants(model: nn.Module) -> bool:
    """Whether a model is in 'tf32'."""
    return getattr(getattr(model, "base_model", None), "tf32", False)


def refuse(device: torch.device) -> None:
    """Raise Tf32Unavailable where a device has no TF32."""
    if reason := why_not(device)[0]:
        raise Tf32Unavailable(reason)


def in_its_products(forward: Call) -> Call:
    """A method of a model that runs in `products_of` it.

    Raises:
        Tf32Unavailable: if the device has no TF32.
        RuntimeError: if it is being compiled outside `products_of`, where the graph would compute in float32.
    """

    @wraps(forward)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        if not wants(self):
            return forward(self, *args, **options)
        if torch.compiler.is_compiling():
            if not torch.backends.cuda.matmul.allow_tf32:
                raise RuntimeError(OUTSIDE)  # the compiler cannot make errors of ours
            return forward(self, *args, **options)
        with products_of(self):
            return forward(self, *args, **options)

    return cast(Call, call)


OUTSIDE = (
    "A compiled model in 'tf32' must be called inside `with vivit.tf32.products_of(model):`, or its products would be those of "
    "float32. Call it there, or compile it by model.compile(), which does so."
)
