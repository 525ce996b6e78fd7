"""Whether a map is true, and whether a model used time: chains of short jobs of the model worker. No torch.

Between the jobs of a chain other visitors' jobs go; what has been answered when a chain is cancelled is kept.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from engine.engine import Engine
from engine.jobs import Job
from engine.messages import Reply, Request
from engine.running import JOB_SECONDS, Running
from engine.tasks import AnswerOrders, DeleteTubelets, LookedInside, LookInside
from vivit.explain.counterfactuals import Answer, Counterfactuals, orders
from vivit.explain.deletion import Deletion, plan

NOT_WORKING = "The check ended early. What was found stands here; check again."

Found = TypeVar("Found", Deletion, Counterfactuals)

_numbers = itertools.count(1)


@dataclass(eq=False)
class RunningCheck(Running, Generic[Found]):
    """A check that the server runs; read it freely, from any thread.

    Args:
        look, pixels, looked: what was looked at, and what was seen.
        progress: 0 to 1.
        found: so far; None before there is anything.
    """

    look: LookInside
    pixels: bytes = field(repr=False)
    looked: LookedInside
    progress: float = 0.0
    found: Found | None = None
    _clip_seconds: float = field(default=0.0, repr=False)  # what a clip took in the last job


def start_deletion(
    engine: Engine, look: LookInside, pixels: bytes, looked: LookedInside, weights: np.ndarray
) -> RunningCheck[Deletion]:
    """Begin to delete what a map calls attended, and what its controls do.

    Args:
        engine: has the worker 'model'.
        look, pixels, looked: what was looked at, and what was seen.
        weights: the map, (L, H, W).
    """
    running: RunningCheck[Deletion] = RunningCheck(look, pixels, looked)
    running.begin(lambda: _deletion(engine, running, plan(weights)), f"check-{next(_numbers)}", NOT_WORKING)
    return running


def start_orders(
    engine: Engine, look: LookInside, pixels: bytes, looked: LookedInside
) -> RunningCheck[Counterfactuals]:
    """Begin to show the model its frames in other orders. Args: as `start_deletion`'s."""
    running: RunningCheck[Counterfactuals] = RunningCheck(look, pixels, looked)
    running.begin(lambda: _orders(engine, running), f"check-{next(_numbers)}", NOT_WORKING)
    return running


def _deletion(engine: Engine, running: RunningCheck[Deletion], masks: np.ndarray) -> None:
    """Args: masks: as `plan` returns them."""
    flat, whole = masks.reshape(-1, *masks.shape[2:]), running.looked.answer.score
    scores: list[float] = []
    for some in _batches(running, len(flat)):
        part = np.ascontiguousarray(flat[some])
        request = DeleteTubelets(running.look, running.looked.label, part.shape)
        scores += _ask(engine, running, request, [running.pixels, part.tobytes()], len(part)).of
        if len(scores) >= masks.shape[1]:
            running.found = Deletion.of(whole, scores)


def _orders(engine: Engine, running: RunningCheck[Counterfactuals]) -> None:
    kinds = orders(running.look.shape[0])
    every = [order for some in kinds.values() for order in some]
    frames = np.frombuffer(running.pixels, np.uint8).reshape(running.look.shape)
    still = bool((frames == frames[:1]).all())
    answers: list[Answer] = []
    for some in _batches(running, len(every)):
        request = AnswerOrders(running.look, running.looked.label, tuple(every[some]))
        answers += _ask(engine, running, request, [running.pixels], len(request.orders)).of
        running.found = Counterfactuals.of(running.looked.answer, kinds, answers, still=still)


def _batches(running: RunningCheck[Found], count: int) -> Iterator[slice]:
    """So many clips at a time as one job should take, and as fit."""
    begin = 0
    running._clip_seconds = running.looked.pass_seconds  # a first pass, which may be slower than those that follow
    while begin < count:
        size = max(1, min(running.looked.at_once, int(JOB_SECONDS / max(running._clip_seconds, 1e-6)), count - begin))
        running.note = f"clip {begin + 1} of {count}"
        yield slice(begin, begin + size)
        begin += size
        running.progress = begin / count


def _ask(
    engine: Engine, running: RunningCheck[Found], request: Request[Reply], blobs: Sequence[bytes], clips: int
) -> Reply:
    """One job of the chain."""
    job: Job[Reply] = engine.ask(request, blobs, cost_key=f"{request.TASK} {running.look}")
    note = running.note

    def tell(job: Job[Any]) -> None:
        running.note = f"{note} (number {job.position} in the queue)" if job.position else note

    reply = running.reply_to(engine, job, tell)
    running._clip_seconds = job.seconds_ran / clips
    return reply
