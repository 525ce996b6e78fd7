"""What was found of each clip, one line of JSON each, which a kill at any moment leaves whole. No torch is used."""

from dataclasses import dataclass

from vivit.errors import UserError

TOP = 5  # classes that a record names


@dataclass(frozen=True)
class LabelledClip:
    """A clip whose action is known.

    Args:
        index: its place in the source, from 0.
        path: where it is; whoever decodes it must be able to read it there.
        label: what the source says that it shows.
        target: the index of the checkpoint's class of that name.
    """

    index: int
    path: str
    label: str
    target: int


@dataclass(frozen=True)
class Guess:
    """A class of an answer. Args: index: the class's; label: its name; score: as the model's usual function gives it."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Record:
    """What was found of a clip.

    Args:
        index, path, label, target: as `LabelledClip`'s.
        top: the best `TOP` classes, best first; empty if the clip failed.
        rank: the place of its true class among all, from 1; 0 if the clip failed.
        score: of its true class; 0 if the clip failed.
        familiar: whether it is like the training clips; None where that cannot be told.
        error: why the clip failed, a sentence; '' if it did not.
        decode_seconds: processor time of reading, resizing and cropping it.
        model_seconds: its share of its passes' wall time.
    """

    index: int
    path: str
    label: str
    target: int
    top: tuple[Guess, ...] = ()
    rank: int = 0
    score: float = 0.0
    familiar: bool | None = None
    error: str = ""
    decode_seconds: float = 0.0
    model_seconds: float = 0.0

    @property
    def right(self) -> bool:
        """Whether the true class is the first."""
        return self.rank == 1


def why(error: Exception) -> str:
    """A record's `error` for what was raised as its clip was read."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
