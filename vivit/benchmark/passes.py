"""Passes of loaded models, for a comparison side by side: one that is looked at, and rounds that are timed."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from vivit.benchmark.measure import peak_memory, timed
from vivit.benchmark.side_by_side import SLOT_SECONDS, Examined, TimedRound
from vivit.machine import OtherWork
from vivit.model import VivitForVideoClassification
from vivit.names import BACKENDS
from vivit.precision import kept_bytes
from vivit.progress import Progress

SLOW_SECONDS = 2.0  # a pass that takes as long is not made twice before the rounds


@dataclass(frozen=True)
class Contestant:
    """A cell that is loaded; cells of one precision share a model.

    Args:
        model: in evaluation mode.
        attention: a key of `vivit.attention.ATTENTION`.
        pixel_values: (1, T, C, H, W), on the model's device and in its dtype.
    """

    model: VivitForVideoClassification
    attention: str
    pixel_values: torch.Tensor

    def __call__(self) -> torch.Tensor:
        """One pass. Returns the logits, (1, num_labels)."""
        return self.model(self.pixel_values).logits


def enter(model: VivitForVideoClassification, attention: str, pixel_values: np.ndarray) -> Contestant:
    """Make a cell ready. Args: pixel_values: (T, C, H, W) float32, normalised."""
    clip = torch.from_numpy(pixel_values)[None].to(model.device, model.dtype)
    return Contestant(model, attention, clip)


@contextmanager
def telling(model: VivitForVideoClassification, progress: Progress) -> Iterator[None]:
    """Call `progress` after every layer, where a pass can so be cancelled."""
    layers = model.vivit.layers

    def after(k: int) -> Callable[..., None]:
        return lambda *_: progress((k + 1) / len(layers), f"Layer {k + 1} of {len(layers)}")

    with ExitStack() as hooks:
        for k, layer in enumerate(layers):
            hooks.callback(layer.register_forward_hook(after(k)).remove)
        yield


@torch.inference_mode()
def compile_backend(model: VivitForVideoClassification, pixel_values: torch.Tensor) -> None:
    """Where a model's attention is compiled by its first call, have its first layer make it, outside all that is measured.

    Args:
        pixel_values: (1, T, C, H, W), of the size that is to be measured.
    """
    if BACKENDS[model.attn_implementation].compiled:
        model.vivit.layers[0](model.vivit.embeddings(pixel_values))


@torch.inference_mode()
def examine(contestant: Contestant, progress: Progress = lambda *_: None) -> Examined:
    """Warm a cell up, and find its memory and its answer, in passes that are not timed for the comparison."""
    model, device = contestant.model, contestant.model.device
    model.set_attn_implementation(contestant.attention)
    compile_backend(model, contestant.pixel_values)
    with telling(model, progress):
        if device.type != "cpu":
            contestant()  # its libraries keep memory from their first use on, which is no activation
        (logits, ms), peak = peak_memory(lambda: timed(contestant, device), device)
    if ms < SLOW_SECONDS * 1e3:
        _, ms = timed(contestant, device)  # without the recorder
    weights = kept_bytes(model)
    return Examined(
        pass_ms=ms,
        weights=sum(weights.values()),
        activations=None if peak is None else peak + contestant.pixel_values.nbytes,
        logits=tuple(logits[0].float().tolist()) if logits.isfinite().all() else None,
        device=device.type,
        weights_kept_in=weights,
    )


@torch.inference_mode()
def time_round(
    contestants: Sequence[Contestant],
    *,
    interrupted: bool = False,
    slow: bool = False,
    progress: Progress = lambda *_: None,
) -> TimedRound:
    """Time every cell once, in this order.

    Args:
        interrupted: whether something else ran since the last round: then an untimed pass comes first.
        slow: whether passes are so slow that telling of every layer makes no difference.
        progress: called between slots, and after every layer of slow passes.
    """
    slots = []
    if interrupted:
        contestants[0].model.set_attn_implementation(contestants[0].attention)
        contestants[0]()
    others = OtherWork()
    for k, contestant in enumerate(contestants):
        progress(k / len(contestants), f"Timing {contestant.attention}")
        contestant.model.set_attn_implementation(contestant.attention)
        with telling(contestant.model, progress) if slow else ExitStack():
            slots.append(_slot(contestant))
    return TimedRound(tuple(slots), *others.seconds())


def _slot(contestant: Contestant) -> float:
    """The median of as many passes as fill a slot, in ms."""
    samples: list[float] = []
    while sum(samples) < SLOT_SECONDS * 1e3:
        samples.append(timed(contestant, contestant.model.device)[1])
    return statistics.median(samples)
