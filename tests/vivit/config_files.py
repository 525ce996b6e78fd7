"""A file of a published config, and the fields of a config that was read."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from vivit import VivitConfig

# As transformers 4.31 wrote it for a published checkpoint (labels shortened).
VERSION_4 = {
    "_name_or_path": "google/vivit-b-16x2-kinetics400",
    "architectures": ["VivitForVideoClassification"],
    "attention_probs_dropout_prob": 0.0,
    "hidden_act": "gelu_fast",
    "hidden_dropout_prob": 0.0,
    "hidden_size": 768,
    "id2label": {"0": "abseiling", "1": "air drumming", "2": "answering questions"},
    "image_size": 224,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "label2id": {"abseiling": 0, "air drumming": 1, "answering questions": 2},
    "layer_norm_eps": 1e-06,
    "model_type": "vivit",
    "num_attention_heads": 12,
    "num_channels": 3,
    "num_frames": 32,
    "num_hidden_layers": 12,
    "qkv_bias": True,
    "torch_dtype": "float32",
    "transformers_version": "4.31.0.dev0",
    "tubelet_size": [2, 16, 16],
    "video_size": [32, 224, 224],
}


def write(folder: Path, values: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


def fields_of(config: VivitConfig) -> dict[str, Any]:
    """The fields of a config that transformers' config has too."""
    own = ("extra", "factorization", "num_temporal_layers", "attention_order")
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name not in own}
