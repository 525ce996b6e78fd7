"""What the options of commands ask for, as the library has it."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from vivit.checkpoint import Checkpoint
    from vivit.pipelines import VideoClassificationPipeline


def load_pipeline(
    options: argparse.Namespace, checkpoint: "Checkpoint", device: "torch.device", **more: Any
) -> "VideoClassificationPipeline":
    """The pipeline of a checkpoint with the attention, precision, execution and pixel values that the options name.

    Args:
        options: a command's: `attention`, `precision`, `execution`, `normalisation`.
        checkpoint: opened.
        device: where the model is to be.
        more: as `pipeline` takes it.

    Raises:
        ValueError, OSError: as `pipeline`.
    """
    from vivit.pipelines import pipeline
    from vivit.processing import NORMALISATIONS

    return pipeline(
        "video-classification",
        checkpoint,
        image_processor=replace(checkpoint.processor, **NORMALISATIONS.get(options.normalisation, {})),
        device=device,
        attn_implementation=options.attention,
        execution=options.execution,
        dtype=options.precision,
        **more,
    )
