"""The model worker's task for windows of a film or a camera."""

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.loaded import fitting, load, normalising
from engine.messages import Request
from engine.tasks import ClassifyWindows, WindowAnswers
from vivit.batching import clips_at_once
from vivit.benchmark.passes import choose, telling
from vivit.checkpoint import open_checkpoint
from vivit.device import default_device
from vivit.progress import Progress
from vivit.timeline.passes import classify_windows


def classify(request: ClassifyWindows, blobs: list[bytes], progress: Progress) -> tuple[WindowAnswers, list[bytes]]:
    """Classify windows in one pass; progress is called after every layer."""
    progress(0.0, "Loading the model")
    how = request.how
    with fitting(how.attention, how.precision):
        checkpoint, device = open_checkpoint(how.checkpoint, here=True), default_device()
        model = load(checkpoint, how.precision, device)
        choose(model, how.attention, how.execution)
        frames = np.frombuffer(blobs[0], np.uint8).reshape(request.shape)
        with telling(model, progress):
            scores, familiar = classify_windows(
                model, normalising(checkpoint, how.normalisation), frames, request.rows, checkpoint.familiarity()
            )
    names = tuple(checkpoint.labels[k] for k in range(scores.shape[1]))
    at_once = clips_at_once(checkpoint.config, how.attention, how.precision, device, how.execution)
    return WindowAnswers(tuple(familiar), names, at_once), [np.ascontiguousarray(scores, np.float32).tobytes()]


TASKS: dict[type[Request[Any]], Callable[..., tuple[Any, list[bytes]]]] = {ClassifyWindows: classify}
