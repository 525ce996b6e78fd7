"""Checkpoints and clips by name: embedded, in a folder, or from the Hugging Face Hub. No torch is used."""

from vivit.hub.transfer import megabytes
from vivit.hub.description import HEADLESS, KINETICS_CHECKPOINT, PROCESSORS, CheckpointInfo
from vivit.hub.checkpoints import ASSETS
from vivit.hub.checkpoints import cached_checkpoints, embedded_checkpoints, find_checkpoint, locate, split_name
from vivit.hub.checkpoints import download, inspect_checkpoint
from vivit.hub.clips import KINETICS_MINI, Clip, ClipList, download_clip, list_clips
from vivit.hub.faults import HubError
from vivit.hub.folders import as_path, called, read_json
from vivit.hub.options import OPTION_NAMES, USUAL, HubOptions, split_options
from vivit.hub.labels import kinetics400_labels, kinetics600_labels, named_classes, same_label

__all__ = [
    "ASSETS",
    "HEADLESS",
    "KINETICS_CHECKPOINT",
    "KINETICS_MINI",
    "OPTION_NAMES",
    "PROCESSORS",
    "USUAL",
    "CheckpointInfo",
    "Clip",
    "ClipList",
    "HubError",
    "HubOptions",
    "as_path",
    "cached_checkpoints",
    "called",
    "download",
    "download_clip",
    "embedded_checkpoints",
    "find_checkpoint",
    "inspect_checkpoint",
    "kinetics400_labels",
    "kinetics600_labels",
    "list_clips",
    "locate",
    "megabytes",
    "named_classes",
    "read_json",
    "same_label",
    "split_name",
    "split_options",
]
