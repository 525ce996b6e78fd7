"""Clips through a model in batches of one size.

Letters: B views of a pass, V views of a clip, T frames of each, C channels, H × W pixels, K classes, E hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np
import torch
from torch import Tensor

from vivit.clock import Mark, mark, milliseconds
from vivit.config import VivitConfig
from vivit.crossing import cross
from vivit.errors import UserError
from vivit.evaluate.records import TOP, Guess, Record
from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.scores import probabilities, usual_function
from vivit.tf32 import products_of


@dataclass(frozen=True)
class Answer:
    """What a model says of a clip.

    Args:
        logits: (K,) float32, the mean over its views.
        familiar: whether it is like the training clips; None where that cannot be told.
        seconds: its share of its passes' time, on the device's own clock.
        features: (E,) float32, the mean over its views, where they were wanted.
    """

    logits: Tensor
    familiar: bool | None
    seconds: float = 0.0
    features: Tensor | None = None


@dataclass(frozen=True)
class Begun:
    """Passes that have begun, which an accelerator does while the host goes on.

    Args:
        views: of each clip.
        found: logits (n, K) of all views, and features (n, E) if they are wanted, n being a multiple of B; on the CPU, and
            filled once `end` is reached.
        begin, end: when the first begins and the last ends.
    """

    views: list[int]
    found: list[Tensor]
    begin: Mark
    end: Mark

    @property
    def seconds(self) -> float:
        """What they took, copy and normalisation included; waits for their end."""
        return milliseconds(self.begin, self.end) / 1e3


def clips_of_a_step(batch_size: int, views: int) -> int:
    """The fewest clips whose views fill passes of `batch_size` without a rest."""
    return batch_size // gcd(batch_size, views)


@dataclass
class Classifier:
    """Classifies clips in passes of exactly `batch_size` views, so that an answer does not depend on how many there are.

    Args:
        model: in evaluation mode.
        processor: the arithmetic of its pictures.
        batch_size: B.
        familiarity: by which clips unlike the training clips are told.
        gives_features: whether answers have them.
    """

    model: VivitForVideoClassification
    processor: VivitImageProcessor
    batch_size: int
    familiarity: Familiarity | None = None
    gives_features: bool = False

    def __call__(self, clips: Sequence[np.ndarray]) -> list[Answer]:
        """Answers, one a clip.

        Args:
            clips: (V, T, H, W, C) each, all of one shape, resized and cropped.
        """
        return self.finish(self.begin(clips))

    @torch.inference_mode()
    def begin(self, clips: Sequence[np.ndarray]) -> Begun:
        """Give the device the passes over some clips, as `__call__` takes them."""
        views = [view for clip in clips for view in clip]
        views += views[-1:] * (-len(views) % self.batch_size)
        device = self.model.device
        begin = mark(device)
        features, logits = [], []
        with products_of(self.model):
            for first in range(0, len(views), self.batch_size):
                batch = views[first : first + self.batch_size]
                pixel_values = cross(batch, self.processor, device, self.model.dtype)
                features.append(self.model.features(pixel_values, interpolate_pos_encoding=True))
                logits.append(self.model.classifier(features[-1]))
            wanted = self.familiarity or self.gives_features
            found = [torch.cat(logits), *([torch.cat(features)] if wanted else [])]
            # Copied here, and not when they are read: that would be after the next passes.
            found = [tensor.float().to("cpu", non_blocking=True) for tensor in found]
        return Begun([len(clip) for clip in clips], found, begin, mark(device))

    def finish(self, begun: Begun) -> list[Answer]:
        """The answers, once they are there."""
        share = begun.seconds / len(begun.views)
        logits, *features = (
            [some.mean(0) for some in tensor[: sum(begun.views)].split(begun.views)] for tensor in begun.found
        )
        of_each: list[Tensor | None] = [*features[0]] if features else [None] * len(logits)
        answers = []
        for mean, feature in zip(logits, of_each, strict=True):
            known = None
            if self.familiarity and feature is not None:
                known = self.familiarity.is_familiar(feature.numpy())
            answers.append(Answer(mean, known, share, feature))
        return answers


def record_of(record: Record, answer: Answer, config: VivitConfig, model_seconds: float | None = None) -> Record:
    """A clip's record with its answer, or with a sentence if that holds a logit which is infinite or no number.

    Of classes with the same logit the first is the better one.

    Args:
        record: of the clip that was read.
        answer: to it.
        config: of the model.
        model_seconds: its share of its passes' time; the answer's own if None.
    """
    record = replace(record, model_seconds=answer.seconds if model_seconds is None else model_seconds)
    try:
        scores = probabilities(answer.logits, usual_function(config.problem_type)).tolist()
    except UserError as error:
        return replace(record, error=str(error))
    order = answer.logits.argsort(descending=True, stable=True).tolist()
    return replace(
        record,
        top=tuple(Guess(k, config.id2label[k], scores[k]) for k in order[:TOP]),
        rank=1 + order.index(record.target),
        score=scores[record.target],
        familiar=answer.familiar,
    )
