"""A video file → the pixels the model gets, short of the arithmetic. No torch is used.

Letters: V views, S of them in time, T frames of each, H × W pixels, C channels.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np

from vivit.processing import VivitImageProcessor
from vivit.video import SampledFrames, read_frames
from vivit.views import ONE, Views


@dataclass(frozen=True)
class ReadyClip:
    """A clip as the model takes it, short of the arithmetic, which is done where the model is.

    Args:
        pixels: (V, T, H, W, C), resized and cropped views for `vivit.crossing.cross`, the crops of one temporal view after the
            other: uint8, or float32 where `VivitImageProcessor.small` gives another dtype.
        indices: (S·T,) which of the clip's frames they are, those of one temporal view after the other.
        seconds: (S·T,) their presentation times; empty for frames that are given as pictures, which have none.
        warnings: sentences for the user.
        timings_ms: of fetch, probe, decode and preprocess those that were done.
    """

    pixels: np.ndarray
    indices: list[int]
    seconds: list[float]
    warnings: list[str]
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class PreparedClip:
    """A clip on its way to the model.

    Args:
        pixels: (V, T, H, W, 3) uint8, resized and cropped; the crops of one temporal view after the other.
        sampled: which frames they are; its `frames` are `pixels`.
        timings_ms: probe, decode and preprocess (here: resize and crop), parts of the wall time. Lanes of decoders work side
            by side, so preprocess is that of the lane with most of it, and decode the rest.
    """

    pixels: np.ndarray
    sampled: SampledFrames
    timings_ms: dict[str, float]

    def ready(self, before: dict[str, float] | None = None) -> ReadyClip:
        """The part of this that a model's answer needs. Args: before: timings of what came before the reading, in ms."""
        sampled, timings = self.sampled, (before or {}) | self.timings_ms
        return ReadyClip(self.pixels, list(sampled.indices), list(sampled.seconds), list(sampled.warnings), timings)


def prepare_clip(
    path: str | Path, num_frames: int, processor: VivitImageProcessor, views: Views = ONE, **sampling: Any
) -> PreparedClip:
    """Read the frames the model gets, each once.

    Args:
        path: a video file.
        num_frames: frames the model takes.
        processor: its resize and crop.
        views: how often the clip is looked at.
        sampling: options of `vivit.video.read_frames`: sampling, stride, start, geometry, limits, progress.

    Raises:
        vivit.video.VideoError: if the file cannot be used.
        vivit.errors.UserError: for views that the processor or the sampling leaves no room for.
    """
    spent: dict[int, float] = defaultdict(float)  # thread → s; a lane is one thread

    def transform(picture: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        small = processor.crops(picture, views.spatial)
        spent[get_ident()] += time.perf_counter() - start
        return small

    sampled = read_frames(path, num_frames, views=views, transform=transform, **sampling)
    sampled = replace(sampled, frames=views.in_order(sampled.frames))
    preprocess = max(spent.values()) * 1e3
    timings = sampled.timings_ms | {"decode": sampled.timings_ms["decode"] - preprocess, "preprocess": preprocess}
    return PreparedClip(sampled.frames, sampled, timings)
