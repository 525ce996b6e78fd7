"""What the server runs in a thread of its own, a job of a worker after another, while pages look on. No torch."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.engine import Engine
from engine.jobs import Job
from engine.messages import Reply

logger = logging.getLogger("engine")

TICK = 0.05  # seconds between two looks at a job
JOB_SECONDS = 1.0  # about what one job of a chain may take, since others' jobs wait meanwhile


class Stopped(Exception):
    """The chain was cancelled, or the engine stops."""


class Failed(Exception):
    """A job failed; the message is for the visitor."""


def doing(job: Job[Any], what: str) -> str:
    """What a chain does now, for the page: that its job waits, and in which place, or else what the job is for."""
    return f"waiting, number {job.position} in the queue" if job.position else what


@dataclass(eq=False, kw_only=True)
class Running:
    """A chain of jobs; read it freely, from any thread.

    Args:
        state: 'running', then 'done' or 'cancelled'; 'failed' if a job did.
        note: what it does now.
        error: for the page: why it failed.
    """

    state: Literal["running", "done", "cancelled", "failed"] = "running"
    note: str = "Starting"
    error: str = ""
    _cancel: threading.Event = field(default_factory=threading.Event, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)

    def cancel(self) -> None:
        """End it within 2 seconds. What has been found is kept."""
        self._cancel.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; returns whether it has."""
        return self._ended.wait(timeout)

    def reply_to(self, engine: Engine, job: Job[Reply], tell: Callable[[Job[Any]], None] = lambda job: None) -> Reply:
        """The reply to a job of the chain, for the thread that does the work.

        Jobs of a chain are nobody's: a visitor's next one would take its place in the queue.

        Args:
            job: one of the chain's, cancelled with it.
            tell: is called with the job now and then until it ends.

        Raises:
            Stopped: if the chain was cancelled meanwhile.
            Failed: if the job failed, or was cancelled by somebody else.
        """
        while not job.wait(TICK):
            if self._cancel.is_set():
                engine.cancel(job)
                raise Stopped
            tell(job)
        if self._cancel.is_set():  # jobs may be too short for the look above
            raise Stopped
        if job.state != "done":
            raise Failed(job.error or job.note)
        return job.result

    def done_by(
        self, engine: Engine, ask: Callable[[], Job[Reply]], tell: Callable[[Job[Any]], None] = lambda job: None
    ) -> Job[Reply]:
        """A job of the chain, once it is done; queued a second time if its process ended, perhaps by what others had sent.

        Args:
            ask: queues it.
            tell: as `reply_to`'s.

        Raises:
            Stopped: if the chain was cancelled meanwhile, or the engine stops.
            Failed: if the job failed.
        """
        for retry in (False, True):
            job = ask()
            try:
                self.reply_to(engine, job, tell)
            except Failed:
                if job.state == "cancelled":  # by an engine that stops
                    raise Stopped from None
                if retry or not job.process_ended:
                    raise
            else:
                return job
        raise AssertionError

    def begin(self, work: Callable[[], None], name: str, broken: str) -> None:
        """Do the work in a thread.

        Args:
            work: the jobs one after the other; it raises `Stopped` or `Failed`.
            name: the thread's, and what the log calls it.
            broken: for the page, before what it says already, if anything else is raised: by a stopped engine, for instance;
                the server lives on.
        """
        threading.Thread(target=self.run, args=(work, name, broken), name=name, daemon=True).start()

    def run(self, work: Callable[[], None], name: str, broken: str) -> None:
        """Do the work in this thread. Args: as `begin`'s."""
        state: Literal["done", "cancelled", "failed"] = "failed"
        try:
            work()
            state = "done"
        except Stopped:
            state = "cancelled"
        except Failed as failed:
            self.error = str(failed)
        except Exception:
            logger.exception("%s", name)
            self.error = f"{broken} {self.error}".rstrip()
        finally:
            self.note = ""
            self.state = state
            self._ended.set()
