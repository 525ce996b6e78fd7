"""The model worker's tasks of looking inside: what a model looked at, and what it says of changed clips."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.loaded import fitting, load, normalising
from engine.messages import Request
from engine.tasks import AnswerOrders, Answers, DeleteTubelets, LookedInside, LookInside, Probabilities
from vivit.batching import clips_at_once
from vivit.benchmark.passes import choose, telling
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.crossing import cross
from vivit.device import default_device
from vivit.explain.attention import look
from vivit.explain.passes import answer_orders, score_deleted, whole_answer
from vivit.model import VivitForVideoClassification
from vivit.progress import Progress

PASS = 0.5  # of the progress, before the way back of a rollout


def look_inside(request: LookInside, blobs: list[bytes], progress: Progress) -> tuple[LookedInside, list[bytes]]:
    """Make all maps of a clip in one pass; progress is called after every attention, and on the way back."""
    progress(0.0, "Loading the model")
    with fitting(request.attention, request.precision):
        checkpoint, model, pixel_values = _ready(request, blobs[0])
        begin, passed = perf_counter(), 0.0

        def tell(fraction: float, note: str) -> None:
            nonlocal passed
            passed = perf_counter() - begin if fraction <= PASS else passed
            progress(fraction, note)

        found = look(model, pixel_values, rollout=True, progress=tell)
        assert found.rollout is not None
        answer, label = whole_answer(model, found.features, checkpoint.labels, checkpoint.familiarity())
        maps = {name: some[:, 0] for name, some in found.maps.items()} | {"rollout": found.rollout[None]}
    arrays = {name: np.ascontiguousarray(some.float().cpu().numpy()) for name, some in maps.items()}
    return LookedInside(
        answer=answer,
        label=label,
        known=checkpoint.trained,
        shapes={name: array.shape for name, array in arrays.items()},
        pass_seconds=passed,
        at_once=clips_at_once(checkpoint.config, request.attention, request.precision, model.device),
    ), [array.tobytes() for array in arrays.values()]


def delete(request: DeleteTubelets, blobs: list[bytes], progress: Progress) -> tuple[Probabilities, list[bytes]]:
    """Classify a clip without some of its tubelets; progress is called after every layer."""
    with fitting(request.look.attention, request.look.precision):
        _, model, pixel_values = _ready(request.look, blobs[0])
        masks = torch.from_numpy(np.frombuffer(blobs[1], bool).reshape(request.masks).copy())
        with telling(model, progress):
            return Probabilities(tuple(score_deleted(model, pixel_values, masks, request.label))), []


def reorder(request: AnswerOrders, blobs: list[bytes], progress: Progress) -> tuple[Answers, list[bytes]]:
    """Classify a clip's frames in other orders; progress is called after every layer."""
    with fitting(request.look.attention, request.look.precision):
        checkpoint, model, pixel_values = _ready(request.look, blobs[0])
        with telling(model, progress):
            found = answer_orders(
                model, pixel_values, request.orders, request.label, checkpoint.labels, checkpoint.familiarity()
            )
        return Answers(tuple(found)), []


def _ready(request: LookInside, pixels: bytes) -> tuple[Checkpoint, VivitForVideoClassification, Tensor]:
    """The checkpoint; its model, which runs plainly by the backend that is asked for; and the clip, (1, T, C, H, W)."""
    checkpoint, device = open_checkpoint(request.checkpoint, here=True), default_device()
    model = load(checkpoint, request.precision, device)
    choose(model, request.attention, "plain")
    frames = np.frombuffer(pixels, np.uint8).reshape(request.shape)
    return checkpoint, model, cross([frames], normalising(checkpoint, request.normalisation), device, model.dtype)


TASKS: dict[type[Request[Any]], Callable[..., tuple[Any, list[bytes]]]] = {
    LookInside: look_inside,
    DeleteTubelets: delete,
    AnswerOrders: reorder,
}
