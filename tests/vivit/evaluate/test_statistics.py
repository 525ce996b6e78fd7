"""Summaries, calibration and agreement, beside scipy and beside sums done by hand."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats

from tests.vivit.evaluate.records import LABELS, drawn, record
from vivit.evaluate.agreement import agree, in_words, mcnemar
from vivit.evaluate.calibration import calibrate
from vivit.evaluate.records import Guess
from vivit.evaluate.summary import Tally, summarise
from vivit.intervals import wilson


@pytest.mark.parametrize(("right", "of"), [(0, 36), (36, 36), (7, 9), (812, 1000)])
def test_wilsons_interval_is_scipys(right: int, of: int) -> None:
    theirs = stats.binomtest(right, of).proportion_ci(0.95, method="wilson")
    assert wilson(right, of) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (0, 1), (5, 5), (1, 9), (9, 1), (0, 6), (40, 70), (900, 1100)])
def test_mcnemars_test_is_scipys_binomial_test(one: int, other: int) -> None:
    theirs = stats.binomtest(one, one + other, 0.5).pvalue if one + other else 1.0
    assert mcnemar(one, other) == pytest.approx(theirs, rel=1e-9)


def test_a_summary_counts_what_there_is() -> None:
    records = [
        record(0, 0, 0, familiar=True, decode_seconds=1.0, model_seconds=3.0),
        record(1, 0, 2, familiar=False, decode_seconds=2.0, model_seconds=5.0),
        record(2, 1, 1, familiar=True, decode_seconds=3.0, model_seconds=1.0),
        record(3, 1, 1, error="It is damaged."),
        replace(record(4, 2, 0, familiar=True, decode_seconds=2.0, model_seconds=3.0), rank=6),
    ]
    found = summarise(records, LABELS)
    assert (found.clips, found.failed) == (5, 1)
    assert found.top1.value == 0.5 and (found.top1.low, found.top1.high) == wilson(2, 4)
    assert found.top5.value == 0.75
    assert [(c.label, c.clips, c.right, c.in_top5) for c in found.per_class] == [
        ("walking", 2, 1, 2),
        ("running", 1, 1, 1),
        ("jumping", 1, 0, 0),
    ]
    assert (found.per_class[0].share.low, found.per_class[0].share.high) == wilson(1, 2)
    assert found.confusion == ((0, 0, 1), (0, 2, 1), (1, 1, 1), (2, 0, 1))
    assert found.familiar and found.familiar.value == 0.75
    assert (found.decode_seconds, found.model_seconds) == (2.0, 3.0)
    json.dumps(asdict(found), allow_nan=False)


def test_of_nothing_nothing_is_known() -> None:
    for records in ([], [record(0, 0, 0, error="It is damaged.")]):
        found = summarise(records, LABELS)
        assert (found.top1.value, found.top1.low, found.top1.high) == (None, 0.0, 1.0)
        assert (found.per_class, found.confusion) == ((), ()) and found.familiar is None and found.model_seconds is None
        assert calibrate(records).error is None


def test_a_tally_that_grows_is_the_summary_of_all() -> None:
    records = drawn(50)
    tally = Tally(LABELS)
    for k in range(0, 50, 7):
        tally.add(records[k : k + 7])
    assert tally.summary() == summarise(records, LABELS)
    assert tally.top1 == tally.summary().top1


def test_calibration_is_that_of_scipys_bins() -> None:
    records = drawn(400)
    found = calibrate(records, 15)
    scores, right = np.array([r.top[0].score for r in records]), np.array([r.right for r in records])
    edges = np.linspace(0, 1, 16)
    # scipy's bins hold their lower edge, ours their upper one: no score lies on an edge.
    clips, _, _ = stats.binned_statistic(scores, scores, "count", edges)
    confidence, _, _ = stats.binned_statistic(scores, scores, "mean", edges)
    accuracy, _, _ = stats.binned_statistic(scores, right, "mean", edges)
    assert [b.clips for b in found.bins] == clips.tolist() and found.clips == 400
    for ours, c, a in zip(found.bins, confidence, accuracy, strict=True):
        if ours.clips:
            assert ours.confidence == pytest.approx(c) and ours.accuracy == pytest.approx(a)
        else:
            assert np.isnan(c)
        assert ours.interval == wilson(round((ours.accuracy or 0) * ours.clips), ours.clips)
    full = clips > 0
    expected = (clips[full] / 400 * np.abs(confidence[full] - accuracy[full])).sum()
    assert found.error == pytest.approx(expected, abs=1e-12) and expected > 0.01


def test_a_score_on_an_edge_counts_below_it_and_what_is_no_probability_is_refused() -> None:
    found = calibrate([record(0, 0, 0, 0.5), record(1, 0, 0, 1.0), record(2, 0, 0, 0.0)], 2)
    assert [b.clips for b in found.bins] == [2, 1]
    with pytest.raises(ValueError, match="no probability"):
        calibrate([record(0, 0, 0, 1.5)])


def test_agreement_counts_the_clips_that_both_classified() -> None:
    ours = [record(0, 0, 0), record(1, 0, 2), record(2, 1, 1), record(3, 1, 1, error="Damaged."), record(4, 2, 2)]
    theirs = [record(0, 0, 1), record(1, 0, 2), record(2, 1, 1), record(3, 1, 1), record(5, 2, 2)]
    # The same class under another spelling is no change.
    theirs[2] = replace(theirs[2], top=(Guess(9, "Running", 0.9), *theirs[2].top[1:]))
    found = agree(ours, theirs)
    assert found.clips == 3 and [(a.index, b.index) for a, b in found.changed] == [(0, 0)]
    assert (found.share.low, found.share.high) == wilson(1, 3)
    assert (found.only_ours, found.only_theirs, found.p_value) == (1, 0, 1.0)
    assert found.difference == pytest.approx(1 / 3)
    assert found.ours.value == pytest.approx(2 / 3) and found.theirs.value == pytest.approx(1 / 3)


def test_sentences_claim_no_more_than_the_clips_tell() -> None:
    same = drawn(36)
    assert in_words(agree(same, same)) == "No answer changes in 36 clips: at most 9.6 % of answers would (95 %)."
    assert "nothing can be told" in in_words(agree(same, []))
    one = [*same[:-1], record(35, 5, 0 if same[-1].right else 5)]
    assert "1 of 36 clips has another answer" in in_words(agree(same, one))
    assert "No difference in accuracy can be told" in in_words(agree(same, one))
    good, bad = ([record(k, 0, 0 if k < right else 1) for k in range(36)] for right in (30, 20))
    said = in_words(agree(good, bad), "float32", "int8")
    assert "Float32 is right more often than int8 on such clips" in said and "alone right on 10" in said
    assert "int8 alone on 0" in said and f"p = {stats.binomtest(10, 10).pvalue:.2g}" in said
    assert "Float32 is right more often" in in_words(agree(bad, good), "int8", "float32")
    assert "This cell is right more often than that one" in in_words(agree(good, bad))
    wrong = [record(k, 0, 1 + (k == 3)) for k in range(9)], [record(k, 0, 1) for k in range(9)]
    assert "Each clip is right or wrong in both" in in_words(agree(*wrong))
    # A cell that fails to answer does not agree.
    silent = [*same[:30], *(replace(one, top=(), rank=0, error="Not a number.") for one in same[30:])]
    assert in_words(agree(silent, same)).startswith("No answer changes in 30 clips")
    assert in_words(agree(silent, same)).endswith(" 6 clips more only one of them could answer.")
    assert math.isclose(agree(good, bad).difference, 10 / 36)
