"""What a visit keeps of clips that were classified: runs, and the comparison of several ways to run."""

from dataclasses import asdict, dataclass
from typing import Any

from engine.comparisons import RunningComparison
from engine.tasks import Classification, Frames
from ui.chosen import Settings
from ui.taught import called
from vivit.benchmark.measurement import MIB
from vivit.benchmark.side_by_side import BUSY_SHARE, instruments
from vivit.hub import split_name


@dataclass(frozen=True)
class Run:
    """One classification of this visit, with everything it reported. Args: job: its number, which no two runs share."""

    job: int
    clip: str
    settings: Settings
    frames: Frames
    result: Classification

    @property
    def peak_mib(self) -> float | None:
        """The most memory the pass held beyond the weights, in MiB; None where that is not known."""
        return None if self.result.peak_bytes is None else self.result.peak_bytes / MIB

    @property
    def weights_mib(self) -> float:
        """The weights, in MiB."""
        return self.result.weights_bytes / MIB

    @property
    def stages_ms(self) -> dict[str, float]:
        """Where the time went, from file to answer."""
        read = self.frames.timings_ms
        return {
            "open": read.probe,
            "decode": read.decode,
            "resize and crop": read.preprocess,
            "normalise and copy": self.result.preprocess_ms,
            "forward": self.result.latency_ms,
        }

    @property
    def others_share(self) -> float:
        """What other programs took of the processors meanwhile; 0 on a GPU, whose work they do not hold up."""
        return (self.result.others_share or 0.0) * (self.result.device == "cpu")

    @property
    def busy(self) -> bool:
        """Whether others took so much that the latency is not this model's alone."""
        return self.others_share > BUSY_SHARE

    @property
    def how(self) -> str:
        """How latency and memory were measured."""
        clock, recorder = instruments(self.result.device)
        n = len(self.result.samples_ms)
        if self.result.warm:
            passes = f"median of {n} forward pass{'es' * (n > 1)} after one to warm up"
            memory = "in the warm-up pass"
        else:
            passes = "one forward pass, the first, with the memory recorder on (slow passes are not repeated)"
            memory = "in that pass"
        if self.settings.execution == "captured":
            memory = "in a pass that captures the graph, since a replay takes none"
        note = (
            f" Other programs took {self.others_share:.0%} of the processors meanwhile: run it again when it is quieter."
        ) * self.busy
        peak = f"the clip, and the most that {recorder} counted beyond it and the weights {memory}"
        if self.result.peak_bytes is None:
            peak = f"not known, since PyTorch does not count it on '{self.result.device}'"
        views = self.settings.cell.batch_size
        batch = f"all {views} views of the clip in each, as one batch" if views > 1 else "batch size 1"
        return f"Latency: {passes}; {batch}, {clock}, {self.result.device}. Peak memory: {peak}.{note}"

    @property
    def brief(self) -> str:
        """How latency and memory were measured, in few words, or that the latency is not to be trusted."""
        n, views = len(self.result.samples_ms), self.settings.cell.batch_size
        of = f" of all {views} views" * (views > 1)
        if self.busy:
            then = f"during the pass{of}" if of else "meanwhile"
            return (
                f"Latency: other programs took {self.others_share:.0%} of the processors {then}, so it "
                "is not this model's alone."
            )
        return (
            f"Latency: the median of {n} forward pass{'es' * (n > 1)}{of} one after the other, warmed up. Memory: of another "
            "pass."
            if self.result.warm
            else f"Latency: one forward pass{of}, the first, with the memory recorder on."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON; a checkpoint of the Hub by its name and commit."""
        _, revision = split_name(self.settings.checkpoint)
        settings = asdict(self.settings) | {"checkpoint": called(self.settings.checkpoint), "revision": revision or ""}
        return asdict(self) | {"settings": settings, "measured": self.how}


@dataclass(frozen=True)
class Compared:
    """A comparison side by side that was begun.

    Args:
        key: of what: the frames' job, the checkpoint, the normalisation, the cells.
        clip: the clip's name.
        running: the comparison, ended or not.
    """

    key: tuple[Any, ...]
    clip: str
    running: RunningComparison
