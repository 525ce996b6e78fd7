"""A checkpoint's tensors into a model: what fits, what is settled with a warning, and what is said of the rest."""

import math
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from inspect import currentframe
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vivit.checkpoint.files import dequantised, read_tensors
from vivit.checkpoint.layout import (
    HEAD,
    POOLER,
    POSITIONS,
    TEMPORAL_POSITIONS,
    Misfit,
    listed,
    published_tensors,
    read_into,
)
from vivit.checkpoint.stated import in_eight_bit
from vivit.config import VivitConfig
from vivit.errors import UserError
from vivit.hub import HEADLESS, USUAL, HubOptions, called
from vivit.positions import Grid, interpolate
from vivit.precision import quantiser

# Part of a tensor's name → the only factorization that has such tensors.
OF_ONE_KIND = {".temporal.": "encoder", ".attention_time.": "self_attention"}


@dataclass(frozen=True)
class _Positions:
    """Position embeddings whose grid in the file, and in the model, is known.

    Args:
        of, to: the grid in the file, and the one in the model.
        shape: of a tensor for the grid in the file.
    """

    of: Grid
    to: Grid
    shape: tuple[int, ...]

    def change(self, shape: tuple[int, ...]) -> bool:
        """Whether a tensor of that shape is to be interpolated: as many tubelets in another grid lie elsewhere."""
        return self.of != self.to and shape == self.shape

    def interpolated(self, tensor: Tensor) -> Tensor | None:
        """The tensor for the model's grid; None if it is not to be interpolated."""
        return interpolate(tensor, self.of, self.to) if self.change(tuple(tensor.shape)) else None


@torch.no_grad()
def load_tensors(
    model: Any,
    folder: Path,
    options: HubOptions = USUAL,
    *,
    ignore_mismatched_sizes: bool = False,
    new_head: bool = False,
) -> list[Misfit]:
    """Copy a checkpoint's tensors into a model, on its device and in its precision.

    A whole pooler is dropped where only one side has it, a whole head where the model has none.

    Args:
        model: a `VivitPreTrainedModel`, whose weights the tensors become.
        folder, options: where the tensors are, and in which files.
        ignore_mismatched_sizes: as `from_pretrained`'s.
        new_head: give a model whose checkpoint has no head a new one too, and let layers that a derived class adds keep
            the weights that they were made with; both with a warning.

    Returns:
        What did not fit, all of it settled.

    Raises:
        vivit.errors.UserError: as `from_pretrained`, for whatever did not fit and is not settled.
    """
    in_eight_bit(folder)  # raises for a checkpoint that is quantised in another way
    positions = _positions(model, folder)
    reshape = {tensor: known.interpolated for tensor, known in positions.items()}
    found = read_into(published_tensors(model), dequantised(read_tensors(folder, options)), reshape, quantiser(model))

    name = called(folder)
    missing, unexpected, misshapen = (
        {misfit.name: misfit for misfit in found if misfit.kind == kind}
        for kind in ("missing", "unexpected", "of another shape")
    )
    settled = {tensor for part in (POOLER, HEAD) if part <= unexpected.keys() for tensor in part}
    if missing.keys() >= POOLER:
        model.pooler = None
        settled |= POOLER
    said = []  # warnings, given once it is known that all else fits
    if ignore_mismatched_sizes:
        for tensor, known in positions.items():
            if tensor in misshapen and known.change(misshapen[tensor].shape):
                settled.add(tensor)
                said.append(
                    f"The position embeddings of '{name}', of {known.of} tubelets, were interpolated to {known.to}."
                )
    if new_head and (added := missing.keys() & _added(model)):
        settled |= added
        said.append(
            f"'{name}' has no {', '.join(sorted(added))}: this model's are new, and mean nothing before they are trained."
        )
    headless = missing.keys() >= HEAD
    head = HEAD & (missing.keys() | misshapen.keys())
    if head and (ignore_mismatched_sizes or (headless and new_head)):
        settled |= head
        said.append(_of_new_head(name, headless, model.num_labels))

    if faults := [misfit for misfit in found if misfit.kind == "there twice" or misfit.name not in settled]:
        raise _does_not_fit(name, faults, head)
    if head:
        model.get_submodule("classifier").apply(model.init_module)
    for sentence in said:
        warn(sentence)
    return found


def _positions(model: Any, folder: Path) -> dict[str, _Positions]:
    """What is known of the position embeddings, by name; {} where the checkpoint's config is of another model."""
    config = model.config
    try:
        theirs = VivitConfig.from_folder(folder)
    except UserError:  # another config was given, and the checkpoint's own is of no use
        return {}
    if theirs.factorization != config.factorization:
        return {}
    grids = zip((POSITIONS, TEMPORAL_POSITIONS), theirs.position_grids, config.position_grids, strict=False)
    return {name: _Positions(of, to, (1, config.has_cls + math.prod(of), config.hidden_size)) for name, of, to in grids}


def _added(model: Any) -> set[str]:
    """The published names of what a derived class has beside the layers of its base."""
    kind: Any = model.published_class()
    if type(model) is kind:
        return set()
    with torch.device("meta"):
        return published_tensors(model).keys() - published_tensors(kind(model.config)).keys()


def _of_new_head(name: str, headless: bool, num_labels: int) -> str:
    lacks = "no classification head" if headless else f"a classification head that does not fit {num_labels} classes"
    return f"'{name}' has {lacks}: this model's is new, with random weights, and predicts nothing before it is trained."


def warn(sentence: str) -> None:
    """Warn with the line that called `from_pretrained`: the nearest one outside vivit and torch."""
    frame, level = currentframe(), 1
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] in ("vivit", "torch"):
        frame, level = frame.f_back, level + 1
    warnings.warn(sentence, stacklevel=level)


def _does_not_fit(name: str, faults: Sequence[Misfit], head: Collection[str]) -> UserError:
    """What to raise where a checkpoint and a model differ.

    Args:
        name: of the checkpoint.
        faults: what does not fit.
        head: the head's tensors that are missing or of another shape.
    """
    counts, details = listed(faults)
    sentence = (
        f"The checkpoint '{name}' does not fit the model of its config.json: tensors {counts}. Choose one that "
        "holds every tensor once, as that file describes them."
    )
    unexpected = [misfit.name for misfit in faults if misfit.kind == "unexpected"]
    if meant := {kind for part, kind in OF_ONE_KIND.items() if any(part in f".{name}" for name in unexpected)}:
        sentence = (
            f"The checkpoint '{name}' does not fit the model of its config.json: tensors {counts}. Some are those of "
            f"factorization='{meant.pop()}': set it in that file, or choose another checkpoint."
        )
    advice = ""
    if all(misfit.name in {*head, POSITIONS, TEMPORAL_POSITIONS} and misfit.kind != "there twice" for misfit in faults):
        if {misfit.name for misfit in faults if misfit.kind == "missing"} == HEAD:
            sentence = f"The checkpoint '{name}' {HEADLESS}"
        # Not in the first line, which is all that someone without Python is shown.
        advice = (
            "\nPass ignore_mismatched_sizes=True to give the classification head new random weights, and to interpolate "
            "position embeddings."
        )
    return UserError(f"{sentence}\n{details}{advice}", details)
