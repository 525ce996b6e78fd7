"""A film through a model in this process: decoded in a thread, classified in the caller's."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vivit.familiarity import Familiarity
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.timeline.passes import classify_windows
from vivit.timeline.segments import Answered
from vivit.timeline.windows import Batch, Grid
from vivit.timeline.work import Waits, follow
from vivit.video.streaming import Film, open_film


@dataclass
class WindowClassifier:
    """Classifies batches of windows.

    Args:
        model: in evaluation mode.
        processor: what happens to its pictures.
        familiarity: by which windows unlike the training clips are told.
    """

    model: VivitForVideoClassification
    processor: VivitImageProcessor
    familiarity: Familiarity | None = None

    def __call__(self, batch: Batch) -> list[Answered]:
        """Answers, one a window."""
        rows = [window.rows for window in batch.windows]
        scores, familiar = classify_windows(self.model, self.processor, batch.frames, rows, self.familiarity)
        return [
            Answered(window.start, window.end, score, known, window.seconds)
            for window, score, known in zip(batch.windows, scores, familiar, strict=True)
        ]


@dataclass
class RunningFilm:
    """A film that is being classified. Args: film: what it holds; waits: who waited for whom; answers: in batches."""

    film: Film
    answers: Iterator[list[Answered]]
    waits: Waits = field(default_factory=Waits)


@contextmanager
def classify_film(
    path: str | Path, classifier: WindowClassifier, grid: Grid, at_once: int, geometry: str = "upright"
) -> Iterator[RunningFilm]:
    """Open a film and classify its windows as they are asked for.

    Args:
        path: a video file of any length.
        classifier: the model and what belongs to it.
        grid: how windows lie.
        at_once: how many windows go through the model together.
        geometry: how pictures are read, a key of `vivit.names.GEOMETRY`.

    Raises:
        vivit.video.VideoError: if the file cannot be used; what is damaged in the middle is left out, see `Film.warnings`.
    """
    with open_film(path, geometry=geometry) as film:
        waits = Waits()
        ticks = film.ticks(grid.tick_seconds, classifier.processor.resize_and_crop)
        with closing(follow(ticks, grid, classifier, lambda: at_once, waits, lambda: film.end_seconds)) as answers:
            yield RunningFilm(film, answers, waits)
