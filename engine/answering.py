"""How chains of the server's have windows answered by the model worker. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.engine import Engine
from engine.jobs import Job
from engine.running import Running
from engine.tasks import ClassifyWindows, WindowAnswers, WindowsAsked


@dataclass(frozen=True)
class Scored:
    """Windows that were answered.

    Args:
        scores: (B, K) float32.
        answers: what else was said of them.
        seconds: how long the job ran.
    """

    scores: np.ndarray
    answers: WindowAnswers
    seconds: float


def score_windows(
    engine: Engine,
    running: Running,
    asked: WindowsAsked,
    frames: np.ndarray,
    rows: Sequence[tuple[int, ...]],
    tell: Callable[[Job[Any]], None] = lambda job: None,
) -> Scored:
    """Classify windows, as one job of a chain.

    Args:
        asked: how.
        frames: (n, H, W, 3) uint8.
        rows: B windows of T each, as places in `frames`.
        tell: as `Running.reply_to` takes it.

    Raises:
        engine.running.Stopped, engine.running.Failed: as `Running.reply_to`.
    """
    request = ClassifyWindows(asked, frames.shape, tuple(rows))
    key = f"{len(rows)} windows {asked.checkpoint} {asked.attention} {asked.precision} {asked.execution}"
    job = engine.ask(request, [frames.tobytes()], cost_key=key)
    answers = running.reply_to(engine, job, tell)
    return Scored(np.frombuffer(job.blobs[0], np.float32).reshape(len(rows), -1), answers, job.seconds_ran)
