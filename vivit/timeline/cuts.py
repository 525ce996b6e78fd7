"""Where one shot of a film ends and the next begins, from its pictures on the grid. No torch is used.

A window across a cut shows two scenes, which is like nothing that a model was trained on.
"""

from collections import deque
from statistics import median

import numpy as np

COLOURS = 8  # steps of each channel of the histogram
BLOCKS = 8  # rows and columns of the coarse picture
REMEMBERED = 16  # changes that say what is usual in the shot
# At a cut a share of the pixels changes colour all at once: more than LEAST, which noise may change, and TIMES as much as is
# usual in the shot and as in the step that follows, which a moving camera does not do. The coarse picture changes by more than
# LEAST_LEVELS of 255, which a step from one colour to the next alone, as in a fade, does not do.
LEAST, TIMES, LEAST_LEVELS = 0.08, 2.5, 4.0


class Cuts:
    """Looks at a film's pictures one after the other."""

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._change: tuple[float, float] | None = None  # from the picture before the last to the last
        self._usual: deque[float] = deque(maxlen=REMEMBERED)

    def add(self, image: np.ndarray) -> bool:
        """Take in the next picture. Args: image: (H, W, 3) uint8.

        Returns:
            Whether the picture before it began another shot.
        """
        here, before, change = (histogram(image), _coarse(image)), self._before, self._change
        self._before = here
        if before is None:
            return False
        after = float(np.abs(here[0] - before[0]).sum() / 2)
        self._change = after, float(np.abs(here[1] - before[1]).mean())
        if change is None:
            return False
        colours, levels = change
        # Nothing is usual yet right after a cut, which may be seen in two steps.
        if levels > LEAST_LEVELS and self._usual and colours > max(LEAST, TIMES * median(self._usual), TIMES * after):
            self._usual.clear()
            return True
        self._usual.append(colours)
        return False


def _coarse(image: np.ndarray) -> np.ndarray:
    """(BLOCKS, BLOCKS, 3): the mean of each part of a picture."""
    height, width = (max(1, side // BLOCKS) for side in image.shape[:2])
    whole = image[: height * BLOCKS, : width * BLOCKS]
    rows, columns = whole.shape[0] // height, whole.shape[1] // width
    means: np.ndarray = whole.reshape(rows, height, columns, width, 3).mean((1, 3), dtype=np.float32)
    return means


def histogram(image: np.ndarray) -> np.ndarray:
    """The share of the pixels of each colour, every second row and column. Args: image: (H, W, 3) uint8. Returns: (512,)."""
    steps = (image[::2, ::2] // (256 // COLOURS)).astype(np.int64)
    places = (steps[..., 0] * COLOURS + steps[..., 1]) * COLOURS + steps[..., 2]
    return np.bincount(places.ravel(), minlength=COLOURS**3) / places.size
