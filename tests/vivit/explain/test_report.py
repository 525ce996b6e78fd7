"""The report of a clip and a map: what it says, and that JSON can hold it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vivit.explain.counterfactuals import Answer, Counterfactuals
from vivit.explain.deletion import Deletion
from vivit.explain.report import RANDOM, report

KEYS = (
    "clip model attention precision device method layer head predictions familiar frames frame crop_box grid tubelet_size "
    "time top deletion counterfactuals uses_time sentences warnings"
)
WEIGHTS = np.random.default_rng(0).random((3, 4, 5), np.float32)
WHOLE = Answer("waltz", 0.75, 0.75, None)
DELETION = Deletion(0.75, (0.5, 0.25, 0.125), tuple((0.75, 0.75, 0.5) for _ in range(19)))
ORDERS = Counterfactuals(
    WHOLE,
    {
        "reversed": (replace(WHOLE, label="tango", score=0.5, same_score=0.25),),
        "shuffled": (WHOLE,) * 5,
        "frozen": (replace(WHOLE, familiar=False),),
    },
)


def made(weights: np.ndarray = WEIGHTS, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        **{"clip": "dance.mp4", "model": "tiny", "attention": "sdpa", "precision": "float32", "device": "cpu"},
        **{"method": "attention", "layer": 1, "head": None, "predictions": [{"label": "waltz", "score": 0.75}]},
        **{"familiar": None, "indices": range(6), "seconds": [k / 4 for k in range(6)], "tubelet_size": (2, 8, 16)},
        **{"crop_box": (1.5, 0.0, 81.5, 32.0)},
    }
    found = report(weights, **given | changes)
    assert json.loads(json.dumps(found, allow_nan=False)) == found  # nothing that JSON makes something else of
    return found


def test_all_is_told() -> None:
    found = made(deletion=DELETION, counterfactuals=ORDERS, warnings=["It is short."])
    assert list(found) == KEYS.split()
    assert found["predictions"] == [{"label": "waltz", "score": 0.75}] and found["familiar"] is None
    assert found["frames"][3] == {"index": 3, "seconds": 0.75} and len(found["frames"]) == 6
    assert (found["grid"], found["tubelet_size"]) == ([3, 4, 5], [2, 8, 16])
    assert found["frame"] == {"width": 80, "height": 32} and found["crop_box"] == [1.5, 0.0, 81.5, 32.0]
    assert (found["layer"], found["head"]) == (1, "mean")
    assert found["deletion"] == DELETION.to_dict() and found["counterfactuals"] == ORDERS.to_dict()
    assert found["uses_time"] is True
    assert found["sentences"] == [DELETION.sentence, ORDERS.sentence, ORDERS.frozen_sentence]
    assert found["warnings"] == ["It is short."]


def test_time_and_the_top_are_shares_of_the_map() -> None:
    found = made()
    assert found["time"] == pytest.approx(WEIGHTS.sum((1, 2)) / WEIGHTS.sum()) and sum(found["time"]) == pytest.approx(
        1
    )
    largest = np.sort(WEIGHTS, axis=None)[::-1][:5] / WEIGHTS.sum()
    assert [one["weight"] for one in found["top"]] == pytest.approx(largest)
    for one in found["top"]:
        assert list(one) == ["step", "seconds", "x", "y", "width", "height", "weight"]
        assert (one["width"], one["height"]) == (16, 8) and one["seconds"] == one["step"] / 2
        assert 0 <= one["x"] <= 80 - 16 and 0 <= one["y"] <= 32 - 8
        row, column = one["y"] // 8, one["x"] // 16
        assert one["weight"] == pytest.approx(WEIGHTS[one["step"], row, column] / WEIGHTS.sum())


def test_a_map_of_nothing_is_even() -> None:
    found = made(np.zeros((3, 4, 5), np.float32))
    assert found["time"] == pytest.approx([1 / 3] * 3) and found["top"][0]["weight"] == pytest.approx(1 / 60)


def test_raw_numbers_where_they_are_asked_for() -> None:
    found = made(raw=True)
    assert list(found) == [*KEYS.split(), "weights"]
    assert (np.array(found["weights"], np.float32) == WEIGHTS).all()


def test_rollout_is_of_no_layer_and_no_head() -> None:
    found = made(method="rollout", layer=None, head=None)
    assert found["layer"] is found["head"] is None
    assert made(layer=None, head=2)["layer"] == "mean" and made(head=2)["head"] == 2


def test_without_checks_nothing_is_claimed() -> None:
    found = made()
    assert found["deletion"] is found["counterfactuals"] is found["uses_time"] is None and found["sentences"] == []
    begun = made(counterfactuals=Counterfactuals(WHOLE, {}))
    assert begun["uses_time"] is None and begun["counterfactuals"] == {}


def test_random_weights_mean_nothing() -> None:
    assert made(trained=False, deletion=DELETION)["sentences"] == [RANDOM, DELETION.sentence]
