"""Clips that give each other away are found, and those unlike all that was taught."""

from collections.abc import Sequence

import numpy as np
import pytest

from mannequin.renders import render_video
from vivit.intervals import wilson
from vivit.teach.likeness import Likeness, find_likeness
from vivit.teach.outside import FEWEST, fit_outside
from vivit.teach.report import LeftOut, Report, notices_of
from vivit.teach.taking import SIDE, look_of


def test_a_look_is_the_mean_picture_of_fields() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 33, 50, 3), np.uint8)
    look = look_of(frames).reshape(SIDE, SIDE, 3)
    assert look.dtype == np.float32
    # 33 // 8 = 4 pixels down and 50 // 8 = 6 across; what is over is left out.
    np.testing.assert_allclose(look[2, 3, 1], frames[:, 8:12, 18:24, 1].mean() / 255, rtol=1e-5)


def test_cuts_of_one_recording_are_alike_and_other_recordings_are_not() -> None:
    looks, labels = [], []
    for label, seed in (("squat", 1), ("squat", 2), ("lunge", 3)):
        frames = render_video(label, 900_000 + seed, 4.0, height=48).numpy()
        half = len(frames) // 2
        looks += [look_of(frames[:half]), look_of(frames[half:])]
        labels += [label] * 2
    features = np.random.default_rng(0).normal(size=(6, 16))
    found = find_likeness(features, np.stack(looks), labels)
    assert found.recordings == ((0, 1), (2, 3), (4, 5)) and not found.same and not found.in_one_place
    assert found.together(labels) == ((0, 1), (2, 3))  # a class is not left out as a whole
    assert find_likeness(features, None, labels) == Likeness(looked=False)


def test_the_same_clip_is_found_under_whatever_label() -> None:
    chance = np.random.default_rng(0)
    features, looks = chance.normal(size=(5, 32)), chance.random((5, 12))
    features[3], looks[3] = features[0] * 1.0001, looks[0]
    features[4], looks[4] = features[0] * 1.04, looks[0]  # another take before the same camera
    for known in (looks, None):
        assert find_likeness(features, known, ["a", "a", "b", "b", "b"]).same == ((0, 3),)


def test_one_place_is_no_recording_of_a_class() -> None:
    chance = np.random.default_rng(0)
    looks, labels = np.full((6, 12), 0.5), ["a", "b"] * 3
    found = find_likeness(chance.normal(size=(6, 32)), looks, labels)
    assert found.in_one_place == 6 and not found.recordings and not found.same
    looks[5] = 0.9  # one from elsewhere does not hide it
    assert find_likeness(chance.normal(size=(6, 32)), looks, labels).in_one_place == 5
    looks[:] = np.arange(6)[:, None]
    assert find_likeness(chance.normal(size=(6, 32)), looks, labels) == Likeness()


def said(labels: Sequence[str], right: bool = True, **found: object) -> list[str]:
    classes = {label: labels.count(label) for label in labels}
    left_out = tuple(
        LeftOut(k, label, label if right and classes[label] > 1 else "?", 0.9, 0.9, classes[label] > 1)
        for k, label in enumerate(labels)
    )
    return [*notices_of(Report(classes, left_out, 1.0, **found))]  # type: ignore[arg-type]


def test_what_qualifies_an_accuracy_is_said_in_sentences() -> None:
    many = ["a"] * 6 + ["b"] * 6
    assert said(many) == []
    (worthless,) = said(many, right=False)
    assert "no better than always naming the largest class" in worthless
    single, few = said([*many, "c", "d", "d"])
    assert "1 clip of 'c' counts as named wrong" in single and "fewer than 3 clips of 'd'" in few
    once, twice = said(many, same=((0, 1), (2, 7)))
    assert "2 clips of 'a' are the same one" in once and "both 'a' and 'b'" in twice
    part, whole = said(many, recordings=((0, 1), (6, 7, 8, 9, 10, 11)))
    assert "2 of 6 clips of 'a'" in part and "All 6 clips of 'b'" in whole and "place and not the action" in whole
    (place,) = said(many, in_one_place=12)
    assert place.startswith("All clips look as if they were filmed in one place")
    (most,) = said(many, in_one_place=7)
    assert most.startswith("7 of 12 clips look")
    (unseen,) = said(many, looked=False)
    assert "not looked for" in unseen


def test_a_clip_alone_of_its_class_accuses_nobody() -> None:
    alone = LeftOut(0, "a", "b", 0.99, 0.01, known=False)
    wrong, unsure, right = (
        LeftOut(1, "b", "c", 0.99, 0.01),
        LeftOut(2, "b", "c", 0.5, 0.3),
        LeftOut(3, "c", "c", 1.0, 1.0),
    )
    report = Report({"a": 1, "b": 2, "c": 1}, (alone, unsure, wrong, right), 1.0)
    assert report.right == 1 and report.confused == [wrong, unsure]
    assert [clip.doubtful for clip in report.left_out] == [False, False, True, False]


def test_clips_that_tell_of_each_other_count_once_in_the_interval() -> None:
    left_out = tuple(LeftOut(k, "a", "a" if k < 9 else "b", 0.9, 0.9) for k in range(12))
    alone, together = (Report({"a": 12}, left_out, 1.0, parts=parts) for parts in (12, 4))
    assert alone.interval == wilson(9, 12) and together.interval == wilson(3, 4) and together.accuracy == 0.75


@pytest.mark.parametrize("each", [5, 20])
def test_about_as_many_new_clips_are_called_outside_as_is_said(each: int) -> None:
    chance = np.random.default_rng(each)
    shares, called, far = [], [], []
    for _ in range(20):
        means = chance.normal(size=(4, 64)) * 2
        places = np.arange(4).repeat(each)
        found, share = fit_outside(means[places] + chance.normal(size=(4 * each, 64)), places.tolist())
        assert found and share
        new = means[chance.integers(0, 4, 100)] + chance.normal(size=(100, 64))
        shares.append(share)
        called.append(np.mean([not found.is_familiar(one) for one in new]))
        far.append(np.mean([not found.is_familiar(one) for one in chance.normal(size=(50, 64)) * 2]))
    # A clip lies further from the means of the others than a new clip from those of all, so that rather fewer new clips are
    # called outside than more.
    assert np.mean(shares) <= 0.1 and np.mean(called) < np.mean(shares) + 0.03
    assert np.mean(far) > 0.9


def test_too_few_clips_tell_nothing_of_what_is_outside() -> None:
    features = np.random.default_rng(0).normal(size=(FEWEST, 8))
    assert fit_outside(features, [*range(FEWEST)]) == (None, None)  # each alone of its class
    assert fit_outside(features[:4], [0, 0, 1, 1]) == (None, None)
    found, share = fit_outside(features, [0, 0, 0, 1, 1, 1])
    assert found is not None and share == pytest.approx(1 / (FEWEST + 1))
    assert fit_outside(features, [0, 0, 0, 1, 1, 1], [(0, 1, 2)]) == (None, None)
