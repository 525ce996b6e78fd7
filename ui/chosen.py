"""What visitors have chosen on most pages: a clip, and how it is classified."""

from dataclasses import dataclass

from engine.tasks import WindowsAsked
from vivit.benchmark.measurement import Cell
from vivit.timeline import Grid
from vivit.views import Views


@dataclass(frozen=True)
class ChosenClip:
    """A clip to classify.

    Args:
        path: the file.
        name: what to call it on the page, on one line and shortened; Markdown in it is not yet escaped.
        truth: the action it shows, '' if that is not known.
    """

    path: str
    name: str
    truth: str = ""


@dataclass(frozen=True)
class Settings:
    """How a clip is classified.

    Args:
        checkpoint: as `vivit.checkpoint.open_checkpoint` takes it on this machine; '' while none is here.
        attention, precision, sampling, normalisation: keys of `BACKENDS`, `PRECISIONS`, `SAMPLING` and `NORMALISATION` in
            `vivit.names`.
        stride: every n-th frame, where the sampling has a stride.
        top_k: how many classes to report.
        execution: a key of `EXECUTIONS` there.
        views: how often a clip is looked at, such as '4x3'.
    """

    checkpoint: str
    attention: str
    precision: str
    sampling: str
    stride: int
    normalisation: str
    top_k: int
    execution: str = "plain"
    views: str = "1x1"

    @property
    def cell(self) -> Cell:
        """What runs, all views of one clip at a time."""
        views = Views.parse(self.views).count
        return Cell(self.checkpoint, self.attention, self.precision, views, execution=self.execution)

    def windows(self, grid: Grid) -> WindowsAsked:
        """The same for windows of a film or a camera. Args: grid: how the windows lie."""
        return WindowsAsked(self.checkpoint, self.attention, self.precision, self.normalisation, self.execution, grid)

    @property
    def how(self) -> str:
        """'sdpa, float32', and how it runs and in how many views where that is not 'plain' and one."""
        views = f", {self.views} views" * (self.cell.batch_size > 1)
        return f"{self.attention}, {self.precision}{self.cell.manner}{views}"
