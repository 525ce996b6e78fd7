"""`benchmarks.evaluate`: every contestant gets the same clips, and is compared only if it answers alike."""

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from benchmarks import evaluate
from tests import oracle
from tests.clips import write_clip
from vivit.evaluate.passes import Begun, Classifier


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("few")
    oracle.save(folder / "tiny")
    for k in range(3):
        write_clip(folder / f"{k}.mp4", 10 + k, size=(64, 48))
    return ["--model", str(folder / "tiny"), "--folder", str(folder), "--clips", "5", "--batch-size", "2"]


@pytest.mark.full
def test_every_contestant_does_all_clips_in_every_round(few: list[str]) -> None:
    found = evaluate.measure(evaluate.parse([*few, "--decoders", "1"]))
    assert found["agreed"] == found["agreed"] | {"clips": 5, "same_top1": 10, "of": 10}
    loop, listed, evaluated = found["rows"]
    assert [row["name"] for row in (loop, listed, evaluated)] == [
        "pipeline, one by one",
        "pipeline, a list, 1 decoders",
        "evaluate, 1 decoders",
    ]
    for row in (loop, listed, evaluated):
        assert len(row["seconds"]) == 6 and min(row["seconds"]) > 0 and row["of_the_bound"]["value"] > 0
    assert loop["times_as_many_as_the_loop"] is None and 0 < evaluated["model_waited"] < 1
    ratios = sorted(a / b for a, b in zip(loop["seconds"], evaluated["seconds"], strict=True))
    told = evaluated["times_as_many_as_the_loop"]
    assert (told["low"], told["high"]) == (ratios[0], ratios[-1]) and told["low"] <= told["value"] <= told["high"]
    assert min(found["alone_ms_a_clip"].values()) > 0 and 0 <= found["others_share"] <= 1
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    text = "\n".join(evaluate.as_markdown(found))
    assert all(f"| {row['name']} |" in text for row in found["rows"]) and found["method"] in text


def test_other_answers_are_not_compared(few: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Classifier.begin
    monkeypatch.setattr(Classifier, "begin", lambda self, clips: inverted(usual, self, clips))
    with pytest.raises(SystemExit, match="no comparison"):
        evaluate.measure(evaluate.parse(few))


def inverted(
    usual: Callable[[Classifier, Sequence[np.ndarray]], Begun], classifier: Classifier, clips: Sequence[np.ndarray]
) -> Begun:
    return usual(classifier, [np.invert(clip) for clip in clips])
