"""Logits → [{"label", "score"}]."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from vivit.errors import UserError

SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(-1),
    "sigmoid": torch.sigmoid,
    "none": lambda logits: logits,
}
USUAL = {"regression": "none", "multi_label_classification": "sigmoid"}  # problem_type → a key of `SCORES`


def usual_function(problem_type: str | None) -> str:
    """How a model's answers are meant: a key of `SCORES`. Args: problem_type: of its config."""
    return USUAL.get(problem_type or "", "softmax")


def probabilities(logits: Tensor, function: str = "softmax") -> Tensor:
    """Scores of clips.

    Args:
        logits: (…, num_labels).
        function: a key of `SCORES`, applied in float32.

    Returns:
        (…, num_labels) float32.

    Raises:
        vivit.errors.UserError: if a logit is infinite or no number.
    """
    if not logits.isfinite().all():
        raise UserError(
            "The model's answer is not a number: its activations exceed what this precision can hold, or its weights are "
            "damaged. Choose float32 or bfloat16, or another checkpoint."
        )
    return SCORES[function](logits.float())


def top_predictions(
    logits: Tensor, id2label: Mapping[int, str], top_k: int, function: str = "softmax"
) -> list[dict[str, Any]]:
    """The best classes of one clip.

    Args:
        logits: (num_labels,).
        id2label: class index → name.
        top_k: how many; all there are if there are fewer.
        function: a key of `SCORES`, applied in float32.

    Returns:
        [{"label": str, "score": float}], best first.

    Raises:
        vivit.errors.UserError: if a logit is infinite or no number.
    """
    scores, indices = probabilities(logits, function).topk(min(top_k, len(logits)))
    return [{"label": id2label[i], "score": s} for i, s in zip(indices.tolist(), scores.tolist(), strict=True)]
