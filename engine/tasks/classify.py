"""What is asked of the model worker of one clip: its class, and what that took."""

from dataclasses import dataclass

from engine.messages import Request


@dataclass(frozen=True)
class Prediction:
    """A class and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class Classification:
    """A clip's answer, and what it took.

    Args:
        predictions: best first; None where the weights are random.
        familiar: whether the clip is like the training clips; None where the checkpoint has no statistics of them.
        truth: the action that the clip shows, '' where that is not known.
        truth_rank: its place among the classes, 1 the most likely; None if it is none of them or not known, or the weights are
            random.
        latency_ms: the median of `samples_ms`, the timed passes.
        samples_ms: after a pass to warm up if `warm`; else the first pass alone, which was too slow to be repeated.
        warm: see `samples_ms`.
        first_ms: of the first pass.
        others_share: what other programs took of the processors meanwhile, 0 to 1; None if that was too short to tell, or not
            `warm`.
        peak_bytes: the most memory beyond the weights; None where PyTorch does not count it, as on Apple's GPUs.
        weights_bytes: what the parameters and buffers take.
        load_ms: until the model was there. preprocess_ms: from uint8 pixels to the device.
        device: its type as PyTorch names it, 'cpu', 'cuda', …
    """

    predictions: tuple[Prediction, ...] | None
    familiar: bool | None
    truth: str
    truth_rank: int | None
    latency_ms: float
    samples_ms: tuple[float, ...]
    warm: bool
    first_ms: float
    others_share: float | None
    peak_bytes: int | None
    weights_bytes: int
    load_ms: float
    preprocess_ms: float
    device: str


@dataclass(frozen=True)
class Classify(Request[Classification]):
    """Classify one clip and measure it, all of its views in one pass. With it go the pixels of all, (views, *shape) uint8.

    Args:
        checkpoint: as `vivit.checkpoint.open_checkpoint` takes it, on this machine.
        attention, precision, execution: keys of `vivit.names.BACKENDS`, `PRECISIONS` and `EXECUTIONS`.
        normalisation: a key of `vivit.names.NORMALISATION`.
        top_k: how many classes to report.
        shape: of a view, (T, H, W, 3).
        truth: the action that the clip shows, '' where that is not known.
        views: how many there are, whose logits are averaged.
    """

    WORKER, TASK, REPLY = "model", "classify", Classification

    checkpoint: str
    attention: str
    precision: str
    normalisation: str
    top_k: int
    shape: tuple[int, int, int, int]
    truth: str = ""
    execution: str = "plain"
    views: int = 1
