"""Batches of changed clips against the same clips one by one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests import oracle
from tests.factorized_models import KINDS, made
from vivit.errors import UserError
from vivit.explain import look
from vivit.explain.counterfactuals import orders
from vivit.explain.deletion import plan
from vivit.explain.passes import (
    answer_orders,
    check_deletion,
    check_orders,
    delete,
    score_deleted,
    whole_answer,
)
from vivit.familiarity import Familiarity
from vivit.precision import set_precision

CPU = torch.device("cpu")
# Probabilities of logits of about 1, which differ by sums of some 40 terms in another order.
NEAR: dict[str, Any] = {"rel": 1e-5, "abs": 1e-6}


def one_clip(model: Any, seed: int = 0) -> torch.Tensor:
    return oracle.clip(model.config, 1, seed)


def by_itself(model: Any, clip: torch.Tensor) -> torch.Tensor:
    """Probabilities of one clip, by the model's own call: (labels,)."""
    with torch.no_grad():
        scores: torch.Tensor = model(clip).logits[0].softmax(-1)
    return scores


# What is deleted


@pytest.mark.parametrize("tubelet", [(1, 4, 4), (2, 4, 4), (2, 8, 4), (3, 2, 5)])
def test_only_masked_tubelets_become_the_clips_mean(tubelet: tuple[int, int, int]) -> None:
    grid = (2, 3, 4)
    random = np.random.default_rng(0)
    shape = [count * size for count, size in zip(grid, tubelet, strict=True)]
    pixels = random.normal(size=(1, shape[0], 3, *shape[1:])) + np.array([1, 2, 3])[:, None, None]
    clip = torch.tensor(pixels, dtype=torch.float32)
    masks = random.random((5, *grid)) < 0.3
    found = delete(clip, masks, tubelet)
    assert found.shape == (5, *clip.shape[1:]) and found.dtype == clip.dtype
    for mask, copy in zip(masks, found, strict=True):
        for frame, row, column in np.ndindex(*shape):
            place = tuple(k // size for k, size in zip((frame, row, column), tubelet, strict=True))
            wanted = clip[0].mean((0, 2, 3)) if mask[place] else clip[0, frame, :, row, column]
            torch.testing.assert_close(
                copy[frame, :, row, column], wanted, rtol=1e-5, atol=1e-6
            )  # a mean in another order
            assert mask[place] or (copy[frame, :, row, column] == wanted).all()


def test_masks_are_arrays_or_tensors_and_none_of_them_changes_the_clip() -> None:
    clip, masks = torch.randn(1, 4, 3, 8, 8), np.zeros((2, 2, 2, 2), bool)
    before = clip.clone()
    assert (delete(clip, masks, (2, 4, 4)) == clip).all()
    masks[1] = True
    assert torch.equal(delete(clip, masks, (2, 4, 4)), delete(clip, torch.tensor(masks), (2, 4, 4)))
    assert torch.equal(clip, before)


def test_the_mean_of_half_precision_is_taken_in_float32() -> None:
    """A sum of 65,536 numbers of about 2 is more than float16 can hold."""
    clip = torch.full((1, 4, 1, 128, 128), 2.0, dtype=torch.float16)
    assert (delete(clip, np.ones((1, 1, 1, 1), bool), (4, 128, 128)) == 2).all()


# Batches


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", KINDS)
def test_deleted_clips_answer_as_one_by_one(kind: str, attention: str) -> None:
    model = made(kind, attention)
    clip, grid = one_clip(model), model.config.grid_size
    masks = plan(np.random.default_rng(1).random(grid))[:3].reshape(-1, *grid)
    found = score_deleted(model, clip, masks, 4)
    copies = delete(clip, masks, model.config.tubelet_size)
    assert found == pytest.approx([float(by_itself(model, copy[None])[4]) for copy in copies], **NEAR)
    assert len(set(found)) == len(found)  # of random weights everything matters


@pytest.mark.parametrize("kind", KINDS)
def test_other_orders_answer_as_one_by_one(kind: str) -> None:
    model = made(kind, "sdpa")
    clip, labels = one_clip(model), model.config.id2label
    every = [order for some in orders(12).values() for order in some]
    found = answer_orders(model, clip, every, 4, labels, None)
    for answer, order in zip(found, every, strict=True):
        wanted = by_itself(model, clip[:, list(order)])
        assert answer.label == labels[int(wanted.argmax())] and answer.familiar is None
        assert (answer.score, answer.same_score) == pytest.approx((float(wanted.max()), float(wanted[4])), **NEAR)


@pytest.mark.parametrize("kind", KINDS)
def test_the_intact_clips_answer(kind: str) -> None:
    model = made(kind, "sdpa")
    wanted = by_itself(model, one_clip(model))
    answer, label = whole_answer(model, look(model, one_clip(model)).features, model.config.id2label, None)
    assert label == int(wanted.argmax()) and answer.label == model.config.id2label[label]
    assert answer.score == answer.same_score == pytest.approx(float(wanted.max()), **NEAR)


# Logits are about 1; a rounding that falls the other way moves one by 2⁻⁸ of it in bfloat16, 2⁻¹¹ in float16 and, of a number
# in 8 bit, by about 1/127, of which some 40 are added up.
@pytest.mark.parametrize(
    ("precision", "near"), [("bfloat16", 0.02), ("float16", 0.003), ("float16-weights", 1e-5), ("int8-dynamic", 0.02)]
)
def test_precisions_whose_batches_answer_as_one_by_one(precision: str, near: float) -> None:
    model = set_precision(made("none", "sdpa", hidden_size=64, intermediate_size=64), precision)
    clip, grid = one_clip(model).to(model.dtype), model.config.grid_size
    masks = plan(np.random.default_rng(1).random(grid))[:2].reshape(-1, *grid)
    found = score_deleted(model, clip, masks, 4)
    assert found == pytest.approx([score_deleted(model, clip, mask[None], 4)[0] for mask in masks], abs=near)


def test_the_familiarity_of_each_clip() -> None:
    """Features are compared with those of the intact clip, which is the only class there is."""
    model = made("none", "sdpa")
    clip, labels = one_clip(model), model.config.id2label
    features = look(model, clip).features
    means, size = features.numpy(), features.shape[1]
    known = Familiarity(
        means, np.eye(size, dtype=np.float32)[None, :1], np.ones((1, 1), np.float32), np.ones(1, np.float32), 1e-6
    )
    answer, label = whole_answer(model, features, labels, known)
    assert answer.familiar is True
    found = answer_orders(model, clip, [range(12), range(11, -1, -1)], label, labels, known)
    assert [one.familiar for one in found] == [True, False]


def test_plain_passes_are_run_whatever_the_execution() -> None:
    """A compiled form would be compiled anew for a batch of another size, and a graph be captured."""
    model = made("none", "sdpa")
    wanted = score_deleted(model, one_clip(model), np.zeros((1, 6, 3, 5), bool), 0)
    model.execution = "captured"  # which a CPU does not have
    assert score_deleted(model, one_clip(model), np.zeros((1, 6, 3, 5), bool), 0) == wanted


def test_an_answer_that_is_not_a_number_is_a_sentence() -> None:
    model = made("none", "sdpa")
    clip = one_clip(model)
    features = look(model, clip).features
    with torch.no_grad():
        model.classifier.bias[0] = float("nan")
    calls: list[Callable[[], object]] = [
        lambda: score_deleted(model, clip, np.zeros((1, 6, 3, 5), bool), 0),
        lambda: answer_orders(model, clip, [range(12)], 0, model.config.id2label, None),
        lambda: whole_answer(model, features, model.config.id2label, None),
    ]
    for call in calls:
        with pytest.raises(UserError, match="not a number"):
            call()


# The whole chain


@pytest.mark.parametrize("kind", KINDS)
def test_the_chain_is_the_same_in_batches_of_any_size(kind: str) -> None:
    model = made(kind, "sdpa")
    clip, labels = one_clip(model), model.config.id2label
    seen = look(model, clip)
    whole, label = whole_answer(model, seen.features, labels, None)
    weights = next(iter(seen.maps.values()))[-1, 0].mean(0).numpy()
    said: list[tuple[float, str]] = []
    found = [
        check_deletion(model, clip, weights, whole.score, label, at_once=n, progress=lambda *told: said.append(told))
        for n in (7, 60)
    ]
    assert len(found[0].controls) == 19 and found[0].whole == whole.score
    for curve, again in zip(
        (found[0].attended, *found[0].controls), (found[1].attended, *found[1].controls), strict=True
    ):
        assert curve == pytest.approx(again, **NEAR)
    fractions = [fraction for fraction, _ in said]
    assert fractions[:9] == sorted(fractions[:9]) and fractions[8:] == [1, 1] and said[0][1] == "deletion 7 of 60"
    one, other = (check_orders(model, clip, whole, label, labels, None, at_once=n) for n in (4, 16))
    assert one.whole == other.whole == whole and one.changed.keys() == other.changed.keys() == orders(12).keys()
    for name, answers in one.changed.items():
        assert [a.same_score for a in answers] == pytest.approx([a.same_score for a in other.changed[name]], **NEAR)


def test_a_check_ends_where_its_progress_raises() -> None:
    model = made("none", "sdpa")
    clip = one_clip(model)
    whole, label = whole_answer(model, look(model, clip).features, model.config.id2label, None)
    calls = 0

    def stop(*_: Any) -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_deletion(model, clip, np.ones((6, 3, 5)), whole.score, label, at_once=4, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        check_orders(model, clip, whole, label, model.config.id2label, None, at_once=4, progress=stop)
    assert calls == 2


def test_controls_are_drawn_by_the_seed_and_the_map_is_not() -> None:
    model = made("none")
    clip = one_clip(model)
    weights = np.random.default_rng(0).random(model.config.grid_size)
    one, other = (check_deletion(model, clip, weights, 0.2, 1, at_once=7, seed=seed) for seed in (0, 1))
    assert one.attended == pytest.approx(other.attended, **NEAR) and one.controls != other.controls
