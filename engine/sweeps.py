"""Sweeps of the server: they outlive the page that asked for them, and share the model worker with everybody. No torch.

Each round of a cell is one job of the model worker, submitted when the one before it has ended, so that other visitors' jobs
go between.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from engine.engine import Engine
from engine.lately import Lately
from engine.running import Running, Stopped
from engine.tasks import MeasureRound
from engine.undisturbed import undisturbed
from vivit.benchmark.families import model_names, with_model
from vivit.benchmark.measurement import Measurement
from vivit.benchmark.results import Result, list_results, save, snapshot, sweep_file
from vivit.benchmark.sweep import PlannedRound, Sweep, run_all

Pixels = tuple[tuple[int, int, int, int], bytes]  # shape and bytes of a clip's frames, (T, H, W, 3) uint8

logger = logging.getLogger("engine")

NOT_SAVED = "The results cannot be kept on this server's disk, so download them before you leave."
NOT_MEASURED = "The server ended before this cell was measured. Measure it again."


@dataclass(eq=False)
class RunningSweep(Running):
    """A sweep that the server runs; read it freely, from any thread.

    Args:
        id: names it, and its file.
        title, clip: as in `Result`.
        sweep: cells, rows so far, progress and seconds left.
        visitor: who asked for it, or has taken it over since.
        error: for the page: why it failed, or that it could not be written.
        saved: whether it is on disk as it is now.
    """

    id: str
    title: str
    clip: str
    sweep: Sweep
    visitor: str
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    saved: bool = False

    @property
    def has_figures(self) -> bool:
        """Whether a cell has been measured."""
        return any(row.latency for row in [*self.sweep.rows.values()])

    @property
    def empty(self) -> bool:
        """Whether it was cancelled before a cell had a figure; then nothing of it is kept."""
        return self.state == "cancelled" and not self.has_figures

    @property
    def result(self) -> Result:
        """What there is so far, as it is kept."""
        return snapshot(self.sweep, self.title, self.clip, id=self.id, created=self.created)

    def save(self, folder: Path) -> None:
        """Write it with a row for every cell: the file may outlive this server. Without a disk the sweep goes on."""
        whole = snapshot(self.sweep, self.title, self.clip, NOT_MEASURED, id=self.id, created=self.created)
        try:
            save(whole, folder)
            self.saved, self.error = True, ""
        except OSError:
            if not self.error:
                logger.exception("sweep %s cannot be written", self.id)
            self.saved, self.error = False, NOT_SAVED


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
        self._lately: Lately[RunningSweep] = Lately()

    def start(
        self,
        sweep: Sweep,
        *,
        title: str,
        clip: str = "",
        pixels: Mapping[str, Pixels] | None = None,
        normalisation: str = "checkpoint",
        visitor: str = "",
    ) -> RunningSweep:
        """Run a sweep in the background; it runs on when the page is closed.

        Args:
            sweep: not begun.
            title, clip: as in `Result`.
            pixels: checkpoint → the clip's frames; random numbers for checkpoints that are not in it.
            normalisation: 'checkpoint' for each checkpoint's own, or a key of `NORMALISATIONS`.
            visitor: who asks. A sweep of theirs that still runs is cancelled.
        """
        if visitor and (former := self.running(visitor)):
            self.cancel(former.id)
        first = snapshot(sweep, title, clip)
        running = RunningSweep(first.id, title, clip, sweep, visitor, first.created)
        self._lately.add(running)
        work = partial(self._work, running, dict(pixels or {}), normalisation)
        running.begin(
            work, f"sweep-{running.id}", "The sweep ended early. What was measured is below; measure the rest again."
        )
        return running

    def get(self, id: str) -> RunningSweep | None:
        """The sweep of that id, if this server has run it lately."""
        return self._lately.get(id)

    def all_running(self) -> list[RunningSweep]:
        """Every sweep that runs now, the latest last."""
        return self._lately.running()

    def running(self, visitor: str | None = None) -> RunningSweep | None:
        """The sweep that runs now: this visitor's, or for None anybody's latest."""
        return next(reversed(self._lately.running(visitor)), None)

    def kept(self) -> list[Result]:
        """Every sweep on disk and those that could not be written, newest first; without those that still run."""
        ours = self._lately.all()
        ids = {sweep.id for sweep in ours}
        kept = [r for r in list_results(self._folder, *self._recorded) if r.id not in ids]
        ended = [s.result for s in ours if s.state != "running" and not s.empty]
        return sorted([*ended, *kept], key=lambda r: r.created, reverse=True)

    def deletable(self, id: str) -> bool:
        """Whether a sweep is this server's own and has ended."""
        running = self.get(id)
        return running.state != "running" if running else sweep_file(self._folder, id).is_file()

    def delete(self, id: str) -> None:
        """Forget a sweep of this server's that has ended, for everybody; one that is recorded with the app stays."""
        if self.deletable(id):
            self._lately.drop(id)
            sweep_file(self._folder, id).unlink(missing_ok=True)

    def cancel(self, id: str) -> None:
        """End a sweep within 2 seconds. What has been measured is kept; the rest become rows that say so."""
        if running := self.get(id):
            running.cancel()

    def _work(self, running: RunningSweep, pixels: dict[str, Pixels], normalisation: str) -> None:
        try:
            run_all(
                running.sweep,
                lambda planned: self._measure(running, planned, pixels.get(planned.cell.checkpoint), normalisation),
                lambda: running.save(self._folder),
            )
        except Stopped:
            if not running.has_figures:
                sweep_file(self._folder, running.id).unlink(missing_ok=True)
            raise

    def _measure(
        self, running: RunningSweep, planned: PlannedRound, clip: Pixels | None, normalisation: str
    ) -> tuple[Measurement, float]:
        cell = planned.cell
        models = model_names(c.checkpoint for c in running.sweep.cells)
        running.note = f"round {planned.number + 1}: {with_model(cell.name, cell, models)}"
        doing = running.note

        def waiting(position: int) -> None:
            running.note = f"{doing} (number {position} in the queue)"

        request = MeasureRound(planned, clip[0] if clip else None, normalisation)
        pixels = [clip[1]] if clip else []
        job = undisturbed(
            self._engine, request, pixels, cancelled=running._cancel, waiting=waiting, cost_key=f"measure {cell}"
        )
        if job.state == "done":
            return job.result.measurement, job.result.seconds
        status = "cancelled" if job.state == "cancelled" else "failed"
        return Measurement(cell, status, job.error or job.note, job.details), job.seconds_ran
