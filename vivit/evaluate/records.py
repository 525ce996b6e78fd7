"""What is found of each clip, one line of JSON each, and by what. No torch is used."""

from dataclasses import dataclass, field

from vivit.errors import UserError

TOP = 5  # classes that a record names
CLUSTER = "cluster"  # a device: whichever there is


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


@dataclass(frozen=True)
class Asked:
    """By which model clips are classified, and how: all that an answer depends on beside the clip.

    Args:
        model: a checkpoint's lasting name, `vivit.checkpoint.Checkpoint.name`.
        checkpoint_written: when it was last written, by `time.time_ns`.
        revision: of a Hub repository, where its name says none.
        attention, precision, execution, normalisation, geometry, sampling: keys of the tables in `vivit.names`.
        stride: as `vivit.video.sampling.choose_views` takes it.
        views: as `vivit.views.Views.parse` takes it.
        batch_size: views of a pass.
        device: where the model is, 'cpu' or 'cuda:0'; `CLUSTER` where each process that holds it takes what it has.
    """

    model: str
    checkpoint_written: int
    revision: str | None = None
    attention: str = "sdpa"
    precision: str = "float32"
    execution: str = "plain"
    normalisation: str = "checkpoint"
    geometry: str = "upright"
    sampling: str = "uniform"
    stride: int | None = None
    views: str = "1x1"
    batch_size: int = 1
    device: str = "cpu"

    @property
    def cell(self) -> str:
        """'vivit-mannequin, sdpa, float32, cpu', and what else is not as usual."""
        usual = Asked("", 0)
        others = ("execution", "normalisation", "geometry", "sampling", "stride", "views")
        more = [f"{name} {value}" for name in others if (value := getattr(self, name)) != getattr(usual, name)]
        return ", ".join([self.model, self.attention, self.precision, self.device, *more])


@dataclass(frozen=True)
class Source:
    """Which clips an evaluation is of.

    Args:
        name: as `vivit.evaluate.sources.Found`'s.
        root: the folder that paths of records are relative to.
        clips: how many.
        sha256: of their paths and labels in order, by which the same clips are known on another machine too.
        left_out: labels that the checkpoint does not know → how many clips have them.
    """

    name: str
    root: str
    clips: int
    sha256: str
    left_out: dict[str, int] = field(default_factory=dict)


def why(error: Exception) -> str:
    """A record's `error` for what was raised as its clip was read."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
