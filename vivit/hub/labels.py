"""Names of classes: those of Kinetics-400 and 600, and when two spellings name one."""

from pathlib import Path
from unicodedata import normalize

KINETICS = Path(__file__).parents[1] / "assets" / "kinetics400_labels.txt"
KINETICS_600 = KINETICS.with_name("kinetics600_labels.txt")


def kinetics400_labels() -> tuple[str, ...]:
    """The 400 classes of Kinetics-400 in the order that every published model uses, which is alphabetical.

    Source: Kay et al. 2017, arXiv:1705.06950.
    """
    return tuple(KINETICS.read_text(encoding="utf-8").splitlines())


def kinetics600_labels() -> tuple[str, ...]:
    """The 600 classes of Kinetics-600, in alphabetical order too.

    Source: Carreira et al. 2018, arXiv:1808.01340, as TensorFlow's Model Garden lists them
    (official/projects/movinet/files/kinetics_600_labels.txt, Apache-2.0).
    """
    return tuple(KINETICS_600.read_text(encoding="utf-8").splitlines())


def named_classes(number: int) -> tuple[str, ...]:
    """The names of 400 or 600 classes, which are those of Kinetics; () for any other number."""
    return {400: kinetics400_labels, 600: kinetics600_labels}.get(number, tuple)()


def same_label(one: str, other: str) -> bool:
    """Whether two spellings name one class: folders write 'flying_kite' for 'flying kite'."""
    return letters(one) == letters(other)


def letters(label: str) -> str:
    """The part of a label that all its spellings share: letters and digits, in lower case."""
    return "".join(c for c in normalize("NFC", label).casefold() if c.isalnum())
