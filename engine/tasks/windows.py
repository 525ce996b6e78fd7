"""What is asked of the model worker of windows that share pictures, of a film or a camera."""

from dataclasses import dataclass

from engine.messages import Request
from vivit.timeline.windows import Grid


@dataclass(frozen=True)
class WindowsAsked:
    """How windows are classified, of a film or a camera.

    Args:
        checkpoint, attention, precision, normalisation, execution: as `Classify`'s.
        grid: how the windows lie.
    """

    checkpoint: str
    attention: str
    precision: str
    normalisation: str
    execution: str
    grid: Grid


@dataclass(frozen=True)
class WindowAnswers:
    """Answers of windows. With them come the scores, (B, K) float32.

    Args:
        familiar: whether each is like the training clips; None where the checkpoint has no statistics of them.
        labels: K names.
        at_once: how many windows may go through the model in one batch.
    """

    familiar: tuple[bool | None, ...]
    labels: tuple[str, ...]
    at_once: int


@dataclass(frozen=True)
class ClassifyWindows(Request[WindowAnswers]):
    """Classify windows that share pictures, in one pass. With it go the pixels.

    Args:
        how: the windows are classified.
        shape: of the pixels, (n, H, W, 3).
        rows: B windows of T each, as places in the pixels.
    """

    WORKER, TASK, REPLY = "model", "classify_windows", WindowAnswers

    how: WindowsAsked
    shape: tuple[int, int, int, int]
    rows: tuple[tuple[int, ...], ...]
