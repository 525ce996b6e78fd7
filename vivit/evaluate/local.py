"""Labelled clips on one machine: decoded by processes, classified in this one."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from vivit.decoders import Reading
from vivit.evaluate.passes import Classifier
from vivit.evaluate.records import LabelledClip, Record


@dataclass
class Spent:
    """Where the time went, in seconds.

    Args:
        total: wall time since the first clip was asked for.
        waited: of it, in which the model waited for clips.
        decode: processor time of the decoders.
        model: wall time of the passes.
    """

    total: float = 0.0
    waited: float = 0.0
    decode: float = 0.0
    model: float = 0.0


def evaluate_locally(
    clips: Iterable[LabelledClip], reading: Reading, classifier: Classifier, processes: int, spent: Spent | None = None
) -> Generator[list[Record], None, None]:
    """Records, step by step, in the order of the clips. A clip that cannot be read has a record with its sentence.

    Args:
        clips: which.
        reading: how.
        classifier: by which model.
        processes: how many decode.
        spent: is kept up to date.
    """
    raise NotImplementedError
