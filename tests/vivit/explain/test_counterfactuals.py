"""Frames in other orders, and what is said of the answers."""

import json
from dataclasses import replace

import pytest

from vivit.explain.counterfactuals import NAMES, Answer, Counterfactuals, orders

WHOLE = Answer("waltz", 0.9, 0.9, True)
OTHER = Answer("tango", 0.6, 0.3, True)
THIRD = Answer("polka", 0.7, 0.2, True)


def answered(reversed_: Answer, *shuffled: Answer, **more: Answer) -> Counterfactuals:
    return Counterfactuals(WHOLE, {"reversed": (reversed_,), "shuffled": shuffled} | {k: (v,) for k, v in more.items()})


# Orders


@pytest.mark.parametrize(
    ("num_frames", "wanted"),
    [
        (1, {"reversed": (0,), "frozen": (0,), "half_speed": (0,), "every_other": (0,)}),
        (2, {"reversed": (1, 0), "frozen": (1, 1), "half_speed": (0, 1), "every_other": (0, 0)}),
        (4, {"reversed": (3, 2, 1, 0), "frozen": (2,) * 4, "half_speed": (1, 2, 2, 3), "every_other": (0, 2, 2, 2)}),
        (
            5,
            {
                "reversed": (4, 3, 2, 1, 0),
                "frozen": (2,) * 5,
                "half_speed": (1, 2, 2, 3, 3),
                "every_other": (0, 2, 2, 4, 4),
            },
        ),
        (
            8,
            {
                "reversed": (7, 6, 5, 4, 3, 2, 1, 0),
                "frozen": (4,) * 8,
                "half_speed": (2, 3, 3, 4, 4, 5, 5, 6),
                "every_other": (0, 2, 2, 4, 4, 6, 6, 6),
            },
        ),
    ],
)
def test_the_frames_of_each_order(num_frames: int, wanted: dict[str, tuple[int, ...]]) -> None:
    found = orders(num_frames)
    assert found.keys() == NAMES.keys()
    assert {name: some for name, some in found.items() if name != "shuffled"} == {k: (v,) for k, v in wanted.items()}


@pytest.mark.parametrize("num_frames", [1, 2, 3, 7, 32])
def test_shuffled_orders_have_every_frame_and_are_not_the_one_there_was(num_frames: int) -> None:
    found = orders(num_frames)["shuffled"]
    assert len(found) == 5 and all(sorted(order) == [*range(num_frames)] for order in found)
    assert num_frames == 1 or tuple(range(num_frames)) not in found
    assert num_frames < 7 or len(set(found)) == 5
    assert found == orders(num_frames)["shuffled"] and orders(num_frames, seeds=8)["shuffled"][:5] == found
    assert all(type(k) is int for order in found for k in order)


# Whether time is used


@pytest.mark.parametrize("backwards", [WHOLE, OTHER])
@pytest.mark.parametrize("changed", range(6))
def test_it_uses_time_if_reversed_or_most_shuffled_orders_change_the_answer(backwards: Answer, changed: int) -> None:
    found = answered(backwards, *[OTHER] * changed, *[WHOLE] * (5 - changed))
    assert found.uses_time is (backwards is OTHER or changed >= 3)
    assert f"another in {changed} of 5" in found.sentence
    assert ("no sign that the order" in found.sentence) == (backwards is WHOLE and changed == 0)
    assert ("in most orders not to the answer" in found.sentence) == (backwards is WHOLE and changed in (1, 2))


def test_half_is_not_more_than_half() -> None:
    assert answered(WHOLE, OTHER, WHOLE).uses_time is False


def test_neither_still_nor_fast_clips_are_evidence() -> None:
    others = dict.fromkeys(("frozen", "half_speed", "every_other"), OTHER)
    assert answered(WHOLE, *[WHOLE] * 5, **others).uses_time is False


@pytest.mark.parametrize("name", ["reversed", "shuffled"])
def test_it_is_not_known_before_both_are_there(name: str) -> None:
    found = answered(OTHER, *[OTHER] * 5)
    rest = {key: some for key, some in found.changed.items() if key != name}
    for part in (Counterfactuals(WHOLE, rest), Counterfactuals(WHOLE, rest | {name: ()}), Counterfactuals(WHOLE, {})):
        assert part.uses_time is None and "is not known before" in part.sentence


def test_what_changed_only_where_the_clip_became_strange_is_told_so() -> None:
    strange = replace(OTHER, familiar=False)
    assert "unlike anything it was trained on" in answered(WHOLE, *[strange] * 5).sentence
    assert "unlike" not in answered(WHOLE, strange, strange, strange, OTHER, WHOLE).sentence
    assert "unlike" not in answered(WHOLE, *[replace(OTHER, familiar=None)] * 5).sentence
    assert "unlike" not in answered(WHOLE, strange, WHOLE, WHOLE, WHOLE, WHOLE).sentence  # nothing is concluded


def test_the_sentences_in_full() -> None:
    assert answered(OTHER, *[WHOLE] * 5).sentence == (
        "The answer is 'waltz'; reversed it is 'tango', and shuffled it is another in 0 of 5 orders, the probability of "
        "'waltz' being 90.0 % in the mean where it was 90.0 %: the order of the frames matters for this clip."
    )
    assert answered(WHOLE, OTHER, *[WHOLE] * 4).sentence == (
        "The answer is 'waltz'; reversed it stays so, and shuffled it is another in 1 of 5 orders, the probability of "
        "'waltz' being 78.0 % in the mean where it was 90.0 %: the order of the frames matters for this clip, but in most "
        "orders not to the answer."
    )


# The frozen clip


def test_what_a_frozen_clip_tells() -> None:
    def told(frozen: Answer) -> str:
        return answered(WHOLE, frozen=frozen).frozen_sentence

    assert told(replace(OTHER, familiar=False)) == (
        "A frozen clip is unlike anything it was trained on: this tells nothing about time."
    )
    assert told(replace(OTHER, familiar=None)).startswith("It is not known whether a frozen clip is like")
    assert told(OTHER) == "Frozen it is 'tango' (60.0 %): its middle frame alone does not give 'waltz'."
    assert told(WHOLE) == "Frozen it is still 'waltz' (90.0 %): for this answer its middle frame is enough."
    assert Counterfactuals(WHOLE, {}).frozen_sentence == ""


# From a chain of batches, and to JSON


def test_answers_in_the_order_of_orders() -> None:
    """A cancelled check keeps the kinds that are done, whole ones: of some shuffled orders no share is told."""
    kinds = orders(4)
    answers = [Answer(str(k), 0.5, 0.5, None) for k in range(9)]
    assert Counterfactuals.of(WHOLE, kinds, []) == Counterfactuals(WHOLE, {})
    assert Counterfactuals.of(WHOLE, kinds, answers[:4]).changed == {"reversed": (answers[0],)}
    assert Counterfactuals.of(WHOLE, kinds, answers[:6]).changed == {
        "reversed": (answers[0],),
        "shuffled": tuple(answers[1:6]),
    }
    assert Counterfactuals.of(WHOLE, kinds, answers).changed.keys() == NAMES.keys()


def test_as_json() -> None:
    found = answered(OTHER, WHOLE, OTHER, OTHER, THIRD, THIRD, frozen=replace(OTHER, familiar=None))
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [*told] == ["reversed", "shuffled", "frozen"]
    assert told["reversed"] == {"label": "tango", "score": 0.6, "same_score": 0.3, "familiar": True}
    assert told["frozen"]["familiar"] is None
    shuffled = told["shuffled"]
    assert (shuffled["changed"], shuffled["of"]) == (4, 5)
    assert [one["label"] for one in shuffled["each"]] == ["waltz", "tango", "tango", "polka", "polka"]
    assert (shuffled["label"], shuffled["score"]) == ("polka", pytest.approx(0.7))  # as many as 'tango', and surer
    assert shuffled["same_score"] == pytest.approx((0.9 + 0.3 + 0.3 + 0.2 + 0.2) / 5)


@pytest.mark.parametrize(
    ("familiar", "wanted"),
    [([True] * 3, True), ([False, False, True], False), ([True, True, False], True), ([True, True, None], None)],
)
def test_several_clips_are_familiar_if_most_are(familiar: list[bool | None], wanted: bool | None) -> None:
    found = answered(WHOLE, *(replace(OTHER, familiar=one) for one in familiar))
    assert found.to_dict()["shuffled"]["familiar"] is wanted


def test_a_clip_of_one_picture_tells_nothing_of_time() -> None:
    whole = Answer("waltz", 0.9, 0.9, True)
    kinds = orders(4)
    answers = [whole] * sum(map(len, kinds.values()))
    found = Counterfactuals.of(whole, kinds, answers, still=True)
    assert found.uses_time is None and "one picture" in found.sentence and found.frozen_sentence == ""
    assert Counterfactuals.of(whole, kinds, answers).uses_time is False


def test_a_probability_that_falls_is_a_sign_though_the_answer_stays() -> None:
    less = Answer("waltz", 0.5, 0.5, True)
    found = answered(WHOLE, *[less] * 5)
    assert found.uses_time is False and "being 50.0 % in the mean where it was 90.0 %" in found.sentence
    assert "no sign" not in found.sentence and "in most orders not to the answer" in found.sentence
