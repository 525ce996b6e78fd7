"""Heads by their weights: as scikit-learn has them, judged as it would judge them, and the same every time."""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from vivit.errors import UserError
from vivit.teach.fitting import EACH, PARTS, REGULARISATION, USUAL, _fit_weights, fit, one_by_one

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import StandardScaler


def clips(classes: int, each: int, size: int, apart: float = 0.4, seed: int = 0) -> tuple[Tensor, list[str]]:
    """Features (N, E) of classes that overlap, each column with a unit and a mean of its own, and the N names of classes."""
    chance = torch.Generator().manual_seed(seed)
    means = torch.randn(classes, size, generator=chance) * apart
    places = torch.arange(classes).repeat(each)
    features = means[places] + torch.randn(classes * each, size, generator=chance)
    scales = 10 ** torch.randn(size, generator=chance)
    return (features * scales + 3 * scales).double(), [f"class {k}" for k in places.tolist()]


def oracle(features: Tensor, labels: Sequence[str], c: float, weights: Tensor | None = None) -> Pipeline:
    """scikit-learn's fit to the same features. Args: c: regularisation; weights: (N,) of the clips, 1 each if None."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=1e-10, max_iter=20_000))
    given = None if weights is None else weights.numpy()
    return model.fit(
        features.numpy(), labels, standardscaler__sample_weight=given, logisticregression__sample_weight=given
    )


@pytest.mark.parametrize("classes, each, size", [(2, 4, 48), (5, 5, 192), (3, 60, 16), (7, 3, 768)])
@pytest.mark.parametrize("c", [0.001, 1.0, 100.0])
def test_probabilities_are_scikit_learns(classes: int, each: int, size: int, c: float) -> None:
    features, labels = clips(classes, each, size)
    found = fit(features, labels, regularisation=[c])
    ours = (features @ found.weights.T + found.bias).softmax(-1)
    theirs = oracle(features, labels, c)
    # 1e-3 would be enough. Both solve the same strictly convex problem, and only their tolerances differ.
    order = [list(theirs.classes_).index(name) for name in found.names]
    np.testing.assert_allclose(ours.numpy(), theirs.predict_proba(features.numpy())[:, order], atol=1e-5)
    elsewhere = features.roll(1, 1)
    ours = (elsewhere @ found.weights.T + found.bias).softmax(-1)
    np.testing.assert_allclose(ours.numpy(), theirs.predict_proba(elsewhere.numpy())[:, order], atol=1e-5)


@pytest.mark.parametrize("together", [(), ((0, 5), (1, 2, 7))])
def test_clips_left_out_are_judged_by_fits_that_have_not_seen_them(together: Sequence[Sequence[int]]) -> None:
    features, labels = clips(5, 4, 64)
    found = fit(features, labels, together)
    groups = [*map(list, together), *([k] for k in range(20) if not any(k in group for group in together))]
    places = np.array([found.names.index(label) for label in labels])
    for group in groups:
        seen = [k for k in range(20) if k not in group]
        weights = torch.ones(20, dtype=torch.float64)
        for place in {*places[group].tolist()}:  # so that classes are as frequent as they were
            weights[places == place] *= 4 / sum(places[seen] == place)
        names = [labels[k] for k in seen]
        theirs = oracle(features[seen], names, found.regularisation, weights[seen])
        order = [list(theirs.classes_).index(name) for name in found.names]
        want = theirs.predict_proba(features[group].numpy())[:, order]
        np.testing.assert_allclose(found.left_out[group].numpy(), want, atol=1e-3)


def test_regularisation_is_the_one_of_the_least_cross_entropy_left_out() -> None:
    features, labels = clips(4, 6, 32)
    tried = {}
    for c in REGULARISATION:
        alone = fit(features, labels, regularisation=[c])
        tried[c] = -sum(
            float(row[alone.names.index(name)].log()) for name, row in zip(labels, alone.left_out, strict=True)
        )
    assert fit(features, labels).regularisation == min(tried, key=lambda c: tried[c])


def test_a_clip_of_each_class_alone_is_fitted_with_the_usual_regularisation() -> None:
    features, labels = clips(4, 1, 32)
    found = fit(features, labels)
    assert found.regularisation == USUAL
    assert (features @ found.weights.T + found.bias).argmax(1).tolist() == [0, 1, 2, 3]


def test_what_was_taught_is_known_even_where_others_tell_nothing_of_it() -> None:
    chance = torch.Generator().manual_seed(3)
    features, labels = torch.randn(12, 192, generator=chance).double(), ["a", "a", "b"] * 4
    found = fit(features, labels, regularisation=[min(REGULARISATION)])
    assert [found.names[k] for k in (features @ found.weights.T + found.bias).argmax(1).tolist()] == labels


def test_nothing_is_left_to_chance_but_which_of_very_many_clips_go_together() -> None:
    features, labels = clips(3, 8, 24)
    torch.manual_seed(1)
    one = fit(features, labels, seed=0)
    torch.manual_seed(2)
    other = fit(features, labels, seed=5)
    assert torch.equal(one.weights, other.weights) and torch.equal(one.left_out, other.left_out)
    features, labels = clips(2, EACH // 2 + 3, 4)
    assert one_by_one(EACH, ()) and not one_by_one(len(labels), ()) and one_by_one(len(labels), [range(7)])
    one, again, other = (fit(features, labels, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.left_out, again.left_out) and not torch.equal(one.left_out, other.left_out)
    assert torch.allclose(one.left_out.sum(1), torch.ones(len(labels)).double())


def test_where_a_tenth_is_left_out_each_class_is_spread_over_all() -> None:
    places = torch.tensor([0] * 2 + [1] * 50 + [2] * (EACH - 40))
    for seed in range(20):
        seen = _fit_weights(places, (), seed)
        assert seen.shape == (PARTS, len(places)) and ((seen == 0).sum(0) == 1).all()
        for place, count in enumerate((2, 50, EACH - 40)):
            left = (seen[:, places == place] == 0).sum(1)
            assert left.max() - left.min() <= 1 and left.sum() == count
            assert torch.allclose(seen[:, places == place].sum(1), torch.full((PARTS,), float(count)).double())


def test_numbers_that_never_vary_or_classes_far_apart_do_no_harm() -> None:
    features, labels = clips(3, 5, 16, apart=1e4)
    features[:, 3] = 7.0
    found = fit(features, labels)
    assert found.weights.isfinite().all() and found.bias.isfinite().all() and (found.weights[:, 3] == 0).all()
    named = [found.names[k] for k in (features @ found.weights.T + found.bias).argmax(1).tolist()]
    assert named == labels
    same = fit(torch.ones(6, 8).double(), ["a", "b"] * 3)  # all clips alike: nothing can be told
    assert torch.allclose(same.left_out, torch.full((6, 2), 0.5).double(), atol=1e-6)


def test_one_class_is_refused() -> None:
    with pytest.raises(UserError, match="one class alone, 'a'"):
        fit(torch.randn(4, 8).double(), ["a"] * 4)
