"""Windows through a model as batches.

Letters: n pictures, B windows, T frames of each, C channels, H × W pixels, K classes, E hidden size.
"""

from collections.abc import Sequence

import numpy as np
import torch

from vivit.crossing import cross
from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.scores import probabilities, usual_function
from vivit.tf32 import products_of


@torch.inference_mode()
def classify_windows(
    model: VivitForVideoClassification,
    processor: VivitImageProcessor,
    frames: np.ndarray,
    rows: Sequence[Sequence[int]],
    familiarity: Familiarity | None = None,
) -> tuple[np.ndarray, list[bool | None]]:
    """Classify windows that share pictures, in one pass; each picture crosses to the device and is normalised once.

    Args:
        model: in evaluation mode.
        processor: the arithmetic of its pictures.
        frames: (n, H, W, C) uint8, resized and cropped.
        rows: B windows of T each, as places in `frames`.
        familiarity: by which windows unlike the training clips are told.

    Returns:
        (B, K) float32, a window's answer as the model's usual function gives it; and whether each is like the training clips,
        None where that cannot be told.

    Raises:
        UserError: if a logit is infinite or no number.
    """
    pictures = cross([frames], processor, model.device, model.dtype)[0]  # (n, C, H, W)
    clips = pictures[torch.tensor(rows, device=pictures.device)]  # (B, T, C, H, W)
    with products_of(model):
        features = model.features(clips)  # (B, E)
        logits = model.classifier(features)
    scores = probabilities(logits, usual_function(model.config.problem_type)).cpu().numpy()
    if familiarity is None:
        return scores, [None] * len(scores)
    return scores, [familiarity.is_familiar(one) for one in features.float().cpu().numpy()]
