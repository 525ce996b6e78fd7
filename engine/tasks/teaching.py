"""What is asked of the model worker to teach it new classes."""

from dataclasses import dataclass

from engine.messages import Request
from vivit.teach.report import Report


@dataclass(frozen=True)
class Features:
    """Features of clips. With them come the numbers, (n, size) float32, see `vivit.teach.taking`.

    Args:
        size: numbers of a clip.
        at_once: clips of a pass that fit.
    """

    size: int
    at_once: int


@dataclass(frozen=True)
class TakeFeatures(Request[Features]):
    """Take what a model's head sees of clips, in passes of one size. With it go the pixels of each.

    Args:
        checkpoint, attention, precision, execution, normalisation: as `Classify`'s.
        shape: of each clip, (1, T, H, W, 3).
    """

    WORKER, TASK, REPLY = "model", "take_features", Features

    checkpoint: str
    attention: str
    precision: str
    execution: str
    normalisation: str
    shape: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class TeachHead(Request[Report]):
    """Fit a head to features, and write a checkpoint of the model with it. With it go the features, (N, size).

    Args:
        checkpoint: whose the features are.
        normalisation: whose pixel values they are of, which the written processor makes.
        labels: N names.
        folder: where the checkpoint is to be; it is there whole, or not at all.
        clip_seconds: about how long the clips are; None where frames are not spread over them.
        feature_seconds: how long taking the features took, for the report.
    """

    WORKER, TASK, REPLY = "model", "teach_head", Report

    checkpoint: str
    normalisation: str
    labels: tuple[str, ...]
    folder: str
    clip_seconds: float | None
    feature_seconds: float = 0.0
