"""What a head was taught, and how well it knows it. No torch is used.

Letters: N clips, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from vivit.benchmark.wording import count, names
from vivit.intervals import wilson

FEW = 3  # clips of a class, below which leaving one out says next to nothing
SURE = 0.8  # of another class than a clip's own: one of the two is wrong


@dataclass(frozen=True)
class LeftOut:
    """What a head that was fitted without a clip says of it.

    Args:
        clip: its place among those that were given, from 0.
        label: what it is said to show.
        answer: the class with the highest probability; score: that.
        own_score: of `label`.
        known: whether that head had seen others of its class; else it cannot be right.
    """

    clip: int
    label: str
    answer: str
    score: float
    own_score: float
    known: bool = True

    @property
    def right(self) -> bool:
        """Whether it is named as it is labelled."""
        return self.answer == self.label

    @property
    def doubtful(self) -> bool:
        """Whether its answer is so sure that its label should be looked at."""
        return not self.right and self.known and self.score >= SURE


@dataclass(frozen=True)
class Report:
    """A head that was fitted.

    Args:
        classes: name → clips, in the order of the head's outputs.
        left_out: one of each clip, in the order given, by heads that had seen neither it nor, as far as its class has
            others, what is the same recording.
        regularisation: C as scikit-learn has it: of `C · Σ cross entropy + ½ · Σ weights²`, on standardised features.
        same: groups of clips, by their places, that are one clip several times.
        recordings: groups of clips of one class that look like cuts of one recording.
        in_one_place: how many clips of several classes look as if they were filmed in one place, where most are.
        looked: whether cuts of one recording were looked for.
        one_by_one: whether each was left out by itself, and not with a tenth of all.
        parts: clips that tell something of each other, such as cuts of one recording, counted as one; 0 for all by themselves.
        outside: of new clips like these, the share that is called 'outside what it was taught', at most about; None where
            there are too few to tell any.
        fit_seconds: wall time of the fit, leaving out included. feature_seconds: of taking the features, 0 where all were kept.
        notices: sentences for whoever taught it.
    """

    classes: dict[str, int]
    left_out: tuple[LeftOut, ...]
    regularisation: float
    same: tuple[tuple[int, ...], ...] = ()
    recordings: tuple[tuple[int, ...], ...] = ()
    in_one_place: int = 0
    looked: bool = True
    one_by_one: bool = True
    parts: int = 0
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
        """The share of clips that are named right so."""
        return self.right / len(self.left_out)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %, of as many clips as there are parts.

        It is somewhat too narrow, since heads that leave out one clip share all others: in 80 trials with rendered clips of
        `mannequin.novel`, 3 to 20 of a class, it held the accuracy on new clips in 70.
        """
        parts = self.parts or len(self.left_out)
        return wilson(round(self.accuracy * parts), parts)

    @property
    def chance(self) -> float:
        """What naming the largest class whatever comes would get."""
        return max(self.classes.values()) / len(self.left_out)

    @property
    def confused(self) -> list[LeftOut]:
        """Clips that are named wrong and could be named right, the most doubtful first."""
        return sorted((clip for clip in self.left_out if clip.known and not clip.right), key=lambda clip: -clip.score)


def notices_of(report: Report) -> tuple[str, ...]:
    """What whoever taught a head has to know before its accuracy, a sentence or two each."""
    sizes, labels = report.classes, [clip.label for clip in report.left_out]
    unknown = [clip.label for clip in report.left_out if not clip.known]
    few = [name for name, clips in sizes.items() if clips < FEW and name not in unknown]
    found = []
    if report.interval[0] <= report.chance:
        found.append(
            "This is no better than always naming the largest class, as far as so few clips can tell. Add clips, or take a "
            "checkpoint that knows more of what they show."
        )
    if unknown:
        found.append(
            f"{count(len(unknown), 'clip')} of {_quoted(unknown)} {'counts' if len(unknown) == 1 else 'count'} as named wrong, "
            f"since no other shows the class where it is left out. Give each class {FEW} different clips or more."
        )
    if few:
        found.append(f"There are fewer than {FEW} clips of {_quoted(few)}: how well they are known can hardly be told.")
    for group in report.same:
        own = [labels[clip] for clip in group]
        if len({*own}) > 1:
            found.append(f"One clip is said to show both {_quoted(own)}. Keep it where that is true.")
        else:
            found.append(
                f"{len(group)} clips of {_quoted(own)} are the same one, and were left out together. Keep one."
            )
    for group in report.recordings:
        name = labels[group[0]]
        if len(group) == sizes[name]:
            found.append(
                f"All {len(group)} clips of {_quoted([name])} look like cuts of one recording, and no others do. The head may "
                "know the place and not the action, and these figures say nothing of other recordings: add some."
            )
        else:
            found.append(
                f"{len(group)} of {sizes[name]} clips of {_quoted([name])} look like cuts of one recording, and were left out "
                "together."
            )
    if report.in_one_place:
        of = "All" if report.in_one_place == len(labels) else f"{report.in_one_place} of {len(labels)}"
        found.append(
            f"{of} clips look as if they were filmed in one place. How well the head does elsewhere, or with somebody else, "
            "these figures cannot tell."
        )
    if not report.looked:
        found.append("Cuts of one recording were not looked for. If there are any, the accuracy is too high.")
    return tuple(found)


def _quoted(labels: Sequence[str]) -> str:
    return names([f"'{label}'" for label in labels])
