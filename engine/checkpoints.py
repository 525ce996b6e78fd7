"""What a checkpoint's name stands for, without its weights. No torch is used."""

from vivit.config import VivitConfig
from vivit.processing import NORMALISATIONS, VivitImageProcessor

RANDOM = "vivit-b-16x2-random"


def read_checkpoint(name: str, normalisation: str | None = None) -> tuple[VivitConfig, VivitImageProcessor]:
    """The shape and the image processor of a checkpoint.

    Args:
        name: `RANDOM` (ViViT-B/16x2 with random weights), an embedded checkpoint, or a folder.
        normalisation: a key of `NORMALISATIONS` instead of the checkpoint's own.
    Raises:
        vivit.hub.HubError: if there is no such checkpoint.
        ValueError: if its configuration is impossible.
    """
    config = VivitConfig(num_labels=400) if name == RANDOM else VivitConfig.from_pretrained(name)
    processor = VivitImageProcessor() if name == RANDOM else VivitImageProcessor.from_pretrained(name)
    if normalisation is not None:
        processor = VivitImageProcessor.from_dict(vars(processor) | NORMALISATIONS[normalisation])
    return config, processor
