"""A head that was fitted, on the model whose features it was fitted to.

Letters: N clips, K classes, E hidden size.
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vivit.errors import UserError
from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.progress import Progress
from vivit.teach.fitting import Fit, fit, one_by_one
from vivit.teach.likeness import find_likeness
from vivit.teach.outside import fit_outside
from vivit.teach.report import LeftOut, Report, notices_of
from vivit.timeline.trained import KEY as CLIP_SECONDS
from vivit.writing import new_folder, refuse_full, write_whole


@dataclass(frozen=True)
class Taught:
    """A model with a head of its own.

    Args:
        model: the same encoder, the weights of which it shares with the model that was given, and the new head.
        report: how well it knows what it was taught.
        familiarity: by which clips unlike all that it was taught are told; None where there are too few to tell.
    """

    model: VivitForVideoClassification
    report: Report
    familiarity: Familiarity | None

    def save(self, folder: str | Path, processor: VivitImageProcessor, clip_seconds: float | None = None) -> None:
        """Write a checkpoint that loads with `from_pretrained`, here and in transformers.

        Args:
            folder: where; it is made, and is there whole or not at all.
            processor: that made the pictures which the features are of.
            clip_seconds: about how long the clips were; None where that is not known, or frames are not spread over a clip.

        Raises:
            UserError: if the folder is there and holds anything, or cannot be written.
        """
        out, model = Path(folder), copy.copy(self.model)
        refuse_full(out)
        extra = {key: value for key, value in model.config.extra.items() if key != CLIP_SECONDS}  # of other clips
        if clip_seconds is not None:
            extra[CLIP_SECONDS] = round(clip_seconds, 3)
        model.config = replace(model.config, extra=extra)

        def write(whole: Path) -> None:
            model.save_pretrained(whole)
            processor.save_pretrained(whole)
            if self.familiarity:
                self.familiarity.save(whole)

        with new_folder(out):
            write_whole(out, write)


def fit_head(
    model: VivitForVideoClassification,
    features: np.ndarray | Tensor,
    labels: Sequence[str],
    *,
    looks: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Taught:
    """Fit a multinomial logistic regression to frozen features, and put it on the model.

    Args:
        model: whose features they are: `model.features(pixel_values)`.
        features: (N, E).
        labels: N names; K of them differ, at least two.
        looks: (N, L), of `vivit.teach.taking.look_of`, by which cuts of one recording are found; None where they are not known.
        seed: says which clips are left out together where there are too many to leave out each by itself.
        progress: told how far it is; what it raises cancels.

    Raises:
        UserError: for one class, features that are not finite, or of another size.
    """
    begin, labels = time.perf_counter(), [*labels]
    rows = torch.as_tensor(features).detach().to("cpu", torch.float64)
    size = model.config.hidden_size
    if rows.shape != (len(labels), size):
        raise UserError(
            f"Features of {len(labels)} clips of this model are ({len(labels)}, {size}), not {tuple(rows.shape)}."
        )
    if bad := (~rows.isfinite().all(1)).nonzero()[:, 0].tolist():
        raise UserError(
            f"The features of {len(bad)} of {len(labels)} clips are infinite or no numbers, the first of '{labels[bad[0]]}', "
            "so nothing can be fitted to them. Use a checkpoint that is whole, or float32."
        )
    like = find_likeness(rows.numpy(), looks, labels)
    together = like.together(labels)
    found = fit(rows, labels, together, seed=seed, progress=progress)
    places = [found.names.index(label) for label in labels]
    familiarity, share = fit_outside(rows.numpy(), places, together)
    best = found.left_out.max(1)
    left_out = tuple(
        LeftOut(
            k,
            label,
            found.names[best.indices[k]],
            float(best.values[k]),
            float(found.left_out[k, places[k]]),
            k in found.known,
        )
        for k, label in enumerate(labels)
    )
    report = Report(
        {name: labels.count(name) for name in found.names},
        left_out,
        found.regularisation,
        like.same,
        like.recordings,
        like.in_one_place,
        like.looked,
        one_by_one(len(labels), together),
        len(labels) - sum(len(group) - 1 for group in together),
        share,
        time.perf_counter() - begin,
    )
    return Taught(_with_head(model, found), replace(report, notices=notices_of(report)), familiarity)


def _with_head(model: VivitForVideoClassification, found: Fit) -> VivitForVideoClassification:
    """A model with another head, which shares the encoder with the one that is given."""
    labels = dict(enumerate(found.names))
    head = nn.Linear(found.weights.shape[1], len(labels), device=model.device, dtype=model.dtype)
    with torch.no_grad():
        head.weight.copy_(found.weights)
        head.bias.copy_(found.bias)
    taught = copy.copy(model)
    # A copy of a module has the same dict of layers, in which the head would be exchanged in both.
    taught._modules = model._modules | {"classifier": head.requires_grad_(False)}
    taught.executions = {}
    taught.config = model.config.changed(
        id2label=labels, label2id={name: k for k, name in labels.items()}, problem_type="single_label_classification"
    )
    return taught.eval()
