"""Sweeps of the server: they outlive the page that asked for them, and share the model worker with everybody. No torch.

Each cell is one job of the model worker, submitted when the one before it has ended, so that other visitors' jobs go
between. While one is timed the media worker is held by a job that only waits, so that nothing else of this app runs.
(The hub worker is not: what it does is wait on a network, and a download is not to be interrupted.)
"""

import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from engine.engine import Engine
from engine.jobs import Job
from engine.worker import Progress
from vivit.benchmark.cell import Measurement
from vivit.benchmark.results import Result, list_results, save, snapshot
from vivit.benchmark.sweep import Run, Sweep, run_all

logger = logging.getLogger("engine")

TICK = 0.05


def hold(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
    """A task for any worker: do nothing until cancelled, so that it disturbs nobody who is being timed."""
    while True:
        progress(0.0, "waiting while a benchmark is timed")
        time.sleep(TICK)


class _Stopped(Exception):
    """The sweep was cancelled."""


@dataclass(eq=False)
class RunningSweep:
    """A sweep that the server runs; read it freely, from any thread.

    Args:
        id: names it, and its file.
        title, clip: as in `Result`.
        sweep: cells, rows so far, progress and seconds left.
        visitor: who asked for it, or has taken it over since.
        state: 'running', then 'done' or 'cancelled'; 'failed' with `error` if the worker could not be used.
        note: what it does now.
    """

    id: str
    title: str
    clip: str
    sweep: Sweep
    visitor: str
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    state: Literal["running", "done", "cancelled", "failed"] = "running"
    note: str = "Starting"
    error: str = ""
    _job: Job | None = field(default=None, repr=False)
    _cancel: threading.Event = field(default_factory=threading.Event, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def result(self) -> Result:
        """What there is so far, as it is kept."""
        return snapshot(self.sweep, self.title, self.clip, id=self.id, created=self.created)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; returns whether it has."""
        return self._ended.wait(timeout)


class Sweeps:
    """Every sweep of this server.

    Args:
        engine: has the workers 'model' and 'media'.
        folder: where sweeps are kept, after every cell.
        recorded: folders with sweeps of other machines, to read only.
    """

    def __init__(self, engine: Engine, folder: Path, recorded: Sequence[Path] = ()) -> None:
        self._engine = engine
        self._folder = folder
        self._recorded = tuple(recorded)
        self._running: dict[str, RunningSweep] = {}
        self._lock = threading.Lock()

    def start(
        self,
        sweep: Sweep,
        *,
        title: str,
        clip: str = "",
        pixels: Mapping[str, tuple[Sequence[int], bytes]] | None = None,
        normalisation: str = "checkpoint",
        visitor: str = "",
    ) -> RunningSweep:
        """Run a sweep in the background; it runs on when the page is closed.

        Args:
            sweep: not begun.
            title, clip: as in `Result`.
            pixels: checkpoint → shape and bytes of the clip's frames, (T, H, W, 3) uint8, as the media worker's `read`
                returned them; random numbers for checkpoints that are not in it.
            normalisation: 'checkpoint' for each checkpoint's own, or a key of `NORMALISATIONS`.
            visitor: who asks. A sweep of theirs that still runs is cancelled.
        """
        if visitor and (former := self.running(visitor)):
            self.cancel(former.id)
        first = snapshot(sweep, title, clip)
        running = RunningSweep(first.id, title, clip, sweep, visitor, first.created)
        with self._lock:
            self._running = {k: v for k, v in self._running.items() if v.state == "running"}
            self._running[running.id] = running
        arguments = (running, dict(pixels or {}), normalisation)
        threading.Thread(target=self._run, args=arguments, name=f"sweep-{running.id}", daemon=True).start()
        return running

    def get(self, id: str) -> RunningSweep | None:
        """The sweep of that id, if this server has run it lately."""
        with self._lock:
            return self._running.get(id)

    def running(self, visitor: str | None = None) -> RunningSweep | None:
        """The sweep that runs now: this visitor's, or for None anybody's latest."""
        with self._lock:
            found = [s for s in self._running.values() if s.state == "running" and visitor in (None, s.visitor)]
        return found[-1] if found else None

    def take_over(self, id: str, visitor: str) -> None:
        """From now on the sweep is this visitor's; for one whose own visitor has left, by a reload for instance."""
        if running := self.get(id):
            running.visitor = visitor

    def kept(self) -> list[Result]:
        """Every sweep on disk, newest first; unfinished ones with what they have."""
        return list_results(self._folder, *self._recorded)

    def cancel(self, id: str) -> None:
        """End a sweep within 2 seconds. What has been measured is kept; the rest become rows that say so."""
        if running := self.get(id):
            running._cancel.set()

    def _run(self, running: RunningSweep, pixels: dict[str, tuple[Sequence[int], bytes]], normalisation: str) -> None:
        state: Literal["done", "cancelled", "failed"] = "failed"
        try:
            run_all(
                running.sweep,
                lambda run: self._execute(running, run, pixels.get(run.cell.checkpoint), normalisation),
                lambda: save(running.result, self._folder),
            )
            state = "done"
        except _Stopped:
            state = "cancelled"
        except Exception as error:  # a full disk, a stopped engine: the page shows it, the server lives on
            logger.exception("sweep %s", running.id)
            running.error = f"The sweep ended early ({type(error).__name__}: {error}). What was measured is kept."
        finally:
            running.note = ""
            running.state = state
            running._ended.set()

    def _execute(
        self, running: RunningSweep, run: Run, clip: tuple[Sequence[int], bytes] | None, normalisation: str
    ) -> tuple[Measurement, float]:
        running.note = f"round {run.number + 1}: {run.cell.name}"
        # Nobody's jobs: they are not dropped when their visitor closes the page.
        holder = self._engine.submit("media", "hold", time_limit=math.inf)
        try:
            while holder.state == "queued":
                self._pause(running, holder)
            arguments = {"run": asdict(run), "shape": clip and list(clip[0]), "normalisation": normalisation}
            job = self._engine.submit(
                "model", "measure", arguments, [clip[1]] if clip else [], cost_key=f"measure {run.cell}"
            )
            while not job.finished:
                self._pause(running, job)
        finally:
            self._engine.cancel(holder)
        if job.state == "done":
            return Measurement.from_dict(job.result["measurement"]), job.result["seconds"]
        status = "cancelled" if job.state == "cancelled" else "failed"
        return Measurement(run.cell, status, job.error or job.note, job.details), job.seconds_ran

    def _pause(self, running: RunningSweep, job: Job) -> None:
        """Wait a moment for a job; if the sweep was cancelled meanwhile, end the job and the sweep."""
        if running._cancel.is_set():
            self._engine.cancel(job)
            raise _Stopped
        if not job.wait(TICK) and job.state == "queued" and job.position:
            running.note = running.note.partition(" (")[0] + f" (number {job.position} in the queue)"
