"""What is asked of the model worker for benchmarks: a round of a cell alone, and cells side by side."""

from dataclasses import dataclass

from engine.messages import Request
from vivit.benchmark.measurement import Cell, Measurement
from vivit.benchmark.side_by_side import Examined, TimedRound
from vivit.benchmark.sweep import PlannedRound


@dataclass(frozen=True)
class MeasuredRound:
    """One round of a cell: its row, also if it failed, and the seconds that the round took in all."""

    measurement: Measurement
    seconds: float


@dataclass(frozen=True)
class MeasureRound(Request[MeasuredRound]):
    """Measure one round of a cell in a fresh process, with nothing else loaded and nothing else running there.

    Args:
        planned: what to measure.
        shape: of the pixels that go with it, (T, H, W, 3) uint8; None for random numbers.
        normalisation: as `Classify`'s.
    """

    WORKER, TASK, REPLY = "model", "measure", MeasuredRound

    planned: PlannedRound
    shape: tuple[int, int, int, int] | None
    normalisation: str = "checkpoint"


@dataclass(frozen=True)
class ExamineCell(Request[Examined]):
    """Load a cell for a comparison, warm it up, and look at its memory and its answer. With it go the pixels.

    Args:
        cell: checkpoint, attention, precision and execution; a batch of one.
        shape, normalisation: as `Classify`'s.
    """

    WORKER, TASK, REPLY = "model", "examine", Examined

    cell: Cell
    shape: tuple[int, int, int, int]
    normalisation: str = "checkpoint"


@dataclass(frozen=True)
class TimeCells(Request[TimedRound]):
    """Time some cells once each, in this order; a whole round, or where that is slow a part of one. With it go the pixels.

    Args:
        comparison: a number that no other comparison has; the worker tells by it which one ran last.
        cells, shape, normalisation: as `ExamineCell`'s.
        slow: whether passes are so slow that telling how far they are makes no difference.
    """

    WORKER, TASK, REPLY = "model", "time", TimedRound

    comparison: int
    cells: tuple[Cell, ...]
    shape: tuple[int, int, int, int]
    normalisation: str = "checkpoint"
    slow: bool = False
