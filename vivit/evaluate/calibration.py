"""Whether a model is right as often as its probabilities say. No torch is used."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from vivit.evaluate.records import Record
from vivit.intervals import wilson

BINS = 15  # as Guo et al. have it


@dataclass(frozen=True)
class Bin:
    """Clips whose best class has a score above `low` and up to `high`.

    Args:
        low, high: its ends, in [0, 1].
        clips: how many.
        confidence: their mean score; None of none.
        accuracy: the share of them that is right; None of none.
        interval: the 95 % interval of that, by `vivit.intervals.wilson`.
    """

    low: float
    high: float
    clips: int
    confidence: float | None
    accuracy: float | None
    interval: tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """A reliability curve.

    Args:
        bins: equally wide, from 0 to 1, empty ones too.
        clips: in all of them.
        error: the expected calibration error, ECE: the mean over the clips of their bin's distance between confidence and
            accuracy; None of none. It depends on the bins, and is above 0 for a perfect model too where clips are few.
    """

    bins: tuple[Bin, ...]
    clips: int
    error: float | None


def calibrate(records: Iterable[Record], bins: int = BINS) -> Calibration:
    """The reliability curve of the best classes' scores. Clips that failed are left out.

    Args:
        records: of a model whose scores are probabilities of classes of which one is true: softmax.
        bins: how many, 1 or more.

    Raises:
        ValueError: for a score that is no probability.

    Source: Guo et al. 2017, arXiv:1706.04599, section 2.
    """
    scores: list[list[float]] = [[] for _ in range(bins)]
    right = [0] * bins
    for record in records:
        if record.error:
            continue
        score = record.top[0].score
        if not 0 <= score <= 1:
            raise ValueError(f"a score of {score} is no probability")
        place = max(math.ceil(score * bins) - 1, 0)
        scores[place].append(score)
        right[place] += record.right
    found = []
    for place, (some, good) in enumerate(zip(scores, right, strict=True)):
        n = len(some)
        mean, share = (math.fsum(some) / n, good / n) if n else (None, None)
        found.append(Bin(place / bins, (place + 1) / bins, n, mean, share, wilson(good, n)))
    clips = sum(map(len, scores))
    away = math.fsum(abs(math.fsum(some) - good) for some, good in zip(scores, right, strict=True))
    return Calibration(tuple(found), clips, away / clips if clips else None)
