"""Views of a clip, whose logits are averaged: stretches of its time × crops along the longer side. No torch is used.

Source: Arnab et al. 2021, 'ViViT: A Video Vision Transformer', arXiv:2103.15691, sections 4.1 and 4.2: its figures are those of
multiple views, 4 × 3 on Kinetics, of every second frame. The original release (google-research/scenic) spaces the first frames
of its views linearly and takes three crops, one at either end of the longer side and one in the middle, as is done here. There
a clip that is too short begins anew; here its last frame is repeated, as everywhere in this library.

Letters: S stretches (temporal views), C crops (spatial views), V = S × C views; T frames of each.
"""

from dataclasses import dataclass

import numpy as np

from vivit.errors import UserError

MOST = 64  # views of a clip
STRIDE = 2  # between the frames of one of several temporal views: the paper's, for clips of 25 frames a second


@dataclass(frozen=True)
class Views:
    """How often a clip is looked at.

    Args:
        temporal: S, see `starts`. With one, a clip's frames are chosen as without views.
        spatial: C, see `vivit.processing.VivitImageProcessor.crops`.

    Raises:
        UserError: for fewer than one of either, or more than `MOST` together.
    """

    temporal: int = 1
    spatial: int = 1

    def __post_init__(self) -> None:
        if self.temporal < 1 or self.spatial < 1 or self.count > MOST:
            raise UserError(f"{self} views cannot be used; choose from 1x1 to {MOST} views, such as 4x3.")

    def __str__(self) -> str:
        return f"{self.temporal}x{self.spatial}"

    @property
    def count(self) -> int:
        """V."""
        return self.temporal * self.spatial

    @classmethod
    def parse(cls, text: str) -> "Views":
        """'4x3' → four temporal views, each with three crops. Raises UserError for anything else."""
        temporal, _, spatial = str(text).partition("x")
        if not (temporal.isdecimal() and spatial.isdecimal()):
            raise UserError(f"views wants TEMPORALxSPATIAL, such as 1x1 or 4x3, not {text!r}.")
        return cls(int(temporal), int(spatial))

    def check(self, sampling: str | None, start: int) -> None:
        """Refuse a choice of frames beside several temporal views, which choose theirs themselves.

        Args:
            sampling: a key of `vivit.names.SAMPLING`; None if nobody has chosen one.
            start: the first frame.

        Raises:
            UserError: for another sampling than 'uniform' or another start than 0 with more than one temporal view.
        """
        if self.temporal > 1 and (sampling not in (None, "uniform") or start):
            raise UserError(
                f"{self} views lie evenly over the clip, so sampling={sampling!r} with start={start} cannot be had; leave "
                f"these away, or choose 1x{self.spatial} views."
            )

    def starts(self, total: int, num_frames: int, stride: int) -> list[int]:
        """The first frame of every temporal view.

        They lie evenly from the clip's first frame to the last one from which a whole view fits, T × stride frames; rounded
        down: view k begins at ⌊k · last / (S - 1)⌋. All begin at 0 in a clip that is shorter than a view, and so does a single
        one.

        Args:
            total: frames in the clip. num_frames: T. stride: distance between two frames of a view.
        """
        last = max(0, total - num_frames * stride)
        return [k * last // max(1, self.temporal - 1) for k in range(self.temporal)]

    def in_order(self, crops: np.ndarray) -> np.ndarray:
        """Frames with their crops → views, the crops of one temporal view after the other.

        Args:
            crops: (S·T, C, H, W, channels), the frames of one temporal view after the other.

        Returns:
            (V, T, H, W, channels).
        """
        frames = crops.reshape(self.temporal, -1, *crops.shape[1:])  # (S, T, C, H, W, channels)
        return frames.swapaxes(1, 2).reshape(self.count, -1, *crops.shape[2:])


ONE = Views()
