"""Ordinary folders that cannot be used, and what the sentence about each names."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROCESSOR, MODEL = "preprocessor_config.json", "config.json"


def stating(file: str, **values: Any) -> Callable[[Path], None]:
    """A change to what one of a folder's files states; the file is made if there is none."""

    def change(folder: Path) -> None:
        path = folder / file
        said = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(said | values))

    return change


# What is wrong → the change to a small checkpoint, whose model does not take 224 × 224, and words of the sentence about it.
UNUSABLE: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "a processor left at 224": (
        stating(PROCESSOR, size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}),
        ["image processor", PROCESSOR, "224 × 224", "model", MODEL, "crop_size"],
    ),
    "a processor without a crop": (stating(PROCESSOR, do_center_crop=False), ["image processor", "model", "do_center_crop"]),
    "one channel": (stating(MODEL, num_channels=1), ["image processor", "model", "num_channels=1"]),
    "an unknown activation": (stating(MODEL, hidden_act="mish"), [MODEL, "hidden_act='mish'", "gelu"]),
    "an impossible number of heads": (stating(MODEL, num_attention_heads=4096), [MODEL, "num_attention_heads=4096"]),
    "labels with a gap": (stating(MODEL, id2label={"0": "a", "7": "b"}), [MODEL, "id2label"]),
    "another kind of model": (stating(MODEL, model_type="videomae"), ["videomae"]),
    "another class": (stating(PROCESSOR, image_processor_type="CLIPImageProcessor"), [PROCESSOR, "'CLIPImageProcessor'"]),
    "code of its own": (stating(PROCESSOR, auto_map={"AutoImageProcessor": "mine.Mine"}), [PROCESSOR, "auto_map"]),
    "a switch": (stating(PROCESSOR, do_flip_channel_order=True), [PROCESSOR, "do_flip_channel_order"]),
    "an impossible value": (stating(PROCESSOR, image_std=0), [PROCESSOR, "image_std"]),
    "means of two channels": (stating(PROCESSOR, do_normalize=True, image_mean=[0.1, 0.2]), [PROCESSOR, "image_mean"]),
    "a number beyond arithmetic": (stating(PROCESSOR, rescale_factor=10**400), [PROCESSOR, "rescale_factor"]),
    "a size that is no number": (stating(PROCESSOR, size=True), [PROCESSOR, "size", "True"]),
    "a model of impossible size": (stating(MODEL, hidden_size=35 * 10**20), [MODEL, "hidden_size", "1,000,000"]),
    "more layers than anybody has": (stating(MODEL, num_hidden_layers=10**6), [MODEL, "num_hidden_layers", "10,000"]),
    "labels that are none": (stating(MODEL, id2label=5), [MODEL, "id2label"]),
    "two processors": (
        stating("video_preprocessor_config.json", video_processor_type="VideoMAEVideoProcessor"),
        [PROCESSOR, "video_preprocessor_config.json"],
    ),
    "a nested processor": (
        stating("processor_config.json", image_processor={"image_processor_type": "SiglipImageProcessor"}),
        ["processor_config.json", "'SiglipImageProcessor'"],
    ),
}  # fmt: skip
