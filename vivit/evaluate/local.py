"""Labelled clips on one machine: decoded by processes, classified in this one."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from vivit.ahead import in_groups, kept_back, passes_ahead
from vivit.clock import Mark, milliseconds
from vivit.decoders import Reading, decode_ahead
from vivit.evaluate.passes import Answer, Begun, Classifier, clips_of_a_step, record_of
from vivit.evaluate.records import LabelledClip, Record, why
from vivit.preparing import ReadyClip


@dataclass
class Spent:
    """Where the time went, in seconds.

    Args:
        total: wall time since the first clip was asked for.
        waited: of it, in which the model waited for clips.
        decode: processor time of the decoders.
        model: time of the passes, on the device's own clock.
    """

    total: float = 0.0
    waited: float = 0.0
    decode: float = 0.0
    model: float = 0.0


@dataclass(frozen=True)
class _Step:
    """Clips that go through the model together.

    Args:
        begun: None if none of them could be read.
        blocked: how long they were waited for since the last passes, in seconds.
    """

    records: list[Record]
    begun: Begun | None
    blocked: float


def evaluate_locally(
    clips: Iterable[LabelledClip], reading: Reading, classifier: Classifier, processes: int, spent: Spent | None = None
) -> Generator[list[Record], None, None]:
    """Records, step by step, in the order of the clips. A clip that cannot be read or answered has one with its sentence.

    Args, Raises: as `answer_locally`'s.
    """
    config = classifier.model.config
    with closing(answer_locally(clips, reading, classifier, processes, spent)) as steps:
        for step in steps:
            yield [record_of(record, answer, config) if answer else record for record, answer in step]


def answer_locally(
    clips: Iterable[LabelledClip], reading: Reading, classifier: Classifier, processes: int, spent: Spent | None = None
) -> Generator[list[tuple[Record, Answer | None]], None, None]:
    """Clips and their answers, step by step, in the order of the clips; one that cannot be read has a sentence, no answer.

    Args:
        clips: which; taken as they are needed.
        reading: how.
        classifier: by which model.
        processes: how many decode.
        spent: is kept up to date.

    Raises:
        vivit.errors.UserError: if no process can be started.
        and what `clips` or the model raises; all of it after the clips before it.
    """
    spent, config = spent or Spent(), classifier.model.config
    reading = replace(reading, picture=(*config.clip_size[1:], config.num_channels))
    size = clips_of_a_step(classifier.batch_size, reading.views.count)
    asked = deque[LabelledClip]()
    last: Mark | None = None
    start = perf_counter()

    def paths() -> Iterator[str]:
        for clip in clips:
            asked.append(clip)
            yield clip.path

    with closing(decode_ahead(paths(), reading, processes, size + processes)) as decoded:
        steps = _steps(decoded, asked, classifier, size)
        for step in kept_back(steps, passes_ahead(classifier.model.device.type, processes)):
            answers = iter(classifier.finish(step.begun) if step.begun else ())
            found = [(one, None if one.error else next(answers)) for one in step.records]
            if step.begun:
                idle = milliseconds(last, step.begun.begin) / 1e3 if last is not None else step.blocked
                spent.waited += min(step.blocked, idle)
                spent.model += step.begun.seconds
                last = step.begun.end
            spent.decode += sum(record.decode_seconds for record in step.records)
            spent.total = perf_counter() - start
            del step
            yield found


def _steps(
    decoded: Iterable[ReadyClip | Exception], asked: deque[LabelledClip], classifier: Classifier, size: int
) -> Iterator[_Step]:
    """The steps in order, each begun when it is asked for.

    Args:
        decoded: the clips of `asked`, or what is wrong with them, in the same order.
        size: readable clips of a step; of clips that cannot be read as many make one too.
    """

    def full(clips: list[ReadyClip | Exception]) -> bool:
        readable = sum(not isinstance(clip, Exception) for clip in clips)
        return readable == size or (readable == 0 and len(clips) == size)

    blocked, begin = 0.0, perf_counter()
    for clips in in_groups(decoded, full):
        blocked += perf_counter() - begin
        records: list[Record] = []
        pixels: list[np.ndarray] = []
        for clip in clips:
            record = Record(**vars(asked.popleft()))
            if isinstance(clip, Exception):
                records.append(replace(record, error=why(clip)))
            else:
                records.append(replace(record, decode_seconds=clip.timings_ms["cpu"] / 1e3))
                pixels.append(clip.pixels)
        step = _Step(records, classifier.begin(pixels) if pixels else None, blocked)
        blocked *= not pixels
        del clips[:], clip, pixels  # which nobody needs once they are on the model's device
        yield step
        begin = perf_counter()
