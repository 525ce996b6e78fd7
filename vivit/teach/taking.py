"""What is taken of clips to teach a head by: features by batches, as clips are classified, and what each looks like.

Letters: T frames, H × W pixels, C channels, E hidden size, L numbers of a look.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from vivit.evaluate.passes import Answer, Begun, Classifier
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor

SIDE = 8  # fields of a look, across and down


def look_of(frames: np.ndarray) -> np.ndarray:
    """The mean picture of a clip, very small: what stays the same while somebody moves before it.

    Args:
        frames: (T, H, W, C) uint8, H and W at least `SIDE`.

    Returns:
        (L,) float32 in [0, 1], L = SIDE · SIDE · C.
    """
    height, width = (size // SIDE for size in frames.shape[1:3])
    mean = frames[:, : height * SIDE, : width * SIDE].mean(0, dtype=np.float32) / 255
    look: np.ndarray = mean.reshape(SIDE, height, SIDE, width, -1).mean((1, 3)).ravel()
    return look


class FeatureTaker(Classifier):
    """Answers as a `Classifier` does, of clips of one view; what it gives as `features` has the look behind them, (E + L,)."""

    def __init__(self, model: VivitForVideoClassification, processor: VivitImageProcessor, batch_size: int) -> None:
        super().__init__(model, processor, batch_size, gives_features=True)
        self._looks: deque[list[np.ndarray]] = deque()  # of passes that have begun, the first in front

    def begin(self, clips: Sequence[np.ndarray]) -> Begun:
        """As `Classifier.begin`, of clips (1, T, H, W, C) uint8."""
        self._looks.append([look_of(clip[0]) for clip in clips])
        return super().begin(clips)

    def finish(self, begun: Begun) -> list[Answer]:
        """As `Classifier.finish`."""
        pairs = zip(super().finish(begun), self._looks.popleft(), strict=True)
        return [
            replace(answer, features=torch.cat((answer.features, torch.from_numpy(look))))
            for answer, look in pairs
            if answer.features is not None
        ]
