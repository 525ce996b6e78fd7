"""Whether a clip is like those that a checkpoint was trained on, told from its features.

A classifier answers for any clip, also for one that shows none of its classes. A checkpoint may carry the statistics of
its training clips' features; then a clip whose features lie far from every class's is called unfamiliar.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FILE = "familiarity.safetensors"


@dataclass(frozen=True)
class Familiarity:
    """The statistics of a checkpoint's training clips.

    Args:
        means: (K, E) float32, mean feature of each class.
        whitening: (E, E) float32, W such that the features' covariance within classes is the inverse of W Wᵀ.
        threshold: the score above which a clip is unfamiliar.
    Source: Lee et al. 2018, 'A Simple Unified Framework for Detecting Out-of-Distribution Samples', arXiv:1807.03888.
    """

    means: np.ndarray
    whitening: np.ndarray
    threshold: float

    def score(self, features: np.ndarray) -> float:
        """How far a clip lies from the nearest class: the Mahalanobis distance, squared, a dimension; about 1 is typical.

        Args:
            features: (E,), the final layer-normed [CLS] token, `last_hidden_state[0, 0]`.
        """
        away = (np.asarray(features, np.float32) - self.means) @ self.whitening
        return float((away**2).mean(-1).min())

    def is_familiar(self, features: np.ndarray) -> bool:
        """Whether the clip is like those that the checkpoint was trained on; features as for `score`."""
        return self.score(features) <= self.threshold

    def save(self, folder: str | Path) -> None:
        """Write the statistics beside a checkpoint."""
        from safetensors.numpy import save_file

        arrays = {"means": self.means, "whitening": self.whitening, "threshold": np.array([self.threshold])}
        save_file({n: np.ascontiguousarray(a, np.float32) for n, a in arrays.items()}, Path(folder) / FILE)


def fit(features: np.ndarray, labels: np.ndarray, ridge: float = 1e-2) -> tuple[np.ndarray, np.ndarray]:
    """Means and whitening from features of known class.

    Args:
        features: (N, E). labels: (N,), 0 to K - 1, each present.
        ridge: share of the mean variance that is added to every direction, so that none counts without measure.
    Returns:
        means (K, E) and whitening (E, E), float32, as in `Familiarity`.
    """
    means = np.stack([features[labels == k].mean(0) for k in range(labels.max() + 1)])
    within = features - means[labels]
    covariance = within.T @ within / len(within)
    covariance += ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return means.astype(np.float32), np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)


def load(folder: str | Path) -> Familiarity | None:
    """The statistics in a checkpoint's folder, or None if it carries none."""
    from safetensors.numpy import load_file

    file = Path(folder) / FILE
    if not file.is_file():
        return None
    arrays = load_file(file)
    return Familiarity(arrays["means"], arrays["whitening"], float(arrays["threshold"][0]))
