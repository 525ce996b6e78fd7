"""The model worker's tasks for teaching: features of clips, and a head that is fitted to them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from engine.failures import NO_ROOM_FOR_CHECKPOINT
from engine.loaded import batch_size, fitting, load, normalising
from engine.messages import Request
from engine.tasks import Features, TakeFeatures, TeachHead
from vivit.benchmark.passes import choose, telling
from vivit.checkpoint import open_checkpoint
from vivit.device import default_device
from vivit.errors import UserError
from vivit.model import VivitForVideoClassification
from vivit.progress import Progress
from vivit.teach.heads import fit_head
from vivit.teach.report import Report
from vivit.teach.taking import FeatureTaker


def take_features(request: TakeFeatures, blobs: list[bytes], progress: Progress) -> tuple[Features, list[bytes]]:
    """Take features of clips; progress is called after every layer of every pass."""
    progress(0.0, "Loading the model")
    how = (request.attention, request.precision)
    with fitting(*how):
        checkpoint, device = open_checkpoint(request.checkpoint, here=True), default_device()
        model = load(checkpoint, request.precision, device)
        choose(model, request.attention, request.execution)
        size = batch_size(checkpoint, *how, device, request.execution)
        taker = FeatureTaker(model, normalising(checkpoint, request.normalisation), size)
        clips = [np.frombuffer(blob, np.uint8).reshape(request.shape) for blob in blobs]
        with telling(model, progress):
            answers = taker(clips)
    features = np.stack([answer.features.numpy() for answer in answers if answer.features is not None])
    return Features(features.shape[1], size), [features.tobytes()]


def teach_head(request: TeachHead, blobs: list[bytes], progress: Progress) -> tuple[Report, list[bytes]]:
    """Fit a head and write its checkpoint; progress is called as the head is fitted, and before it is written.

    Raises:
        UserError: for features that nothing can be fitted to, or if there is no room for the checkpoint.
    """
    progress(0.0, "Loading the model")
    with fitting("sdpa", "float32"):
        checkpoint = open_checkpoint(request.checkpoint, here=True)
        # A model of its own in float32, which loses nothing: those in `LOADED` are for other tasks.
        model = checkpoint.load(VivitForVideoClassification)
        rows = np.frombuffer(bytearray(blobs[0]), np.float32).reshape(len(request.labels), -1)
        features, looks = np.split(rows, [checkpoint.config.hidden_size], axis=1)
        taught = fit_head(
            model, features, request.labels, looks=looks, progress=lambda part, note: progress(0.2 + 0.5 * part, note)
        )
        progress(0.7, "writing the checkpoint")
        try:
            taught.save(request.folder, normalising(checkpoint, request.normalisation), request.clip_seconds)
        except UserError as error:  # whose words name a folder of this server
            raise UserError(NO_ROOM_FOR_CHECKPOINT) from error
    return replace(taught.report, feature_seconds=request.feature_seconds), []


TASKS: dict[type[Request[Any]], Callable[..., tuple[Any, list[bytes]]]] = {
    TakeFeatures: take_features,
    TeachHead: teach_head,
}
