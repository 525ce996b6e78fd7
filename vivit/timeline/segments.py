"""Answers of windows → what happens when. No torch is used.

Letters: n windows, K classes, m moments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

UNKNOWN = "unknown"
SMOOTHING = {
    "overlap": "each moment by the mean of all windows that it lies in",
    "none": "each moment by the one window whose middle is nearest",
}
BLOCK = 4096  # moments whose means are found at once
MOST = 0.5  # of a moment's windows that may be unlike the training clips before it is unknown


@dataclass(frozen=True)
class Answered:
    """What was answered for one window.

    Args:
        start, end: in seconds from the film's first picture on.
        scores: (K,) float32, the probability of each class.
        familiar: whether it is like the training clips; None where the checkpoint has no statistics of them.
        seconds: (T,) the times of its pictures.
    """

    start: float
    end: float
    scores: np.ndarray
    familiar: bool | None
    seconds: tuple[float, ...] = ()

    @property
    def label(self) -> int:
        """The index of the likeliest class."""
        return int(self.scores.argmax())


@dataclass(frozen=True)
class Segment:
    """A stretch of one action.

    Args:
        start, end: in seconds from the film's first picture on.
        label: the index of its class; None where the checkpoint says that it does not know.
        score: the mean probability of that class over it; None without one.
    """

    start: float
    end: float
    label: int | None
    score: float | None

    def name(self, labels: Mapping[int, str]) -> str:
        """What to call it. Args: labels: class index → name."""
        return UNKNOWN if self.label is None else labels[self.label]


@dataclass(frozen=True)
class Moments:
    """What is said of each moment between two edges.

    Args:
        edges: (m + 1,) seconds, ascending.
        scores: (m, K) the mean probabilities.
        known: (m,) whether enough of what they rest on is like the training clips.
    """

    edges: np.ndarray
    scores: np.ndarray
    known: np.ndarray


def moments(windows: Sequence[Answered], smoothing: str = "overlap") -> Moments:
    """Put overlapping windows together.

    Windows that are unlike the training clips count only where at least half of the windows are, and then the moment is
    unknown: at a change of action a window shows two, which is like none.

    Args:
        windows: by their start, one or more.
        smoothing: a key of `SMOOTHING`.

    Raises:
        ValueError: for no window or an unknown smoothing.
    """
    if smoothing not in SMOOTHING:
        raise ValueError(f"smoothing must be one of {', '.join(SMOOTHING)}, not {smoothing!r}")
    if not windows:
        raise ValueError("there is no window")
    starts = np.array([w.start for w in windows])
    ends = np.maximum.accumulate(np.array([w.end for w in windows]))
    scores = np.stack([w.scores for w in windows])  # (n, K)
    familiar = np.array([w.familiar is not False for w in windows])
    if smoothing == "none":
        middles = (starts + ends) / 2
        edges = np.concatenate((starts[:1], (middles[1:] + middles[:-1]) / 2, ends[-1:]))
        return Moments(edges, scores, familiar)
    edges = np.unique(np.concatenate((starts, ends)).round(6))
    middle = (edges[1:] + edges[:-1]) / 2  # (m,)
    # A moment's windows lie side by side: those that have begun, less those that have ended.
    begun, ended = np.searchsorted(starts, middle, "right"), np.searchsorted(ends, middle, "right")
    count = begun - ended
    kept, begun, ended, count = count > 0, begun[count > 0], ended[count > 0], count[count > 0]
    if not kept.all():  # a stretch that no window covers comes of rounding alone
        edges = np.concatenate((edges[:-1][kept], edges[-1:]))
    like = np.concatenate(([0], familiar.cumsum()))
    known = like[begun] - like[ended] > count * (1 - MOST)
    mean = np.empty((len(count), scores.shape[1]), np.float32)
    for begin in range(0, len(count), BLOCK):  # so that a long film needs little more than what is kept of it
        block = slice(begin, begin + BLOCK)
        mean[block] = _means(scores, familiar, known[block], begun[block], ended[block])
    return Moments(edges, mean, known)


def _means(
    scores: np.ndarray, familiar: np.ndarray, known: np.ndarray, begun: np.ndarray, ended: np.ndarray
) -> np.ndarray:
    """(m, K): each moment's mean over its windows, from `ended` to `begun`; over familiar ones where it is known."""
    first, last = ended[0], begun[-1]
    numbers, like = scores[first:last].astype(np.float64), familiar[first:last].astype(np.float64)

    def total(of: np.ndarray) -> np.ndarray:
        sums = np.concatenate((np.zeros((1, *of.shape[1:])), of.cumsum(0)))
        between: np.ndarray = sums[begun - first] - sums[ended - first]
        return between

    of_all = total(numbers) / (begun - ended)[:, None]
    of_familiar = total(numbers * like[:, None]) / np.maximum(total(like), 1)[:, None]
    means: np.ndarray = np.where(known[:, None], of_familiar, of_all)
    return means


def find_segments(windows: Sequence[Answered], smoothing: str = "overlap") -> list[Segment]:
    """What happens when: moments in a row with one label, grouped.

    Args:
        windows, smoothing: as `moments` takes them; without a window there is no segment.
    """
    return group(moments(windows, smoothing)) if windows else []


def group(found: Moments) -> list[Segment]:
    """Moments in a row with one label as segments."""
    labels = np.where(found.known, found.scores.argmax(-1), -1)
    changes = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist(), len(labels)]
    lengths = np.diff(found.edges)
    result = []
    for begin, end in pairwise(changes):
        label = int(labels[begin])
        score = None
        if label >= 0:
            score = float(np.average(found.scores[begin:end, label], weights=lengths[begin:end]))
        result.append(Segment(float(found.edges[begin]), float(found.edges[end]), label if label >= 0 else None, score))
    return result
