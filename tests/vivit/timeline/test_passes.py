"""Windows through a model as batches, against `pipeline` one by one on the same frames."""

from typing import Any

import numpy as np
import pytest

from mannequin.film import CLIPS
from vivit import pipeline
from vivit.checkpoint import open_checkpoint
from vivit.errors import UserError
from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification
from vivit.pipelines import UNFAMILIAR
from vivit.timeline.passes import classify_windows
from vivit.video import decode, probe

CHECKPOINTS = ["vivit-mannequin", "vivit-mannequin-fe"]
# Side by side in one batch, sums are taken in other orders than alone.
SAME: dict[str, Any] = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Every fourth picture of two clips, one after the other, as they are stored."""
    found = []
    for label in ("clean_and_jerk", "jogging"):
        info = probe(CLIPS / f"{label}.mp4")
        found += [frame.image for frame in decode(info, range(0, info.num_frames, 4))]
    return found


ROWS = [tuple(range(32)), tuple(range(1, 33)), tuple(range(20, 52)), (*range(40, 60), *([60] * 12)), (7,) * 32]


@pytest.fixture(scope="module", params=CHECKPOINTS)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def classified(
    name: str, pictures: list[np.ndarray], rows: list[tuple[int, ...]]
) -> tuple[np.ndarray, list[bool | None]]:
    checkpoint = open_checkpoint(name)
    model = checkpoint.load(VivitForVideoClassification, dtype="float32", device="cpu")
    frames = np.stack([checkpoint.processor.resize_and_crop(picture) for picture in pictures])
    return classify_windows(model, checkpoint.processor, frames, rows, checkpoint.familiarity())


def test_a_windows_answer_is_the_pipelines_on_the_same_frames(name: str, pictures: list[np.ndarray]) -> None:
    classify = pipeline(model=name, dtype="float32", device="cpu", top_k=1000)
    scores, familiar = classified(name, pictures, ROWS)
    labels = classify.model.config.id2label
    assert scores.shape == (len(ROWS), len(labels)) and scores.dtype == np.float32
    for row, known, one in zip(ROWS, familiar, scores, strict=True):
        theirs = classify([pictures[place] for place in row])
        wanted = {p["label"]: p["score"] for p in theirs}
        np.testing.assert_allclose(one, [wanted[labels[k]] for k in range(len(labels))], **SAME)
        assert known == (UNFAMILIAR not in theirs.warnings)
    assert {*familiar} == {True, False}, "nothing to tell apart"


def test_batches_do_not_mix(name: str, pictures: list[np.ndarray]) -> None:
    together, _ = classified(name, pictures, ROWS)
    alone = np.concatenate([classified(name, pictures, [row])[0] for row in ROWS])
    turned, _ = classified(name, pictures, ROWS[::-1])
    np.testing.assert_allclose(together, alone, **SAME)
    np.testing.assert_allclose(together, turned[::-1], **SAME)


def test_familiar_is_what_the_statistics_say(pictures: list[np.ndarray]) -> None:
    checkpoint = open_checkpoint("vivit-mannequin")
    model = checkpoint.load(VivitForVideoClassification, dtype="float32", device="cpu")
    frames = np.stack([checkpoint.processor.resize_and_crop(picture) for picture in pictures])
    real = checkpoint.familiarity()
    assert real is not None
    usual, seen = real.is_familiar, list[bool]()

    class Listening(Familiarity):
        def is_familiar(self, features: np.ndarray) -> bool:
            seen.append(usual(features))
            return seen[-1]

    _, told = classify_windows(model, checkpoint.processor, frames, ROWS, Listening(**vars(real)))
    assert told == seen and len(seen) == len(ROWS)
    _, none = classify_windows(model, checkpoint.processor, frames, ROWS[:2], None)
    assert none == [None, None]


def test_an_answer_that_is_no_number_is_refused(pictures: list[np.ndarray]) -> None:
    checkpoint = open_checkpoint("vivit-mannequin")
    model = checkpoint.load(VivitForVideoClassification, dtype="float32", device="cpu")
    model.classifier.bias.data[0] = float("nan")
    frames = np.stack([checkpoint.processor.resize_and_crop(pictures[0])] * 2)
    with pytest.raises(UserError, match="not a number"):
        classify_windows(model, checkpoint.processor, frames, [(0,) * 32])
