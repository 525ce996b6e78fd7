"""Records with known answers, and what is kept beside them."""

import random

from vivit.evaluate.journal import Evaluation
from vivit.evaluate.records import Asked, Guess, Record, Source
from vivit.machine import Machine

LABELS = {0: "walking", 1: "running", 2: "jumping", 3: "waving", 4: "dancing", 5: "résumé reading"}
MACHINE = Machine("cpu", "a processor", 2**34, 1, 2, "AVX2", "Linux", {"python": "3.11"}, (), {}, 0.0)


def record(index: int, target: int, answer: int, score: float = 0.9, error: str = "", **others: object) -> Record:
    """A record whose best class is `answer`; the true class is the second if it is another."""
    path, label = f"{LABELS[target]}/{index}.mp4", LABELS[target]
    if error:
        return Record(index, path, label, target, error=error)
    order = [answer, *[k for k in (target, *LABELS) if k != answer]]
    order = list(dict.fromkeys(order))
    scores = [score] + [(1 - score) / 5] * 5
    top = tuple(Guess(k, LABELS[k], s) for k, s in zip(order[:5], scores, strict=False))
    rank = order.index(target) + 1
    return Record(index, path, label, target, top, rank, scores[rank - 1], **others)  # type: ignore[arg-type]


def drawn(count: int, seed: int = 1, accuracy: float = 0.7) -> list[Record]:
    """Records of which about that share is right, each with a score of its own."""
    chance = random.Random(seed)
    found = []
    for index in range(count):
        target = index % len(LABELS)
        answer = target if chance.random() < accuracy else chance.choice([k for k in LABELS if k != target])
        found.append(record(index, target, answer, chance.uniform(0.2, 1.0), decode_seconds=0.1, model_seconds=0.2))
    return found


def evaluation(clips: int, **asked: object) -> Evaluation:
    """An evaluation of so many clips that has not begun."""
    source = Source("clips", "/clips", clips, f"{clips:064x}", {"yodelling": 2})
    labels = {str(index): name for index, name in LABELS.items()}
    return Evaluation(Asked("model", 1, **asked), source, labels, MACHINE, "abc", "2026-12-01T00:00:00+00:00")  # type: ignore[arg-type]
