"""Precisions by name, as torch has them: what weights are kept in, and what is computed in."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import nn

from vivit import names
from vivit.eight_bit import EightBit, Int8Linear

Model = TypeVar("Model", bound=nn.Module)
EIGHT_BIT = names.EIGHT_BIT


@dataclass(frozen=True)
class Dtypes:
    """Args: weights: what matrices are kept in; compute: what every product and activation is in, but on a GPU `on_gpu`."""

    weights: torch.dtype
    compute: torch.dtype
    on_gpu: torch.dtype


DTYPES: dict[str, Dtypes] = {
    name: Dtypes(
        getattr(torch, kinds.weights),
        *(getattr(torch, names.compute_dtype(name, device)) for device in ("cpu", "cuda")),
    )
    for name, kinds in names.PRECISIONS.items()
}


def compute_dtype(name: str, device: str | torch.device) -> torch.dtype:
    """`vivit.names.compute_dtype` as torch has it. Args: device: or its type."""
    return getattr(torch, names.compute_dtype(name, torch.device(device).type))


def get_precision(name: "str | torch.dtype | EightBit") -> str:
    """The name of a precision, given as a name or as a dtype.

    Raises:
        ValueError: if it is not in `DTYPES`.
    """
    text = EIGHT_BIT if isinstance(name, EightBit) else str(name).removeprefix("torch.")
    if text not in DTYPES:
        raise ValueError(f"precision {text!r} is unknown; known are {', '.join(DTYPES)}")
    return text


def one_precision(dtype: "str | torch.dtype | None", torch_dtype: "str | torch.dtype | None") -> str | None:
    """The precision that is named by `dtype` or by its older spelling, 'auto' being one too; None by neither.

    Raises:
        ValueError: if they contradict each other, or one is unknown.
    """
    given = {"auto" if name == "auto" else get_precision(name) for name in (dtype, torch_dtype) if name is not None}
    if len(given) > 1:
        raise ValueError(f"dtype={dtype} and torch_dtype={torch_dtype} contradict each other; give one of them")
    return given.pop() if given else None


def set_precision(model: Model, name: "str | torch.dtype | EightBit") -> Model:
    """Convert a model in place, parameter by parameter, so that no second copy of it is ever held.

    In 'float16-weights' matrices are kept in float16 and everything else in float32: `vivit.model.Linear` casts one matrix
    at a time to the dtype of its input. In 'int8-bitsandbytes' the linear layers of the encoder become `Int8Linear`, and
    the others stay what they are.

    Args:
        model: one of `vivit.model`, or derived of one; for the precisions but 'int8-bitsandbytes' any module whose matrices
            tolerate weights of another dtype than their input.
        name: a key of `DTYPES`, a dtype of the same name, or an `EightBit`.
    Returns:
        `model`.
    Raises:
        ValueError: for another precision than 8 bit of a model that is in 8 bit.
        vivit.eight_bit.EightBitUnavailable: if there is no 8 bit here.
    """
    precision = get_precision(name)
    getattr(model, "executions", {}).clear()  # graphs read the weights where they were
    if precision == EIGHT_BIT:
        return _set_eight_bit(model, name if isinstance(name, EightBit) else EightBit())
    if any(isinstance(module, Int8Linear) for module in model.modules()):
        raise ValueError(
            f"this model is in 8 bit, and cannot be made {precision} again; load it with dtype={precision!r}"
        )
    kinds = DTYPES[precision]
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    for parameter in model.parameters():
        parameter.data = parameter.data.to(kinds.weights if id(parameter) in matrices else kinds.compute)
    return model


def _set_eight_bit(model: Model, asked: EightBit) -> Model:
    layers = cast(Any, model).base_model.layers
    for parent in layers.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, Int8Linear(child.weight, child.bias, asked.threshold).train(child.training))
            elif isinstance(child, Int8Linear):
                child.threshold = asked.threshold
    compute = asked.compute or compute_dtype(EIGHT_BIT, next(model.parameters()).device)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(compute)
    return model


def kept_bytes(model: nn.Module) -> dict[str, int]:
    """What a model's weights take, by what they are kept in: the name of a dtype → bytes, those of most bytes first."""
    found: Counter[str] = Counter()
    for tensor in (*model.parameters(), *model.buffers()):
        found[str(tensor.dtype).removeprefix("torch.")] += tensor.numel() * tensor.element_size()
    return dict(found.most_common())
