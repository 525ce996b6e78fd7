"""Clips with tubelets deleted, or with their frames otherwise, through a model as batches.

Letters: B clips, n of them made of one, T frames, C channels, H × W pixels or tubelets, E hidden size; L steps of tubelets.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vivit.explain.attention import evaluating
from vivit.explain.counterfactuals import Answer, Counterfactuals, orders
from vivit.explain.deletion import Deletion, plan
from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification, head_features
from vivit.progress import Progress
from vivit.scores import SCORES, top_predictions, usual_function
from vivit.tf32 import products_of


def delete(pixel_values: Tensor, masks: Tensor | np.ndarray, tubelet_size: tuple[int, int, int]) -> Tensor:
    """Copies of a clip, each without some of its tubelets: their pixels are the clip's mean, one number a channel.

    Args:
        pixel_values: (1, T, C, H, W).
        masks: (n, L, H, W) bool, of tubelets.
        tubelet_size: (time, height, width) in frames and pixels.

    Returns:
        (n, T, C, H, W), of the same dtype.
    """
    mean = pixel_values.mean((1, 3, 4), keepdim=True, dtype=torch.float32).to(pixel_values.dtype)
    deleted = torch.as_tensor(masks, device=pixel_values.device)
    for dim, size in enumerate(tubelet_size, 1):
        deleted = deleted.repeat_interleave(size, dim)
    return torch.where(deleted[:, :, None], mean, pixel_values)


def score_deleted(
    model: VivitForVideoClassification, pixel_values: Tensor, masks: Tensor | np.ndarray, label: int
) -> list[float]:
    """The probability of a class for a clip without some of its tubelets, all in one batch.

    Args:
        model: as in evaluation; its plain passes are run, whatever its execution.
        pixel_values: (1, T, C, H, W).
        masks: (n, L, H, W) bool, each what is deleted in one copy of the clip.
        label: the class.

    Returns:
        n probabilities, computed in float32 as the pipeline does.

    Raises:
        vivit.errors.UserError: if an answer is not a number.
    """
    logits, _ = _answered(model, delete(pixel_values, masks, model.config.tubelet_size))
    return [_told(row, model, model.config.id2label, label)[2] for row in logits]


def answer_orders(
    model: VivitForVideoClassification,
    pixel_values: Tensor,
    orders: Sequence[Sequence[int]],
    label: int,
    id2label: Mapping[int, str],
    familiarity: Familiarity | None,
) -> list[Answer]:
    """What is answered for a clip's frames in other orders, all in one batch.

    Args:
        model: as in evaluation; its plain passes are run, whatever its execution.
        pixel_values: (1, T, C, H, W).
        orders: n times T indices of frames.
        label: the intact clip's class.
        id2label: class index → name.
        familiarity: the checkpoint's, if it has any.

    Raises:
        vivit.errors.UserError: if an answer is not a number.
    """
    frames = torch.tensor(orders, device=pixel_values.device)
    logits, features = _answered(model, pixel_values[0][frames])
    known = _familiar(features, familiarity)
    return [Answer(*_told(row, model, id2label, label), familiar) for row, familiar in zip(logits, known, strict=True)]


def whole_answer(
    model: VivitForVideoClassification,
    features: Tensor,
    id2label: Mapping[int, str],
    familiarity: Familiarity | None,
) -> tuple[Answer, int]:
    """What is answered for the intact clip, and the index of that class.

    Args:
        model: of which `features` are.
        features: (1, E), what the head sees, as `vivit.explain.attention.Look` has it.
        id2label, familiarity: as for `answer_orders`.

    Raises:
        vivit.errors.UserError: if the answer is not a number.
    """
    with torch.inference_mode(), products_of(model):
        row = model.classifier(features)[0]
    label = int(row.argmax())
    return Answer(*_told(row, model, id2label, label), _familiar(features, familiarity)[0]), label


def check_deletion(
    model: VivitForVideoClassification,
    pixel_values: Tensor,
    weights: np.ndarray,
    intact_score: float,
    label: int,
    *,
    at_once: int = 1,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> Deletion:
    """Delete what a map points at, and what its controls do: the whole check of one clip.

    Args:
        model, pixel_values, label: as for `score_deleted`.
        weights: (L, H, W), the map.
        intact_score: the class's probability for the intact clip.
        at_once: clips of a batch, see `vivit.batching.clips_at_once`.
        seed: as for `plan`.
        progress: called after every batch.
    """
    masks = plan(weights, seed=seed)
    masks = masks.reshape(-1, *masks.shape[2:])
    scores: list[float] = []
    for start in range(0, len(masks), at_once):
        scores += score_deleted(model, pixel_values, masks[start : start + at_once], label)
        progress(len(scores) / len(masks), f"deletion {len(scores)} of {len(masks)}")
    return Deletion.of(intact_score, scores)


def check_orders(
    model: VivitForVideoClassification,
    pixel_values: Tensor,
    intact: Answer,
    label: int,
    id2label: Mapping[int, str],
    familiarity: Familiarity | None,
    *,
    at_once: int = 1,
    progress: Progress = lambda *_: None,
) -> Counterfactuals:
    """Answer a clip's frames in every of `orders`: the whole check of one clip.

    Args:
        model, pixel_values, label, id2label, familiarity: as for `answer_orders`.
        intact: the intact clip's answer.
        at_once: clips of a batch, see `vivit.batching.clips_at_once`.
        progress: called after every batch.
    """
    kinds = orders(pixel_values.shape[1])
    every = [order for some in kinds.values() for order in some]
    answers: list[Answer] = []
    for start in range(0, len(every), at_once):
        some = every[start : start + at_once]
        answers += answer_orders(model, pixel_values, some, label, id2label, familiarity)
        progress(len(answers) / len(every), f"order {len(answers)} of {len(every)}")
    return Counterfactuals.of(intact, kinds, answers, still=bool((pixel_values == pixel_values[:, :1]).all()))


def _answered(model: VivitForVideoClassification, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
    """One plain pass: logits (B, labels) and features (B, E), float32, fetched from the device once."""
    with torch.inference_mode(), products_of(model), evaluating(model):
        features = head_features(model.vivit, pixel_values, True)
        return model.classifier(features).float().cpu(), features.float().cpu()


def _told(
    logits: Tensor, model: VivitForVideoClassification, id2label: Mapping[int, str], label: int
) -> tuple[str, float, float]:
    """The most likely class of (labels,), its probability, and that of the class `label`."""
    function = usual_function(model.config.problem_type)
    best = top_predictions(logits, id2label, 1, function)[0]
    return best["label"], best["score"], float(SCORES[function](logits.float())[label])


def _familiar(features: Tensor, familiarity: Familiarity | None) -> list[bool | None]:
    """Of each of (B, E); None without statistics."""
    if familiarity is None:
        return [None] * len(features)
    return [familiarity.is_familiar(one) for one in features.float().cpu().numpy()]
