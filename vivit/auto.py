"""The names by which transformers finds a class for a checkpoint: here each always gives the same class."""

from importlib import import_module
from typing import Any, ClassVar

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


class _AutoModel:
    kind: ClassVar[str]  # a class of `vivit.model`, imported when it is wanted: the others here need no torch

    @classmethod
    def from_pretrained(cls, *args: Any, **options: Any) -> Any:
        """As the `from_pretrained` of the class that it gives."""
        return getattr(import_module("vivit.model"), cls.kind).from_pretrained(*args, **options)

    @classmethod
    def from_config(cls, config: VivitConfig, *, dtype: Any = None, torch_dtype: Any = None, **options: Any) -> Any:
        """A model with random weights.

        Args:
            config: of the model.
            dtype, torch_dtype: as `from_pretrained` takes them, but for 'auto'.
            options: of the class that it gives, `attn_implementation` for instance.
        """
        from vivit.precision import one_precision, set_precision

        precision = one_precision(dtype, torch_dtype) or "float32"
        return set_precision(getattr(import_module("vivit.model"), cls.kind)(config, **options), precision)


class AutoModel(_AutoModel):
    """Gives a `VivitModel`."""

    kind = "VivitModel"


class AutoModelForVideoClassification(_AutoModel):
    """Gives a `VivitForVideoClassification`."""

    kind = "VivitForVideoClassification"
