"""All that one visitor teaches, in memory and in their folder. No torch is used.

Whoever changes a lesson holds the lock of `engine.lessons.Lessons`; `seconds` and `places` are the teaching threads' own.
"""

import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from pathlib import Path

from engine.teachings import Example, RunningTeaching, Taught, TaughtClass

FEATURES = "features"  # in a visitor's folder


@dataclass(eq=False)
class Lesson:
    """What a visitor teaches.

    Args:
        folder: where it lies.
        classes: id → class, in the order in which they were made.
        sizes: example id → bytes of its file.
        seconds: example id → how long the clip is, once it has been read.
        coming_bytes: bytes of each clip that is being written.
        made_bytes: bytes of the checkpoint and of its zip.
        former: the folder that holds the checkpoint before it, which other pages may still be at work with.
        former_bytes: bytes of that checkpoint, whose zip has gone.
        running: what was begun last.
        taught: the last checkpoint that came of teaching; None before.
        places: numbers of folders that a checkpoint is written into.
        packing: held while the zip is made.
        gone: whether the visitor has left.
    """

    folder: Path
    classes: dict[str, TaughtClass] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    coming_bytes: list[int] = field(default_factory=list)
    made_bytes: int = 0
    former: Path | None = None
    former_bytes: int = 0
    running: RunningTeaching | None = None
    taught: Taught | None = None
    places: Iterator[int] = field(default_factory=lambda: count(1))
    packing: threading.Lock = field(default_factory=threading.Lock)
    gone: bool = False

    @property
    def clip_bytes(self) -> int:
        return sum(self.sizes.values()) + sum(self.coming_bytes)

    def class_of(self, example_id: str) -> TaughtClass | None:
        """The class that has a clip."""
        return next((one for one in self.classes.values() if any(c.id == example_id for c in one.examples)), None)

    def keep(self, one: TaughtClass, examples: Iterable[Example]) -> None:
        """Give a class other clips."""
        self.classes[one.id] = replace(one, examples=tuple(examples))

    def delete(self, clip: Example) -> None:
        """Delete a clip's file, and its features by every model."""
        del self.sizes[clip.id]
        Path(clip.path).unlink(missing_ok=True)
        for file in (self.folder / FEATURES).glob(f"*/{clip.id}.npy"):
            file.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Leave nothing of a visitor who has gone, whichever thread was still writing for them."""
        if self.gone:
            shutil.rmtree(self.folder, ignore_errors=True)


def copy_clip(content: bytes | memoryview | Path, to: Path) -> str:
    """Write a clip's file; returns its id. Raises OSError if it cannot be written whole."""
    digest = sha256()
    with to.open("wb") as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                while piece := source.read(2**20):
                    digest.update(piece)
                    file.write(piece)
        else:
            digest.update(content)
            file.write(content)
    return digest.hexdigest()[:32]
