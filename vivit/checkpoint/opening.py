"""A checkpoint, opened: its shape, its image processor, its labels, and a way to load it. No torch before it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from vivit import familiarity
from vivit.checkpoint import random_weights
from vivit.config import VivitConfig
from vivit.errors import UserError
from vivit.hub import PROCESSORS, USUAL, HubOptions, called, locate
from vivit.names import COLOURS
from vivit.processing import VivitImageProcessor

if TYPE_CHECKING:
    import torch

    from vivit.eight_bit import EightBit


Model = TypeVar("Model")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, once its name has been resolved.

    Args:
        name: one that goes on meaning the same: a Hub repository's with its commit, 'owner/name@commit'; a folder's whole path.
        config: its shape and its labels.
        folder: where its files are; None for random weights, which have none.
        options: how the checkpoint was looked for, which tells its tensor files from others in the folder.
    """

    name: str
    config: VivitConfig
    folder: Path | None
    options: HubOptions = USUAL

    @cached_property
    def processor(self) -> VivitImageProcessor:
        """What happens to frames before the model. It is read when it is wanted: not everybody has frames.

        Raises:
            vivit.errors.UserError: if its files cannot be used, or make pictures that the model does not take.
        """
        if self.folder is None:
            return VivitImageProcessor()
        processor = VivitImageProcessor.from_folder(self.folder)
        _check_fit(processor, self.config, self.folder)
        return processor

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
        """When it was last written, by `time.time_ns`: what was loaded from the folder before that is out of date."""
        return max((file.stat().st_mtime_ns for file in self.folder.iterdir()), default=0) if self.folder else 0

    def familiarity(self) -> familiarity.Familiarity | None:
        """The statistics that tell clips unlike its training clips; None if it carries none."""
        return familiarity.load(self.folder) if self.folder else None

    def load(
        self,
        kind: type[Model],
        *,
        attn_implementation: str = "sdpa",
        dtype: "str | torch.dtype | EightBit" = "float32",
        device: "str | torch.device" = "cpu",
    ) -> Model:
        """The model, in evaluation mode.

        Args:
            kind: its class, `VivitForVideoClassification` for instance.
            attn_implementation, device: as its `from_pretrained` takes them.
            dtype: a key of `vivit.names.PRECISIONS`, a torch dtype of the same name, or an `EightBit`.

        Raises:
            vivit.errors.UserError: if a tensor is missing, left over or of another shape, a classification head included.
        """
        options: dict[str, Any] = {"attn_implementation": attn_implementation, "dtype": dtype, "device": device}
        if self.folder is None:
            return cast(Model, random_weights.make_model(kind, self.config, **options))
        model: Any = kind.without_weights(self.config, **options)  # type: ignore[attr-defined]
        model.load_tensors(self.folder, self.options)
        return cast(Model, model.eval())


def _check_fit(processor: VivitImageProcessor, config: VivitConfig, folder: Path) -> None:
    """Raise UserError for a processor whose pictures are not those that the model takes."""
    files = " and ".join(file for file in PROCESSORS if (folder / file).is_file()) or "the usual one"
    theirs, name = f"The image processor of '{called(folder)}' ({files})", "its model (config.json)"
    if config.num_channels != COLOURS:
        raise UserError(
            f"{theirs} makes pictures of {COLOURS} channels, red, green and blue, and {name} takes num_channels="
            f"{config.num_channels}. Choose a checkpoint that was trained on colours."
        )
    wanted = f"{name} takes {config.clip_size[1]} × {config.clip_size[2]} pixels, its image_size"
    correct = f"Choose another checkpoint, or set do_center_crop and crop_size in {files} to what the model takes."
    if processor.output_size is None:
        raise UserError(f"{theirs} makes pictures whose size depends on the clip, and {wanted}. {correct}")
    if processor.output_size != config.clip_size[1:]:
        height, width = processor.output_size
        raise UserError(f"{theirs} makes pictures of {height} × {width} pixels, and {wanted}. {correct}")


def open_checkpoint(
    name: str | Path, revision: str | None = None, *, weights: bool = True, here: bool = False, **options: Any
) -> Checkpoint:
    """Open a checkpoint: once for each piece of work, since every look-up of a Hub name asks the Hub.

    Args:
        name: a key of `RANDOM_CONFIGS`, or as `vivit.hub.find_checkpoint` takes it, which explains the others too.
        revision: for a Hub repository: a branch, a tag or a commit.
        weights: whether they are wanted.
        here: whether to make do with what is on this machine.
        options: others of `vivit.hub.HubOptions`: token, cache_dir and so on.

    Raises:
        vivit.hub.HubError: if there is no such checkpoint, or it cannot be reached.
        vivit.errors.UserError: if its configuration is impossible.
    """
    if config := random_weights.RANDOM_CONFIGS.get(str(name)):
        return Checkpoint(str(name), config.changed(), None)  # whoever opens one may change its config
    where = HubOptions(revision=revision, **options)
    lasting, folder = locate(name, where, weights=weights, here=here)
    return Checkpoint(lasting, VivitConfig.from_folder(folder), folder, where)
