"""Clips that are downloaded and read ahead of the model that takes them, by jobs of other workers. No torch."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from engine.engine import Engine
from engine.jobs import Job
from engine.running import JOB_SECONDS, TICK, Failed, Running, Stopped
from engine.tasks import ClipPixels, DownloadClip, ReadClip
from vivit.views import Views

MOST_VIEWS = 32  # of a job of the model worker: their pixels are 150 MB
READ_AT_ONCE = 3  # clips that wait in the media worker's queue, where others' clips come behind them
UNREAD = ClipPixels((0, 0, 0, 0, 0), 0.0, 0.0)


@dataclass(eq=False)
class Coming:
    """A clip on its way to a model.

    Args:
        index: its place among the clips.
        path: its whole path; of a clip that is downloaded, once it is here.
        download: the request that brings it here; None where it is here already.
        job: what is done for it now, its download and then its reading; None once it is there.
        read, pixels: what has been read.
        error: why it cannot be used.
        retried: whether its reading was begun again, since the process ended under it.
    """

    index: int
    path: str
    download: DownloadClip | None = None
    job: Job[Any] | None = None
    read: ClipPixels = UNREAD
    pixels: bytes = field(default=b"", repr=False)
    error: str = ""
    retried: bool = False


class ClipsAhead:
    """Clips in their order, some of them ahead. For the thread of a chain.

    Args:
        engine: has the worker 'media', and 'download-clip' where clips are downloaded.
        running: the chain.
        clips: whichever are wanted.
        how: clips are read; the path in it is not used.
        note: what the chain does while it waits for a clip.
    """

    def __init__(
        self, engine: Engine, running: Running, clips: Iterator[Coming], how: ReadClip, note: Callable[[Coming], str]
    ) -> None:
        self._engine, self._running, self._left, self._how, self._note = engine, running, clips, how, note
        self._views = Views.parse(how.views).count
        self._coming: deque[Coming] = deque()
        self._broken = ""  # why no clip can be read at all
        self.at_once = 1  # clips that the model is given together

    @property
    def _fitting(self) -> int:
        """Clips whose pixels a job may have."""
        return max(1, MOST_VIEWS // self._views)

    def pace(self, clip_seconds: float, step: int) -> None:
        """Choose how many clips the model is given together from now on: about a second's worth, if their pixels fit.

        Args:
            clip_seconds: what the model took for one.
            step: the fewest clips that fill passes.
        """
        most = max(1, min(int(JOB_SECONDS / max(clip_seconds, 1e-6)), self._fitting))
        self.at_once = most - most % step if most > step else most

    def take(self) -> list[Coming]:
        """The next clips, once they are there: so many as are given together, or all that are left.

        Raises:
            Stopped: if the chain is cancelled meanwhile, or the engine stops.
            Failed: if the worker that reads or downloads clips does not start.
        """
        while True:
            self.look()
            if self._broken:
                raise Failed(self._broken)
            some = [*self._coming][: self.at_once]
            waiting = next((clip for clip in some if clip.job), None)
            if waiting is None:
                break
            if self._running._cancel.is_set():
                raise Stopped
            self._running.note = self._note(waiting)
            assert waiting.job
            waiting.job.wait(TICK)
        for _ in some:
            self._coming.popleft()
        return some

    def look(self) -> None:
        """See what has come, and ask for what is next.

        Raises:
            Stopped: if the engine is stopping.
        """
        for clip in self._coming:
            if clip.job and clip.job.finished:
                self._go_on(clip)
        most = min(max(2 * self.at_once, READ_AT_ONCE), max(self.at_once, 2 * self._fitting))
        while len(self._coming) < most and sum(clip.job is not None for clip in self._coming) < READ_AT_ONCE:
            fresh = next(self._left, None)
            if fresh is None:
                return
            if fresh.download:
                fresh.job = self._engine.ask(fresh.download, cost_key=f"download {fresh.download.dataset}")
            else:
                self._read(fresh)
            self._coming.append(fresh)

    def _read(self, clip: Coming) -> None:
        clip.job = self._engine.ask(replace(self._how, path=clip.path))

    def _go_on(self, clip: Coming) -> None:
        """Take what a clip's job has brought, or begin what comes next."""
        job, clip.job = clip.job, None
        assert job
        if job.state == "done" and isinstance(job.result, ClipPixels):
            clip.read, clip.pixels, job.blobs = job.result, job.blobs[0], []
        elif job.state == "done":
            clip.path = job.result.path
            self._read(clip)
        elif job.process_ended and not clip.retried and job.worker == ReadClip.WORKER:  # by another's clip perhaps
            clip.retried = True
            self._read(clip)
        elif job.state == "cancelled":  # by an engine that stops: nothing is wrong with the clip
            raise Stopped
        else:
            clip.error = job.error or job.note
            if not self._engine.alive()[job.worker] and not job.process_ended:
                self._broken = clip.error

    def close(self) -> None:
        """Cancel what was asked for ahead."""
        for clip in self._coming:
            if clip.job:
                self._engine.cancel(clip.job)
