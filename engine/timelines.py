"""Timelines of films: chains of short jobs of the film worker and the model worker, side by side. No torch.

Between the jobs of a chain other visitors' jobs go; what has been answered when a chain is cancelled is kept.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.answering import score_windows
from engine.engine import Engine
from engine.jobs import Job
from engine.running import JOB_SECONDS, Failed, Running, doing
from engine.tasks import CloseFilm, ReadFilm, WindowsAsked
from vivit.film import FilmInfo, Tick
from vivit.timeline.segments import Answered
from vivit.timeline.windows import Batch
from vivit.timeline.work import Waits, follow

NOT_WORKING = "The timeline ended early. What was found stands here; begin again."

_numbers = itertools.count(1)


@dataclass(eq=False)
class RunningTimeline(Running):
    """A timeline that the server runs; read it freely, from any thread.

    Args:
        path: the film's file.
        asked: how its windows are classified.
        windows: answered so far, in order.
        labels: the names of the classes; empty before the first answer.
        info: what the film holds; None before its first picture.
        end_seconds: to where it has been decoded.
        decoded: pictures decoded so far, each once.
        reopened: how often the film had to be opened again meanwhile; some pictures have been decoded again then.
        warnings: sentences for the visitor.
        waits: who waited for whom.
        began, ended_at: `time.monotonic()`.
    """

    path: str
    asked: WindowsAsked
    windows: list[Answered] = field(default_factory=list, repr=False)
    labels: tuple[str, ...] = ()
    info: FilmInfo | None = None
    end_seconds: float = 0.0
    decoded: int = 0
    reopened: int = 0
    warnings: tuple[str, ...] = ()
    waits: Waits = field(default_factory=Waits)
    began: float = field(default_factory=time.monotonic)
    ended_at: float | None = None
    _number: int = field(default_factory=lambda: next(_numbers), repr=False)
    _first: tuple[float, float] | None = field(default=None, repr=False)  # when the first answers came, and to where
    _at_once: int = field(default=1, repr=False)

    @property
    def answered_seconds(self) -> float:
        """To where in the film there are answers."""
        return self.windows[-1].end if self.windows else 0.0

    @property
    def rate(self) -> float:
        """Seconds of film a second of work since the first answer, so without loading; 0 before there are two."""
        if self._first is None or self.answered_seconds <= self._first[1]:
            return 0.0
        until = self.ended_at or time.monotonic()
        return (self.answered_seconds - self._first[1]) / max(until - self._first[0], 1e-6)

    @property
    def progress(self) -> float | None:
        """0 to 1; None where the file does not say how long it is."""
        promised = self.info.promised_seconds if self.info else 0.0
        return min(1.0, self.answered_seconds / promised) if promised else None

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None where nothing tells."""
        if self.progress is None or not self.rate or self.info is None:
            return None
        return max(0.0, self.info.promised_seconds - self.answered_seconds) / self.rate


def start_timeline(engine: Engine, path: str, asked: WindowsAsked) -> RunningTimeline:
    """Begin a timeline.

    Args:
        engine: has the workers 'film' and 'model'.
        path: the film's file.
        asked: how its windows are classified.
    """
    running = RunningTimeline(path, asked)
    running.begin(lambda: _run(engine, running), f"timeline-{running._number}", NOT_WORKING)
    return running


def _run(engine: Engine, running: RunningTimeline) -> None:
    try:
        answers = follow(
            _ticks(engine, running),
            running.asked.grid,
            lambda batch: _classify(engine, running, batch),
            lambda: running._at_once,
            running.waits,
            lambda: running.end_seconds,
        )
        for some in answers:
            running.windows += some
            running._first = running._first or (time.monotonic(), running.answered_seconds)
    finally:
        running.ended_at = time.monotonic()
        engine.ask(CloseFilm(running._number))


def _ticks(engine: Engine, running: RunningTimeline) -> Iterator[Tick]:
    """The film's pictures, the next chunk of which is decoded while one is used."""
    asked, first = running.asked, 0

    def request(first: int) -> Job[Any]:
        begin = running.info.begin_seconds if running.info else None
        read = ReadFilm(running._number, running.path, asked.checkpoint, asked.grid.tick_seconds, first, begin)
        return engine.ask(read, cost_key="read_film")

    job, retried = request(0), -1
    before, told = 0, tuple[str, ...]()  # decoded, and warnings given, before the film was last opened again
    try:
        while True:
            try:
                chunk = running.reply_to(engine, job)
            except Failed:
                # The process has ended, by another's film perhaps: once more from here, but not if the next one ends here too.
                if not job.process_ended or retried == first:
                    raise
                job, retried = request(first), first
                continue
            pixels = np.frombuffer(job.blobs[0], np.uint8).reshape(chunk.shape)
            running.info = running.info or chunk.info
            if chunk.opened and running.decoded:
                running.reopened += 1
                before, told = running.decoded, running.warnings
            running.end_seconds, running.decoded = max(running.end_seconds, chunk.end_seconds), before + chunk.decoded
            running.warnings = tuple(dict.fromkeys((*told, *chunk.warnings)))
            first += len(chunk.ticks)
            ended = chunk.ended
            if not ended:
                job = request(first)
            for number, seconds, row in chunk.ticks:
                yield Tick(number, seconds, pixels[row])
            if ended:
                return
    finally:
        engine.cancel(job)  # the chunk that was asked for ahead


def _classify(engine: Engine, running: RunningTimeline, batch: Batch) -> Sequence[Answered]:
    def tell(job: Job[Any]) -> None:
        running.note = doing(job, "classifying")

    windows = batch.windows
    rows = [window.rows for window in windows]
    found = score_windows(engine, running, running.asked, batch.frames, rows, tell)
    running.labels = running.labels or found.answers.labels
    # The first job loads the model; the next ones say how long a window takes.
    most = int(JOB_SECONDS * len(windows) / max(found.seconds, 1e-6))
    running._at_once = max(1, min(found.answers.at_once, most))
    return [
        Answered(window.start, window.end, score, known, window.seconds)
        for window, score, known in zip(windows, found.scores, found.answers.familiar, strict=True)
    ]
