"""Heads that are fitted to visitors' clips: chains of short jobs. No torch.

Clips are read ahead, and one job takes features of as many clips as take about a second, so that other visitors' jobs go
between.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.clips_ahead import ClipsAhead, Coming
from engine.engine import Engine
from engine.jobs import Job
from engine.running import Failed, Running, doing
from engine.tasks import Features, ReadClip, TakeFeatures, TeachHead
from vivit.checkpoint import open_checkpoint
from vivit.hub import split_name
from vivit.teach.features import NOT_FINITE, KeptFeatures
from vivit.teach.report import Report

MOST_MODELS = 8  # models, each way to run one counted, whose features of a visitor's clips are kept


@dataclass(frozen=True)
class Example:
    """A clip of a class.

    Args:
        id: made of the file's content, so that the same clip has the same id.
        path: its file, in the visitor's own folder.
        name: what to call it on a page, in one line; Markdown in it is not yet escaped.
    """

    id: str
    path: str
    name: str


@dataclass(frozen=True)
class TaughtClass:
    """A class, and the clips that show it. Args: id: names it for the page; name: as the visitor wrote it."""

    id: str
    name: str
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class TeachAsked:
    """By which model features are taken, and how. Args: as `engine.tasks.Classify`'s, and `ReadFrames`'."""

    checkpoint: str
    attention: str = "sdpa"
    precision: str = "float32"
    execution: str = "plain"
    normalisation: str = "checkpoint"
    sampling: str = "uniform"
    stride: int = 1


@dataclass(frozen=True)
class Taught:
    """A checkpoint that came of teaching.

    Args:
        folder: where it lies; any page that takes a checkpoint's folder can classify by it.
        report: of the fit; `left_out[k].clip` is a place in `examples`.
        examples: the clips that it was fitted to, in order.
        asked: by which model.
        number: counts a visitor's checkpoints from 1.
    """

    folder: str
    report: Report
    examples: tuple[Example, ...]
    asked: TeachAsked
    number: int


@dataclass(eq=False)
class RunningTeaching(Running):
    """A head that is being fitted; read it freely, from any thread.

    Args:
        asked: by which model features are taken, and how.
        classes: that it is to tell apart, as they were when it began.
        done, of: clips whose features are there, and all; those that cannot be read count as done.
        faults: example id → why its clip is left out, a sentence.
        taught: what came of it; None before.
    """

    asked: TeachAsked
    classes: tuple[TaughtClass, ...]
    done: int = 0
    of: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    taught: Taught | None = None

    @property
    def progress(self) -> float:
        """0 to 1."""
        return self.done / max(1, self.of)


@dataclass(frozen=True)
class Fitted:
    """A head that was fitted. Args: folder: of its checkpoint; report, examples: as `Taught`'s."""

    folder: Path
    report: Report
    examples: tuple[Example, ...]


def fit_to(
    engine: Engine,
    running: RunningTeaching,
    kept_in: Path,
    place: Path,
    keep: Callable[[str, Callable[[], None]], None],
    seconds: dict[str, float],
    most_seconds: float,
) -> Fitted:
    """Fit a head to clips and write its checkpoint, in the thread of the chain.

    Args:
        engine: has the workers 'media' and 'model'.
        running: what is asked; is kept up to date.
        kept_in: the folder of features, which are there from before or come there as they are taken.
        place: the folder that the checkpoint's own folder is made in; what it holds is deleted first.
        keep: given an example's id and what writes its features, calls the latter unless that clip has been removed.
        seconds: example id → how long the clip is; those of clips that are read are added.
        most_seconds: that a clip may be long.

    Raises:
        vivit.errors.UserError: if the checkpoint cannot be opened.
        OSError: if there is no room.
        engine.running.Stopped, engine.running.Failed: as `Running.reply_to`.
    """
    checkpoint = open_checkpoint(running.asked.checkpoint, here=True)
    asked, written = replace(running.asked, checkpoint=checkpoint.name), checkpoint.written_ns
    kept = KeptFeatures(kept_in, vars(asked) | {"written": written})
    kept.use()
    _forget_some(kept_in)
    clips, _ = examples_of(running.classes, {})
    features = {clip.id: found for clip in clips if (found := kept.get(clip.id)) is not None}
    running.done = len(features)
    begin, missing = time.monotonic(), [clip for clip in clips if clip.id not in features]
    for clip, found in _take(engine, running, asked, missing, seconds, most_seconds):
        features[clip.id] = found
        with suppress(OSError):  # without a disk it goes on
            keep(clip.id, partial(kept.put, clip.id, found))
    took = time.monotonic() - begin if missing else 0.0
    clips, labels = examples_of(running.classes, running.faults)
    if len({*labels}) < 2:
        raise Failed(
            "Fewer than two classes have a clip that can be used, so nothing could be fitted. Look at what is said of "
            "each clip, and add others."
        )
    if checkpoint.written_ns != written:
        raise Failed(f"The checkpoint '{asked.checkpoint}' was written anew meanwhile. Teach again.")
    # Named after the model, without a revision: a visitor's zip has the folder's name.
    folder = place / f"{Path(split_name(checkpoint.name)[0]).name}-taught"
    # How long clips are matters only where frames are spread over a clip.
    lasting = statistics.median(seconds[clip.id] for clip in clips) if asked.sampling == "uniform" else None
    request = TeachHead(asked.checkpoint, asked.normalisation, tuple(labels), str(folder), lasting, took)
    report = _fit(engine, running, request, np.stack([features[clip.id] for clip in clips]), place)
    return Fitted(folder, report, tuple(clips))


def _take(
    engine: Engine,
    running: RunningTeaching,
    asked: TeachAsked,
    missing: list[Example],
    lengths: dict[str, float],
    most_seconds: float,
) -> Iterator[tuple[Example, np.ndarray]]:
    """Features of clips, as they come; why others cannot be used goes to `running.faults`."""
    before = running.done
    ahead = ClipsAhead(
        engine,
        running,
        (Coming(k, clip.path) for k, clip in enumerate(missing)),
        ReadClip("", asked.checkpoint, asked.sampling, asked.stride),
        lambda clip: f"reading clip {before + clip.index + 1} of {running.of}",
    )
    try:
        while some := ahead.take():
            for clip in some:
                lengths[missing[clip.index].id] = seconds = clip.read.duration_seconds
                if seconds > most_seconds:
                    most = f"one of a class may be {most_seconds:g} s"
                    clip.error = f"This clip is {seconds:.0f} s long, and {most}. Cut it to the action."
                if clip.error:
                    running.faults = running.faults | {missing[clip.index].id: clip.error}
            if good := [clip for clip in some if not clip.error]:
                found = _features(engine, running, asked, ahead, good)
                for clip, one in zip(good, found, strict=True):
                    if np.isfinite(one).all():
                        yield missing[clip.index], one
                    else:
                        running.faults = running.faults | {missing[clip.index].id: NOT_FINITE}
            running.done += len(some)
    finally:
        ahead.close()


def _features(
    engine: Engine, running: RunningTeaching, asked: TeachAsked, ahead: ClipsAhead, clips: list[Coming]
) -> np.ndarray:
    """Features of some clips with their looks, (n, size) float32; sets how many clips the next job takes."""
    how = (asked.checkpoint, asked.attention, asked.precision, asked.execution)
    request = TakeFeatures(*how, asked.normalisation, clips[0].read.shape)

    def ask() -> Job[Features]:
        key = f"{len(clips)} features {' '.join(how)}"
        return engine.ask(request, [clip.pixels for clip in clips], cost_key=key)

    def tell(job: Job[Any]) -> None:
        running.note = doing(job, f"looking at clip {running.done + 1} of {running.of}")
        ahead.look()

    job = running.done_by(engine, ask, tell)
    # The first job loads the model; the next ones say how long a clip takes.
    ahead.pace(job.seconds_ran / len(clips), job.result.at_once)
    return np.frombuffer(job.blobs[0], np.float32).reshape(len(clips), job.result.size)


def _fit(engine: Engine, running: RunningTeaching, request: TeachHead, features: np.ndarray, place: Path) -> Report:
    jobs: list[Job[Report]] = []

    def ask() -> Job[Report]:
        shutil.rmtree(place, ignore_errors=True)  # what a process that died had begun to write
        place.mkdir()
        jobs.append(engine.ask(request, [features.tobytes()], cost_key=f"teach {request.checkpoint}"))
        return jobs[-1]

    def tell(job: Job[Any]) -> None:
        running.note = doing(job, job.note or "fitting")

    try:
        return running.done_by(engine, ask, tell).result
    finally:
        for job in jobs:
            job.wait()  # one that was cancelled ends soon, and writes until then


def _forget_some(folder: Path) -> None:
    """Forget the features by the models that were used longest ago, where those of more are kept than may be."""
    with suppress(OSError):  # there is no folder yet, or another chain of the visitor's forgets the same
        for other in sorted(folder.iterdir(), key=lambda one: one.stat().st_mtime)[:-MOST_MODELS]:
            shutil.rmtree(other, ignore_errors=True)


def examples_of(classes: Sequence[TaughtClass], faults: Mapping[str, str]) -> tuple[list[Example], list[str]]:
    """The clips of some classes that can be used, and the name of the class of each."""
    pairs = [(clip, one.name) for one in classes for clip in one.examples if clip.id not in faults]
    return [clip for clip, _ in pairs], [name for _, name in pairs]
