"""What pipelines answer, ours and that of transformers."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import transformers

# Probabilities: the logits agree to 1e-5, and softmax moves by no more than they do.
CLOSE = 1e-5


def assert_same_predictions(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert [p["label"] for p in ours] == [p["label"] for p in theirs]
    assert [p["score"] for p in ours] == pytest.approx([p["score"] for p in theirs], abs=CLOSE)
    assert all(type(p["score"]) is float and p.keys() == {"label", "score"} for p in ours)


def their_pipeline(checkpoint: Path) -> Any:
    return transformers.pipeline(
        "video-classification",
        model=transformers.VivitForVideoClassification.from_pretrained(checkpoint),
        image_processor=transformers.VivitImageProcessor.from_pretrained(checkpoint),
    )


def decode_all(path: Path) -> np.ndarray:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
