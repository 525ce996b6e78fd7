"""Passes of loaded models, for a comparison side by side: one that is looked at, and rounds that are timed."""

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from vivit.benchmark.measure import peak_memory, timed
from vivit.benchmark.side_by_side import SLOT_SECONDS, Examined, TimedRound
from vivit.machine import OtherWork
from vivit.model import VivitForVideoClassification, VivitModel
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
        execution: a key of `vivit.names.EXECUTIONS`.
    """

    model: VivitForVideoClassification
    attention: str
    pixel_values: torch.Tensor
    execution: str = "plain"

    def __call__(self) -> torch.Tensor:
        """One pass. Returns the logits, (1, num_labels)."""
        logits: torch.Tensor = self.model(self.pixel_values).logits
        return logits

    def choose(self) -> None:
        """Have the model run as this cell does, by what has been made for it."""
        choose(self.model, self.attention, self.execution)


def choose(model: VivitForVideoClassification, attention: str, execution: str) -> None:
    """Have a model run by this backend in this way; what was made for the two before is used again."""
    model.set_attn_implementation(attention)
    model.execution = execution


def enter(
    model: VivitForVideoClassification, attention: str, pixel_values: np.ndarray, execution: str = "plain"
) -> Contestant:
    """Make a cell ready. Args: pixel_values: (T, C, H, W) float32, normalised."""
    clip = torch.from_numpy(pixel_values)[None].to(model.device, model.dtype)
    return Contestant(model, attention, clip, execution)


@contextmanager
def telling(model: VivitForVideoClassification, progress: Progress) -> Iterator[None]:
    """Call `progress` after every layer, where a pass can so be cancelled; a pass that is one graph cannot."""
    layers = model.vivit.encoder_layers() if model.execution == "plain" else []

    def after(k: int) -> Callable[..., None]:
        return lambda *_: progress((k + 1) / len(layers), f"Layer {k + 1} of {len(layers)}")

    with ExitStack() as hooks:
        for k, layer in enumerate(layers):
            hooks.callback(layer.register_forward_hook(after(k)).remove)
        yield


def unmade(model: VivitForVideoClassification) -> str:
    """What the first call would make before it runs, in a word or two; '' for nothing."""
    if model.execution != "plain":
        made = (model.attn_implementation, model.execution) in model.executions
        return "" if made else "compiling the model" if model.execution == "compiled" else "capturing the model"
    return "compiling the attention" if BACKENDS[model.attn_implementation].compiled else ""


@torch.inference_mode()
def make_ready(model: VivitForVideoClassification, pixel_values: torch.Tensor) -> float | None:
    """Have what a first call compiles or captures be made, outside all that is measured.

    Args:
        pixel_values: (1, T, C, H, W), of the size that is to be measured.

    Returns:
        The seconds of the call that made it: a whole pass, but for an attention that is compiled alone, which the first and
        the last layer of an encoder make. None where nothing was made.
    """
    if not unmade(model):
        return None
    graphs = _compiled_graphs()
    if model.execution != "plain":
        ms = timed(lambda: model(pixel_values), model.device)[1]
    else:
        ms = timed(lambda: _one_of_each(model.vivit, pixel_values), model.device)[1]
    return ms / 1e3 if model.execution == "captured" or _compiled_graphs() > graphs else None


def _one_of_each(model: VivitModel, pixel_values: torch.Tensor) -> None:
    """Run one layer of every kind: of all tokens and, where there is a [CLS], of that alone, which is another kernel."""
    x = model.embeddings(pixel_values)
    stacks = [(model.layers, x)]
    if hasattr(model, "temporal"):
        stacks.append((model.temporal.layers, model.temporal.embed(x[:, :, 0])))
    for layers, tokens in stacks:
        layers[0](tokens)
        if model.config.has_cls:
            layers[-1](tokens, cls_only=True)


def _compiled_graphs() -> int:
    """How many graphs this process has compiled."""
    dynamo = sys.modules.get("torch._dynamo.utils")  # a second to import, which those who compile nothing save
    return dynamo.counters["stats"]["unique_graphs"] if dynamo else 0


def renew(model: VivitForVideoClassification) -> None:
    """Have the next call of a captured model capture it again: a replay takes no memory, that is of the call which captures."""
    if model.execution == "captured":
        model.set_execution("captured")


def beyond(made_seconds: float | None, model: VivitForVideoClassification, pass_ms: float) -> float | None:
    """What a first call took beyond a later one, in seconds. Args: made_seconds: as `make_ready` returns it."""
    if made_seconds is None:
        return None
    # Of a pass what `make_ready` ran: about one of its large layers, beside which those over a few time steps are nothing.
    layers = 1 if model.execution != "plain" else len(model.vivit.layers)
    return made_seconds - pass_ms / 1e3 / layers


@torch.inference_mode()
def examine(contestant: Contestant, progress: Progress = lambda *_: None) -> Examined:
    """Warm a cell up, and find its memory and its answer, in passes that are not timed for the comparison."""
    model, device = contestant.model, contestant.model.device
    contestant.choose()
    made_seconds = make_ready(model, contestant.pixel_values)
    with telling(model, progress):
        if device.type != "cpu":
            contestant()  # its libraries keep memory from their first use on, which is no activation
        renew(model)
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
        first_seconds=beyond(made_seconds, model, ms),
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
    for contestant in contestants:  # makes anew what went with a model that was given up meanwhile
        contestant.choose()
        if contestant.execution != "plain":
            make_ready(contestant.model, contestant.pixel_values)
    if interrupted:
        contestants[0].choose()
        contestants[0]()
    others = OtherWork()
    for k, contestant in enumerate(contestants):
        progress(k / len(contestants), f"Timing {contestant.attention}")
        contestant.choose()
        with telling(contestant.model, progress) if slow else ExitStack():
            slots.append(_slot(contestant))
    return TimedRound(tuple(slots), *others.seconds())


def _slot(contestant: Contestant) -> float:
    """The median of as many passes as fill a slot, in ms."""
    samples: list[float] = []
    while sum(samples) < SLOT_SECONDS * 1e3:
        samples.append(timed(contestant, contestant.model.device)[1])
    return statistics.median(samples)
