"""What was asked → a model that answers it, in whichever process."""

import argparse

import torch

from vivit.evaluate.passes import Classifier
from vivit.evaluate.records import CLUSTER, Asked


def load_classifier(asked: Asked) -> Classifier:
    """The classifier that an evaluation is by.

    Raises:
        ValueError, OSError: as `vivit.pipelines.pipeline`.
    """
    from vivit.checkpoint import open_checkpoint
    from vivit.device import default_device
    from vivit.options import load_pipeline

    checkpoint = open_checkpoint(asked.model, asked.revision)
    device = default_device() if asked.device == CLUSTER else torch.device(asked.device)
    loaded = load_pipeline(argparse.Namespace(**vars(asked)), checkpoint, device)
    return Classifier(loaded.model, loaded.image_processor, asked.batch_size, loaded.familiarity)
