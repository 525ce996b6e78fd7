"""Checkpoints and clips by name: embedded, in a folder, or from the Hugging Face Hub. No torch is used."""

from vivit.hub.cache import megabytes
from vivit.hub.checkpoints import (
    ASSETS,
    KINETICS_CHECKPOINT,
    CheckpointInfo,
    cached_checkpoints,
    download,
    embedded_checkpoints,
    find_checkpoint,
    inspect_checkpoint,
    kinetics400_labels,
    locate,
    read_json,
    same_label,
    split_name,
)
from vivit.hub.clips import KINETICS_MINI, Clip, ClipList, download_clip, list_clips
from vivit.hub.faults import HubError

__all__ = [
    "ASSETS",
    "KINETICS_CHECKPOINT",
    "KINETICS_MINI",
    "CheckpointInfo",
    "Clip",
    "ClipList",
    "HubError",
    "cached_checkpoints",
    "download",
    "download_clip",
    "embedded_checkpoints",
    "find_checkpoint",
    "inspect_checkpoint",
    "kinetics400_labels",
    "list_clips",
    "locate",
    "megabytes",
    "read_json",
    "same_label",
    "split_name",
]
