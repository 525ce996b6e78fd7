"""Precisions by name, as torch has them: what weights are kept in, and what is computed in."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from vivit import dynamic_int8, eight_bit, names, tf32
from vivit.dynamic_int8 import DynamicInt8Linear
from vivit.eight_bit import EightBit, Int8Linear
from vivit.rounded import RoundedLinear

Model = TypeVar("Model", bound=nn.Module)
EIGHT_BIT, DYNAMIC_INT8, TF32 = names.EIGHT_BIT, names.DYNAMIC_INT8, names.TF32
LAYERS: dict[str, type[RoundedLinear]] = {EIGHT_BIT: Int8Linear, DYNAMIC_INT8: DynamicInt8Linear}  # of the encoder
_WHY_NOT = {
    EIGHT_BIT: eight_bit.why_not,
    DYNAMIC_INT8: dynamic_int8.why_not,
    TF32: tf32.why_not,
}


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
    dtype: torch.dtype = getattr(torch, names.compute_dtype(name, torch.device(device).type))
    return dtype


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


def why_not(name: str, device: torch.device) -> tuple[str, str]:
    """Why a precision does not run on a device, and the words of whoever noticed; two times '' where it does."""
    return _WHY_NOT[name](device) if name in _WHY_NOT else ("", "")


def refuse(name: str, device: torch.device) -> None:
    """Raise UserError where a device does not have a precision; of 'int8-bitsandbytes' bitsandbytes finds that out itself."""
    if name == TF32:
        tf32.refuse(device)
    elif name == DYNAMIC_INT8 and (reason := why_not(name, device)[0]):
        raise dynamic_int8.DynamicInt8Unavailable(reason)


def set_precision(model: Model, name: "str | torch.dtype | EightBit") -> Model:
    """Convert a model in place, parameter by parameter, so that no second copy of it is ever held.

    In 'float16-weights' matrices are kept in float16 and everything else in float32: `vivit.model.Linear` casts one matrix
    at a time to the dtype of its input. In 'int8-bitsandbytes' the linear layers of the encoder become `Int8Linear`, in
    'int8-dynamic' `DynamicInt8Linear`, and the others stay what they are. 'tf32' is float32, noted in the model.

    Args:
        model: one of `vivit.model`, or derived of one; for float32, float16, bfloat16 and 'float16-weights' any module whose
            matrices tolerate weights of another dtype than their input.
        name: a key of `DTYPES`, a dtype of the same name, or an `EightBit`.

    Returns:
        `model`.

    Raises:
        ValueError: for an unknown precision, or for a model in 8 bit another than its own.
        vivit.eight_bit.EightBitUnavailable, vivit.dynamic_int8.DynamicInt8Unavailable, vivit.tf32.Tf32Unavailable: if there
            is none of them here.
    """
    precision = get_precision(name)
    getattr(model, "executions", {}).clear()  # graphs read the weights where they were
    if any(
        isinstance(module, RoundedLinear) and type(module) is not LAYERS.get(precision) for module in model.modules()
    ):
        raise ValueError(
            f"this model is in 8 bit, and cannot be made {precision} again; load it with dtype={precision!r}"
        )
    device = next((parameter.device for parameter in model.parameters()), torch.device("meta"))
    if device.type != "meta":
        refuse(precision, device)
    if precision in LAYERS:
        _replace_encoder(model, LAYERS[precision])
    if precision == EIGHT_BIT:
        return _set_eight_bit(model, name if isinstance(name, EightBit) else EightBit())
    base = cast(Any, model).base_model if precision == TF32 else getattr(model, "base_model", None)
    if base is not None:
        base.tf32 = precision == TF32
    kinds = DTYPES[precision]
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    for parameter in model.parameters():
        if parameter.is_floating_point():
            kept = kinds.weights.is_floating_point and id(parameter) in matrices
            parameter.data = parameter.data.to(kinds.weights if kept else kinds.compute)
    return model


def _replace_encoder(model: nn.Module, kind: type[RoundedLinear]) -> None:
    """Replace the linear layers of the encoder by layers of this kind, one at a time."""
    for layer in cast(Any, model).base_model.encoder_layers():
        for parent in layer.modules():
            for name, child in parent.named_children():
                if isinstance(child, nn.Linear):
                    setattr(parent, name, kind(child.weight, child.bias).train(child.training))


def _set_eight_bit(model: Model, asked: EightBit) -> Model:
    for module in model.modules():
        if isinstance(module, Int8Linear):
            module.threshold = asked.threshold
    compute = asked.compute or compute_dtype(EIGHT_BIT, next(model.parameters()).device)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(compute)
    cast(Any, model).base_model.tf32 = False
    return model


def quantiser(model: nn.Module) -> Callable[[Tensor], tuple[Tensor, Tensor]] | None:
    """How a model rounds its encoder's matrices to 8 bit, from (O, I) to (O, I) int8 and (O,) float32; None if it does not."""
    return next((module.quantise for module in model.modules() if isinstance(module, RoundedLinear)), None)


def kept_bytes(model: nn.Module) -> dict[str, int]:
    """What a model's weights take, by what they are kept in: the name of a dtype → bytes, those of most bytes first."""
    found: Counter[str] = Counter()
    for tensor in (*model.parameters(), *model.buffers()):
        found[str(tensor.dtype).removeprefix("torch.")] += tensor.numel() * tensor.element_size()
    return dict(found.most_common())
