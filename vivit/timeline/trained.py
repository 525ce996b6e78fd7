"""How long the clips were that a checkpoint was trained on, which is the window that it knows. No torch is used."""

from dataclasses import dataclass
from math import isfinite

from vivit.checkpoint import Checkpoint
from vivit.hub import KINETICS_CHECKPOINT, split_name

# Every second frame of 25 a second. Source: the paper's section 4.1, and the release's configs (google-research/scenic).
FRAME_STRIDE, FRAMES_A_SECOND = 2, 25.0
KEY = "clip_seconds"  # in a checkpoint's config.json


@dataclass(frozen=True)
class TrainedWindow:
    """A checkpoint's window.

    Args:
        seconds: how long.
        stated: whether that is known of this checkpoint, and not only usual.
    """

    seconds: float
    stated: bool

    def outside(self, seconds: float) -> str:
        """What to say of a window of another length; '' for this one."""
        if abs(seconds - self.seconds) < 0.01 * self.seconds:
            return "" if self.stated else self.assumed
        known = "was trained on clips" if self.stated else "is taken to have been trained on clips"
        return (
            f"A window of {seconds:g} s is outside what this checkpoint knows: it {known} of about {self.seconds:g} s, so "
            "its answers may be worse than they look."
        )

    @property
    def assumed(self) -> str:
        """What to say of a window that is only usual."""
        return (
            f"This checkpoint does not say how long its training clips were; {self.seconds:g} s is assumed, which is every "
            f"second frame at {FRAMES_A_SECOND:g} frames a second."
        )


def trained_window(checkpoint: Checkpoint) -> TrainedWindow:
    """What its `config.json` says under `clip_seconds`; for the published checkpoint, what its release says; else the usual."""
    said = checkpoint.config.extra.get(KEY)
    if isinstance(said, int | float) and not isinstance(said, bool) and isfinite(said) and said > 0:
        return TrainedWindow(float(said), True)
    usual = checkpoint.config.num_frames * FRAME_STRIDE / FRAMES_A_SECOND
    return TrainedWindow(usual, split_name(checkpoint.name)[0] == KINETICS_CHECKPOINT)
