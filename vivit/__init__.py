"""ViViT, the Video Vision Transformer (Arnab et al., 2021), for video classification.

The public names are those of the model's published documentation. Each is imported on first use, so that a process which
only prepares frames never pays for `import torch`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vivit.auto import (
        AutoConfig,
        AutoImageProcessor,
        AutoModel,
        AutoModelForVideoClassification,
        AutoVideoProcessor,
    )
    from vivit.config import VivitConfig
    from vivit.model import VivitForVideoClassification, VivitModel
    from vivit.pipelines import VideoClassificationPipeline, pipeline
    from vivit.pretrained import VivitPreTrainedModel
    from vivit.processing import VivitImageProcessor, VivitVideoProcessor

_ROOM = {
    "AutoConfig": "auto",
    "AutoImageProcessor": "auto",
    "AutoModel": "auto",
    "AutoModelForVideoClassification": "auto",
    "AutoVideoProcessor": "auto",
    "VideoClassificationPipeline": "pipelines",
    "VivitConfig": "config",
    "VivitForVideoClassification": "model",
    "VivitImageProcessor": "processing",
    "VivitModel": "model",
    "VivitPreTrainedModel": "pretrained",
    "VivitVideoProcessor": "processing",
    "pipeline": "pipelines",
}

__all__ = [
    "AutoConfig",
    "AutoImageProcessor",
    "AutoModel",
    "AutoModelForVideoClassification",
    "AutoVideoProcessor",
    "VideoClassificationPipeline",
    "VivitConfig",
    "VivitForVideoClassification",
    "VivitImageProcessor",
    "VivitModel",
    "VivitPreTrainedModel",
    "VivitVideoProcessor",
    "pipeline",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM:
        raise AttributeError(f"module 'vivit' has no attribute {name!r}")
    return getattr(import_module(f"vivit.{_ROOM[name]}"), name)
