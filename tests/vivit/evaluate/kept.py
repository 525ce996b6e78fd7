"""Evaluations made up for tests."""

from collections.abc import Sequence

from tests.vivit.benchmark.children import MACHINE
from vivit.evaluate.journal import Evaluation
from vivit.evaluate.kept import Kept, Times
from vivit.evaluate.records import Asked, Guess, Record, Source

LABELS = {"0": "walking", "1": "running", "2": "sitting still"}


def record(index: int, target: int, answer: int | None, score: float = 0.9) -> Record:
    """The record of a clip. Args: target, answer: classes, 0 to 2; the answer None for a clip that failed."""
    clip = Record(index, f"{LABELS[str(target)]}/{index}.mp4", LABELS[str(target)], target, error="It is no video.")
    if answer is None:
        return clip
    others = [k for k in range(len(LABELS)) if k != answer]
    top = [Guess(answer, LABELS[str(answer)], score), *(Guess(k, LABELS[str(k)], (1 - score) / 2) for k in others)]
    rank = 1 + [guess.index for guess in top].index(target)
    made = Record(index, clip.path, clip.label, target, tuple(top), rank, top[rank - 1].score, True, "", 0.1, 0.05)
    return made


def kept(cells: dict[str, Sequence[int | None]], targets: Sequence[int], **changes: object) -> Kept:
    """Cells that answered the same clips.

    Args:
        cells: 'attention precision' → its answers, one a clip, fewer if it ended early.
        targets: the class of each clip.
        changes: other fields of `Kept`.
    """
    source = Source("made up", "/nowhere", len(targets), "0" * 64)
    evaluations = []
    for name, answers in cells.items():
        attention, precision = name.split()
        records = [record(k, *pair) for k, pair in enumerate(zip(targets, answers, strict=False))]
        asked = Asked("vivit-mannequin", 1, attention=attention, precision=precision)
        evaluations.append(Evaluation(asked, source, LABELS, MACHINE, "abc1234", "2026-11-30T12:00:00", tuple(records)))
    usual = {"errors": ("",) * len(cells), "times": Times(10.0, 2.0, 1.0, 6.0), "created": "2026-11-30T12:00:00"}
    return Kept(tuple(evaluations), **usual | changes)  # type: ignore[arg-type]
