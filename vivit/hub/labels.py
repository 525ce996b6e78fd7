"""Names of classes: those of Kinetics-400, and when two spellings name one."""

from pathlib import Path

KINETICS = Path(__file__).parents[1] / "assets" / "kinetics400_labels.txt"


def kinetics400_labels() -> tuple[str, ...]:
    """The 400 classes of Kinetics-400 in the order that every published model uses, which is alphabetical.

    Source: Kay et al. 2017, arXiv:1705.06950.
    """
    return tuple(KINETICS.read_text(encoding="utf-8").splitlines())


def same_label(one: str, other: str) -> bool:
    """Whether two spellings name one class: folders write 'flying_kite' for 'flying kite'."""
    return _letters(one) == _letters(other)


def _letters(label: str) -> str:
    return "".join(c for c in label.casefold() if c.isalnum())
