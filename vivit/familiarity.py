"""Whether a clip is like those that a checkpoint was trained on, told from its features.

A classifier answers for any clip, also for one that shows none of its classes. A checkpoint may carry the statistics of
its training clips' features; then a clip whose features lie far from every class's is called unfamiliar.

Letters: N clips, K classes, E width of a feature, R directions of a class.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FILE = "familiarity.safetensors"


@dataclass(frozen=True)
class Familiarity:
    """Where the features of each class lie: a Gaussian with R directions of its own and one variance for all others.

    Args:
        means: (K, E) float32, mean feature of each class.
        directions: (K, R, E) float32, unit vectors along which the class varies most.
        variances: (K, R) float32, along those directions.
        rest: (K,) float32, variance along every other direction.
        threshold: the score above which a clip is unfamiliar.

    Source: Tipping and Bishop 1999, 'Probabilistic Principal Component Analysis', for each class; the distance to the
        nearest class as in Lee et al. 2018, arXiv:1807.03888.
    """

    means: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    rest: np.ndarray
    threshold: float

    def score(self, features: np.ndarray) -> float:
        """How far a clip lies from the nearest class: the squared Mahalanobis distance over E; about 1 is typical.

        Args:
            features: (E,), what the head sees: a row of `VivitForVideoClassification.features`.
        """
        away = np.asarray(features, np.float32) - self.means
        along = np.einsum("kre,ke->kr", self.directions, away) ** 2
        others = (away**2).sum(-1) - along.sum(-1)
        return float(((along / self.variances).sum(-1) + others / self.rest).min() / away.shape[-1])

    def is_familiar(self, features: np.ndarray) -> bool:
        """Whether the clip is like those that the checkpoint was trained on; features as for `score`."""
        return self.score(features) <= self.threshold

    def save(self, folder: str | Path) -> None:
        """Write the statistics beside a checkpoint."""
        from safetensors.numpy import save_file

        arrays = vars(self) | {"threshold": np.array([self.threshold])}
        save_file(
            {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}, Path(folder) / FILE
        )


def fit(features: np.ndarray, labels: np.ndarray, num_directions: int = 24, shared: float = 0.3) -> Familiarity:
    """Statistics from features of known class, without a threshold.

    Args:
        features: (N, E). labels: (N,), 0 to K - 1, each more than `num_directions` times.
        num_directions: how many directions of its own each class gets, below E.
        shared: how far each class's remaining variance is drawn to the median class's, 0 to 1.

    Raises:
        ValueError: if features have no direction beside those, or a class has too few clips for them.
    """
    fewest = np.bincount(labels).min()
    if num_directions >= min(features.shape[1], fewest):
        raise ValueError(
            f"{num_directions} directions of each class take features with more numbers than that, and more clips of each: "
            f"there are {features.shape[1]} numbers, and {fewest} clips of a class"
        )
    features = np.asarray(features, np.float64)
    means, directions, variances, rest = [], [], [], []
    for k in range(labels.max() + 1):
        ours = features[labels == k]
        means.append(ours.mean(0))
        _, sizes, axes = np.linalg.svd(ours - means[-1], full_matrices=False)
        spread = sizes**2 / (len(ours) - 1)
        directions.append(axes[:num_directions])
        variances.append(spread[:num_directions])
        rest.append(spread[num_directions:].sum() / (features.shape[1] - num_directions))
    blended = (1 - shared) * np.array(rest) + shared * np.median(rest)
    own = np.maximum(np.stack(variances), blended[:, None])
    found = (np.stack(means), np.stack(directions), own, blended)
    centres, axes, along, others = (array.astype(np.float32) for array in found)
    return Familiarity(centres, axes, along, others, threshold=float("inf"))


def load(folder: str | Path) -> Familiarity | None:
    """The statistics in a checkpoint's folder, or None if it carries none."""
    from safetensors.numpy import load_file

    file = Path(folder) / FILE
    if not file.is_file():
        return None
    arrays = load_file(file)
    threshold = float(arrays.pop("threshold")[0])
    return Familiarity(**arrays, threshold=threshold)
