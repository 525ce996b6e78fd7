"""Features and names of clips → the weights of a head, and what heads that had not seen each clip say of it.

Letters: N clips, K classes, E size of a feature, F fits.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from math import log

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vivit.errors import UserError
from vivit.progress import Progress
from vivit.teach.regression import Problem, solve, zeros

# C. With less a head would not know the very clips that it is fitted to, where others tell nothing of them.
REGULARISATION = (0.01, 0.1, 1.0, 10.0, 100.0)
EACH = 120  # so many clips at most are left out one by one
PARTS = 10  # more are left out in so many parts
LEAVING_TOLERANCE = 1e-6  # of fits that only choose and judge: their probabilities are right to 1e-4
USUAL = 1.0  # C where no clip can be left out without its whole class


@dataclass(frozen=True)
class Fit:
    """A head, standardisation folded in, and how it was judged.

    Args:
        names: K.
        weights: (K, E) float64; bias: (K,).
        regularisation: C, that of the least cross entropy of clips left out.
        left_out: (N, K) float64, probabilities by heads that had not seen the clip.
        known: the places of clips whose class those heads had seen.
    """

    names: tuple[str, ...]
    weights: Tensor
    bias: Tensor
    regularisation: float
    left_out: Tensor
    known: frozenset[int]


def fit(
    features: Tensor,
    labels: Sequence[str],
    together: Sequence[Sequence[int]] = (),
    *,
    seed: int = 0,
    regularisation: Sequence[float] = REGULARISATION,
    progress: Progress | None = None,
) -> Fit:
    """Fit a multinomial logistic regression to standardised features.

    Args:
        features: (N, E) float64, finite.
        labels: N names.
        together: groups of clips, by their places, that are left out together, since one gives the other away.
        seed: says which clips are left out together beyond `EACH`.
        regularisation: the C to choose from.
        progress: called before each C is tried.

    Raises:
        UserError: unless two classes or more are named.

    Source: Hastie, Tibshirani and Friedman 2009, 'The Elements of Statistical Learning', sections 4.4 and 7.10.
    """
    names = tuple(dict.fromkeys(labels))
    if len(names) < 2:
        raise UserError(
            f"There are clips of one class alone, {names[0]!r}, and with nothing to tell it from a head would always say so. "
            "Add clips of another."
        )
    places = torch.tensor([names.index(label) for label in labels])
    targets = one_hot(places, len(names)).double()
    everything = torch.ones(len(labels), dtype=torch.float64)
    seen = _fit_weights(places, together, seed)
    known = _known(seen, places)
    with _one_thread():
        best, judged = _choose(features, targets, places, seen, known, sorted(regularisation), progress)
        standardised, centre, spread = _standardised(features, everything)
        inputs, axes = _rotated(standardised)
        at = solve(_problem(inputs[None], targets, everything[None], best), zeros(1, inputs.shape[-1], len(names)))
    weights = (axes @ at.weights[0] / spread[:, None]).T
    # A constant in all biases changes no probability, so it is none.
    bias = at.bias[0] - weights @ centre
    return Fit(names, weights, bias - bias.mean(), best, judged, frozenset(known))


@contextmanager
def _one_thread() -> Iterator[None]:
    """What is this small takes longer by several threads, and on a busy machine a hundred times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _choose(
    features: Tensor,
    targets: Tensor,
    places: Tensor,
    seen: Tensor,
    known: list[int],
    regularisation: Sequence[float],
    progress: Progress | None,
) -> tuple[float, Tensor]:
    """The C of the least cross entropy of clips left out, and their (N, K) probabilities; one fit leaves each out.

    C grows until two in a row are worse than the best.
    """
    inputs = torch.stack([_rotated(_standardised(features, weights)[0])[0] for weights in seen])
    at = zeros(len(seen), inputs.shape[-1], targets.shape[1])
    left = (seen == 0).double()
    found: dict[float, Tensor] = {}
    surprise: dict[float, float] = {}
    for tried, c in enumerate(regularisation):
        if progress:
            progress(tried / len(regularisation), "fitting")
        at = solve(_problem(inputs, targets, seen, c), at, LEAVING_TOLERANCE)
        found[c] = torch.einsum("fnk,fn->nk", at.logits(inputs).softmax(-1), left)
        own = found[c][known, places[known]].clamp(min=1e-300)
        surprise[c] = -float(own.log().sum()) if known else abs(log(c / USUAL))
        if c > (best := min(surprise, key=lambda each: surprise[each])) and len(surprise) > 2 + [*surprise].index(best):
            break  # the more a fit is left to itself the longer it takes
    return best, found[best]


def _problem(inputs: Tensor, targets: Tensor, weights: Tensor, c: float) -> Problem:
    """Of two classes scikit-learn has one row of weights, and so draws their difference to 0, which is twice as strong."""
    return Problem(inputs, targets, weights, c / 2 if targets.shape[1] == 2 else c)


def _known(seen: Tensor, places: Tensor) -> list[int]:
    """Clips whose class is seen without them. No head can name the others, and the more it knows the more wrong it is."""
    return [k for row in seen for k in (row == 0).nonzero()[:, 0].tolist() if (row * (places == places[k])).any()]


def one_by_one(clips: int, together: Sequence[Sequence[int]]) -> bool:
    """Whether so many clips are few enough that each, or each group, is left out by itself."""
    return clips - sum(len(group) - 1 for group in together) <= EACH


def _fit_weights(places: Tensor, together: Sequence[Sequence[int]], seed: int) -> Tensor:
    """(F, N): 0 for the clips that a fit leaves out, and for those that it sees what keeps the classes' shares as they are.

    Each clip is left out once.
    """
    grouped = {*chain.from_iterable(together)}
    parts = [[*group] for group in together] + [[clip] for clip in range(len(places)) if clip not in grouped]
    if not one_by_one(len(places), together):
        order = torch.randperm(len(parts), generator=torch.Generator().manual_seed(seed)).tolist()
        order.sort(key=lambda part: int(places[parts[part][0]]))  # so that each class is spread over all
        parts = [[clip for one in order[part::PARTS] for clip in parts[one]] for part in range(PARTS)]
    seen = torch.ones(len(parts), len(places), dtype=torch.float64)
    for row, left in zip(seen, parts, strict=True):
        row[left] = 0
        for place in places[left].unique():
            own = places == place
            # Else a class would be rarer where one of its clips is left out, and that clip be taken for another.
            row[own] *= own.sum() / row[own].sum().clamp(min=1)
    return seen


def _standardised(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features whose mean is 0 and whose variance is 1 over the clips that are seen; the mean and the deviation."""
    seen = weights.sum().clamp(min=1)
    centre = weights @ features / seen
    away = features - centre
    spread = (weights @ away.square() / seen).sqrt()
    spread = torch.where(spread > 1e-12 * centre.abs().clamp(min=1), spread, 1.0)  # one that never varies tells nothing
    return away / spread, centre, spread


def _rotated(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(N, E) → (N, R) and axes (E, R) with rows = rotated @ axes.T: no fit has weights across what no clip varies along.

    Columns are at right angles, for which the solver is quick.
    """
    clips, size = rows.shape
    if clips > size:
        axes = torch.linalg.eigh(rows.T @ rows).eigenvectors
        return rows @ axes, axes
    squares, turned = torch.linalg.eigh(rows @ rows.T)
    lengths = torch.where(squares > 1e-13 * squares.max(), squares.clamp(min=0).sqrt(), 0.0)
    return turned * lengths, rows.T @ (turned * torch.where(lengths > 0, 1 / lengths, 0.0))
