"""Measures what is familiar to a checkpoint, and writes it beside it: `python -m mannequin.calibrate`.

Renders fresh clips, takes their features, fits `vivit.familiarity` to them, and sets the threshold such that the given
share of clips that were not fitted is called unfamiliar.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mannequin.actions import LABELS
from mannequin.evaluate import CHECKPOINT, GROUP, batched, clips_as_tensors
from mannequin.train import BUNDLED_SEEDS
from vivit.device import default_device
from vivit.familiarity import Familiarity, fit
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor

FOLDS = 10
CALIBRATION_SEEDS = BUNDLED_SEEDS[len(BUNDLED_SEEDS) // 2 :]


@torch.inference_mode()
def features_of(
    label: str,
    seeds: list[int],
    models: Sequence[VivitForVideoClassification],
    image_processor: VivitImageProcessor,
    compiled: bool = False,
) -> list[np.ndarray]:
    """Features of an action's clips by models on one device, (len(seeds), E) by each; every clip is rendered once for all."""
    device = models[0].device
    found: list[list[np.ndarray]] = [[] for _ in models]
    for batch in batched(clips_as_tensors(label, seeds, device, compiled), GROUP):
        values = torch.as_tensor(image_processor.normalise(np.stack(batch))).to(device)
        for some, model in zip(found, models, strict=True):
            some.append(model.features(values).float().cpu().numpy())
    return [np.concatenate(some) for some in found]


def features(
    model: VivitForVideoClassification, image_processor: VivitImageProcessor, clips: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features (clips, E) of fresh clips, the classes in turn, and their classes (clips,)."""
    found, labels = [], []
    for index, label in enumerate(LABELS):
        seeds = [CALIBRATION_SEEDS[k] for k in range(index, clips, len(LABELS))]
        found += features_of(label, seeds, [model], image_processor)
        labels += [index] * len(seeds)
    return np.concatenate(found), np.array(labels)


def calibrate(found: np.ndarray, labels: np.ndarray, flagged: float) -> Familiarity:
    """Fit to all clips; the threshold flags that share of clips, each scored by a fit to the other nine tenths."""
    scores = []
    for k in range(FOLDS):
        held_out = np.arange(len(labels)) % FOLDS == k
        others = fit(found[~held_out], labels[~held_out])
        scores += [others.score(one) for one in found[held_out]]
    return replace(fit(found, labels), threshold=float(np.quantile(scores, 1 - flagged)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mannequin.calibrate", description=__doc__)
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--clips", type=int, default=3600)
    parser.add_argument("--flagged", type=float, default=0.04, help="share of rendered clips to call unfamiliar")
    parser.add_argument("--features", type=Path, help="where to write the features too, as .npz")
    parser.add_argument("--device", default=str(default_device()))
    options = parser.parse_args()
    model = VivitForVideoClassification.from_pretrained(options.model, device=options.device)
    found, labels = features(model, VivitImageProcessor.from_pretrained(options.model), options.clips)
    if options.features:
        np.savez_compressed(options.features, features=found.astype(np.float16), labels=labels)
    statistics = calibrate(found, labels, options.flagged)
    statistics.save(options.model)
    print(f"threshold {statistics.threshold:.3f}: {options.flagged:.1%} of rendered clips score higher")


if __name__ == "__main__":
    main()
