"""Whether a map is true: does deleting what it points at cost the answer more than deleting as much elsewhere? No torch.

Letters: a grid of L time steps of H × W tubelets; n controls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SHARES = (0.05, 0.10, 0.20)  # of the tubelets that are deleted
CONTROLS = 19  # so that being better than all of them is p = 1/20
LEVEL = 0.05
# The least difference that counts, and the part of a small answer that does. A model with random weights, too, attends by what
# tubelets show, and deleting by what they show moves its answer one way, down as often as up, where what shifted controls
# delete evens out: in a third of clips no control lowers the answer as much. With weights as before any training the
# difference is at most 0.002 of 36 classes, 7 % of the answer, and of two 0.01, rarely 0.016 (520 clips); the embedded
# checkpoints' maps make 0.02 to 0.8 on most clips. Random weights of five times that scale make more, and no bound holds for
# all random weights.
LEAST, PART = 0.01, 0.25
# Areas no farther apart than this are equal: equal curves out of different batches have different last digits.
EQUAL = 1e-6


def plan(weights: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """What to delete: the most attended tubelets of a map, and the same shapes elsewhere.

    A control is the map shifted cyclically in time, row and column, so that it deletes as many tubelets, as scattered or as
    clustered. If a map's place has nothing to do with what matters, it is as good as any of its controls: p is exact.
    (A map that is always centred has something to do with it.)

    Args:
        weights: (L, H, W).
        seed: of the shifts, which are distinct, and none of them zero.

    Returns:
        (1 + n, 3, L, H, W) bool, first the map's own; n is 19, or if there are fewer all other shifts. Of each of `SHARES`
        that share of all tubelets, rounded, and at least one; of equal ones the earlier, upper, left one first.
    """
    count = weights.size
    places = np.argsort(-weights, axis=None, kind="stable")
    own = np.zeros((len(SHARES), count), bool)
    for chosen, share in zip(own, SHARES, strict=True):
        chosen[places[: max(1, round(share * count))]] = True
    own = own.reshape(-1, *weights.shape)
    drawn = np.random.default_rng(seed).permutation(np.arange(1, count))[:CONTROLS]
    shifts = zip(*np.unravel_index(drawn, weights.shape), strict=True)
    return np.stack([own, *(np.roll(own, shift, (1, 2, 3)) for shift in shifts)])


@dataclass(frozen=True)
class Deletion:
    """What deleting costs an answer.

    Args:
        whole: the probability of the answer for the intact clip.
        attended: the same with the most attended tubelets deleted, at each of `SHARES`.
        controls: the same of each control that is done, at each of them.
    """

    whole: float
    attended: tuple[float, ...]
    controls: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(cls, whole: float, scores: Sequence[float]) -> "Deletion":
        """From the probabilities of `plan`'s masks in their order, as far as there are any; an unfinished control is dropped.

        Raises:
            ValueError: if there are too few for the map itself.
        """
        each = len(SHARES)
        if len(scores) < each:
            raise ValueError(f"{each} scores are the least, those of the map itself, not {len(scores)}")
        curves = [tuple(map(float, scores[k : k + each])) for k in range(0, len(scores) - each + 1, each)]
        return cls(float(whole), curves[0], tuple(curves[1:]))

    @property
    def control(self) -> tuple[float, ...]:
        """The mean of the controls, at each of `SHARES`; empty while there are none."""
        return tuple(np.mean(self.controls, axis=0).tolist()) if self.controls else ()

    @property
    def area(self) -> float:
        """How much less of the answer the map leaves than its controls do in the mean: a probability, 0 without controls.

        It is the area between the two curves over the shares, in the mean of the shares from 0 to the last; positive where
        the map deletes what matters.
        """
        return self._under(self.control) - self._under(self.attended) if self.controls else 0.0

    @property
    def p(self) -> float:
        """The map's rank from below among itself and its controls, divided by their number; equal ones count against it."""
        return (1 + self._as_good) / (1 + len(self.controls))

    @property
    def better(self) -> bool:
        """Whether the map deletes more of the answer than chance would, at the level of 1/20, and enough of it to count."""
        return self.p <= LEVEL and self.area >= self._least

    @property
    def sentence(self) -> str:
        """What came out, in one sentence."""
        count = len(self.controls)
        if not count:
            return "Without a control (0 of them) nothing can be told of this map: it counts as no better than chance."
        begin = (
            f"With the most attended {_listed([f'{100 * share:.0f}' for share in SHARES])} % of tubelets deleted the answer's "
            f"probability goes from {_percent(self.whole)} to {_listed([*map(_percent, self.attended)])}"
        )
        controls = f"{count} {'control' if count == 1 else 'controls'}, the same map shifted"
        middle = f"with those of {controls}, to {_listed([*map(_percent, self.control)])} in the mean"
        if self.better:
            end = f"a lower curve than that of any of them, which is the most that {count} can tell"
        elif self.p <= LEVEL:
            points = f"{100 * self.area:.2g} percentage points"
            least = f"{100 * self._least:.2g}"
            end = f"a lower curve than that of any of them, but by {points}: less than {least} counts as no better than chance"
        elif self._as_good == 0:
            end = f"no better than chance, of which so few controls ({count} of {CONTROLS}) cannot tell it"
        else:
            end = f"no better than chance, since {self._as_good} of {count} leave no more of it"
        return f"{begin}; {middle}: {end} (p = {self.p:.2f})."

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Curves begin with the intact clip; 'control' is empty without controls."""
        return {
            "shares": [0.0, *SHARES],
            "attended": [self.whole, *self.attended],
            "control": [self.whole, *self.control] if self.controls else [],
            "controls": [[self.whole, *curve] for curve in self.controls],
            "area": self.area,
            "p": self.p,
            "better": self.better,
            "sentence": self.sentence,
        }

    @property
    def _as_good(self) -> int:
        """How many controls delete as much of the answer as the map does, or more."""
        mine = self._under(self.attended)
        return sum(self._under(curve) <= mine + EQUAL for curve in self.controls)

    @property
    def _least(self) -> float:
        return min(LEAST, PART * self.whole)

    def _under(self, curve: Sequence[float]) -> float:
        """The mean height of a curve that begins with the intact clip, by trapezoids."""
        return float(np.trapezoid([self.whole, *curve], [0.0, *SHARES]) / SHARES[-1])


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _percent(probability: float) -> str:
    return "below 0.1 %" if 0 < probability < 0.001 else f"{100 * probability:.1f} %"
