"""What is asked of the model worker of many labelled clips."""

from dataclasses import dataclass

from engine.messages import Request
from vivit.evaluate.records import Asked, Record


@dataclass(frozen=True)
class ClassifiedClips:
    """What a cell has found of clips.

    Args:
        records: theirs, in their order.
        asked: how they were classified, with what the worker has chosen.
        step: the fewest clips whose views fill passes without a rest.
    """

    records: tuple[Record, ...]
    asked: Asked
    step: int


@dataclass(frozen=True)
class ClassifyClips(Request[ClassifiedClips]):
    """Classify labelled clips in passes of one size. With it go the pixels of each.

    Args:
        asked: by which model, and how; a batch size of 0 stands for what the device takes.
        records: of the clips, without answers.
        shape: of each clip, (V, T, H, W, 3).
    """

    WORKER, TASK, REPLY = "model", "classify_clips", ClassifiedClips

    asked: Asked
    records: tuple[Record, ...]
    shape: tuple[int, int, int, int, int]
