"""What a visitor asked for: a job that waits in a worker's queue, runs, and ends; any thread may read it."""

import json
import logging
import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal

from engine.failures import TOO_MUCH_WORK
from engine.messages import Reply

logger = logging.getLogger("engine")

CANCEL_GRACE = 1.0  # seconds that a task has to notice a cancel before its process is ended
MAX_COST_KEYS = 500


class Cancelled(BaseException):
    """Raised by `progress` in a task whose job was cancelled.

    A BaseException, so that a library's `except Exception` does not swallow it.
    """


@dataclass(eq=False)
class Job(Generic[Reply]):
    """One call of a worker's task. Read it freely; only the engine writes it, and `state` last.

    `result` is what the task returned: the reply of the request's kind where there is one, see `engine.tasks`, else JSON.
    `error` is the sentence for the visitor, `details` what an expander or a log may add; both are empty unless the job
    failed. `note` is the task's latest word on its progress, or why it was cancelled. Times are `time.monotonic()`.
    """

    id: int
    worker: str
    task: str
    visitor: str
    time_limit: float | None
    cost_key: str
    slot: str = ""
    state: Literal["queued", "running", "done", "failed", "cancelled"] = "queued"
    progress: float = 0.0
    note: str = ""
    result: Reply = field(default_factory=dict)  # type: ignore[assignment]
    blobs: list[bytes] = field(default_factory=list, repr=False)
    error: str = ""
    details: str = ""
    queued_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    ended_at: float | None = None
    _queue: "Queue" = field(kw_only=True, repr=False)
    _message: list[bytes | memoryview] = field(kw_only=True, repr=False)
    _decode: Callable[[dict[str, Any]], Reply] = field(kw_only=True, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)
    _cancel_asked: bool = field(default=False, repr=False)
    _ends_by: float = field(default=math.inf, repr=False)

    @property
    def finished(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self._ended.is_set()

    @property
    def process_ended(self) -> bool:
        """Whether it failed because its process ended under it, for no limit that it ran into."""
        ended = self.details.startswith(("WorkerExit", "WorkerSignal")) and self.error != TOO_MUCH_WORK
        return self.state == "failed" and ended

    @property
    def position(self) -> int:
        """k for the k-th waiting in its queue; 0 once it runs or has ended."""
        return self._queue.position(self)

    @property
    def estimate(self) -> tuple[float | None, float | None]:
        """Seconds until it starts and until it ends, from what jobs of the same cost keys took; None where unknown."""
        return self._queue.estimate(self)

    @property
    def seconds_queued(self) -> float:
        """How long it waited, so far or in all."""
        return (self.started_at or self.ended_at or time.monotonic()) - self.queued_at

    @property
    def seconds_ran(self) -> float:
        """How long it ran, so far or in all; 0 if it never started."""
        return (self.ended_at or time.monotonic()) - self.started_at if self.started_at else 0.0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has finished, `timeout` seconds at most; returns whether it has."""
        return self._ended.wait(timeout)


class Queue:
    """The jobs of one worker: first come, first served, one running. `put` and `cancel` notify `changed`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: list[Job[Any]] = []
        self.running: Job[Any] | None = None
        self._costs: dict[str, deque[float]] = {}

    def put(self, job: Job[Any]) -> None:
        """Queue a job at the end, or in the place of the same visitor's waiting job of the same task and slot."""
        with self.changed:
            for place, other in enumerate(self.waiting):
                same = (other.visitor, other.task, other.slot) == (job.visitor, job.task, job.slot)
                if job.visitor and same:
                    self.waiting[place] = job
                    self.finish(other, "cancelled", note="Replaced by your newer request.")
                    break
            else:
                self.waiting.append(job)
            self.changed.notify_all()

    def take(self) -> Job[Any]:
        """Start the first waiting job; its time limit runs from here."""
        with self.changed:
            job = self.running = self.waiting.pop(0)
            job.started_at = time.monotonic()
            job._ends_by = job.started_at + (math.inf if job.time_limit is None else job.time_limit)
            job.state = "running"
            return job

    def cancel(self, job: Job[Any], note: str = "Cancelled.") -> None:
        """End a waiting job now; give a running one the grace time."""
        with self.changed:
            if job is self.running and not job._cancel_asked:
                job._cancel_asked, job.note = True, note
                job._ends_by = min(job._ends_by, time.monotonic() + CANCEL_GRACE)
            elif job in self.waiting:
                self.finish(job, "cancelled", note=note)
            self.changed.notify_all()

    def finish(self, job: Job[Any], state: Literal["done", "failed", "cancelled"], **outcome: Any) -> None:
        """Give a job its end, and the log its one line."""
        with self.changed:
            for name, value in outcome.items():
                setattr(job, name, value)
            job.ended_at = time.monotonic()
            job._message = []
            if job is self.running:
                self.running = None
            if job in self.waiting:
                self.waiting.remove(job)
            if state == "done":
                self._costs.setdefault(job.cost_key, deque(maxlen=5)).append(job.seconds_ran)
                if len(self._costs) > MAX_COST_KEYS:
                    self._costs.pop(next(iter(self._costs)))
            line = {"job": job.id, "worker": job.worker, "task": job.task, "visitor": job.visitor[:8], "state": state}
            line |= {"queued_s": round(job.seconds_queued, 3), "ran_s": round(job.seconds_ran, 3)}
            logger.info(json.dumps(line | {"error": job.details.partition(":")[0], "said": job.error}))
            job.state = state
            job._ended.set()

    def position(self, job: Job[Any]) -> int:
        with self.changed:
            return self.waiting.index(job) + 1 if job in self.waiting else 0

    def estimate(self, job: Job[Any]) -> tuple[float | None, float | None]:
        with self.changed:
            if job.finished:
                return 0.0, 0.0
            ahead = [self.running] if self.running else []
            if job is not self.running:
                ahead += self.waiting[: self.waiting.index(job)]
            left = [self._seconds_left(other) for other in ahead if other is not job]
            start = None if None in left else sum(seconds for seconds in left if seconds is not None)
            own = self._seconds_left(job)
            return start, None if start is None or own is None else start + own

    def _seconds_left(self, job: Job[Any]) -> float | None:
        costs = self._costs.get(job.cost_key)
        return max(0.0, statistics.median(costs) - job.seconds_ran) if costs else None
