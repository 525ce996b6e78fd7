"""What is usually asked: ready choices of cells, and how to name any other. No torch is used."""

from collections.abc import Sequence
from dataclasses import dataclass

from vivit.benchmark.measurement import Cell, StoppingRule
from vivit.benchmark.sweep import BUDGET_SECONDS
from vivit.checkpoint import RANDOM_CONFIGS
from vivit.names import BACKENDS, PRECISIONS, TF32


@dataclass(frozen=True)
class Preset:
    """A ready choice of cells.

    Args:
        title: what it answers.
        attention, precision, batch_sizes, mode, num_frames: every combination is a cell.
        rule: when timed calls are enough; None for the usual one.
        budget_seconds: what it takes unless told otherwise.
        reference: whether eager in float32 comes first, which the others' answers are held against.
        checkpoints: of which its cells are; () for those that somebody chooses.
    """

    title: str
    attention: tuple[str, ...]
    precision: tuple[str, ...] = ("float32",)
    batch_sizes: tuple[int, ...] = (1,)
    mode: str = "inference"
    num_frames: tuple[int | None, ...] = (None,)
    rule: StoppingRule | None = None
    budget_seconds: float = BUDGET_SECONDS
    reference: bool = False
    checkpoints: tuple[str, ...] = ()

    def cells(self, *checkpoints: str) -> list[Cell]:
        """Its cells, in reading order. Args: checkpoints: those that somebody has chosen."""
        return [cell for name in self.checkpoints or checkpoints for cell in self._cells(name)]

    def _cells(self, checkpoint: str) -> list[Cell]:
        return [Cell(checkpoint, "eager")] * self.reference + grid(
            checkpoint, self.attention, self.precision, self.batch_sizes, (self.mode,), ("plain",), self.num_frames
        )


def grid(
    checkpoint: str,
    attention: Sequence[str],
    precision: Sequence[str] = ("float32",),
    batch_sizes: Sequence[int] = (1,),
    modes: Sequence[str] = ("inference",),
    executions: Sequence[str] = ("plain",),
    num_frames: Sequence[int | None] = (None,),
) -> list[Cell]:
    """Every combination, in reading order."""
    return [
        Cell(checkpoint, a, p, b, m, e, f)
        for m in modes
        for p in precision
        for e in executions
        for f in num_frames
        for b in batch_sizes
        for a in attention
    ]


# The documentation timed 20 batches and 100 steps in one process, whatever their spread; these are at least as many in all.
INFERENCE_RULE = StoppingRule(spread=0, min_samples=4, max_samples=4, seconds=60.0, warm_up_seconds=0)
TRAINING_RULE = StoppingRule(spread=0, min_samples=17, max_samples=17, seconds=60.0, warm_up_seconds=0)

PRESETS: dict[str, Preset] = {
    "this clip, all backends": Preset(
        "Which backend is fastest on this clip, and do the answers agree?",
        tuple(BACKENDS),
        tuple(PRECISIONS),
        budget_seconds=45.0,
    ),
    "batch-size scaling": Preset(
        "How do time and memory grow with the batch?", ("eager", "sdpa"), batch_sizes=(1, 2, 4, 8)
    ),
    "number of tokens": Preset(
        "How do time and memory grow with the length of the clip?", ("eager", "sdpa"), num_frames=(4, 8, 16, 32)
    ),
    "what does factorising buy?": Preset(
        "The paper's four models, ViViT-B/16x2 with random weights: what do time, memory and operations come to, as predicted "
        "and as measured?",
        ("sdpa", "eager"),
        num_frames=(8, 16, 32),
        budget_seconds=600.0,
        checkpoints=tuple(RANDOM_CONFIGS),
    ),
    "memory of the weights: float32, half, 8 bit": Preset(
        "What do weights take in fewer bits, what does that cost in time, and do the answers stay?",
        ("sdpa",),
        tuple(name for name in PRECISIONS if name != TF32),  # whose weights are those of float32
        reference=True,
    ),
    "documentation's inference table": Preset(
        "Eager beside sdpa as the model's documentation measured them: over 20 batches, batch sizes 1 to 8.",
        ("eager", "sdpa"),
        ("float32", "float16"),
        (1, 2, 4, 8),
        rule=INFERENCE_RULE,
    ),
    "documentation's training table": Preset(
        "A training step with eager beside sdpa as the model's documentation measured them: over 100 steps, batch size 1.",
        ("eager", "sdpa"),
        mode="training",
        rule=TRAINING_RULE,
    ),
}
