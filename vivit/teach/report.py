"""What a head was taught, and how well it knows it. No torch is used.

Letters: N clips, K classes.
"""

from dataclasses import dataclass, field

from vivit.intervals import wilson

FEW = 3  # clips of a class, below which leaving one out says next to nothing
SURE = 0.8  # of another class than a clip's own: one of the two is probably wrong


@dataclass(frozen=True)
class LeftOut:
    """What a head that was fitted without a clip says of it.

    Args:
        clip: its place among those that were given, from 0.
        label: what it is said to show.
        answer: the class with the highest probability; score: that.
        own_score: of `label`.
    """

    clip: int
    label: str
    answer: str
    score: float
    own_score: float

    @property
    def right(self) -> bool:
        """Whether it is named as it is labelled."""
        return self.answer == self.label

    @property
    def doubtful(self) -> bool:
        """Whether its label is probably wrong, or the clip shows something else."""
        return not self.right and self.score >= SURE


@dataclass(frozen=True)
class Report:
    """A head that was fitted.

    Args:
        classes: name → clips, in the order of the head's outputs.
        left_out: one of each clip, in the order given, by heads that had seen neither it nor what is the same recording.
        regularisation: C as scikit-learn has it: of `C · Σ cross entropy + ½ · Σ weights²`, on standardised features.
        same: groups of clips, by their places, that are the same clip or cuts of one recording, as far as features tell.
        outside: of new clips like these, the share that is called 'outside what it was taught', at most about; None where
            there are too few to tell any.
        fit_seconds: wall time of the fit, leaving out included. feature_seconds: of taking the features, 0 where all were kept.
        notices: sentences for whoever taught it.
    """

    classes: dict[str, int]
    left_out: tuple[LeftOut, ...]
    regularisation: float
    same: tuple[tuple[int, ...], ...] = ()
    outside: float | None = None
    fit_seconds: float = 0.0
    feature_seconds: float = 0.0
    notices: tuple[str, ...] = field(default=())

    @property
    def right(self) -> int:
        """Clips that are named right by a head that had not seen them."""
        return sum(clip.right for clip in self.left_out)

    @property
    def accuracy(self) -> float:
        """Their share."""
        return self.right / len(self.left_out)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %."""
        return wilson(self.right, len(self.left_out))

    @property
    def chance(self) -> float:
        """What naming the largest class whatever comes would get."""
        return max(self.classes.values()) / len(self.left_out)

    @property
    def confused(self) -> list[LeftOut]:
        """Clips that are named wrong, the most doubtful first."""
        return sorted((clip for clip in self.left_out if not clip.right), key=lambda clip: -clip.score)
