"""What a head was taught, and how well it knows it. No torch is used.

Letters: N clips, K classes.
"""

from dataclasses import dataclass, field

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
        one_place: whether all clips look as if they were filmed in one place.
        one_by_one: whether each was left out by itself, and not with a tenth of all.
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
    one_place: bool = False
    one_by_one: bool = True
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
        """Clips that are named wrong and could be named right, the most doubtful first."""
        return sorted((clip for clip in self.left_out if clip.known and not clip.right), key=lambda clip: -clip.score)


def notices_of(report: Report) -> tuple[str, ...]:
    """What whoever taught a head has to know before its accuracy, a sentence each."""
    sizes, labels = report.classes, [clip.label for clip in report.left_out]
    single = [name for name, clips in sizes.items() if clips == 1]
    few = [name for name, clips in sizes.items() if 1 < clips < FEW]
    found = []
    if report.interval[0] <= report.chance:
        found.append(
            "This is no better than always naming the largest class, as far as so few clips can tell. Add clips, or take a "
            "checkpoint that knows more of what they show."
        )
    if single:
        found.append(
            f"There is one clip of {_listed(single)}, which counts as named wrong, since nothing shows it where that clip is "
            f"left out. Give each class {FEW} clips or more."
        )
    if few:
        found.append(f"There are fewer than {FEW} clips of {_listed(few)}: how well they are known can hardly be told.")
    for group in report.same:
        names = [*dict.fromkeys(labels[clip] for clip in group)]
        if len(names) > 1:
            found.append(f"One clip is said to show both {_listed(names)}. Keep it where that is true.")
        else:
            found.append(
                f"{len(group)} clips of {_listed(names)} are the same one, and were left out together. Keep one."
            )
    for group in report.recordings:
        name = labels[group[0]]
        if len(group) == sizes[name]:
            found.append(
                f"All {len(group)} clips of {_listed([name])} look like cuts of one recording, and no others do. The head may "
                "know the place and not the action: add clips from elsewhere."
            )
        else:
            found.append(
                f"{len(group)} of {sizes[name]} clips of {_listed([name])} look like cuts of one recording, and were left out "
                "together."
            )
    if report.one_place:
        found.append(
            "All clips look as if they were filmed in one place. How well the head does elsewhere, or with somebody else, "
            "these figures cannot tell."
        )
    return tuple(found)


def _listed(names: list[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
