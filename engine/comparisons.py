"""Comparisons side by side: chains of short jobs of the model worker, between which other visitors' jobs go. No torch."""

import itertools
from dataclasses import dataclass, field
from time import monotonic

from engine.engine import Engine
from engine.messages import Reply, Request
from engine.running import Failed, Running
from engine.tasks import ExamineCell, TimeCells
from engine.undisturbed import undisturbed
from vivit.benchmark.families import model_names, with_model
from vivit.benchmark.side_by_side import Examine, SideBySide, Time, TimedRound

LONG_SECONDS = 2.0  # a round that takes as long is submitted cell by cell
SLOW_SECONDS = 1.0  # a pass that takes as long tells how far it is
NOT_WORKING = "The comparison ended early. What was measured stands here; measure again."

_numbers = itertools.count(1)


@dataclass(eq=False)
class RunningComparison(Running):
    """A comparison that the server runs; read it freely, from any thread.

    Args:
        comparison: cells, what is known of them so far, progress and seconds left.
        shape, pixels: the clip's frames, (T, H, W, 3) uint8.
        normalisation: as `engine.tasks.Classify`'s.
        number: as `engine.tasks.TimeCells.comparison`.
    """

    comparison: SideBySide
    shape: tuple[int, int, int, int]
    pixels: bytes = field(repr=False)
    normalisation: str = "checkpoint"
    number: int = field(default_factory=lambda: next(_numbers))


def start(
    engine: Engine,
    comparison: SideBySide,
    shape: tuple[int, int, int, int],
    pixels: bytes,
    normalisation: str = "checkpoint",
) -> RunningComparison:
    """Begin a comparison.

    Args:
        engine: has the workers 'model' and 'media'.
        shape, pixels: the clip's frames, (T, H, W, 3) uint8.
        normalisation: as `engine.tasks.Classify`'s.
    """
    running = RunningComparison(comparison, shape, pixels, normalisation)
    running.begin(lambda: _run(engine, running), f"comparison-{running.number}", NOT_WORKING)
    return running


def _run(engine: Engine, running: RunningComparison) -> None:
    comparison = running.comparison
    try:
        while step := comparison.next():
            if isinstance(step, Examine):
                cell = comparison.cells[step.place]
                models = model_names(c.checkpoint for c in comparison.cells)
                said = f"{cell.attention}, {cell.precision}{cell.manner}"
                running.note = f"warming up {with_model(said, cell, models)}"
                request = ExamineCell(cell, running.shape, running.normalisation)
                comparison.examined(step, _ask(engine, running, request, f"examine {cell}"))
            else:
                begin = monotonic()
                timed = _time(engine, running, step)
                comparison.timed(step, timed, monotonic() - begin)
    finally:
        comparison.end()


def _time(engine: Engine, running: RunningComparison, step: Time) -> TimedRound:
    """One round, in one job; or cell by cell, where others would have to wait for long."""
    comparison = running.comparison
    running.note = f"round {step.number + 1}"
    slow = any(found.pass_ms >= SLOW_SECONDS * 1e3 for found in comparison.found)
    parts = [(place,) for place in step.places] if comparison.round_seconds >= LONG_SECONDS else [step.places]
    timed: list[TimedRound] = []
    for places in parts:
        cells = tuple(comparison.cells[place] for place in places)
        request = TimeCells(running.number, cells, running.shape, running.normalisation, slow)
        timed.append(_ask(engine, running, request, f"time {sorted(map(str, cells))}"))
    return TimedRound(
        tuple(ms for part in timed for ms in part.slots_ms),
        sum(part.wall_seconds for part in timed),
        sum(part.others_seconds for part in timed),
        timed[0].processors,
    )


def _ask(engine: Engine, running: RunningComparison, request: Request[Reply], cost_key: str) -> Reply:
    note = running.note

    def waiting(position: int) -> None:
        running.note = f"{note} (number {position} in the queue)"

    try:
        job = undisturbed(
            engine, request, [running.pixels], cancelled=running._cancel, waiting=waiting, cost_key=cost_key
        )
    finally:
        running.note = note  # else the next job's note would begin with this one's place in the queue
    if job.state != "done":
        raise Failed(job.error or job.note)
    return job.result
