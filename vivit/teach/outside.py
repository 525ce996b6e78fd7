"""Which clips are unlike all that a head was taught, with so few to tell by that no direction of their spread is known.

A clip lies as far outside as the nearest class's mean is away. The threshold is such that of new clips like those taught about
one in twenty is called outside, if the clips are as different from each other as new ones are from them.

Letters: N clips, K classes, E hidden size.
"""

import math
from collections.abc import Sequence

import numpy as np

from vivit.familiarity import Familiarity

SHARE = 0.05  # of new clips like those taught that may be called outside
FEWEST = 6  # clips that can be judged by others of their class, below which nothing is told


def fit_outside(
    features: np.ndarray, places: Sequence[int], together: Sequence[Sequence[int]] = ()
) -> tuple[Familiarity | None, float | None]:
    """Statistics for `vivit.familiarity`, and the share of new clips like these that they call outside, at most about.

    Args:
        features: (N, E), finite.
        places: N, the class of each, 0 to K - 1.
        together: groups of clips that are judged by none of their own.

    Returns:
        Both, or None twice where there are too few clips to tell.

    Source: Vovk, Gammerman and Shafer 2005, 'Algorithmic Learning in a Random World', section 2.2; each clip is judged by the
        means of the others.
    """
    rows, of = np.asarray(features, np.float64), np.eye(max(places) + 1)[list(places)]  # (N, K), 1 for a clip's class
    sums, counts = of.T @ rows, of.sum(0)
    group_of = {clip: [*group] for group in together for clip in group}
    scores = []
    for clip, row in enumerate(rows):
        left = group_of.get(clip, [clip])
        known = counts - of[left].sum(0)
        if known @ of[clip]:
            means = (sums - of[left].T @ rows[left])[known > 0] / known[known > 0, None]
            scores.append(((row - means) ** 2).sum(-1).min())
    if len(scores) < FEWEST:
        return None, None
    rank = min(math.ceil((len(scores) + 1) * (1 - SHARE)), len(scores))
    limit = float(np.sort(scores)[rank - 1])
    means = (sums / counts[:, None]).astype(np.float32)
    kinds, size = means.shape
    # One variance in all directions, in units of the threshold.
    rest = np.full(kinds, max(limit / size, 1e-12), np.float32)
    none = np.zeros((kinds, 0), np.float32)
    found = Familiarity(means, np.zeros((kinds, 0, size), np.float32), none, rest, threshold=1.0)
    return found, 1 - rank / (len(scores) + 1)
