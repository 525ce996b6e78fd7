"""The precision that a checkpoint is in, and the one it is to be loaded in."""

from dataclasses import replace
from pathlib import Path

import torch

from vivit.checkpoint.files import read_tensors
from vivit.eight_bit import EightBit, written_as
from vivit.hub import USUAL, HubOptions, called, read_json
from vivit.precision import DTYPES, EIGHT_BIT, TF32, get_precision


def choose_precision(
    folder: Path, options: HubOptions, named: str | None, asked: EightBit | None = None
) -> str | EightBit:
    """The precision to load a checkpoint in.

    Args:
        folder, options: where the checkpoint is, and in which files.
        named: what `vivit.precision.one_precision` returns.
        asked: 8 bit, where an option of its own asks for it.

    Raises:
        ValueError: if the two contradict each other; for 'auto' if the checkpoint is in a dtype that is no precision here.
        vivit.errors.UserError: for a checkpoint that is quantised in a way that cannot be read here.
    """
    written = in_eight_bit(folder)
    if asked is None and named not in (None, "auto", EIGHT_BIT):
        return named
    compute = None
    if named == "auto":
        named = stated_precision(folder, options)
    if asked is None and written is None:
        return named or "float32"
    if named not in (None, EIGHT_BIT):
        if DTYPES[named].weights != DTYPES[named].compute or named == TF32:
            raise ValueError(f"dtype={named!r} and 8 bit contradict each other; give one of them")
        compute = DTYPES[named].compute
    # What a checkpoint in 8 bit was made with goes before the defaults of 8 bit.
    return replace(written if written and asked in (None, EightBit()) else asked or EightBit(), compute=compute)


def in_eight_bit(folder: Path) -> EightBit | None:
    """How a checkpoint is kept in 8 bit; None if it is not.

    Raises:
        vivit.errors.UserError: for a checkpoint that is quantised in a way that cannot be read here.
    """
    file = folder / "config.json"
    return written_as(read_json(file).get("quantization_config") if file.is_file() else None, called(folder))


def stated_precision(folder: Path, options: HubOptions = USUAL) -> str:
    """The precision of a checkpoint, or of what is not in 8 bit: what its config.json says, else that of its first tensor."""
    config = read_json(folder / "config.json")
    stated = config.get("dtype") or config.get("torch_dtype")
    kinds = (tensor.dtype for _, tensor in read_tensors(folder, options) if tensor.is_floating_point())
    return get_precision(stated or next(kinds, torch.float32))
