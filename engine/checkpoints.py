"""What a checkpoint's name stands for, without its weights. No torch is used."""

from vivit.config import VivitConfig
from vivit.processing import NORMALISATIONS, VivitImageProcessor
from vivit.random_weights import RANDOM, read_config

__all__ = ["RANDOM", "read_checkpoint"]


def read_checkpoint(name: str, normalisation: str = "checkpoint") -> tuple[VivitConfig, VivitImageProcessor]:
    """The shape and the image processor of a checkpoint.

    Args:
        name: `RANDOM` (ViViT-B/16x2 with random weights), an embedded checkpoint, or a folder.
        normalisation: 'checkpoint' for its own, or a key of `NORMALISATIONS` instead.
    Raises:
        vivit.hub.HubError: if there is no such checkpoint.
        ValueError: if its configuration is impossible.
    """
    config = read_config(name)
    processor = VivitImageProcessor() if name == RANDOM else VivitImageProcessor.from_pretrained(name)
    if normalisation != "checkpoint":
        processor = VivitImageProcessor.from_dict(vars(processor) | NORMALISATIONS[normalisation])
    return config, processor
