"""Matrices kept in 8 bit, as bitsandbytes' LLM.int8 does it: Dettmers et al. 2022, arXiv:2208.07339.

A weight is int8, row by row, and each row has a scale, the largest magnitude in it. Tokens are rounded to int8 likewise when
they come, but for the columns of them that hold a large number: these are multiplied by the weights made floating again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from vivit.errors import UserError, nearest, out_of_memory
from vivit.rounded import RoundedLinear

THRESHOLD = 6.0
# Options of 4 bit that transformers writes beside those of 8 bit, which they do not change.
_IDLE = frozenset(
    {"bnb_4bit_compute_dtype", "bnb_4bit_quant_storage", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant"}
)
_OFF = ("load_in_4bit", "_load_in_4bit", "llm_int8_enable_fp32_cpu_offload", "llm_int8_has_fp16_weight")
_READ = ("quant_method", "load_in_8bit", "_load_in_8bit", "llm_int8_threshold", "llm_int8_skip_modules")
# Parts of the names of the encoder's layers, in memory and on disk: linear layers with one of these are in 8 bit.
_ENCODER = frozenset(
    {"encoder", "layer", "layers", "attention", "query", "key", "value", "qkv", "q_proj", "k_proj", "v_proj"}
)
_ENCODER |= {"o_proj", "mlp", "fc1", "fc2", "intermediate", "output", "dense", "vivit"}
_KEPT = ("classifier", "pooler", "embeddings", "layernorm")
# What bitsandbytes logs of every product of float32, and of 4 bit when it is imported: its logger → words of the line.
_NOISE = {
    "bitsandbytes.autograd._functions": "inputs will be cast",
    "bitsandbytes.backends.cpu.ops": "gemm_4bit_forward",
}


class EightBitUnavailable(UserError):
    """8 bit cannot be had on this machine, or for what was asked."""


@dataclass(frozen=True)
class EightBit:
    """The precision 'int8-bitsandbytes' where its name says too little.

    Args:
        compute: the dtype of what is not in 8 bit; as `vivit.precision.compute_dtype` says if None.
        threshold: a column of tokens with a number of at least this magnitude is not rounded to int8; 0: all columns are.
    """

    compute: torch.dtype | None = None
    threshold: float = THRESHOLD


class Int8Linear(RoundedLinear):
    """A linear layer whose weight is int8; it computes in its input's dtype.

    Args:
        weight: (O, I) float32, float16 or bfloat16; on 'meta' its values are yet to come.
        bias: (O,), or None.
        threshold: as `EightBit`'s.
    """

    def __init__(self, weight: Tensor, bias: nn.Parameter | None, threshold: float = THRESHOLD) -> None:
        _library()
        super().__init__(weight, bias)
        self.threshold = threshold

    @staticmethod
    def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
        """As the function."""
        return quantise(weight)

    def forward(self, x: Tensor) -> Tensor:
        """(…, I) → (…, O), of x's dtype."""
        from bitsandbytes import MatmulLtState, matmul  # type: ignore[attr-defined]

        state = MatmulLtState(CB=self.weight, SCB=self.SCB)
        state.threshold, state.has_fp16_weights, state.is_training = self.threshold, False, self.training
        bias = None if self.bias is None else self.bias.to(x.dtype)
        # As rows: for a batch bitsandbytes 0.50 gives the bias a gradient of another shape.
        rows: Tensor = matmul(x.flatten(0, -2), self.weight, bias=bias, state=state)
        return rows.reshape(*x.shape[:-1], rows.shape[-1])

    def __setstate__(self, state: dict[str, Any]) -> None:
        _library()
        super().__setstate__(state)  # type: ignore[no-untyped-call]


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix to 8 bit where it lies. On 'meta' nothing is computed.

    Args:
        weight: (O, I), floating point.

    Returns:
        (O, I) int8 and (O,) float32: row · scale / 127 is the weight again, nearly. Rounding that once more gives the same int8
        and the same scales, bit by bit.

    Raises:
        EightBitUnavailable: if bitsandbytes is not installed, or cannot do it on the weight's device.
    """
    if weight.is_meta:
        return torch.empty_like(weight, dtype=torch.int8), torch.empty_like(weight[:, 0], dtype=torch.float32)
    library = _library()
    try:
        rounded, scales, _ = library.functional.int8_vectorwise_quant(weight.to(torch.float16))  # as bitsandbytes does
    except (RuntimeError, NotImplementedError) as error:
        if out_of_memory(error):
            raise
        raise EightBitUnavailable(
            f"8 bit does not run on '{weight.device.type}' here: bitsandbytes {library.__version__} has no kernels for it, or "
            "they could not be loaded. Choose another precision or device.",
            str(error),
        ) from error
    return rounded, scales


def why_not(device: torch.device) -> tuple[str, str]:
    """Why 8 bit does not run on a device, and bitsandbytes' own words; two times '' where it does."""
    try:
        with torch.inference_mode():
            layer = Int8Linear(torch.ones(16, 16, device=device), None).eval()
            layer(torch.ones(1, 16, 16, device=device, dtype=torch.float16))
    except EightBitUnavailable as error:
        return str(error), error.details
    except (RuntimeError, NotImplementedError) as error:
        return f"bitsandbytes' products in 8 bit do not run on '{device.type}' here.", str(error)
    return "", ""


def asked_for(
    load_in_8bit: bool | None = None, load_in_4bit: bool | None = None, quantization_config: Any = None
) -> EightBit | None:
    """What transformers' options ask for; None where they ask for nothing.

    Args:
        load_in_8bit: whether 8 bit is asked for.
        load_in_4bit: False or None.
        quantization_config: a dict, or an object with `to_dict()`, as transformers' `BitsAndBytesConfig`.

    Returns:
        The 8 bit that is wanted.

    Raises:
        ValueError: for what is not done here.
    """
    for name, value in (("load_in_8bit", load_in_8bit), ("load_in_4bit", load_in_4bit)):
        if value not in (None, True, False):
            raise ValueError(f"{name} must be True or False, not {value!r}")
    if load_in_4bit:
        raise ValueError("load_in_4bit=True is not done here; load_in_8bit=True is")
    if quantization_config is not None:
        if load_in_8bit is False:
            raise ValueError("load_in_8bit=False and quantization_config contradict each other; give one of them")
        convertible = hasattr(quantization_config, "to_dict") and not isinstance(quantization_config, type)
        given = quantization_config.to_dict() if convertible else quantization_config
        if not isinstance(given, Mapping):
            raise ValueError(f"quantization_config must be a dict or have a to_dict(), not {type(given).__name__}")
        return _parse(given)
    return EightBit() if load_in_8bit else None


def written_as(values: Any, name: str) -> EightBit | None:
    """What the quantization_config of a checkpoint's config.json says; None where there is none.

    Args:
        values: of the key. name: the checkpoint's.

    Raises:
        UserError: for a checkpoint that cannot be read here.
    """
    try:
        return None if values is None else asked_for(quantization_config=values)
    except ValueError as error:
        raise UserError(
            f"The weights of '{name}' are quantised in a way that cannot be read here: {error}. Choose the checkpoint that it "
            "was made of."
        ) from error


def settings(model: nn.Module, kept: list[str]) -> dict[str, Any] | None:
    """The quantization_config of a config.json, as transformers writes it; None for a model that is not in 8 bit.

    Args:
        model: in any precision.
        kept: the names of linear layers that are not in 8 bit.
    """
    layers = [module for module in model.modules() if isinstance(module, Int8Linear)]
    if not layers:
        return None
    return {
        "quant_method": "bitsandbytes",
        "load_in_8bit": True,
        "load_in_4bit": False,
        "llm_int8_threshold": layers[0].threshold,
        "llm_int8_skip_modules": kept,
        "llm_int8_enable_fp32_cpu_offload": False,
        "llm_int8_has_fp16_weight": False,
    }


def _parse(given: Mapping[str, Any]) -> EightBit:
    method = given.get("quant_method", "bitsandbytes")
    method = getattr(method, "value", method)  # of an enumeration
    if method != "bitsandbytes":
        raise ValueError(f"quant_method={method!r} is not done here; 'bitsandbytes' with load_in_8bit=True is")
    known = {*_IDLE, *_OFF, *_READ}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"quantization_config has no option {nearest(name, known)}")
        if name in _OFF and value:
            raise ValueError(f"{name.removeprefix('_')}={value!r} is not done here; load_in_8bit=True by itself is")
    if given.get("load_in_8bit", given.get("_load_in_8bit")) is not True:
        raise ValueError("quantization_config asks for nothing that is done here; load_in_8bit=True is")
    threshold = given.get("llm_int8_threshold", THRESHOLD)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < float("inf"):
        raise ValueError(f"llm_int8_threshold must be a number of at least 0, not {threshold!r}")
    skipped = given.get("llm_int8_skip_modules") or ()
    skipped = [skipped] if isinstance(skipped, str) else skipped
    if other := [name for name in skipped if _is_in_8_bit(str(name))]:
        raise ValueError(
            f"llm_int8_skip_modules={other!r} is not done here: all linear layers of the encoder are in 8 bit, and no others"
        )
    return EightBit(threshold=float(threshold))


def _is_in_8_bit(name: str) -> bool:
    """Whether a module's name is of the encoder, all of which is in 8 bit."""
    first, *others = name.removeprefix("vivit.").split(".")
    return first not in _KEPT and not _ENCODER.isdisjoint({first, *others})


def _library() -> ModuleType:
    for name in _NOISE:
        logging.getLogger(name).addFilter(_is_news)  # which adds it once
    try:
        import bitsandbytes
    except ImportError as error:
        raise EightBitUnavailable(
            "8 bit needs the package bitsandbytes (pip install bitsandbytes), which is not on this machine. Install it, or "
            "choose another precision.",
            str(error),
        ) from error
    return bitsandbytes


def _is_news(record: logging.LogRecord) -> bool:
    return _NOISE[record.name] not in str(record.msg)
