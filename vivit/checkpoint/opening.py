"""A checkpoint, opened: its shape, its image processor, its labels, and a way to load it. No torch before it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vivit import familiarity
from vivit.checkpoint import random_weights
from vivit.config import VivitConfig
from vivit.hub import locate
from vivit.processing import VivitImageProcessor

if TYPE_CHECKING:
    import torch

    from vivit.model import VivitForVideoClassification


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, once its name has been resolved and its small files have been read.

    Args:
        name: goes on meaning the same: that of a Hub repository with its commit, 'owner/name@commit'.
        config: its shape and its labels.
        processor: what happens to frames before the model.
        folder: where its files are; None for random weights, which have none.
    """

    name: str
    config: VivitConfig
    processor: VivitImageProcessor
    folder: Path | None

    @property
    def trained(self) -> bool:
        """Whether its answers mean anything: those of random weights do not."""
        return self.folder is not None

    @property
    def labels(self) -> Mapping[int, str]:
        """Class index → name."""
        return self.config.id2label

    @property
    def written_ns(self) -> int:
        """When it was last written, by `time.time_ns`: what was loaded from a folder before that is no longer true."""
        return max((file.stat().st_mtime_ns for file in self.folder.iterdir()), default=0) if self.folder else 0

    def familiarity(self) -> familiarity.Familiarity | None:
        """By which clips unlike its training clips are told; None if it carries no such statistics."""
        return familiarity.load(self.folder) if self.folder else None

    def load(
        self,
        *,
        attn_implementation: str = "sdpa",
        dtype: "str | torch.dtype" = "float32",
        device: "str | torch.device" = "cpu",
    ) -> "VivitForVideoClassification":
        """The model, in evaluation mode. Arguments and errors as `VivitForVideoClassification.from_pretrained`'s."""
        from vivit.model import VivitForVideoClassification

        if self.folder is None:
            return random_weights.make_model(
                self.config, attn_implementation=attn_implementation, dtype=dtype, device=device
            )
        return VivitForVideoClassification.from_folder(
            self.folder, self.config, attn_implementation=attn_implementation, dtype=dtype, device=device
        )


def open_checkpoint(
    name: str | Path, revision: str | None = None, *, weights: bool = True, here: bool = False
) -> Checkpoint:
    """Open a checkpoint: once for each piece of work, since every look-up of a Hub name asks the Hub.

    Args:
        name: `RANDOM`, or as `vivit.hub.find_checkpoint` takes it, which explains the others too.
        revision: for a Hub repository: a branch, a tag or a commit.
        weights: whether they are wanted.
        here: whether to make do with what is on this machine.
    Raises:
        vivit.hub.HubError: if there is no such checkpoint, or it cannot be reached.
        ValueError: if its configuration is impossible.
    """
    if name == random_weights.RANDOM:
        return Checkpoint(str(name), random_weights.CONFIG, VivitImageProcessor(), None)
    lasting, folder = locate(name, revision=revision, weights=weights, here=here)
    return Checkpoint(lasting, VivitConfig.from_folder(folder), VivitImageProcessor.from_folder(folder), folder)
