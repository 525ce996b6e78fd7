"""Whether a model used time: the same frames in other orders and at other speeds, and what it answers then. No torch."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

SEEDS = 5  # shuffled orders
FALL = 0.1  # of an answer's probability, in the mean of the shuffled orders, which is a sign that order matters
NAMES: dict[str, str] = {
    "reversed": "reversed",
    "shuffled": "shuffled",
    "frozen": "frozen at its middle frame",
    "half_speed": "at half speed",
    "every_other": "every other frame dropped",
}
Orders = Mapping[str, tuple[tuple[int, ...], ...]]


def orders(num_frames: int, *, seeds: int = SEEDS) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Which frames a model is shown in place of 0, 1, 2, …

    Args:
        num_frames: T of the clip, > 0.
        seeds: how many shuffled orders.

    Returns:
        a key of `NAMES` → orders, each of T indices in [0, T): one 'reversed'; 'shuffled', none of them the order as it was, if
        there is another; 'frozen', the middle frame T times; 'half_speed', the middle half of the frames, each twice; and
        'every_other', frames 0, 2, 4, … each twice. The first comes once: in tubelets of two frames nothing stands still.
    """
    frames = range(num_frames)
    start, last = (num_frames - num_frames // 2) // 2, (num_frames - 1) // 2 * 2
    return {
        "reversed": (tuple(reversed(frames)),),
        "shuffled": tuple(_shuffled(num_frames, seed) for seed in range(seeds)),
        "frozen": ((num_frames // 2,) * num_frames,),
        "half_speed": (tuple(min(start + (k + 1) // 2, num_frames - 1) for k in frames),),
        "every_other": (tuple(min((k + 1) // 2 * 2, last) for k in frames),),
    }


def _shuffled(num_frames: int, seed: int) -> tuple[int, ...]:
    random = np.random.default_rng(seed)
    while (order := tuple(random.permutation(num_frames).tolist())) == tuple(range(num_frames)) and num_frames > 1:
        pass
    return order


@dataclass(frozen=True)
class Answer:
    """What a model answers.

    Args:
        label: the most likely class.
        score: its probability.
        same_score: the probability of the class that the intact clip is answered with.
        familiar: whether the checkpoint was trained on clips like this one; None if it does not tell.
    """

    label: str
    score: float
    same_score: float
    familiar: bool | None


@dataclass(frozen=True)
class Counterfactuals:
    """Answers for one clip and for its frames otherwise.

    Args:
        whole: for the intact clip.
        changed: a key of `NAMES` → for each of its `orders`; those that are done.
        still: whether all frames are one picture, so that no order of them is another.
    """

    whole: Answer
    changed: dict[str, tuple[Answer, ...]]
    still: bool = False

    @classmethod
    def of(cls, whole: Answer, orders: Orders, answers: Sequence[Answer], *, still: bool = False) -> "Counterfactuals":
        """From answers in the order of `orders`, as far as there are any: of an unfinished kind nothing is kept."""
        changed, done = {}, 0
        for name, some in orders.items():
            if len(found := tuple(answers[done : done + len(some)])) == len(some):
                changed[name] = found
            done += len(some)
        return cls(whole, changed, still)

    @property
    def uses_time(self) -> bool | None:
        """Whether the order of the frames changes the answer: if reversed, or in more than half of the shuffled orders.

        None while one of the two is missing, and for a clip whose frames are all one picture. What stands still or moves faster
        is no evidence: it is another clip.
        """
        if self.still or not (self.changed.get("reversed") and self.changed.get("shuffled")):
            return None
        return self._count("reversed") > 0 or 2 * self._count("shuffled") > len(self.changed["shuffled"])

    @property
    def sentence(self) -> str:
        """What the order of the frames tells."""
        if self.still:
            return "All frames are one picture, so that no order of them tells anything about time."
        if self.uses_time is None:
            return (
                "Whether the order of the frames matters is not known before reversed and shuffled clips are answered."
            )
        (backwards, *_), shuffled = self.changed["reversed"], self.changed["shuffled"]
        whole, count, of = self.whole.label, self._count("shuffled"), len(shuffled)
        turned = f"it is '{backwards.label}'" if self._count("reversed") else "it stays so"
        left = fmean(one.same_score for one in shuffled)
        found = (
            f"The answer is '{whole}'; reversed {turned}, and shuffled it is another in {count} of {of} orders, the "
            f"probability of '{whole}' being {100 * left:.1f} % in the mean where it was {100 * self.whole.score:.1f} %"
        )
        if not self.uses_time:
            if not count and left > self.whole.score - FALL:
                return f"{found}: no sign that the order of the frames matters for this clip."
            return f"{found}: the order of the frames matters for this clip, but in most orders not to the answer."
        # A strange clip may be answered otherwise because it is strange.
        deciding = [one for one in (backwards, *shuffled) if one.label != whole]
        strange = sum(one.familiar is False for one in deciding)
        if strange == len(deciding):
            return (
                f"{found}: the order of the frames matters for this clip, though every changed answer is for a clip unlike "
                "anything it was trained on."
            )
        return f"{found}: the order of the frames matters for this clip."

    @property
    def frozen_sentence(self) -> str:
        """What the frozen clip tells; '' while it is missing, or no other than the clip itself."""
        if self.still or not self.changed.get("frozen"):
            return ""
        frozen = self.changed["frozen"][0]
        answered = f"'{frozen.label}' ({100 * frozen.score:.1f} %)"
        if frozen.familiar is False:
            return "A frozen clip is unlike anything it was trained on: this tells nothing about time."
        if frozen.familiar is None:
            return (
                f"It is not known whether a frozen clip is like anything it was trained on, so that its answer, {answered}, "
                "may tell nothing about time."
            )
        if frozen.label == self.whole.label:
            return f"Frozen it is still {answered}: for this answer its middle frame is enough."
        return f"Frozen it is {answered}: its middle frame alone does not give '{self.whole.label}'."

    def to_dict(self) -> dict[str, Any]:
        """For JSON: each kind that is done → what its answer is; of 'shuffled' also how many changed, and each of them."""
        found: dict[str, Any] = {}
        for name, answers in self.changed.items():
            found[name] = asdict(_typical(answers))
            if name == "shuffled":
                each = [asdict(one) for one in answers]
                found[name] |= {"changed": self._count(name), "of": len(answers), "each": each}
        return found

    def _count(self, name: str) -> int:
        """How many answers are not the intact clip's."""
        return sum(one.label != self.whole.label for one in self.changed[name])


def _typical(answers: Sequence[Answer]) -> Answer:
    """One for several: the most common label, of equally common ones that of the higher score, with its mean score.

    The intact clip's class has its mean probability in all of them; familiar is whether more than half are, if all tell.
    """
    scores = defaultdict(list)
    for one in answers:
        scores[one.label].append(one.score)
    label = max(scores, key=lambda name: (len(scores[name]), fmean(scores[name])))
    known = [one.familiar for one in answers if one.familiar is not None]
    familiar = 2 * sum(known) > len(known) if len(known) == len(answers) else None
    return Answer(label, fmean(scores[label]), fmean(one.same_score for one in answers), familiar)
