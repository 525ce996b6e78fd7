"""The models that the model worker has loaded, and what becomes of those that do not fit."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from vivit import heap
from vivit.batching import clips_at_once
from vivit.benchmark.memory import weights_bytes
from vivit.checkpoint import Checkpoint
from vivit.device import default_device, memory_bytes, release_memory
from vivit.errors import UserError, out_of_memory
from vivit.model import VivitForVideoClassification
from vivit.precision import kept_bytes
from vivit.processing import NORMALISATIONS, VivitImageProcessor

MEMORY_SHARE = 0.25  # of the device's memory that loaded models may take

# (checkpoint, precision, when it was written) → model, last used last
LOADED: dict[tuple[str, str, int], VivitForVideoClassification] = {}


def load(checkpoint: Checkpoint, precision: str, device: torch.device) -> VivitForVideoClassification:
    """A checkpoint's model in a precision: the one in `LOADED`, or a freshly loaded one, after making room for it."""
    key = (checkpoint.name, precision, checkpoint.written_ns)
    if key in LOADED:
        LOADED[key] = LOADED.pop(key)
        return LOADED[key]
    for other in [k for k in LOADED if k[0] == checkpoint.name and k[2] != checkpoint.written_ns]:  # has changed since
        del LOADED[other]
    needed = weights_bytes(checkpoint.config, precision, device.type)
    while LOADED and needed + sum(map(held_bytes, LOADED.values())) > MEMORY_SHARE * memory_bytes(device):
        del LOADED[next(iter(LOADED))]
    LOADED[key] = checkpoint.load(VivitForVideoClassification, dtype=precision, device=device)
    return LOADED[key]


@contextmanager
def fitting(attention: str, precision: str) -> Iterator[None]:
    """Turn a ValueError of the model into a UserError, and, after unloading all models, want of memory too."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:  # the model's own words, of a folder that has changed since its frames were read
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"The model of this checkpoint cannot be used: {said}. Choose another checkpoint.") from error
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        unload()
        raise UserError(
            f"This checkpoint with '{attention}' in {precision} does not fit into this machine's memory. "
            "Try sdpa, a half precision, or a smaller checkpoint."
        ) from None  # the traceback's frames would keep the tensors that were made so far


def normalising(checkpoint: Checkpoint, normalisation: str) -> VivitImageProcessor:
    """A checkpoint's processor with its pixel values normalised as a key of `vivit.names.NORMALISATION` says."""
    return replace(checkpoint.processor, **NORMALISATIONS.get(normalisation, {}))


def batch_size(checkpoint: Checkpoint, attention: str, precision: str, device: torch.device, execution: str) -> int:
    """How many views one pass of many clips takes. On a CPU more than one makes no clip faster, and every job longer."""
    if device.type == "cpu":
        return 1
    return clips_at_once(checkpoint.config, attention, precision, device, execution)


def unload() -> None:
    """Give back all the memory that models take."""
    LOADED.clear()
    gc.collect()
    heap.give_back()
    release_memory(default_device())


def held_bytes(model: torch.nn.Module) -> int:
    """Bytes that a model's parameters and buffers take."""
    return sum(kept_bytes(model).values())
