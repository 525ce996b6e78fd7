"""Labels of clips → classes of a checkpoint, however either is spelled. No torch is used."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vivit.benchmark.wording import count
from vivit.errors import UserError
from vivit.evaluate.records import LabelledClip
from vivit.evaluate.sources import Found
from vivit.hub.labels import letters

# One class under two names, in Kinetics-400 and from Kinetics-600 on. Classes that were split or made narrower meanwhile
# ('hugging', 'opening bottle', 'changing wheel', 'throwing ball') are other classes, and are not here.
# Source: the two lists of `vivit.hub.labels`; Carreira et al. 2018, section 2, names the first.
RENAMED = (("dying hair", "dyeing hair"), ("making bed", "making the bed"), ("tying tie", "tying necktie"))
LISTED = 20  # labels that a sentence names
SHOWN = 4  # of either side where none fits


@dataclass(frozen=True)
class Matching:
    """What labels mean to a checkpoint.

    Args:
        targets: label → the index of its class.
        unknown: labels that are none of its classes → how many clips have them, those with most first.
        zeroth: the name of class 0, where labels were taken as numbers of classes; else ''.
    """

    targets: dict[str, int]
    unknown: dict[str, int]
    zeroth: str = ""

    @property
    def notice(self) -> str:
        """What to say of labels that are numbers or unknown; '' if there are none."""
        numbers = f"Labels are numbers, and taken as those of classes: 0 is '{self.zeroth}'." if self.zeroth else ""
        return " ".join(filter(None, [numbers, self._left_out()]))

    def _left_out(self) -> str:
        if not self.unknown:
            return ""
        named = [f"'{label}' ({clips})" for label, clips in self.unknown.items()]
        more = f" and {len(named) - LISTED} more" if len(named) > LISTED else ""
        labels = count(len(named), "label")
        clips = sum(self.unknown.values())
        of = count(clips, "clip")
        return f"{labels} of {of} the checkpoint does not know, left out: {', '.join(named[:LISTED])}{more}."


def match_labels(labels: Iterable[str], id2label: Mapping[int, str]) -> Matching:
    """Find the class that each label means.

    A label means the class of its very name; else the one with the same letters and digits, since folders write
    'petting_animal_-not_cat-'; else the one that Kinetics has renamed so. Where every label is a number it may be the number
    of a class, from 0; they are refused if they seem to be counted from 1.

    Args:
        labels: one a clip.
        id2label: class index → name.

    Raises:
        UserError: if a label may mean several classes, or none of them means one.
    """
    counts = Counter(labels)
    named: dict[str, set[int]] = defaultdict(set)
    spelled: dict[str, set[int]] = defaultdict(set)
    for index, name in id2label.items():
        named[name].add(index)
        spelled[letters(name)].add(index)
    spelled.pop("", None)  # names of other signs alone, which are told apart by nothing else
    also = {letters(one): letters(other) for pair in RENAMED for one, other in (pair, pair[::-1])}
    numbers = all(label.isdecimal() for label in counts)
    by_number = numbers and not named.keys() & counts.keys()
    if by_number and {str(len(id2label)), "0"} & counts.keys() == {str(len(id2label))}:
        raise UserError(
            f"The labels are numbers up to {len(id2label)}, and seem to be counted from 1, where the checkpoint counts its "
            "classes from 0. Give the classes' names, or count from 0."
        )
    targets: dict[str, int] = {}
    for label in counts:
        word = letters(label)
        meant = named.get(label) or spelled.get(word) or spelled.get(also.get(word, ""), set())
        if numbers and int(label) in id2label:
            meant = meant | {int(label)}
        if len(meant) > 1:
            classes = " or ".join(f"{index} ('{id2label[index]}')" for index in sorted(meant)[:SHOWN])
            raise UserError(f"The label '{label}' may mean class {classes} of the checkpoint. Give it the name of one.")
        if meant:
            (targets[label],) = meant
    unknown = {label: clips for label, clips in counts.most_common() if label not in targets}
    if not targets:
        theirs, ours = (", ".join(f"'{name}'" for name in list(names)[:SHOWN]) for names in (counts, id2label.values()))
        raise UserError(
            f"None of the labels of these clips is a class of the checkpoint: they are {theirs}, and it knows {ours}. Choose a "
            "checkpoint that was trained on such classes, or other clips."
        )
    return Matching(targets, unknown, id2label[0] if by_number and 0 in id2label else "")


def labelled(found: Found, matching: Matching, limit: int | None = None) -> list[LabelledClip]:
    """The clips of a source whose class is known, the first `limit` of them if that is not None."""
    known = [(path, label) for path, label in found.clips if label in matching.targets][:limit]
    return [
        LabelledClip(index, found.place(path), label, matching.targets[label])
        for index, (path, label) in enumerate(known)
    ]
