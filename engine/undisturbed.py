"""A job that is timed: while it runs no clip and no film is decoded beside it. No torch."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

from engine.engine import Engine
from engine.jobs import Job
from engine.messages import Reply, Request
from engine.running import TICK, Stopped
from engine.tasks import Hold, HoldFilms


def undisturbed(
    engine: Engine,
    request: Request[Reply],
    blobs: Sequence[bytes] = (),
    *,
    cancelled: threading.Event,
    waiting: Callable[[int], object] = lambda position: None,
    cost_key: str | None = None,
) -> Job[Reply]:
    """Run a job of the model worker to its end. The job is nobody's: it is not dropped when a visitor closes the page.

    The media worker and the film worker are held meanwhile. The hub workers are not: they wait on a network, and a download is
    not to be interrupted.

    Args:
        cancelled: once set, ends the job within 2 seconds.
        waiting: called with the job's place in the queue, as long as it has one.

    Raises:
        Stopped: if `cancelled` was set meanwhile.
    """

    def look(job: Job[Any]) -> None:
        if cancelled.is_set():
            engine.cancel(job)
            raise Stopped
        if not job.wait(TICK) and job.state == "queued" and job.position:
            waiting(job.position)

    holders = [engine.ask(hold, time_limit=math.inf) for hold in (Hold(), HoldFilms()) if hold.WORKER in engine.alive()]
    try:
        for holder in holders:
            while holder.state == "queued":
                look(holder)
        job = engine.ask(request, blobs, cost_key=cost_key)
        while not job.finished:
            look(job)
    finally:
        for holder in holders:
            engine.cancel(holder)
    return job
