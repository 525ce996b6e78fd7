"""Precisions by name, as torch has them: what weights are kept in, and what is computed in."""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from vivit import names

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Dtypes:
    """Args: weights: what matrices are kept in; compute: what every product and activation is in."""

    weights: torch.dtype
    compute: torch.dtype


DTYPES: dict[str, Dtypes] = {
    name: Dtypes(getattr(torch, kinds.weights), getattr(torch, kinds.compute))
    for name, kinds in names.PRECISIONS.items()
}


def get_precision(name: "str | torch.dtype") -> str:
    """The name of a precision, given as a name or as a dtype.

    Raises:
        ValueError: if it is not in `DTYPES`.
    """
    text = str(name).removeprefix("torch.")
    if text not in DTYPES:
        raise ValueError(f"precision {text!r} is unknown; known are {', '.join(DTYPES)}")
    return text


def one_precision(dtype: "str | torch.dtype | None", torch_dtype: "str | torch.dtype | None") -> str:
    """The precision that is named by `dtype` or by its older spelling; 'float32' by neither.

    Raises:
        ValueError: if they contradict each other, or one is unknown.
    """
    given = {get_precision(name) for name in (dtype, torch_dtype) if name is not None} or {"float32"}
    if len(given) > 1:
        raise ValueError(f"dtype={dtype} and torch_dtype={torch_dtype} contradict each other; give one of them")
    return given.pop()


def set_precision(model: Model, name: "str | torch.dtype") -> Model:
    """Convert a model in place, parameter by parameter, so that no second copy of it is ever held.

    In 'float16-weights' matrices are kept in float16 and everything else in float32: `vivit.model.Linear` casts one matrix
    at a time to the dtype of its input.

    Args:
        model: a module whose matrices tolerate weights of another dtype than their input.
        name: a key of `DTYPES`, or a dtype of the same name.
    Returns:
        `model`.
    """
    precision = DTYPES[get_precision(name)]
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    for parameter in model.parameters():
        parameter.data = parameter.data.to(precision.weights if id(parameter) in matrices else precision.compute)
    return model
