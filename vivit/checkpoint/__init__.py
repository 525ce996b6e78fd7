"""Checkpoints: opened by name, their tensor files, and the names of their tensors."""

from vivit.checkpoint.opening import Checkpoint, open_checkpoint
from vivit.checkpoint.random_weights import RANDOM, RANDOM_CONFIGS, random_name

__all__ = [
    "RANDOM",
    "RANDOM_CONFIGS",
    "Checkpoint",
    "open_checkpoint",
    "random_name",
]
