"""Measures a checkpoint on clips it never saw, beside controls: `python -m mannequin.evaluate --clips 200 --seed 1`.

The controls ask what the motion is worth: one frame repeated, the frames shuffled, and a model of the same width and depth
that was trained alike on single frames. Each figure is also given for the motion-only groups alone, whose actions share
their poses.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mannequin.actions import LABELS, MOTION_ONLY
from mannequin.renders import evaluation_seeds, planned, render_missing
from mannequin.sample import frame_times, render_clips
from mannequin.scene import draws
from mannequin.train import FRAMES, PIXELS, SAMPLES
from vivit.benchmark.results import results_folder
from vivit.device import default_device
from vivit.evaluate.passes import Begun, Classifier, record_of
from vivit.evaluate.records import LabelledClip, Record
from vivit.evaluate.summary import summarise
from vivit.familiarity import load
from vivit.model import VivitForVideoClassification
from vivit.names import PRECISIONS
from vivit.processing import VivitImageProcessor

CHECKPOINT = Path(__file__).parents[1] / "vivit" / "assets" / "vivit-mannequin"
SINGLE_FRAME_CHECKPOINT = Path(__file__).with_name("single_frame")
TENSOR_FPS = 25.0
GROUP, BATCH = 32, 8
CONTROLS = ("repeated_frame_", "shuffled_", "single_frame_model_")


def clips_as_tensors(
    label: str, seeds: list[int], device: torch.device, compiled: bool = False
) -> Iterator[np.ndarray]:
    """Clips as the model gets them, rendered at its size: (32, 128, 128, 3) uint8 each."""
    group = 1 if device.type == "cpu" else GROUP
    for k in range(0, len(seeds), group):
        some = seeds[k : k + group]
        # Always the same number, so that one kernel serves.
        padded = some + some[-1:] * (group - len(some))
        seconds = frame_times(draws(padded), FRAMES, TENSOR_FPS)
        frames = render_clips(label, padded, seconds, PIXELS, PIXELS, SAMPLES, device, compiled)
        yield from frames[: len(some)].cpu().numpy()


def batched(items: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """Lists of `size` of them in order; the last may be shorter."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def share(right: Tensor) -> float:
    """The share that is true, in [0, 1] to four places; 0 of none."""
    return round(float(right.float().mean()), 4) if len(right) else 0.0


class WithControls(Classifier):
    """Answers as a `Classifier` does, and on the way asks the controls about the same pixels.

    `guesses` has, by each control's name, the class of each clip, in order.

    Args:
        classifier: whose model, processor and batches are used.
        single_frame_model: the control that never saw motion.
        seed: of the shuffled frames.
    """

    def __init__(self, classifier: Classifier, single_frame_model: VivitForVideoClassification, seed: int) -> None:
        super().__init__(**vars(classifier))
        self._single_frame_model, self._chance = single_frame_model, torch.Generator().manual_seed(seed)
        self.guesses: dict[str, list[int]] = {name: [] for name in CONTROLS}

    @torch.inference_mode()
    def begin(self, clips: Sequence[np.ndarray]) -> Begun:
        """As `Classifier.begin`, for clips of one view alone."""
        begun = super().begin(clips)
        values = torch.as_tensor(self.processor.normalise(np.concatenate(clips))).to(self.model.device)
        middle = values[:, FRAMES // 2 : FRAMES // 2 + 1]
        orders = torch.stack([torch.randperm(FRAMES, generator=self._chance) for _ in clips]).to(values.device)
        logits = [
            self.model(middle.expand_as(values)).logits,
            self.model(values[torch.arange(len(clips))[:, None], orders]).logits,
            self._single_frame_model(middle.expand(-1, 2, -1, -1, -1)).logits,
        ]
        for guesses, some in zip(self.guesses.values(), logits, strict=True):
            guesses += some.argmax(-1).tolist()
        return begun


def evaluate(
    classifier: Classifier,
    single_frame_model: VivitForVideoClassification,
    clips: int,
    seed: int,
    folder: Path | None = None,
    compiled: bool = False,
) -> tuple[dict[str, Any], list[Record]]:
    """Classify `clips` fresh clips, the classes one after the other, by `vivit.evaluate`.

    Args:
        classifier: by which model.
        single_frame_model: the control that never saw motion.
        folder: where the clips are kept as files of H.264, which go through the library's reader; without it they are
            rendered at the size that the model takes.
        compiled: whether a fast renderer is built first.

    Returns:
        the report, and a record of each clip.
    """
    classifier = WithControls(classifier, single_frame_model, seed)
    listed = sorted(planned(clips, seed), key=lambda clip: LABELS.index(clip["label"]))
    labelled = [
        LabelledClip(k, str((folder or Path()) / clip["file"]), clip["label"], LABELS.index(clip["label"]))
        for k, clip in enumerate(listed)
    ]
    if folder:
        render_missing(folder, clips, seed, str(classifier.model.device), compiled)
        records = through_files(classifier, labelled)
    else:
        records = through_tensors(classifier, labelled, clips, seed, compiled)
    report = {"clips": clips, "seed": seed, "through": "H.264" if folder else "tensors"}
    return report | figures_of(records, classifier.guesses), records


def through_files(classifier: Classifier, labelled: list[LabelledClip]) -> list[Record]:
    """Classify clips that are files, through the library's reader.

    Raises:
        RuntimeError: if one of them cannot be read.
    """
    # Imported only here, so that all else runs without PyAV.
    from vivit.decoders import Reading, usual_processes
    from vivit.evaluate.local import evaluate_locally

    steps = evaluate_locally(labelled, Reading(FRAMES, classifier.processor), classifier, usual_processes())
    records = [record for step in steps for record in step]
    if failed := [record for record in records if record.error]:
        raise RuntimeError(f"{failed[0].path}: {failed[0].error}")
    return records


def through_tensors(
    classifier: Classifier, labelled: list[LabelledClip], clips: int, seed: int, compiled: bool
) -> list[Record]:
    """Classify the same clips as they are rendered, at the model's size, class by class."""
    seeds = {label: evaluation_seeds(label, clips, seed) for label in LABELS}
    device = classifier.model.device
    source = (clip for label in LABELS for clip in clips_as_tensors(label, seeds[label], device, compiled))
    records: list[Record] = []
    for batch in batched(source, BATCH):
        answers = classifier([clip[None] for clip in batch])
        those = labelled[len(records) :]
        records += [
            record_of(Record(**vars(clip)), answer, classifier.model.config)
            for clip, answer in zip(those, answers, strict=False)  # the rest of the clips are yet to come
        ]
    return records


def figures_of(records: list[Record], controls: dict[str, list[int]]) -> dict[str, Any]:
    """Shares of what is right, of all clips and of those of motion-only groups.

    Args:
        records: one a clip.
        controls: name → the class of each clip that a control has guessed.
    """
    summary = summarise(records, dict(enumerate(LABELS)))
    guesses = {"": [record.top[0].index for record in records], **controls}
    true = torch.tensor([record.target for record in records])
    right = {name: torch.tensor(guess) == true for name, guess in guesses.items()}
    moving = torch.tensor([record.label in MOTION_ONLY for record in records])
    report: dict[str, Any] = {f"{name}top1": share(r) for name, r in right.items()}
    report |= {f"motion_{name}top1": share(r[moving]) for name, r in right.items()}
    report["top1_interval"] = [round(bound, 4) for bound in (summary.top1.low, summary.top1.high)]
    report["top5"] = share(torch.tensor([record.rank <= 5 for record in records]))
    if summary.familiar:
        report["unfamiliar"] = round(1 - (summary.familiar.value or 0.0), 4)
    report["per_class"] = {one.label: round(one.share.value or 0.0, 4) for one in summary.per_class}
    return report


def confusion_of(records: Sequence[Record]) -> Tensor:
    """(true class, predicted class) as counts."""
    confusion = torch.zeros(len(LABELS), len(LABELS), dtype=torch.long)
    for true, predicted, clips in summarise(records, dict(enumerate(LABELS))).confusion:
        confusion[true, predicted] = clips
    return confusion


def draw_confusion(confusion: Tensor, path: Path) -> None:
    """A picture of the confusion matrix: a row for each true class, shares from white to dark blue."""
    from PIL import Image, ImageDraw

    cell, left, top = 22, 150, 150
    side = len(LABELS) * cell
    picture = Image.new("RGB", (left + side + 10, top + side + 10), "white")
    pen = ImageDraw.Draw(picture)
    shares = confusion / confusion.sum(1, keepdim=True).clamp(min=1)
    for row, label in enumerate(LABELS):
        pen.text((left - 6, top + row * cell + cell // 2), label, "black", anchor="rm")
        name = Image.new("L", (top - 6, cell))
        ImageDraw.Draw(name).text((0, cell // 2), label, 255, anchor="lm")
        name = name.rotate(90, expand=True)
        picture.paste("black", (left + row * cell, 0), name)
        for column in range(len(LABELS)):
            value = float(shares[row, column]) ** 0.5
            colour = tuple(round(255 + (dark - 255) * value) for dark in (16, 52, 120))
            x, y = left + column * cell, top + row * cell
            pen.rectangle((x, y, x + cell - 1, y + cell - 1), colour, (226, 228, 232))
    picture.save(path)


def as_text(report: dict[str, Any]) -> str:
    """A table for people. Args: report: as `evaluate` returns it."""
    lines = [f"{report['clips']} clips, seed {report['seed']}, through {report['through']}"]
    low, high = report["top1_interval"]
    names = {
        "": "32 frames",
        "repeated_frame_": "one frame repeated",
        "shuffled_": "frames shuffled",
        "single_frame_model_": "model trained on single frames",
    }
    lines.append(f"{'top-1':32} {'all':>7} {'motion-only':>12}")
    for key, name in names.items():
        lines.append(f"{name:32} {report[key + 'top1']:7.1%} {report['motion_' + key + 'top1']:12.1%}")
    lines.append(f"of all by 32 frames: 95 % interval {low:.1%} to {high:.1%}, top-5 {report['top5']:.1%}")
    if "unfamiliar" in report:
        lines.append(f"{'called unfamiliar':32} {report['unfamiliar']:7.1%}")
    lines += [f"  {label:30} {value:7.1%}" for label, value in report["per_class"].items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mannequin.evaluate", description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--video", action=argparse.BooleanOptionalAction, default=find_spec("av") is not None,
                        help="go through H.264 files (the default where av is installed)")  # fmt: skip
    parser.add_argument("--tensors", dest="video", action="store_false", help="skip the files")
    parser.add_argument(
        "--compile", action="store_true", help="build a fast renderer first: a minute, pays from some 40 clips on a CPU"
    )
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--single-frame-model", type=Path, default=SINGLE_FRAME_CHECKPOINT)
    parser.add_argument("--confusion", type=Path, help="where to draw the confusion matrix, a PNG")
    parser.add_argument("--precision", default="float32", metavar="NAME", help=f"of the model: {', '.join(PRECISIONS)}")
    parser.add_argument("--device", default=str(default_device()))
    options = parser.parse_args()
    model, single = (
        VivitForVideoClassification.from_pretrained(folder, dtype=precision, device=options.device)
        for folder, precision in ((options.model, options.precision), (options.single_frame_model, "float32"))
    )
    processor = VivitImageProcessor.from_pretrained(options.model)
    report, records = evaluate(
        Classifier(model, processor, BATCH, load(options.model)),
        single,
        options.clips,
        options.seed,
        results_folder() / "renders" / str(options.seed) if options.video else None,
        options.compile,
    )
    if options.confusion:
        draw_confusion(confusion_of(records), options.confusion)
    print(json.dumps(report) if options.json else as_text(report))


if __name__ == "__main__":
    main()
