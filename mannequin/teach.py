"""How well a head that is taught from a few clips knows actions that its model never saw: `python -m mannequin.teach`.

The six of `mannequin.novel` are taught from 1, 3, 5, 10 and 20 clips each, and asked of new ones, of seeds of their own.
Beside it stand chance, and heads that are taught alike on a model of the same shape with random weights; what leaving one
out says of it; and how many clips are called outside what was taught: new ones of the six, of which none should be, and
clips of the 36 actions that the model itself was trained on, of which all should be.

With --write the clips are written as files into class folders instead, for `python -m vivit teach FOLDER/taught OUT` and
`python -m vivit evaluate FOLDER/new`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from mannequin.actions import LABELS
from mannequin.calibrate import features_of
from mannequin.evaluate import CHECKPOINT
from mannequin.novel import NOVEL
from mannequin.renders import VIDEO_FPS, evaluation_seeds, render_video, write_whole
from mannequin.train import EVALUATION_SEEDS
from vivit.device import default_device
from vivit.intervals import wilson
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.teach.heads import Taught, fit_head

# Neither training nor `mannequin.evaluate` uses the upper half of these seeds.
QUARTER = len(EVALUATION_SEEDS) // 4
TAUGHT_SEEDS, NEW_SEEDS = EVALUATION_SEEDS[2 * QUARTER : 3 * QUARTER], EVALUATION_SEEDS[3 * QUARTER :]
MOST_CLIPS = 5000  # of a class and seed
MOST_SEED = QUARTER // (len(NOVEL) * MOST_CLIPS) - 1
CLIPS_A_CLASS, NEW, OUTSIDE, DRAWS = (1, 3, 5, 10, 20), 50, 5, 5


def seeds_of(label: str, clips: int, seed: int, seeds: range) -> list[int]:
    """The seeds of an action's clips, which no other action and no other `seed` shares.

    Args:
        label: one of `NOVEL`.
        clips: how many, up to `MOST_CLIPS`; the first are the same, however many there are.
        seed: from 0 to `MOST_SEED`.
        seeds: `TAUGHT_SEEDS` or `NEW_SEEDS`.
    """
    first = (seed * len(NOVEL) + list(NOVEL).index(label)) * MOST_CLIPS
    return list(seeds[first : first + clips])


@dataclass(frozen=True)
class Features:
    """What one model makes of the clips. E is its hidden size.

    Args:
        model: it.
        taught, new: label → (n, E), in the order of their seeds.
        outside: (n, E), of the actions that the embedded checkpoints were trained on.
    """

    model: VivitForVideoClassification
    taught: dict[str, np.ndarray]
    new: dict[str, np.ndarray]
    outside: np.ndarray


def with_random_weights(model: VivitForVideoClassification, seed: int) -> VivitForVideoClassification:
    """Another model of the same shape on the same device. For one seed its weights are the same, whatever the device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VivitForVideoClassification(model.config).eval().to(model.device)


def take_features(
    models: Sequence[VivitForVideoClassification],
    image_processor: VivitImageProcessor,
    *,
    labels: Sequence[str],
    taught: int,
    new: int,
    outside: int,
    seed: int,
    compiled: bool = False,
) -> list[Features]:
    """Render every clip once, and take its features by each model.

    Args:
        models: on one device.
        labels: of `NOVEL`.
        taught, new: clips of each; outside: of each of the actions that were trained on.
        seed: says which clips.
        compiled: whether a fast renderer is built first.
    """
    plan = [(label, seeds_of(label, taught, seed, TAUGHT_SEEDS)) for label in labels]
    plan += [(label, seeds_of(label, new, seed, NEW_SEEDS)) for label in labels]
    plan += [(label, evaluation_seeds(label, outside * len(LABELS), seed)) for label in LABELS if outside]
    of, done = sum(len(seeds) for _, seeds in plan), 0
    found = []
    for label, seeds in plan:
        tell(f"{done} of {of} clips rendered")
        found.append(features_of(label, seeds, models, image_processor, compiled))
        done += len(seeds)
    tell(f"{of} of {of} clips rendered", "\n")
    k = len(labels)
    return [
        Features(
            model,
            dict(zip(labels, [some[m] for some in found[:k]], strict=True)),
            dict(zip(labels, [some[m] for some in found[k : 2 * k]], strict=True)),
            np.concatenate(
                [some[m] for some in found[2 * k :]] or [np.empty((0, model.config.hidden_size), np.float32)]
            ),
        )
        for m, model in enumerate(models)
    ]


def tell(note: str, end: str = "") -> None:
    """Say how far it is, on a terminal alone."""
    if sys.stderr.isatty():
        print(f"\r{note}", end=end, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Lesson:
    """What came of one draw of clips.

    Args:
        right: label → how many of its new clips were named right. of: how many each has.
        left_out: accuracy by leaving one out, as the head's report says it; within: whether the accuracy on new clips lies in
            the report's interval. Both None for one clip a class, since leaving it out leaves its class without clips.
        new_outside, outside: share of new clips, and of clips of other actions, that are called outside what was taught;
            None where the head cannot tell.
        regularisation, seconds: of the fit.
    """

    right: dict[str, int]
    of: int
    left_out: float | None
    within: bool | None
    new_outside: float | None
    outside: float | None
    regularisation: float
    seconds: float

    @property
    def accuracy(self) -> float:
        """On new clips."""
        return sum(self.right.values()) / (self.of * len(self.right))


@torch.inference_mode()
def answers(taught: Taught, features: np.ndarray) -> list[str]:
    """What the new head says of features (n, E)."""
    head = taught.model.classifier
    indices = head(torch.as_tensor(features).to(taught.model.device, taught.model.dtype)).argmax(-1)
    return [taught.model.config.id2label[k] for k in indices.tolist()]


def learn(features: Features, clips: int, draw: int, draws: int, seed: int) -> Lesson:
    """Teach a head from some of the clips, and ask it about the new ones.

    Args:
        features: of all clips.
        clips: of each class, how many are taught.
        draw: the number of a part of the clips that may be taught, whose first clips are taught; of `draws` equal parts.
        seed: of the fit.
    """
    part = {label: len(some) // draws for label, some in features.taught.items()}
    some = {label: every[draw * part[label] :][:clips] for label, every in features.taught.items()}
    labels = [label for label, ours in some.items() for _ in ours]
    taught = fit_head(features.model, np.concatenate(list(some.values())), labels, seed=seed)
    right = {label: answers(taught, new).count(label) for label, new in features.new.items()}
    of = len(next(iter(features.new.values())))
    low, high = taught.report.interval

    def called_outside(every: np.ndarray) -> float | None:
        if taught.familiarity is None or not len(every):
            return None
        return mean(not taught.familiarity.is_familiar(one) for one in every)

    return Lesson(
        right,
        of,
        taught.report.accuracy if clips > 1 else None,
        low <= sum(right.values()) / (of * len(right)) <= high if clips > 1 else None,
        called_outside(np.concatenate(list(features.new.values()))),
        called_outside(features.outside),
        taught.report.regularisation,
        taught.report.fit_seconds,
    )


def summed_up(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """What several draws of the same number of clips come to."""
    accuracies = [one.accuracy for one in lessons]
    first, of = sum(lessons[0].right.values()), lessons[0].of * len(lessons[0].right)

    def over_draws(shares: Sequence[float | None]) -> float | None:
        known = [share for share in shares if share is not None]
        return round(mean(known), 4) if known else None

    return {
        "accuracy": over_draws(accuracies),
        "lowest": round(min(accuracies), 4),
        "highest": round(max(accuracies), 4),
        "first": {"right": first, "of": of, "interval": [round(bound, 4) for bound in wilson(first, of)]},
        "per_class": {k: over_draws([one.right[k] / one.of for one in lessons]) for k in lessons[0].right},
        "leave_one_out": over_draws([one.left_out for one in lessons]),
        "leave_one_out_error": over_draws(
            [None if one.left_out is None else abs(one.left_out - one.accuracy) for one in lessons]
        ),
        "within_its_interval": over_draws([one.within for one in lessons]),
        "new_called_outside": over_draws([one.new_outside for one in lessons]),
        "outside_called_outside": over_draws([one.outside for one in lessons]),
        "regularisation": [one.regularisation for one in lessons],
        "fit_seconds": over_draws([one.seconds for one in lessons]),
    }


def measure(features: Sequence[Features], clips_a_class: Sequence[int], draws: int, seed: int) -> dict[str, Any]:
    """Teach from each number of clips, `draws` times.

    Args:
        features: by the model, and by one with random weights; of at least `draws · max(clips_a_class)` clips to teach.
        clips_a_class: the numbers of clips.
        draws: how many times; no two draws share a clip that is taught.
        seed: of the fit.

    Returns:
        the report.
    """
    new = features[0].new
    curve = []
    for clips in clips_a_class:
        both = ([learn(one, clips, draw, draws, seed) for draw in range(draws)] for one in features)
        curve.append(
            {"clips_a_class": clips} | dict(zip(("model", "random_weights"), map(summed_up, both), strict=True))
        )
    return {
        "classes": list(new),
        "new": sum(map(len, new.values())),
        "outside": len(features[0].outside),
        "draws": draws,
        "seed": seed,
        "chance": round(1 / len(new), 4),
        "curve": curve,
    }


def as_text(report: dict[str, Any]) -> str:
    """Tables for people."""

    def percent(share: float | None) -> str:
        return f"{'–':>7}" if share is None else f"{share:7.1%}"

    def told(one: dict[str, Any]) -> str:
        low, high = one["first"]["interval"]
        spread = f"{percent(one['accuracy'])} {one['lowest']:6.1%} to {one['highest']:6.1%}"
        return f"{spread:27} {one['first']['right']:4} of {one['first']['of']} {low:6.1%} to {high:6.1%}"

    lines = [
        f"{report['model']}: {len(report['classes'])} actions that it was not trained on, {report['new']} new clips, "
        f"draws of clips that are taught: {report['draws']}, seed {report['seed']}; chance {report['chance']:.1%}",
        "",
        f"{'clips a class':14} {'named right: mean, range':27} {'the first draw, 95 % interval':30} leaving one out: mean, "
        "off by, right in its interval",
    ]
    for name, key in (("", "model"), ("random weights", "random_weights")):
        lines += [name] if name else []
        lines += [
            f"{one['clips_a_class']:<14} {told(one[key]):58} {percent(one[key]['leave_one_out'])} "
            f"{percent(one[key]['leave_one_out_error'])} {percent(one[key]['within_its_interval'])}"
            for one in report["curve"]
        ]
    lines += ["", f"called outside: of the new clips, and of {report['outside']} of actions that it was trained on"]
    lines += [
        f"{one['clips_a_class']:<14} {percent(one['model']['new_called_outside'])} "
        f"{percent(one['model']['outside_called_outside'])}"
        for one in report["curve"]
    ]
    lines += [
        "",
        "named right, mean of draws" + " " * 5 + "".join(f"{one['clips_a_class']:8}" for one in report["curve"]),
    ]
    lines += [
        f"  {label:28}" + "".join(f" {percent(one['model']['per_class'][label])}" for one in report["curve"])
        for label in report["classes"]
    ]
    return "\n".join(lines)


def write_clips(
    folder: Path, *, labels: Sequence[str], taught: int, new: int, seed: int, device: str, compiled: bool = False
) -> None:
    """Write clips as files: `folder/taught/CLASS/SEED.mp4` and `folder/new/CLASS/SEED.mp4`; what is there is written anew.

    Args:
        labels: of `NOVEL`.
        taught, new: clips of each class; those that `take_features` takes are the same, at the size of a model.
        seed, device, compiled: as there.
    """

    def planned() -> Iterator[tuple[str, str, int]]:
        for name, clips, seeds in (("taught", taught, TAUGHT_SEEDS), ("new", new, NEW_SEEDS)):
            yield from ((name, label, one) for label in labels for one in seeds_of(label, clips, seed, seeds))

    of = len(labels) * (taught + new)
    for done, (name, label, one) in enumerate(planned()):
        tell(f"{done} of {of} clips written")
        frames = render_video(label, one, VIDEO_FPS, device=device, compiled=compiled)
        write_whole(folder / name / label / f"{one}.mp4", frames)
    tell(f"{of} of {of} clips written", "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mannequin.teach", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips-a-class", type=int, nargs="+", default=CLIPS_A_CLASS, metavar="N", help="taught")
    parser.add_argument("--new", type=int, default=NEW, metavar="N", help="clips of a class that it is asked of")
    parser.add_argument(
        "--outside", type=int, default=OUTSIDE, metavar="N", help="clips of each action that was trained on"
    )
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="R", help="of clips that are taught")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--compile", action="store_true", help="build a fast renderer first, as for mannequin.evaluate")
    parser.add_argument("--device", default=str(default_device()))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write the clips there, and measure nothing")
    options = parser.parse_args()
    most = max(options.clips_a_class)
    if min(*options.clips_a_class, options.new, options.draws, options.outside + 1) < 1:
        parser.error("give numbers of clips and of draws from 1, of clips outside from 0")
    if max(most * options.draws, options.new) > MOST_CLIPS or not 0 <= options.seed <= MOST_SEED:
        parser.error(f"give at most {MOST_CLIPS} clips a class, all draws together, and a seed from 0 to {MOST_SEED}")
    some: dict[str, Any] = {
        "labels": list(NOVEL),
        "new": options.new,
        "seed": options.seed,
        "compiled": options.compile,
    }
    if options.write:
        write_clips(options.write, taught=most, device=options.device, **some)
        return
    model = VivitForVideoClassification.from_pretrained(options.model, device=options.device)
    models = (model, with_random_weights(model, options.seed))
    image_processor = VivitImageProcessor.from_pretrained(options.model)
    features = take_features(models, image_processor, taught=most * options.draws, outside=options.outside, **some)
    report = {"model": options.model.name} | measure(features, options.clips_a_class, options.draws, options.seed)
    print(json.dumps(report) if options.json else as_text(report))


if __name__ == "__main__":
    main()
