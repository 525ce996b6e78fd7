"""The names by which transformers finds a class for a checkpoint: here each has one."""

from typing import Any

from vivit.config import VivitConfig
from vivit.processing import VivitImageProcessor, VivitVideoProcessor


class AutoConfig:
    """Gives a `VivitConfig`."""

    from_pretrained = VivitConfig.from_pretrained


class AutoImageProcessor:
    """Gives a `VivitImageProcessor`."""

    from_pretrained = VivitImageProcessor.from_pretrained


class AutoVideoProcessor:
    """Gives a `VivitVideoProcessor`."""

    from_pretrained = VivitVideoProcessor.from_pretrained


class AutoModelForVideoClassification:
    """Gives a `VivitForVideoClassification`."""

    @classmethod
    def from_pretrained(cls, *args: Any, **options: Any) -> Any:
        """As `VivitForVideoClassification.from_pretrained`."""
        from vivit.model import VivitForVideoClassification  # only here: the others need no torch

        return VivitForVideoClassification.from_pretrained(*args, **options)

    @classmethod
    def from_config(cls, config: VivitConfig, **options: Any) -> Any:
        """A model with random weights."""
        from vivit.model import VivitForVideoClassification

        return VivitForVideoClassification(config, **options)
