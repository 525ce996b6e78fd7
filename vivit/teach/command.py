"""`python -m vivit teach`: a checkpoint for classes of one's own, from a terminal."""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vivit.benchmark.results import results_folder
from vivit.errors import UserError
from vivit.evaluate.records import LabelledClip, Record
from vivit.evaluate.sources import KINDS, Found, bring, find_clips
from vivit.progress import show
from vivit.teach.features import NOT_FINITE, KeptFeatures, fingerprint
from vivit.teach.report import Report
from vivit.writing import new_folder, refuse_full

if TYPE_CHECKING:
    import torch

    from vivit.checkpoint import Checkpoint
    from vivit.model import VivitForVideoClassification

FEATURES = "features"  # the folder of kept ones, among this user's results
LISTED = 20  # clips of a kind that are named in words; JSON names all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `teach` understands beyond what `classify` does too."""
    parser.add_argument("source", metavar="FOLDER", help=f"clips of each class: {KINDS}")
    parser.add_argument("out", metavar="OUT", type=Path, help="a folder for the checkpoint, empty or not there")
    parser.add_argument("--decoders", type=int, metavar="N", help="processes that read clips; what suits the machine")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="which clips are left out together where there are very many"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of words")


@dataclass
class _Clips:
    """Clips on their way to a head.

    Args:
        labelled: those whose features are there; rows: theirs, see `vivit.teach.taking`.
        failed: those that cannot be used, with a sentence each.
        kept: how many features were there from before; put: how many have been kept since. seconds: that those took.
    """

    labelled: list[LabelledClip] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    failed: list[Record] = field(default_factory=list)
    kept: int = 0
    put: int = 0
    seconds: float = 0.0

    def take(self, clip: LabelledClip, row: np.ndarray) -> None:
        """One that can be used."""
        self.labelled.append(clip)
        self.rows.append(row)


def teach(options: argparse.Namespace) -> int:
    """Fit a head to the clips that the options name, and write a checkpoint with it.

    Returns:
        The exit status, 0.

    Raises:
        ValueError, OSError: for what cannot be used; the message is for the user, and no checkpoint is written.
        KeyboardInterrupt: after Ctrl-C; features that have been taken are kept.
    """
    if options.decoders is not None and options.decoders < 1:
        raise ValueError(f"--decoders wants a whole number from 1, not {options.decoders}.")
    refuse_full(options.out)
    from vivit.checkpoint import open_checkpoint
    from vivit.device import default_device

    device = default_device()  # whose error comes before a download
    found = find_clips(options.source, progress=lambda _, note: show(note))
    _check(found)
    checkpoint = open_checkpoint(options.model, options.revision)
    if not checkpoint.trained:
        raise UserError(f"'{checkpoint.name}' has random weights, whose features tell next to nothing. Choose another.")
    processor = checkpoint.processor
    for notice in found.notices:
        print(f"  warning: {notice}", file=sys.stderr, flush=True)
    from vivit.interrupts import one_interrupt

    with one_interrupt(), new_folder(options.out):
        from vivit.processing import NORMALISATIONS

        processor = replace(processor, **NORMALISATIONS.get(options.normalisation, {}))
        model = _load(checkpoint, options, device)
        clips = _take_features(options, checkpoint, model, processor, found)
        from vivit.teach.heads import fit_head

        size, rows = checkpoint.config.hidden_size, np.stack(clips.rows)
        labels = [clip.label for clip in clips.labelled]
        if len({*labels}) < 2:
            failed = clips.failed[0]
            raise UserError(f"Only clips of {labels[0]!r} could be used. {failed.path}: {failed.error}")
        if options.precision != "float32":  # so that what is written loses nothing
            model = _load(checkpoint, argparse.Namespace(**vars(options) | {"precision": "float32"}), device)
        taught = fit_head(
            model, rows[:, :size], labels, looks=rows[:, size:], seed=options.seed, progress=lambda _, note: show(note)
        )
        show("writing the checkpoint")
        taught.save(options.out, processor, _usual_seconds(clips.labelled) if options.sampling == "uniform" else None)
    show()
    report = replace(taught.report, feature_seconds=clips.seconds)
    if options.json:
        print(json.dumps(_as_json(options, found, clips, report), allow_nan=False), flush=True)
    else:
        print(_as_text(options, clips, report), flush=True)
    return 0


def _check(found: Found) -> None:
    """Refuse clips that nothing can be taught by, before they cost anything."""
    names = {label for _, label in found.clips}
    if len(names) < 2:
        raise UserError(f"'{found.name}' has clips of {names.pop()!r} alone. Add a folder with clips of another class.")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"The class {name!r} has a name that is no text in UTF-8. Rename its folder.") from error


def _load(
    checkpoint: "Checkpoint", options: argparse.Namespace, device: "torch.device"
) -> "VivitForVideoClassification":
    """The model; one without a head is welcome, since it gets another."""
    from vivit.model import VivitForVideoClassification

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = VivitForVideoClassification.from_pretrained(
            checkpoint.folder or checkpoint.name,
            attn_implementation=options.attention,
            dtype=options.precision,
            device=device,
        )
    model.set_execution(options.execution)
    return model


def _take_features(
    options: argparse.Namespace,
    checkpoint: "Checkpoint",
    model: "VivitForVideoClassification",
    processor: Any,
    found: Found,
) -> _Clips:
    """The features of every clip: those that are kept, and the others by the batched path of `evaluate`."""
    from vivit.batching import clips_at_once
    from vivit.decoders import Reading, usual_processes
    from vivit.evaluate.local import answer_locally
    from vivit.teach.taking import FeatureTaker

    names = ("attention", "precision", "execution", "normalisation", "geometry", "sampling", "stride")
    by = {name: getattr(options, name) for name in names}
    kept = KeptFeatures(results_folder() / FEATURES, by | {"model": checkpoint.name, "written": checkpoint.written_ns})
    clips, prints = _Clips(), dict[int, str]()
    total = len(found.clips)

    def missing() -> Iterator[LabelledClip]:
        for clip in bring(found, _labelled(found), lambda _, note: show(note)):
            if isinstance(clip, Record):
                clips.failed.append(clip)
                continue
            with suppress(OSError):  # reading the clip says more of it
                prints[clip.index] = fingerprint(clip.path)
            if (row := kept.get(prints.get(clip.index, ""))) is not None:
                clips.take(clip, row)
                clips.kept += 1
            else:
                yield clip

    reading = Reading(
        checkpoint.config.num_frames,
        processor,
        sampling=options.sampling,
        stride=options.stride,
        geometry=options.geometry,
    )
    size = clips_at_once(checkpoint.config, options.attention, options.precision, model.device, options.execution)
    taker, begin, full = FeatureTaker(model, processor, size), time.perf_counter(), False
    try:
        with closing(answer_locally(missing(), reading, taker, options.decoders or usual_processes())) as steps:
            for record, answer in (pair for step in steps for pair in step):
                if answer is None or answer.features is None:
                    clips.failed.append(record)
                    continue
                row = answer.features.numpy()
                if not np.isfinite(row).all():
                    clips.failed.append(replace(record, error=NOT_FINITE))
                    continue
                clips.take(LabelledClip(record.index, record.path, record.label, record.target), row)
                if record.index in prints and not full:
                    try:
                        kept.put(prints[record.index], row)
                        clips.put += 1
                    except OSError as error:
                        full = True
                        print(f"  warning: features cannot be kept ({error.strerror}).", file=sys.stderr, flush=True)
                show(f"features of {len(clips.rows) + len(clips.failed)} of {total} clips")
    except KeyboardInterrupt:
        show()
        if here := clips.kept + clips.put:
            print(f"  features of {here} clips are kept; the same command goes on from there.", file=sys.stderr)
        raise
    clips.seconds = time.perf_counter() - begin if len(clips.rows) > clips.kept else 0.0
    order = sorted(range(len(clips.rows)), key=lambda k: clips.labelled[k].index)
    clips.labelled, clips.rows = [clips.labelled[k] for k in order], [clips.rows[k] for k in order]
    if not clips.rows:
        raise UserError(f"None of {total} clips could be used. {clips.failed[0].path}: {clips.failed[0].error}")
    return clips


def _labelled(found: Found) -> list[LabelledClip]:
    places = {label: k for k, label in enumerate(dict.fromkeys(label for _, label in found.clips))}
    return [LabelledClip(k, found.place(path), label, places[label]) for k, (path, label) in enumerate(found.clips)]


def _usual_seconds(clips: Iterable[LabelledClip]) -> float | None:
    """The median length of some clips; None if none can be told."""
    from vivit.video import probe

    seconds = []
    for clip in clips:
        with suppress(ValueError, OSError):
            seconds.append(probe(clip.path).duration_seconds)
    return statistics.median(seconds) if seconds else None


def _as_json(options: argparse.Namespace, found: Found, clips: _Clips, report: Report) -> dict[str, Any]:
    paths = [clip.path for clip in clips.labelled]
    low, high = report.interval
    return {
        "out": str(options.out),
        "model": options.model,
        "source": found.name,
        "clips": len(paths),
        "classes": report.classes,
        "left_out": {
            "right": report.right,
            "accuracy": report.accuracy,
            "interval": [low, high],
            "chance": report.chance,
            "one_by_one": report.one_by_one,
        },
        "regularisation": report.regularisation,
        "confused": [
            {
                "clip": paths[one.clip],
                "label": one.label,
                "answer": one.answer,
                "score": one.score,
                "doubtful": one.doubtful,
            }
            for one in report.confused
        ],
        "same": [[paths[k] for k in group] for group in report.same],
        "recordings": [[paths[k] for k in group] for group in report.recordings],
        "in_one_place": report.in_one_place,
        "outside": report.outside,
        "failed": [{"clip": one.path, "label": one.label, "error": one.error} for one in clips.failed],
        "notices": [*found.notices, *report.notices],
        "features_kept": clips.kept,
        "seconds": {"features": report.feature_seconds, "fit": report.fit_seconds},
    }


def _as_text(options: argparse.Namespace, clips: _Clips, report: Report) -> str:
    paths = [clip.path for clip in clips.labelled]
    low, high = report.interval
    how = "one by one" if report.one_by_one else "a tenth at a time, since there are many"
    confused = report.confused
    named = [
        f"    {one.score * 100:5.1f} %  {one.answer}  {paths[one.clip]}"
        + ("  (so sure that its label should be looked at)" if one.doubtful else "")
        for one in confused[:LISTED]
    ]
    more = [f"    and {len(confused) - LISTED} more"] if len(confused) > LISTED else []
    outside = (
        "too few clips to tell which are outside what it was taught"
        if report.outside is None
        else f"of new clips like these about {report.outside * 100:.0f} % or fewer are called unlike what it was taught"
    )
    usual = {"sampling": "uniform", "stride": None, "geometry": "upright"}  # the checkpoint has the rest
    needed = [f"--{name} {getattr(options, name)}" for name, value in usual.items() if getattr(options, name) != value]
    took = f"features {report.feature_seconds:.1f} s" if report.feature_seconds else "all features were kept"
    part = f", those of {clips.kept} were kept" if clips.kept and report.feature_seconds else ""
    return "\n".join(
        [
            f"{options.out}: {len(report.classes)} classes from {len(paths)} clips, a head on {options.model}",
            f"  {report.right} of {len(paths)} clips named right by heads that had not seen them, "
            f"{report.accuracy * 100:.1f} % ({low * 100:.1f} to {high * 100:.1f}); always naming the largest class would get "
            f"{report.chance * 100:.1f} %",
            f"  left out {how}; C = {report.regularisation:g} was chosen by the same clips, so this is rather too good",
            *(f"  warning: {notice}" for notice in report.notices),
            *(f"  warning: {one.path} is left out: {one.error}" for one in clips.failed[:LISTED]),
            *(["  named wrong:", *named, *more] if confused else []),
            f"  {outside}",
            *([f"  use it as it was taught: {' '.join(needed)}"] if needed else []),
            f"  {took}{part}; fit {report.fit_seconds:.1f} s",
        ]
    )
