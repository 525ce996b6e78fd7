"""The engine: named workers, each a queue, a thread that watches over it, and the process that does the work.

A worker's process is replaced when it dies, overruns a job's time limit, or ignores a cancel; its queue lives on.
"""

import atexit
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

from engine.failures import cannot_start, overdue, unexpected, without_folder
from engine.jobs import Job, Queue
from engine.messages import Reply, Request, pack
from engine.process import Answer, Overdue, Process, WorkerSpec
from vivit.records import from_json

logger = logging.getLogger("engine")

WorkerState = Literal["starting", "ready", "restarting", "failing", "stopped"]
TICK = 1.0  # seconds between looks at the process itself, for ends that close no socket
FAILURES_BEFORE_TELLING = 2  # failed starts in a row until waiting jobs are told instead of kept waiting
LONGEST_PAUSE = 30.0  # seconds between failed starts
STEADY_SECONDS = 10.0  # a process that lived longer was of use, even without a job


class Engine:
    """Runs jobs in worker processes.

    Args:
        workers: what to run, by name.
    """

    def __init__(self, workers: Mapping[str, WorkerSpec]) -> None:
        self._workers = {name: _Worker(name, spec) for name, spec in workers.items()}
        self._ids = itertools.count(1)

    def start(self) -> None:
        """Start every worker, without waiting for any; jobs may be submitted at once. Stops by itself at exit."""
        atexit.register(self.stop)
        for worker in self._workers.values():
            worker.thread.start()

    def stop(self) -> None:
        """End every process and wait until they are gone. Unfinished jobs become cancelled. Cannot be started again."""
        atexit.unregister(self.stop)
        for worker in self._workers.values():
            worker.ask_to_stop()
        for worker in self._workers.values():
            if worker.thread.is_alive():
                worker.thread.join()

    def submit(
        self,
        worker: str,
        task: str,
        arguments: dict[str, Any] | None = None,
        blobs: Sequence[bytes] = (),
        *,
        visitor: str = "",
        time_limit: float | None = None,
        cost_key: str | None = None,
        slot: str = "",
        decode: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Job[Any]:
        """Queue a job that is given in JSON; `ask` is for the requests of `engine.tasks`.

        Args:
            worker: which worker.
            task: the name of one of its TASKS.
            arguments: strict JSON (no NaN, no infinities).
            blobs: raw bytes that go with them; not copied, so leave them unchanged.
            visitor: whose job it is. If they already have one waiting for the same task and slot, this one takes its place
                and that one becomes cancelled. Empty: nobody's, replaces nothing.
            time_limit: seconds it may run; None: the worker's.
            cost_key: jobs that take about as long share a key, which the estimates rest on; None: the task's name.
            slot: what it is for, where a visitor may have several jobs of one task waiting.
            decode: makes the job's result of the JSON that comes back; raises ValueError if it is not what it should be.

        Returns:
            the job, waiting.

        Raises:
            KeyError: no such worker.
            TypeError, ValueError: arguments or blobs that cannot be sent.
            RuntimeError: the engine has been stopped.
        """
        target = self._workers[worker]
        number = next(self._ids)
        job = Job(
            number,
            worker,
            task,
            visitor,
            target.spec.time_limit if time_limit is None else time_limit,
            cost_key or task,
            slot,
            _queue=target.queue,
            _message=pack({"kind": "job", "job": number, "task": task, "arguments": arguments or {}}, blobs),
            _decode=decode or _as_it_is,
        )
        target.put(job)
        return job

    def ask(self, request: Request[Reply], blobs: Sequence[bytes] = (), **options: Any) -> Job[Reply]:
        """Queue a request with its worker.

        Args:
            blobs: raw bytes that go with it.
            options: as `submit`'s.

        Returns:
            the job, whose result will be the request's kind of reply.
        """
        decode = partial(from_json, request.REPLY)
        return self.submit(request.WORKER, request.TASK, asdict(request), blobs, decode=decode, **options)

    def cancel(self, job: Job[Any]) -> None:
        """Cancel a job: at once if it waits, within 2 seconds if it runs, in the middle of a C call too."""
        self._workers[job.worker].queue.cancel(job)

    def forget(self, visitor: str) -> None:
        """Cancel all of a visitor's jobs."""
        for worker in self._workers.values():
            with worker.queue.changed:
                for job in [*worker.queue.waiting, *filter(None, [worker.queue.running])]:
                    if job.visitor == visitor:
                        worker.queue.cancel(job, "The visitor has left.")

    def alive(self) -> dict[str, bool]:
        """Whether each worker is ready or about to be: False from a failed start to the next good one, and once stopped."""
        return {name: worker.alive() for name, worker in self._workers.items()}

    def idle(self, worker: str) -> bool:
        """Whether nothing runs or waits there."""
        queue = self._workers[worker].queue
        return not (queue.running or queue.waiting)

    def state(self, worker: str) -> WorkerState:
        """'starting', 'ready' (which includes busy), 'restarting', 'failing' (between failed starts) or 'stopped'."""
        return self._workers[worker].state

    def restarts(self, worker: str) -> int:
        """How often its process has been replaced."""
        return self._workers[worker].restarts

    def hello(self, worker: str) -> Any:
        """What its module's `start()` returned last, of the kind that its `WorkerSpec` names; None until it is first ready."""
        return self._workers[worker].hello


@dataclass(frozen=True)
class _Ending:
    """How a job ended.

    Args:
        state: its last.
        outcome: fields of the job.
        usable: whether its process can take another.
    """

    state: Literal["done", "failed", "cancelled"]
    outcome: dict[str, Any] = field(default_factory=dict)
    usable: bool = True


def _answered(job: Job[Any], header: dict[str, Any], blobs: list[bytes]) -> _Ending:
    """What a reply makes of a job. Raises ValueError if it is not of the kind that was asked for."""
    if header["state"] == "cancelled":
        return _Ending("cancelled")
    if header["state"] == "done":
        return _Ending("done", {"result": job._decode(header["result"]), "blobs": blobs, "progress": 1.0})
    if header["traceback"]:
        logger.error("job %d (%s, %s): %s", job.id, job.worker, job.task, header["traceback"])
    return _Ending("failed", {"error": without_folder(header["error"]), "details": header["details"]})


def _as_it_is(result: dict[str, Any]) -> dict[str, Any]:
    return result


class _Worker:
    """One queue, one process at a time, and the thread that watches over both."""

    def __init__(self, name: str, spec: WorkerSpec) -> None:
        self.name, self.spec, self.queue = name, spec, Queue()
        self.state: WorkerState = "starting"
        self.hello: Any = None
        self.restarts = 0
        self.thread = threading.Thread(target=self._supervise, name=f"engine-{name}", daemon=True)
        self._changed = self.queue.changed
        self._failures = 0  # processes in a row that were of no use
        self._stopping = False

    def put(self, job: Job[Any]) -> None:
        with self._changed:
            if self._stopping:
                raise RuntimeError("the engine has been stopped")
            self.queue.put(job)
            if self.state == "failing":
                self._fail_waiting()

    def ask_to_stop(self) -> None:
        with self._changed:
            self._stopping = True
            for job in [*self.queue.waiting, *filter(None, [self.queue.running])]:
                self.queue.cancel(job, "The server is stopping.")
                job._ends_by = 0.0
            if not self.thread.is_alive():
                self.state = "stopped"
            self._changed.notify_all()

    def alive(self) -> bool:
        with self._changed:
            return self.thread.is_alive() and not self._stopping and (self.state == "ready" or not self._failures)

    def _supervise(self) -> None:
        """Run one process after the other, until the server stops."""
        while True:
            useful = False
            try:
                useful = self._run_process()
            except Exception:
                logger.exception("worker '%s': its process could not be run", self.name)
            with self._changed:
                self._take_stock(useful)
                if self._changed.wait_for(lambda: self._stopping, self._pause()):
                    self.state = "stopped"
                    return
                self.state = "restarting"
                self.restarts += 1

    def _take_stock(self, useful: bool) -> None:
        """After a process has ended: fail the job that it left and, after too many processes of no use, those that wait."""
        if job := self.queue.running:
            self.queue.finish(job, "failed", error=unexpected("EngineError"), details="EngineError: see the log")
        self._failures = 0 if useful else self._failures + 1
        self.state = "restarting"
        if self._failures >= FAILURES_BEFORE_TELLING:
            self.state = "failing"
            self._fail_waiting()

    def _pause(self) -> float:
        """Seconds until the next start: none after a process that was of use, longer after each that was not."""
        return min(LONGEST_PAUSE, 0.25 * 2 ** min(self._failures, 10)) if self._failures else 0.0

    def _fail_waiting(self) -> None:
        for job in list(self.queue.waiting):
            self.queue.finish(job, "failed", error=cannot_start(self.name), details="WorkerStart: see the log")

    def _run_process(self) -> bool:
        """Start one process and run jobs in it until it has to be replaced; returns whether it was of use."""
        began, useful = time.monotonic(), False
        process = Process(self.spec, self._changed)
        try:
            if self._greet(process):
                while job := self._next(process):
                    useful = True
                    if not self._run(process, job):
                        break
                useful = useful or time.monotonic() - began > STEADY_SECONDS
            return useful
        finally:
            process.end()

    def _greet(self, process: Process) -> bool:
        """Wait until the process is ready; log why if it will not be."""
        deadline = time.monotonic() + self.spec.start_time_limit
        with self._changed:
            while process.hello is None and not (process.broken or process.dead() or self._stopping):
                if time.monotonic() > deadline:
                    break
                self._changed.wait(min(TICK, self.spec.start_time_limit))
            if self._stopping:
                return False
            if process.hello is not None:
                self.hello, self.state = process.hello, "ready"
                return True
        if process.broken:
            why = process.broken["traceback"]
        elif process.dead():
            why = process.end_explained()[1]
        else:
            why = f"not ready after {self.spec.start_time_limit:g} s"
        logger.error("worker '%s' (%s) could not start: %s", self.name, self.spec.module, why)
        return False

    def _next(self, process: Process) -> Job[Any] | None:
        """Wait for the next job; None if the process or the server has ended."""
        with self._changed:
            while not (self.queue.waiting or self._stopping or process.dead()):
                self._changed.wait(TICK)
            if self._stopping or process.dead():
                return None
            process.job = self.queue.take()
            return process.job

    def _run(self, process: Process, job: Job[Any]) -> bool:
        """Run one job to its end, whatever that is; returns whether the process can take another."""
        ending = self._ending(process, job)
        with self._changed:
            process.job = process.reply = None
            if job._cancel_asked:
                self.queue.finish(job, "cancelled")
            else:
                self.queue.finish(job, ending.state, **ending.outcome)
        return ending.usable

    def _ending(self, process: Process, job: Job[Any]) -> _Ending:
        """Have a job done; a process that is of no more use afterwards has been ended."""
        try:
            return _answered(job, *self._converse(process, job))
        except Overdue:
            process.end()
            sentence, details = overdue(job.time_limit or 0), f"TimeLimit: {job.time_limit} s"
        except ValueError as error:  # a reply, and not of the kind that was asked for
            process.fault = f"{type(error).__name__}: {error}"
            sentence, details = process.end_explained()
        except (EOFError, OSError):
            sentence, details = process.end_explained()
        return _Ending("failed", {"error": sentence, "details": details}, usable=False)

    def _converse(self, process: Process, job: Job[Any]) -> Answer:
        """Send the job, pass on a cancel, and return the reply.

        Raises:
            Overdue: its time was up.
            EOFError, OSError: the process died or sent nonsense.
        """
        process.send(job._message, job)
        answer = self._listen(process, job, for_cancel=True)
        if answer is None:
            process.send(pack({"kind": "cancel", "job": job.id}), job)
            answer = self._listen(process, job, for_cancel=False)
        assert answer
        return answer

    def _listen(self, process: Process, job: Job[Any], *, for_cancel: bool) -> Answer | None:
        """Wait for the reply, or with `for_cancel` for a cancel, which returns None. Raises as `_converse`."""

        def left() -> float:
            return job._ends_by - time.monotonic()

        def cancelled() -> bool:
            return for_cancel and job._cancel_asked

        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: process.reply or process.gone or left() <= 0 or cancelled(), min(TICK, max(0.0, left()))
                )
                if process.reply:
                    return process.reply
            if process.dead():
                raise EOFError
            if left() <= 0:
                raise Overdue
            if cancelled():
                return None
