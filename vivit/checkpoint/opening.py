"""A checkpoint, opened: its shape, its image processor, its labels, and a way to load it. No torch before it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vivit import familiarity
from vivit.checkpoint import random_weights
from vivit.config import VivitConfig
from vivit.hub import locate
from vivit.processing import VivitImageProcessor

if TYPE_CHECKING:
    import torch

Model = TypeVar("Model")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, once its name has been resolved.

    Args:
        name: goes on meaning the same: that of a Hub repository with its commit, 'owner/name@commit'; a folder's whole path.
        config: its shape and its labels.
        folder: where its files are; None for random weights, which have none.
    """

    name: str
    config: VivitConfig
    folder: Path | None

    @cached_property
    def processor(self) -> VivitImageProcessor:
        """What happens to frames before the model. It is read when it is wanted: not everybody has frames."""
        return VivitImageProcessor.from_folder(self.folder) if self.folder else VivitImageProcessor()

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
        kind: type[Model],
        *,
        attn_implementation: str = "sdpa",
        dtype: "str | torch.dtype" = "float32",
        device: "str | torch.device" = "cpu",
    ) -> Model:
        """The model, in evaluation mode.

        Args:
            kind: its class, `VivitForVideoClassification` for instance.
            attn_implementation, dtype, device: as its `from_pretrained` takes them, which says what is raised.
        """
        options: dict[str, Any] = {"attn_implementation": attn_implementation, "dtype": dtype, "device": device}
        if self.folder is None:
            return random_weights.make_model(kind, **options)
        return kind.from_pretrained(self.folder, config=self.config, **options)  # type: ignore[attr-defined]


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
        return Checkpoint(str(name), random_weights.CONFIG, None)
    lasting, folder = locate(name, revision=revision, weights=weights, here=here)
    return Checkpoint(lasting, VivitConfig.from_folder(folder), folder)
