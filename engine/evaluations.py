"""Evaluations of the server: they outlive the page that asked for them, and share the workers with everybody. No torch.

An evaluation is a chain of short jobs: clips are downloaded and read a few ahead, and every cell classifies as many of them at
a time as take about a second, so that other visitors' jobs go between.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.clips_ahead import ClipsAhead, Coming
from engine.engine import Engine
from engine.jobs import Job
from engine.lately import Lately
from engine.running import Failed, Running, doing
from engine.tasks import ClassifiedClips, ClassifyClips, DownloadClip, ReadClip
from vivit.benchmark.results import revision
from vivit.evaluate.journal import Evaluation, relative
from vivit.evaluate.kept import Kept, Times, evaluation_file, list_kept, save
from vivit.evaluate.records import Asked, LabelledClip, Record, Source
from vivit.evaluate.sources import Found
from vivit.evaluate.summary import Tally
from vivit.machine import Machine

logger = logging.getLogger("engine")

SAVE_SECONDS = 10.0  # between two writes, at least; what a server that is killed loses
SAVE_SHARE = 0.05  # of the time, that writing may take at most
NOT_SAVED = "The results cannot be kept on this server's disk, so download them before you leave."
NOT_WORKING = "The evaluation ended early. What was found stands here; begin again."


@dataclass(frozen=True)
class CellAsked:
    """A cell that is to classify clips.

    Args:
        asked: by which model, and how; a batch size of 0 stands for what the device takes.
        labels: class index → name.
        targets: label of a clip → the index of its class.
    """

    asked: Asked
    labels: Mapping[int, str]
    targets: Mapping[str, int]


@dataclass(frozen=True)
class ToEvaluate:
    """What is to be evaluated.

    Args:
        found: where the clips are from.
        source: what is kept of that.
        clips: (path, label) of those whose label every cell knows, relative to `found.root`.
        cells: that classify them, of models that take the same pixels.
        machine: on which.
    """

    found: Found
    source: Source
    clips: tuple[tuple[str, str], ...]
    cells: tuple[CellAsked, ...]
    machine: Machine


@dataclass(eq=False)
class RunningCell:
    """A cell and what it has found so far.

    Args:
        cell: as it was asked for; asked: with what the worker has chosen.
        records: in the order of the clips; tally: what they come to.
        error: why it ended early, a sentence.
    """

    cell: CellAsked
    asked: Asked
    tally: Tally
    records: list[Record] = field(default_factory=list)
    error: str = ""

    def add(self, records: list[Record]) -> None:
        """Take some more."""
        self.records += records
        self.tally.add(records)


@dataclass(eq=False)
class RunningEvaluation(Running):
    """An evaluation that the server runs; read it freely, from any thread.

    Args:
        id: names it, and its file.
        what: is evaluated.
        visitor: who asked for it, or has taken it over since.
        cells: in the order that was asked for.
        times: where the time went so far.
        error: for the page: why it failed, or that it could not be written.
        saved: whether it is on disk as it is now.
        unwanted: whether nothing of it is to be kept any longer.
    """

    id: str
    what: ToEvaluate
    visitor: str
    created: str
    cells: list[RunningCell]
    times: Times = field(default_factory=Times)
    saved: bool = False
    unwanted: bool = False
    _began: float = field(default_factory=time.monotonic, repr=False)
    _first: tuple[float, int] | None = field(default=None, repr=False)  # when the first answers came, and of how many
    _save_at: float = field(default=0.0, repr=False)

    @property
    def done(self) -> int:
        """How many clips every cell that has not failed has classified."""
        return max(len(cell.records) for cell in self.cells)

    @property
    def progress(self) -> float:
        """0 to 1."""
        return self.done / len(self.what.clips)

    @property
    def seconds_left(self) -> float | None:
        """At the pace since the first answers, so without loading; None before there is a pace."""
        if self._first is None or self.done <= self._first[1]:
            return None
        pace = (time.monotonic() - self._first[0]) / (self.done - self._first[1])
        return (len(self.what.clips) - self.done) * pace

    @property
    def empty(self) -> bool:
        """Whether nothing has been found; then nothing of it is kept."""
        return not any(cell.records for cell in self.cells)

    @property
    def kept(self) -> Kept:
        """What there is so far, as it is kept."""
        what = self.what
        evaluations = tuple(
            Evaluation(
                cell.asked,
                what.source,
                {str(index): name for index, name in cell.cell.labels.items()},
                what.machine,
                revision(),
                self.created,
                tuple(cell.records),
            )
            for cell in self.cells
        )
        errors = tuple(cell.error for cell in self.cells)
        found = what.found
        return Kept(evaluations, errors, self.times, found.dataset, found.commit, self.created, self.id)

    def save(self, folder: Path) -> None:
        """Write it. Without a disk the evaluation goes on."""
        if self.unwanted:
            return
        begin = time.monotonic()
        try:
            save(self.kept, folder)
            self.saved, self.error = True, ""
            if self.unwanted:  # since it began to be written
                evaluation_file(folder, self.id).unlink(missing_ok=True)
        except OSError:
            if not self.error:
                logger.exception("evaluation %s cannot be written", self.id)
            self.saved, self.error = False, NOT_SAVED
        now = time.monotonic()
        self._save_at = now + max(SAVE_SECONDS, (now - begin) / SAVE_SHARE)

    def spend(self, **seconds: float) -> None:
        """Count where time went. Args: seconds: fields of `Times`."""
        self.times = replace(
            self.times,
            total=time.monotonic() - self._began,
            **{name: getattr(self.times, name) + more for name, more in seconds.items()},
        )


@dataclass(frozen=True)
class _Found:
    """What a cell has found of some clips.

    Args:
        records: of all of them, in their order.
        seconds: that the model took for each clip; 0 where it was given none.
        step: the fewest clips that fill passes.
    """

    records: list[Record]
    seconds: float = 0.0
    step: int = 1


class Evaluations:
    """Every evaluation of this server.

    Args:
        engine: has the workers 'media', 'model' and 'download-clip'.
        folder: where evaluations are kept, again and again while they run.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._lately: Lately[RunningEvaluation] = Lately()

    def start(self, what: ToEvaluate, visitor: str = "") -> RunningEvaluation:
        """Evaluate in the background; it goes on when the page is closed.

        Args:
            what: with at least one clip and one cell.
            visitor: who asks. An evaluation of theirs that still runs is cancelled.
        """
        if visitor and (former := self.running(visitor)):
            former.cancel()
        created = datetime.now(UTC).isoformat(timespec="seconds")
        cells = [RunningCell(cell, cell.asked, Tally(cell.labels)) for cell in what.cells]
        fresh = Kept((), ())  # for its name
        running = RunningEvaluation(fresh.id, what, visitor, created, cells)
        self._lately.add(running)
        running.begin(lambda: self._run(running), f"evaluation-{running.id}", NOT_WORKING)
        return running

    def get(self, id: str) -> RunningEvaluation | None:
        """The evaluation of that id, if this server has run it lately."""
        return self._lately.get(id)

    def all_running(self) -> list[RunningEvaluation]:
        """Every evaluation that runs now, the latest last."""
        return self._lately.running()

    def running(self, visitor: str) -> RunningEvaluation | None:
        """The evaluation of this visitor that runs now."""
        return next(reversed(self._lately.running(visitor)), None)

    def kept(self) -> list[Kept]:
        """Every evaluation on disk and those that could not be written, newest first; without those that still run."""
        ours = self._lately.all()
        ids = {one.id for one in ours}
        ended = [one.kept for one in ours if one.state != "running" and not one.empty]
        others = [kept for kept in list_kept(self._folder) if kept.id not in ids]
        return sorted([*ended, *others], key=lambda kept: kept.created, reverse=True)

    def delete(self, id: str) -> None:
        """Forget an evaluation that has ended, for everybody."""
        running = self.get(id)
        if running is None or running.state != "running":
            self._lately.drop(id)
            evaluation_file(self._folder, id).unlink(missing_ok=True)

    def forget(self, folder: Path) -> None:
        """Delete every evaluation of the checkpoints in a folder: they go, and their classes are nobody else's business."""
        for running in self.all_running():
            if _is_of(running.kept, folder):
                running.unwanted = True
                running.cancel()
                running.wait(5.0)
                self._lately.drop(running.id)  # also where it takes longer to end
        for kept in self.kept():
            if _is_of(kept, folder):
                self.delete(kept.id)

    def _run(self, running: RunningEvaluation) -> None:
        asked = running.cells[0].asked
        how = ReadClip("", asked.model, asked.sampling, asked.stride, asked.views)
        ahead = ClipsAhead(self._engine, running, _coming(running.what), how, lambda clip: "reading clips")
        try:
            while clips := _taken(running, ahead):
                self._step(running, ahead, clips)
                running._first = running._first or (time.monotonic(), running.done)
                if time.monotonic() > running._save_at:
                    running.save(self._folder)
        finally:
            ahead.close()
            running.spend()
            if not running.empty:
                running.save(self._folder)

    def _step(self, running: RunningEvaluation, ahead: ClipsAhead, clips: list[Coming]) -> None:
        """Have every cell that has not failed classify some clips; after a cancel meanwhile no cell has them."""
        found_by: list[tuple[RunningCell, _Found]] = []
        for cell in running.cells:
            if cell.error:
                continue
            try:
                found_by.append((cell, self._find(running, ahead, cell, clips)))
            except Failed as failed:
                cell.error = str(failed)
        for cell, found in found_by:
            cell.add(found.records)
        if all(cell.error for cell in running.cells):
            raise Failed(running.cells[0].error)
        if slowest := max(found.seconds for _, found in found_by):
            ahead.pace(slowest, max(found.step for _, found in found_by))

    def _find(self, running: RunningEvaluation, ahead: ClipsAhead, cell: RunningCell, clips: list[Coming]) -> _Found:
        """Have one cell classify those of some clips that could be read. Raises as `_classify`."""
        records = {clip.index: _record(clip, cell.cell, running.what) for clip in clips}
        good = [clip for clip in clips if not clip.error]
        if not good:
            return _Found([*records.values()])
        found, step = self._classify(running, ahead, cell, [records[clip.index] for clip in good], good)
        records |= {record.index: record for record in found}
        seconds = sum(record.model_seconds for record in found) / len(found)
        running.spend(model=seconds * len(found))
        return _Found([*records.values()], seconds, step)

    def _classify(
        self,
        running: RunningEvaluation,
        ahead: ClipsAhead,
        cell: RunningCell,
        records: list[Record],
        clips: list[Coming],
    ) -> tuple[tuple[Record, ...], int]:
        """Records with their answers, and the fewest clips that fill passes.

        Raises:
            Stopped: if the evaluation or the job was cancelled meanwhile.
            Failed: if the cell cannot.
        """
        asked = cell.asked
        name = f"{asked.attention} {asked.precision}"
        request = ClassifyClips(asked, tuple(records), clips[0].read.shape)
        key = f"{len(clips)} clips {asked.model} {name} {asked.execution} {asked.views}"

        def tell(job: Job[Any]) -> None:
            running.note = doing(job, f"classifying, {name}")
            ahead.look()

        def ask() -> Job[ClassifiedClips]:
            return self._engine.ask(request, [clip.pixels for clip in clips], cost_key=key)

        job = running.done_by(self._engine, ask, tell)
        running.spend(others=job.seconds_queued)
        cell.asked = job.result.asked
        return job.result.records, job.result.step


def _coming(what: ToEvaluate) -> Iterator[Coming]:
    """The clips that are to be read; a dataset's clip that is not here yet comes with the request that downloads it."""
    found = what.found
    for index, (path, _) in enumerate(what.clips):
        clip = Coming(index, found.place(path))
        if found.dataset and not os.path.isfile(clip.path):
            file = Path(relative(clip.path, found.root)).as_posix()
            clip.download = DownloadClip(found.dataset, file, found.commit)
        yield clip


def _taken(running: RunningEvaluation, ahead: ClipsAhead) -> list[Coming]:
    begin = time.monotonic()
    clips = ahead.take()
    running.spend(clips=time.monotonic() - begin)
    return clips


def _record(clip: Coming, cell: CellAsked, what: ToEvaluate) -> Record:
    """A clip's record before it is classified."""
    label = what.clips[clip.index][1]
    labelled = LabelledClip(clip.index, relative(clip.path, what.found.root), label, cell.targets[label])
    return Record(**vars(labelled), error=clip.error, decode_seconds=clip.read.decode_seconds)


def _is_of(kept: Kept, folder: Path) -> bool:
    return any(Path(one.asked.model).is_relative_to(folder) for one in kept.evaluations)
