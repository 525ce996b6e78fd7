"""A head that was fitted, on the model whose features it was fitted to.

Letters: N clips, K classes, E hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.teach.report import Report


@dataclass(frozen=True)
class Taught:
    """A model with a head of its own.

    Args:
        model: the same encoder, the weights of which it shares with the model that was given, and the new head.
        report: how well it knows what it was taught.
        familiarity: by which clips unlike all that it was taught are told; None where there are too few to tell.
    """

    model: VivitForVideoClassification
    report: Report
    familiarity: Familiarity | None

    def save(self, folder: str | Path, processor: VivitImageProcessor, clip_seconds: float | None = None) -> None:
        """Write a checkpoint that loads with `from_pretrained`, here and in transformers.

        Args:
            folder: where; it is made, and is there whole or not at all.
            processor: that made the pictures which the features are of.
            clip_seconds: about how long the clips were.
        Raises:
            UserError: if the folder is there and holds anything, or cannot be written.
        """
        raise NotImplementedError


def fit_head(
    model: VivitForVideoClassification, features: np.ndarray | Tensor, labels: Sequence[str], *, seed: int = 0
) -> Taught:
    """Fit a multinomial logistic regression to frozen features, and put it on the model.

    Args:
        model: whose features they are: `model.features(pixel_values)`.
        features: (N, E).
        labels: N names; K of them differ, at least two.
        seed: says which clips are left out together where there are too many to leave out each by itself.
    Raises:
        UserError: for one class, features that are not finite, or of another size.
    """
    raise NotImplementedError
