"""What visitors teach: their classes with clips of each, and the checkpoints that come of it. No torch is used.

All of it is a visitor's own: it lies in a private folder of this server, is bounded, and goes when they do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.engine import Engine
from engine.running import Running
from vivit.teach.report import Report

MOST_CLASSES = 20
MOST_CLIPS = 200  # of a visitor, all classes together
MOST_CLIP_SECONDS = 60.0  # of a clip
MOST_BYTES = 500_000_000  # of a visitor's clips
MOST_BYTES_OF_ALL = 4 * 2**30  # of all visitors together, checkpoints included
MOST_LETTERS = 60  # of a class's name


@dataclass(frozen=True)
class Example:
    """A clip of a class.

    Args:
        id: made of the file's content, so that the same clip has the same.
        path: its file, in the visitor's own folder.
        name: what to call it on a page, in one line; Markdown in it is not yet escaped.
    """

    id: str
    path: str
    name: str


@dataclass(frozen=True)
class TaughtClass:
    """A class, and the clips that show it. Args: id: names it for the page; name: as the visitor wrote it."""

    id: str
    name: str
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class TeachAsked:
    """By which model features are taken, and how. Args: as `engine.tasks.Classify`'s, and `ReadFrames`'."""

    checkpoint: str
    attention: str = "sdpa"
    precision: str = "float32"
    execution: str = "plain"
    normalisation: str = "checkpoint"
    sampling: str = "uniform"
    stride: int = 1


@dataclass(frozen=True)
class Taught:
    """A checkpoint that came of teaching.

    Args:
        folder: it; classified by any page that takes a folder of a checkpoint.
        report: of the fit; `left_out[k].clip` is a place in `examples`.
        examples: the clips that it was fitted to, in order.
        asked: by which model.
        number: counts a visitor's checkpoints from 1.
    """

    folder: str
    report: Report
    examples: tuple[Example, ...]
    asked: TeachAsked
    number: int


@dataclass(eq=False)
class RunningTeaching(Running):
    """A head that is being fitted; read it freely, from any thread.

    Args:
        asked: how.
        classes: of which, as they were when it began.
        done, of: clips whose features are there, and all; those that cannot be read count as done.
        faults: example id → why its clip is left out, a sentence.
        taught: what came of it; None before.
    """

    asked: TeachAsked
    classes: tuple[TaughtClass, ...]
    done: int = 0
    of: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    taught: Taught | None = None

    @property
    def progress(self) -> float:
        """0 to 1."""
        return self.done / max(1, self.of)


class Lessons:
    """What every visitor of this server teaches.

    Args:
        engine: has the workers 'media' and 'model'.
        max_bytes: of all visitors' files together.
    """

    def __init__(self, engine: Engine, max_bytes: int = MOST_BYTES_OF_ALL) -> None:
        raise NotImplementedError

    def classes(self, visitor: str) -> tuple[TaughtClass, ...]:
        """A visitor's classes, in the order in which they were made."""
        raise NotImplementedError

    def add_class(self, visitor: str, name: str) -> TaughtClass:
        """Make a class, without clips.

        Raises:
            UserError: for a name that is empty, too long, or there already (whatever its case), or too many classes.
        """
        raise NotImplementedError

    def rename_class(self, visitor: str, id: str, name: str) -> None:
        """Give a class another name; its clips stay. Raises UserError as `add_class`; of one that is gone nothing happens."""
        raise NotImplementedError

    def remove_class(self, visitor: str, id: str) -> None:
        """Delete a class with its clips."""
        raise NotImplementedError

    def add(self, visitor: str, class_id: str, name: str, content: bytes | memoryview | Path) -> Example:
        """Keep a clip as an example of a class.

        Args:
            name: what to call it.
            content: of its file; or a file, which is copied.
        Raises:
            UserError: if the class is gone, the clip is there already (it says in which class), it is too much in any way, or
                the disk is full; then nothing of it is kept.
        """
        raise NotImplementedError

    def remove(self, visitor: str, example_id: str) -> None:
        """Delete a clip."""
        raise NotImplementedError

    def move(self, visitor: str, example_id: str, class_id: str) -> None:
        """Make a clip an example of another class."""
        raise NotImplementedError

    def teach(self, visitor: str, asked: TeachAsked) -> RunningTeaching:
        """Fit a head to all of a visitor's clips in the background; what they have running is cancelled.

        Features of clips that are kept for this model are not taken again. Clips that cannot be read cost themselves alone.

        Raises:
            UserError: if there are fewer than two classes with clips.
        """
        raise NotImplementedError

    def running(self, visitor: str) -> RunningTeaching | None:
        """What the visitor began last, ended or not; None before."""
        raise NotImplementedError

    def taught(self, visitor: str) -> Taught | None:
        """The last checkpoint that came of it; the one before it is deleted once that is there."""
        raise NotImplementedError

    def archive(self, visitor: str) -> Path:
        """Make one zip of the visitor's checkpoint, in their folder, or return the one that was made.

        Raises:
            UserError: if there is no checkpoint, or no room for its zip.
        """
        raise NotImplementedError

    def drop(self, visitor: str) -> None:
        """Cancel and delete all of a visitor's."""
        raise NotImplementedError

    def clear(self) -> None:
        """Delete everything; for the end of the server."""
        raise NotImplementedError


def examples_of(classes: Sequence[TaughtClass], faults: Mapping[str, str]) -> tuple[list[Example], list[str]]:
    """The clips of some classes that can be used, and the name of the class of each."""
    pairs = [(clip, one.name) for one in classes for clip in one.examples if clip.id not in faults]
    return [clip for clip, _ in pairs], [name for _, name in pairs]
