"""What a model looked at in one clip, as one JSON object, for the command line and for a download. No torch is used."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vivit.explain.counterfactuals import Counterfactuals
from vivit.explain.deletion import Deletion
from vivit.explain.kinds import has_heads
from vivit.explain.maps import over_time, top_tubelets

RANDOM = "The weights of this model are random: its answers, and what it looks at, mean nothing."


def report(
    weights: np.ndarray,
    *,
    clip: str,
    model: str,
    attention: str,
    precision: str,
    device: str,
    method: str,
    layer: int | None,
    head: int | None,
    predictions: Sequence[Mapping[str, Any]],
    familiar: bool | None,
    indices: Sequence[int],
    seconds: Sequence[float],
    crop_box: Sequence[float],
    tubelet_size: tuple[int, int, int],
    deletion: Deletion | None = None,
    counterfactuals: Counterfactuals | None = None,
    warnings: Sequence[str] = (),
    trained: bool = True,
    raw: bool = False,
) -> dict[str, Any]:
    """Everything that there is to tell of a clip and a map.

    Args:
        weights: (L, H, W), the map.
        clip, model, attention, precision: as they were asked for. device: its type.
        method: a key of `vivit.explain.kinds.METHODS`. layer, head: which, from 0, None for the mean; of no meaning to a method
            without them.
        predictions: [{"label", "score"}], best first. familiar: as in `vivit.explain.counterfactuals.Answer`.
        indices, seconds: (T,) which frames of the clip they are, and when each is shown.
        crop_box: what of a picture the model gets: left, top, right, bottom in its pixels.
        tubelet_size: (time, height, width) in frames and pixels.
        deletion, counterfactuals: the checks, as far as they are done.
        warnings: sentences for the user.
        trained: whether the answers mean anything.
        raw: whether the map's numbers are wanted too.

    Returns:
        What JSON can hold, without NaN. 'frame' is the size of what the model gets, in which the tubelets of 'top' lie; 'time'
        sums to 1, and the weights of 'top' are shares of the whole map, while 'weights' are as the model has them.
    """
    (steps, rows, columns), (_, height, width) = weights.shape, tubelet_size
    of_all = {"layer": "mean" if layer is None else layer, "head": "mean" if head is None else head}
    found: dict[str, Any] = {
        "clip": clip,
        "model": model,
        "attention": attention,
        "precision": precision,
        "device": device,
        "method": method,
        **(of_all if has_heads(method) else dict.fromkeys(of_all)),
        "predictions": [dict(prediction) for prediction in predictions],
        "familiar": familiar,
        "frames": [{"index": i, "seconds": s} for i, s in zip(indices, seconds, strict=True)],
        "frame": {"width": columns * width, "height": rows * height},
        "crop_box": list(crop_box),
        "grid": [steps, rows, columns],
        "tubelet_size": list(tubelet_size),
        "time": list(over_time(weights)),
        "top": [asdict(tubelet) for tubelet in top_tubelets(weights, tubelet_size, seconds)],
        "deletion": deletion.to_dict() if deletion else None,
        "counterfactuals": counterfactuals.to_dict() if counterfactuals else None,
        "uses_time": counterfactuals.uses_time if counterfactuals else None,
        "sentences": _sentences(deletion, counterfactuals, trained),
        "warnings": list(warnings),
    }
    return found | {"weights": weights.tolist()} if raw else found


def _sentences(deletion: Deletion | None, counterfactuals: Counterfactuals | None, trained: bool) -> list[str]:
    checks = [deletion.sentence] if deletion else []
    if counterfactuals:
        checks += [counterfactuals.sentence, counterfactuals.frozen_sentence]
    return [sentence for sentence in ("" if trained else RANDOM, *checks) if sentence]
