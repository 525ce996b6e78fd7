"""Labelled clips through real decoders and a tiny model, beside `pipeline`, which classifies them one by one."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.clips import write_clip
from tests.running import decoders, no_child_left
from vivit import VideoClassificationPipeline
from vivit.decoders import Reading
from vivit.evaluate.local import Spent, evaluate_locally
from vivit.evaluate.passes import Answer, Classifier, record_of
from vivit.evaluate.records import LabelledClip, Record
from vivit.familiarity import Familiarity


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledClip]:
    """Nine, three of which cannot be read: the first, one within a step, and one between two."""
    folder = tmp_path_factory.mktemp("labelled")
    paths = [folder / f"{k}.mp4" for k in range(9)]
    for k, path in enumerate(paths):
        if k in (0, 2):
            path.write_text("no video")
        elif k != 5:
            write_clip(path, 8 + k)
    return [LabelledClip(k, str(path), f"class {k % 7}", k % 7) for k, path in enumerate(paths)]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    with no_child_left():
        yield


GOOD = [1, 3, 4, 6, 7, 8]


@pytest.fixture(params=[0, 1], ids=["", "a pass ahead"])
def passes_ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """As on a CPU, and as on an accelerator."""
    monkeypatch.setattr("vivit.evaluate.local.passes_ahead", lambda *_: request.param)
    ahead: int = request.param
    return ahead


def parts(classify: VideoClassificationPipeline, batch_size: int) -> tuple[Reading, Classifier]:
    config, processor = classify.model.config, classify.image_processor
    return (
        Reading(config.num_frames, processor),
        Classifier(classify.model, processor, batch_size, classify.familiarity),
    )


def flat(steps: Iterator[list[Record]]) -> list[Record]:
    return [record for step in steps for record in step]


@pytest.mark.parametrize("processes", [1, 2])
def test_records_are_what_the_pipeline_answers(
    classify: VideoClassificationPipeline, clips: list[LabelledClip], passes_ahead: int, processes: int
) -> None:
    """To the bit with passes of the same size."""
    spent = Spent()
    steps = list(evaluate_locally(iter(clips), *parts(classify, 3), processes, spent))
    assert [[record.index for record in step] for step in steps] == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]
    records = flat(iter(steps))
    answers = iter(classify([clips[k].path for k in GOOD], batch_size=3, num_workers=0))
    for record, clip in zip(records, clips, strict=True):
        assert (record.path, record.label, record.target) == (clip.path, clip.label, clip.target)
        if clip.index not in GOOD:
            assert Path(clip.path).name in record.error and not record.top and record.rank == 0
            continue
        answer = next(answers)
        scores = {one["label"]: one["score"] for one in answer}
        assert [{"label": guess.label, "score": guess.score} for guess in record.top] == answer[:5]
        assert record.score == scores[classify.model.config.id2label[record.target]]
        assert record.rank == 1 + sum(score > record.score for score in scores.values())
        assert record.right == (record.top[0].index == record.target) and record.error == ""
        assert record.familiar is None and record.decode_seconds > 0 and record.model_seconds > 0
    assert spent.decode == pytest.approx(sum(record.decode_seconds for record in records))
    assert spent.model == pytest.approx(sum(record.model_seconds for record in records))
    assert 0 < spent.waited < spent.total and spent.model < spent.total


def test_a_rest_is_answered_as_in_a_whole_pass(
    classify: VideoClassificationPipeline, clips: list[LabelledClip]
) -> None:
    sizes: list[int] = []
    few = [clips[k] for k in (1, 3, 4, 6)]
    with classify.model.vivit.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0]))):
        records = flat(evaluate_locally(few, *parts(classify, 3), 1))
    assert sizes == [3, 3]
    whole = flat(evaluate_locally([*few[:3], few[3], few[3], few[3]], *parts(classify, 3), 1))
    assert [record.top for record in records] == [record.top for record in whole[:4]]


def test_familiarity_is_told(classify: VideoClassificationPipeline, clips: list[LabelledClip]) -> None:
    ones, threshold = np.ones((1, 2), np.float32), 0.0
    for threshold in (0.0, 1e9):
        classify.familiarity = Familiarity(
            np.zeros((1, 35), np.float32), np.eye(35, dtype=np.float32)[None, :2], ones, ones[:, 0], threshold
        )
        records = flat(evaluate_locally(clips[:2], *parts(classify, 1), 1))
        assert [record.familiar for record in records] == [None, bool(threshold)]


def test_killed_decoders_cost_no_clip(classify: VideoClassificationPipeline, clips: list[LabelledClip]) -> None:
    many = [LabelledClip(k, clips[GOOD[k % 6]].path, "", 0) for k in range(12)]
    wanted = flat(evaluate_locally(many, *parts(classify, 2), 1))
    steps = evaluate_locally(many, *parts(classify, 2), 2)
    found: list[Record] = []
    killed = 0
    for step in steps:
        # Once, since a clip that ends two decoders counts as unreadable.
        for child in decoders() if not found else ():
            child.send_signal(signal.SIGKILL)
            killed += 1
        found += step
    assert killed
    assert [(record.index, record.top, record.error) for record in found] == [
        (record.index, record.top, "") for record in wanted
    ]


def test_what_ends_it_comes_after_the_records_before_it(
    classify: VideoClassificationPipeline, clips: list[LabelledClip], passes_ahead: int
) -> None:
    """A source that breaks off, and a pass that fails."""
    good = [clips[k] for k in GOOD]

    def breaking() -> Iterator[LabelledClip]:
        yield from good[:3]
        raise ZeroDivisionError

    def broken(*_: Any) -> None:
        passes.append(1)
        if len(passes) == 3:
            raise RuntimeError("memory")

    for source, hook, kind, whole in (
        (breaking(), None, ZeroDivisionError, 3),
        (good, broken, RuntimeError, 4),
    ):
        passes: list[int] = []
        found: list[Record] = []
        handle = classify.model.classifier.register_forward_hook(hook) if hook else None
        with pytest.raises(kind):
            for step in evaluate_locally(source, *parts(classify, 2), 1):
                found += step
        assert [record.index for record in found] == GOOD[:whole] and all(record.top for record in found)
        if handle:
            handle.remove()


def test_an_answer_that_is_no_number_is_its_clips_alone(
    classify: VideoClassificationPipeline, clips: list[LabelledClip]
) -> None:
    passes: list[int] = []

    def no_number(_: Any, __: Any, logits: torch.Tensor) -> torch.Tensor:
        passes.append(1)
        logits = logits.clone()
        logits[1:] *= float("nan") if len(passes) == 2 else 1.0
        return logits

    good = [clips[k] for k in GOOD]
    with classify.model.classifier.register_forward_hook(no_number):
        found = [record for step in evaluate_locally(good, *parts(classify, 2), 1) for record in step]
    assert [record.index for record in found] == GOOD
    assert [k for k, record in enumerate(found) if record.error] == [3]
    assert "not a number" in found[3].error and not (found[3].top or found[3].rank)


def test_many_bad_clips_do_not_wait_for_a_good_one(
    classify: VideoClassificationPipeline, clips: list[LabelledClip]
) -> None:
    bad = [LabelledClip(k, clips[0].path, "", 0) for k in range(5)]
    steps = [[record.index for record in step] for step in evaluate_locally(bad, *parts(classify, 2), 1)]
    assert steps == [[0, 1], [2, 3], [4]]
    assert list(evaluate_locally([], *parts(classify, 2), 1)) == []


def test_pictures_that_the_model_does_not_take_are_said(
    classify: VideoClassificationPipeline, clips: list[LabelledClip]
) -> None:
    reading, classifier = parts(classify, 1)
    reading = Reading(reading.num_frames, reading.processor.changed(crop_size=32))
    (step,) = evaluate_locally(clips[1:2], reading, classifier, 1)
    assert "the model takes" in step[0].error


def test_of_equal_classes_the_first_is_the_better(classify: VideoClassificationPipeline) -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, 2.0, 1.0, 1.0, 2.0])
    order = [1, 3, 6, 2, 4, 5, 0]
    for target in range(7):
        record = record_of(Record(0, "", "", target), Answer(logits, None), classify.model.config)
        assert [guess.index for guess in record.top] == order[:5] and record.rank == 1 + order.index(target)
