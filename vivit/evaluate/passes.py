"""Clips through a model in batches of one size.

Letters: B views of a pass, V views of a clip, T frames of each, C channels, H × W pixels, K classes, E hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
import torch
from torch import Tensor

from vivit.crossing import cross
from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.tf32 import products_of


@dataclass(frozen=True)
class Answer:
    """What a model says of a clip.

    Args:
        logits: (K,) float32, the mean over its views.
        familiar: whether it is like the training clips; None where that cannot be told.
    """

    logits: Tensor
    familiar: bool | None


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
    """

    model: VivitForVideoClassification
    processor: VivitImageProcessor
    batch_size: int
    familiarity: Familiarity | None = None

    @torch.inference_mode()
    def __call__(self, clips: Sequence[np.ndarray]) -> list[Answer]:
        """Answers, one a clip.

        Args:
            clips: (V, T, H, W, C) each, all of one shape, resized and cropped.
        Raises:
            UserError: if a logit is infinite or no number.
        """
        views = [view for clip in clips for view in clip]
        spare = -len(views) % self.batch_size
        views += views[-1:] * spare
        device = self.model.device
        features, logits = [], []
        with products_of(self.model):
            for first in range(0, len(views), self.batch_size):
                batch = views[first : first + self.batch_size]
                pixel_values = cross(batch, self.processor, device, self.model.dtype)
                features.append(self.model.features(pixel_values, interpolate_pos_encoding=True))
                logits.append(self.model.classifier(features[-1]))
        of_each = [len(clip) for clip in clips]
        means = [some.mean(0) for some in torch.cat(logits)[: sum(of_each)].float().cpu().split(of_each)]
        if self.familiarity is None:
            return [Answer(mean, None) for mean in means]
        seen = torch.cat(features)[: sum(of_each)].float().cpu().split(of_each)
        return [
            Answer(mean, self.familiarity.is_familiar(some.mean(0).numpy()))
            for mean, some in zip(means, seen, strict=True)
        ]
