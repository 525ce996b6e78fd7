"""`python -m vivit evaluate`: how often a model is right about labelled clips, from a terminal."""

import argparse
import os
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from vivit.errors import UserError
from vivit.evaluate import report
from vivit.evaluate.agreement import agree
from vivit.evaluate.calibration import calibrate
from vivit.evaluate.journal import Evaluation, Journal, load_evaluation, relative, source_of
from vivit.evaluate.labels import labelled, match_labels
from vivit.evaluate.records import CLUSTER, Asked, LabelledClip, Record
from vivit.evaluate.sources import KINDS, Found, bring, find_clips
from vivit.evaluate.summary import Tally
from vivit.progress import show

if TYPE_CHECKING:
    import torch

    from vivit.checkpoint import Checkpoint
    from vivit.decoders import Reading
    from vivit.evaluate.local import Spent

ENGINES = {"local": "this machine", "ray": "a Ray cluster, or this machine by Ray"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `evaluate` understands beyond what `classify` does too."""
    parser.add_argument("source", metavar="SOURCE", help=f"where labelled clips are: {KINDS}")
    parser.add_argument("--limit", type=int, metavar="N", help="so many clips, evenly of all classes; all if left out")
    parser.add_argument(
        "--views",
        default="1x1",
        metavar="TxS",
        help="stretches of time × crops of a clip, whose logits are averaged: 4x3",
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="views of a pass; what the device takes if left out"
    )
    parser.add_argument(
        "--decoders", type=int, metavar="N", help="processes that read clips; what suits the machine if left out"
    )
    parser.add_argument(
        "--engine",
        default="local",
        choices=list(ENGINES),
        help="; ".join(f"{name}: {what}" for name, what in ENGINES.items()),
    )
    parser.add_argument(
        "--models", type=int, metavar="N", help="models at once, by Ray: as many as there are GPUs, or one, if left out"
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="of PyTorch for a model on a CPU; what it takes, and by Ray 1, if left out",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="keep the answers there, clip by clip; asked for again, it goes on where it ended"
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="DIR",
        help="compare with an evaluation that is kept there; may be given several times",
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a clip and line, and one of all at the end"
    )


def evaluate(options: argparse.Namespace) -> int:
    """Classify the clips that the options name, and say how many answers are right.

    Returns:
        The exit status: 0; 2 if no clip could be read and answered.

    Raises:
        ValueError, OSError: for what cannot be used; the message is for the user. If that is found out in the middle, what was
            done before has been printed, and is kept if it was to be.
        KeyboardInterrupt: after Ctrl-C; likewise.
    """
    for name in ("limit", "batch_size", "decoders", "models", "threads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} wants a whole number from 1, not {value}.")
    if options.models and options.engine != "ray":
        raise ValueError("--models is of Ray: give --engine ray with it, or leave it out.")
    others = {folder: load_evaluation(folder) for folder in options.against}
    from vivit.benchmark.probes import identify
    from vivit.benchmark.results import revision
    from vivit.checkpoint import open_checkpoint
    from vivit.device import CHOSEN, default_device

    device = default_device()  # whose error comes before a download
    checkpoint = open_checkpoint(options.model, options.revision)
    chosen = options.engine == "local" or CHOSEN in os.environ
    asked = _asked(options, checkpoint, device, str(device) if chosen else CLUSTER)
    try:
        found = find_clips(options.source, progress=lambda _, note: show(note))
    finally:
        show()
    matching = match_labels((label for _, label in found.clips), checkpoint.labels)
    clips = labelled(found, matching, options.limit)
    for notice in filter(None, [*found.notices, matching.notice]):
        print(f"  warning: {notice}", file=sys.stderr, flush=True)
    source = source_of(found, clips, matching)
    for folder, other in others.items():
        if other.source.sha256 != source.sha256 and other.source.name != source.name:
            print(
                f"  warning: '{folder}' is of '{other.source.name}' and this of '{source.name}': clips of one path and label "
                "are taken for the same.",
                file=sys.stderr,
                flush=True,
            )
    evaluation = Evaluation(
        asked,
        source,
        {str(index): name for index, name in checkpoint.labels.items()},
        identify(device),
        revision(),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with Journal(options.out, evaluation) if options.out else nullcontext() as journal:
        return _Run(options, checkpoint, evaluation, found, journal, others).run(clips)


def _asked(options: argparse.Namespace, checkpoint: "Checkpoint", device: "torch.device", on: str) -> Asked:
    """What the options ask for, checked as far as that goes without a model.

    Args:
        device: this process's. on: what is said of where the model is.
    """
    from vivit.attention import get_attention
    from vivit.batching import clips_at_once
    from vivit.execution import get_execution
    from vivit.names import EIGHT_BIT
    from vivit.precision import get_precision
    from vivit.views import Views

    get_attention(options.attention)
    get_precision(options.precision)
    get_execution(options.execution)
    usual = clips_at_once(checkpoint.config, options.attention, options.precision, device, options.execution)
    batch_size = options.batch_size or usual
    if options.precision == EIGHT_BIT and batch_size > 1:
        raise UserError(
            f"In '{EIGHT_BIT}' an answer depends on what else is in its pass, so that only --batch-size 1 can be measured."
        )
    views = Views.parse(options.views)
    views.check(options.sampling, 0)
    checkpoint.processor.crop_box(256, 340, 0, views.spatial)  # raises where crops cannot be had
    names = ("attention", "precision", "execution", "normalisation", "geometry", "sampling", "stride")
    return Asked(
        model=checkpoint.name,
        checkpoint_written=checkpoint.written_ns,
        views=str(views),
        batch_size=batch_size,
        device=on,
        **{name: getattr(options, name) for name in names},
    )


class _Run:
    """An evaluation under way, and what is printed of it.

    Args:
        options: the command's.
        checkpoint: opened.
        evaluation: what is asked.
        found: where clips are from.
        journal: where records are kept; None if nowhere.
        others: folder → the evaluation in it, to compare with.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        checkpoint: "Checkpoint",
        evaluation: Evaluation,
        found: Found,
        journal: Journal | None,
        others: dict[str, Evaluation],
    ) -> None:
        self.options, self.checkpoint, self.evaluation = options, checkpoint, evaluation
        self.found, self.journal, self.others = found, journal, others
        self.records: list[Record] = []
        self.not_here: set[int] = set()  # clips that could not be downloaded
        self.tally = Tally(checkpoint.labels)
        self.before = 0  # clips that were done when it began
        self.begin = time.perf_counter()
        self.spent: Spent | None = None

    def run(self, clips: list[LabelledClip]) -> int:
        """Classify what is not done yet, and print everything. Returns and raises as `evaluate`."""
        from vivit.interrupts import one_interrupt

        if self.journal:
            self._take(self.journal.records.values())
            self.before = len(self.records)
        done = {record.index for record in self.records}
        left = [clip for clip in clips if clip.index not in done]
        fault: BaseException | None = None
        try:
            with one_interrupt():
                if left:
                    self._classify(left)
        except BrokenPipeError:
            raise  # there is nobody to print for
        except (Exception, KeyboardInterrupt) as error:
            fault = error
        show()
        if self.records:
            self._print()
        if fault:
            if self.journal and self.records:
                print(f"  {len(self.records)} clips are kept; the same command goes on from there.", file=sys.stderr)
            raise fault
        return 2 if self.tally.failed == self.tally.clips else 0

    def _classify(self, left: list[LabelledClip]) -> None:
        failed: list[Record] = []  # clips that could not be downloaded

        def here() -> Iterator[LabelledClip]:
            for clip in bring(self.found, left, lambda _, note: show(note)):
                if isinstance(clip, Record):
                    failed.append(clip)
                    self.not_here.add(clip.index)
                else:
                    yield clip

        with closing(self._steps(here())) as steps:
            for step in steps:
                # A failed download is met before the clips that come before it are answered.
                last = max((record.index for record in step), default=-1)
                due = [record for record in failed if record.index < last]
                failed[: len(due)] = []
                self._keep(sorted([*due, *step], key=lambda record: record.index))
        self._keep(failed)

    def _steps(self, clips: Iterable[LabelledClip]) -> Generator[list[Record], None, None]:
        """Records as the engine that is asked for makes them."""
        from vivit.decoders import Reading, usual_processes
        from vivit.evaluate.loading import load_classifier
        from vivit.views import Views

        asked = self.evaluation.asked
        names = ("sampling", "stride", "geometry")
        reading: Reading = Reading(
            self.checkpoint.config.num_frames,
            self.checkpoint.processor,
            Views.parse(asked.views),
            picture=(*self.checkpoint.config.clip_size[1:], self.checkpoint.config.num_channels),
            **{name: getattr(asked, name) for name in names},
        )
        if self.options.engine == "ray":
            yield from self._on_cluster(clips, reading)
            return
        from vivit.evaluate.local import Spent, evaluate_locally

        if self.options.threads:
            import torch

            torch.set_num_threads(self.options.threads)
        classifier = load_classifier(asked)
        processes = self.options.decoders or usual_processes()
        self.begin, self.spent = time.perf_counter(), Spent()
        yield from evaluate_locally(clips, reading, classifier, processes, self.spent)

    def _on_cluster(self, clips: Iterable[LabelledClip], reading: "Reading") -> Generator[list[Record], None, None]:
        from importlib.util import find_spec

        if not find_spec("ray"):
            raise UserError(
                "--engine ray needs Ray, which is not installed: pip install 'ray[data]', or --engine local."
            )
        from vivit.evaluate.cluster import evaluate_on_cluster
        from vivit.evaluate.loading import load_classifier

        # The device without its number: each process that holds a model is shown one GPU.
        asked = replace(self.evaluation.asked, device=self.evaluation.asked.device.partition(":")[0])
        load = partial(load_classifier, asked)
        self.begin = time.perf_counter()
        yield from evaluate_on_cluster(
            clips,
            reading,
            load,
            asked.batch_size,
            processes=self.options.decoders,
            models=self.options.models,
            threads=self.options.threads or 1,
            on_gpus=asked.device != "cpu",
        )

    def _keep(self, records: list[Record]) -> None:
        """Keep, count and tell a step's records."""
        if not records:
            return
        root = self.evaluation.source.root
        records = [replace(record, path=relative(record.path, root)) for record in records]
        if self.journal:
            # What could not be downloaded now may be another time.
            self.journal.add(record for record in records if record.index not in self.not_here)
        show()
        self._take(records)
        of = self.evaluation.source.clips
        show(report.progress_text(len(self.records), of, self.tally.top1, self._pace()))

    def _take(self, records: Iterable[Record]) -> None:
        some = [*records]
        self.records += some
        self.tally.add(some)
        if self.options.json:
            for record in some:
                print(report.clip_line(record), flush=True)

    def _pace(self) -> report.Pace:
        waited = self.spent.waited if self.spent else None
        return report.Pace(len(self.records) - self.before, time.perf_counter() - self.begin, waited)

    def _print(self) -> None:
        from vivit.scores import usual_function

        asked, source, summary = self.evaluation.asked, self.evaluation.source, self.tally.summary()
        are_probabilities = usual_function(self.checkpoint.config.problem_type) == "softmax"
        calibration = calibrate(self.records) if are_probabilities else None
        agreements = {name: agree(self.records, other.records) for name, other in self.others.items()}
        if self.options.json:
            line = report.summary_line(asked, source, summary, calibration, self._pace(), agreements)
        else:
            line = report.as_text(asked, source, self.records, summary, calibration, self._pace(), agreements)
        print(line, flush=True)
