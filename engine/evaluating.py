"""The model worker's task for labelled clips."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from engine.loaded import batch_size, fitting, load, normalising
from engine.messages import Request
from engine.tasks import ClassifiedClips, ClassifyClips
from vivit.benchmark.passes import choose, telling
from vivit.checkpoint import open_checkpoint
from vivit.device import default_device
from vivit.errors import UserError
from vivit.evaluate.passes import Classifier, clips_of_a_step, record_of
from vivit.progress import Progress


def classify(request: ClassifyClips, blobs: list[bytes], progress: Progress) -> tuple[ClassifiedClips, list[bytes]]:
    """Classify labelled clips; progress is called after every layer of every pass.

    Raises:
        UserError: if the checkpoint is no longer the one that was asked for.
    """
    progress(0.0, "Loading the model")
    asked = request.asked
    with fitting(asked.attention, asked.precision):
        checkpoint, device = open_checkpoint(asked.model, here=True), default_device()
        written = checkpoint.written_ns
        if asked.checkpoint_written not in (0, written):
            raise UserError(
                f"The checkpoint '{asked.model}' was written anew after the evaluation had been asked for. Evaluate "
                "the clips again, for answers of one checkpoint alone."
            )
        model = load(checkpoint, asked.precision, device)
        choose(model, asked.attention, asked.execution)
        size = asked.batch_size or batch_size(checkpoint, asked.attention, asked.precision, device, asked.execution)
        processor = normalising(checkpoint, asked.normalisation)
        classifier = Classifier(model, processor, size, checkpoint.familiarity())
        clips = [np.frombuffer(blob, np.uint8).reshape(request.shape) for blob in blobs]
        with telling(model, progress):
            answers = classifier(clips)
    pairs = zip(request.records, answers, strict=True)
    records = tuple(record_of(record, answer, checkpoint.config) for record, answer in pairs)
    how = replace(asked, batch_size=size, device=str(device), checkpoint_written=written)
    return ClassifiedClips(records, how, clips_of_a_step(size, request.shape[0])), []


TASKS: dict[type[Request[Any]], Callable[..., tuple[Any, list[bytes]]]] = {ClassifyClips: classify}
